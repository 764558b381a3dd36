package batch

import (
	"slices"
	"time"

	"kreplay/pkg/record"
)

// Streams are the dispatchers of one run that goes to several streams: one for
// each, with what is the run's in common. Rate and ByteRate pass for all of them
// together, Records and Bytes are held in all, and as many requests are in
// flight. Like a Dispatcher it is pure, and not safe for concurrent use.
//
// Records are offered in one order, whichever stream they go to, and each stream
// goes as fast as it can. One that stands still holds the others back only when
// Records or Bytes are full of its records: further ahead of it nobody may be.
// Until then it leaves them connections: who has requests in flight leaves one
// to each stream that has records and none in flight, out of half of all.
type Streams struct {
	all      []*Dispatcher
	requests int
	flying   int
	turn     int // stream that was asked last
}

// NewStreams returns dispatchers that hold nothing, one for each Config, of which
// there is at least one. What is of the whole is the same in all: Records, Bytes,
// Requests, Rate and ByteRate.
func NewStreams(cfgs []Config) *Streams {
	s := &Streams{requests: max(cfgs[0].Requests, 1)}
	for _, cfg := range cfgs {
		d := New(cfg)
		if len(s.all) > 0 {
			d.shared = s.all[0].shared
			d.copyFrom = copySoon
		}
		s.all = append(s.all, d)
	}
	return s
}

// Stream is the dispatcher of a stream, to be routed and asked. What Streams does
// itself is not to be done with it.
func (s *Streams) Stream(i int) *Dispatcher { return s.all[i] }

// Room says whether Offer would take a record.
func (s *Streams) Room() bool { return s.all[0].Room() }

// Full says whether nothing can be sent, whatever is offered, until a while has
// passed or a request is settled.
func (s *Streams) Full() bool {
	return s.flying >= s.requests || !slices.ContainsFunc(s.all, func(d *Dispatcher) bool { return d.more() > 0 && !d.open.full })
}

// Offer is Dispatcher.Offer of the record's stream.
func (s *Streams) Offer(stream int, r *record.Record) error { return s.all[stream].Offer(r) }

// End says that no more will be offered.
func (s *Streams) End() {
	for _, d := range s.all {
		d.End()
	}
}

// Done says that nothing more is to be sent, and nothing is in flight.
func (s *Streams) Done() bool {
	for _, d := range s.all {
		if !d.Done() {
			return false
		}
	}
	return true
}

// Take is Dispatcher.Take of the streams in turn; Request.Stream says of which.
func (s *Streams) Take(now time.Duration) (*Request, time.Duration) {
	wait := time.Duration(Idle)
	first := s.requests - s.flying // who has none in flight may take so many
	more := first - min(s.idle(), s.requests/2)
	for range s.all {
		if s.turn++; s.turn >= len(s.all) {
			s.turn = 0
		}
		d := s.all[s.turn]
		if first <= 0 || d.flying > 0 && more <= 0 {
			continue
		}
		r, w := d.Take(now)
		if r != nil {
			r.Stream = s.turn
			s.flying++
			return r, 0
		}
		wait = min(wait, w)
	}
	return nil, wait
}

// idle is how many streams have records and no request in flight.
func (s *Streams) idle() (n int) {
	for _, d := range s.all {
		if d.flying == 0 && d.held > 0 {
			n++
		}
	}
	return n
}

// Settle takes back a request with the outcomes of its records, in order. r is
// not to be used after.
func (s *Streams) Settle(now time.Duration, r *Request, outs []record.Outcome) {
	s.flying--
	s.all[r.Stream].Settle(now, r, outs)
}

// Counts are those of all streams.
func (s *Streams) Counts() (sum Counts) {
	for _, d := range s.all {
		c := d.counts
		sum.Acked += c.Acked
		sum.Refused += c.Refused
		sum.Throttled += c.Throttled
		sum.Unknown += c.Unknown
		sum.Bytes += c.Bytes
		sum.GivenUp += c.GivenUp
		sum.Held += c.Held
	}
	return sum
}

// Throttled names the stream that has had nothing but throttles for longest.
func (s *Streams) Throttled(now time.Duration) (stream int, long time.Duration) {
	return s.longest(func(d *Dispatcher) time.Duration { return d.Throttled(now) })
}

// Failing names the stream of which no call has been answered for longest. A
// call or two that fail now and then, as few as a rare log type makes, are not it.
func (s *Streams) Failing(now time.Duration) (stream int, long time.Duration) {
	return s.longest(func(d *Dispatcher) time.Duration {
		if d.failures <= 2 {
			return 0
		}
		return d.Failing(now)
	})
}

func (s *Streams) longest(of func(*Dispatcher) time.Duration) (stream int, long time.Duration) {
	for i, d := range s.all {
		if t := of(d); t > long {
			stream, long = i, t
		}
	}
	return stream, long
}

// Dry names a shard that has refused all for that long, if one has.
func (s *Streams) Dry(now, long time.Duration) (stream int, id string, dry bool) {
	for i, d := range s.all {
		if id, dry := d.Dry(now, long); dry {
			return i, id, true
		}
	}
	return 0, "", false
}

// Stale names a stream whose map of shards is to be read anew, if one's is.
func (s *Streams) Stale(now time.Duration) (stream int, stale bool) {
	for i, d := range s.all {
		if d.Stale(now) {
			return i, true
		}
	}
	return 0, false
}

// Hottest is Dispatcher.Hottest of all streams.
func (s *Streams) Hottest() (stream int, id string) {
	var hot *shard
	for i, d := range s.all {
		if other := d.hottest(hot); other != hot {
			stream, hot = i, other
		}
	}
	if hot == nil {
		return 0, ""
	}
	return stream, hot.total.ID
}

// Wanted is Dispatcher.Wanted of all streams together.
func (s *Streams) Wanted(now time.Duration, scheduled bool) float64 {
	return wantedOf(s.all, now, scheduled)
}

package batch_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/batch"
	"kreplay/pkg/pace"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// many are several streams in simulated time, without shards. Seq modulo their
// number is a record's stream.
type many struct {
	t      *rapid.T
	s      *batch.Streams
	n      int
	now    time.Duration
	flight []answer
	answer func(r *batch.Request, o *record.Outcome) (latency time.Duration)
	check  func(r *batch.Request)
	took   map[uint64]time.Duration // until the ack, by seq
	tries  int
}

// run offers what there is room for, and plays until the end or until nothing is left.
func (m *many) run(recs []record.Record, until time.Duration) (left []record.Record) {
	m.took = map[uint64]time.Duration{}
	for range 1_000_000 {
		for len(recs) > 0 && m.s.Room() {
			if err := m.s.Offer(int(recs[0].Seq)%m.n, &recs[0]); err != nil {
				m.t.Fatal(err)
			}
			recs = recs[1:]
		}
		if len(recs) == 0 {
			m.s.End()
		}
		r, wait := m.s.Take(m.now)
		if r != nil {
			m.put(r)
			continue
		}
		if m.s.Done() {
			return recs
		}
		next := m.now + wait
		if len(m.flight) > 0 {
			next = min(next, m.flight[0].at)
		}
		if wait <= 0 || next >= m.now+batch.Idle {
			m.t.Fatalf("at %v: nothing to send, and nothing to wait for", m.now)
		}
		if next >= until {
			return recs
		}
		m.now = next
		for len(m.flight) > 0 && m.flight[0].at <= m.now {
			a := m.flight[0]
			m.flight = m.flight[1:]
			for i := range a.outs {
				if a.outs[i].Fate == record.Acked {
					m.took[a.r.Recs[i].Seq] = m.now
				}
			}
			m.s.Settle(m.now, a.r, a.outs)
		}
	}
	m.t.Fatal("it does not end")
	return nil
}

func (m *many) put(r *batch.Request) {
	if m.check != nil {
		m.check(r)
	}
	outs, latency := make([]record.Outcome, len(r.Recs)), time.Duration(0)
	for i := range outs {
		outs[i] = record.Outcome{Fate: record.Acked}
		latency = max(latency, m.answer(r, &outs[i]))
	}
	m.tries += len(outs)
	m.flight = append(m.flight, answer{m.now + latency, r, outs})
	slices.SortStableFunc(m.flight, func(a, b answer) int { return cmp.Compare(a.at, b.at) })
}

func newMany(t *rapid.T, n int, cfg batch.Config) *many {
	cfgs := make([]batch.Config, n)
	for i := range cfgs {
		cfgs[i] = cfg
		cfgs[i].Seed = uint64(i)
	}
	return &many{t: t, n: n, s: batch.NewStreams(cfgs)}
}

var wide = batch.Limits{Records: batch.MaxRecords, RequestBytes: batch.MaxRequestBytes, RecordBytes: batch.DefaultRecordBytes}

func plain(n int) []record.Record {
	recs := make([]record.Record, n)
	for i := range recs {
		recs[i] = record.Record{Seq: uint64(i), ID: record.ID{User: uint32(i / 7)}, PartitionKey: fmt.Sprint("user-", i/7), Data: make([]byte, 20)}
	}
	return recs
}

// Whatever goes wrong, a request holds records of its stream only, no bound of
// the whole is broken, and every record is acked or given up.
func TestStreamsConserve(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, count := rapid.IntRange(1, 6).Draw(rt, "streams"), rapid.IntRange(0, 300).Draw(rt, "records")
		cfg := batch.Config{
			Limits:  batch.Limits{Records: rapid.IntRange(1, 20).Draw(rt, "request"), RequestBytes: 1000, RecordBytes: 300},
			Records: rapid.IntRange(1, 100).Draw(rt, "held"), Requests: rapid.IntRange(1, 6).Draw(rt, "requests"),
			Ordered: rapid.Bool().Draw(rt, "ordered"), Hold: rapid.Bool().Draw(rt, "hold"), Attempts: rapid.IntRange(1, 8).Draw(rt, "attempts"),
		}
		m := newMany(rt, n, cfg)
		luck := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "luck"), 0))
		bad := rapid.IntRange(0, 80).Draw(rt, "bad")
		m.answer = func(_ *batch.Request, o *record.Outcome) time.Duration {
			if luck.IntN(100) < bad {
				*o = []record.Outcome{{Fate: record.Refused, Code: stream.CodeShard}, {Fate: record.Unknown, Code: "timeout"}}[luck.IntN(2)]
			}
			return time.Duration(luck.IntN(int(50 * time.Millisecond)))
		}
		offered := map[uint64]bool{}
		m.check = func(r *batch.Request) {
			for _, rec := range r.Recs {
				offered[rec.Seq] = true
				if int(rec.Seq)%n != r.Stream {
					rt.Fatalf("record %d is in a request of stream %d of %d", rec.Seq, r.Stream, n)
				}
			}
			if len(m.flight) >= cfg.Requests {
				rt.Fatalf("a request is sent beside %d others, at most %d", len(m.flight), cfg.Requests)
			}
		}
		recs := plain(count)
		for i := range recs {
			recs[i].Due = time.Duration(i/10) * 3 * time.Millisecond
		}
		m.run(recs, 1<<62)
		c := m.s.Counts()
		if int(c.Acked+c.GivenUp) != count || len(offered) != count || int(c.Acked) != len(m.took) || int(c.Acked+c.Refused+c.Unknown) != m.tries {
			rt.Fatalf("%d acked, %d given up, %d sent of %d; %d attempts of %+v", c.Acked, c.GivenUp, len(offered), count, m.tries, c)
		}
	})
}

// A stream whose calls hang leaves the others their connections, and what is held
// of their records goes out; only when all that may be held is of the stream that
// hangs do they wait for it.
func TestAStreamThatHangsStarvesNoOther(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, requests := rapid.IntRange(2, 6).Draw(rt, "streams"), rapid.IntRange(2, 20).Draw(rt, "requests")
		m := newMany(rt, n, batch.Config{Limits: batch.Limits{Records: 5, RequestBytes: 1 << 20, RecordBytes: 1 << 10}, Records: 60 * n, Requests: requests})
		m.answer = func(r *batch.Request, _ *record.Outcome) time.Duration {
			if r.Stream == 0 {
				return 30 * time.Second
			}
			return 5 * time.Millisecond
		}
		all := 100 * n * n
		offered := all - len(m.run(plain(all), 29*time.Second))
		for _, r := range plain(offered) {
			if _, acked := m.took[r.Seq]; acked != (int(r.Seq)%n > 0) {
				rt.Fatalf("record %d of stream %d: acked %v", r.Seq, int(r.Seq)%n, acked)
			}
		}
		if most := 60 * n * n; offered < most-n || offered > most {
			rt.Fatalf("%d records were offered before 60 * %d of the stream that hangs were held, want %d", offered, n, most)
		}
	})
}

// The rate is that of all streams together, and is used.
func TestStreamsShareTheRate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "streams")
		rate, err := pace.ConstantRate(200)
		if err != nil {
			rt.Fatal(err)
		}
		m := newMany(rt, n, batch.Config{Limits: wide, Rate: rate, Requests: 4})
		m.answer = func(*batch.Request, *record.Outcome) time.Duration { return 10 * time.Millisecond }
		perStream := make([]int, n)
		m.check = func(r *batch.Request) { perStream[r.Stream] += len(r.Recs) }
		m.run(plain(2000), 1<<62)
		if want := 10 * time.Second; m.now < want-200*time.Millisecond || m.now > want+200*time.Millisecond {
			rt.Fatalf("2000 records at 200 a second take %v in %d streams, want %v", m.now, n, want)
		}
		if slices.Max(perStream)-slices.Min(perStream) > 1 {
			rt.Fatalf("records by stream: %v", perStream)
		}
		if got := m.s.Wanted(m.now, false); got != 200 {
			rt.Fatalf("%v records a second are wanted, want 200", got)
		}
	})
}

// A stream without an answer is named, and one that rarely gets a call is not
// called dead because one of them failed long ago.
func TestTheStreamThatFailsIsNamed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(rt, "streams")
		bad := rapid.IntRange(0, n-1).Draw(rt, "bad")
		hold := rapid.Bool().Draw(rt, "hold")
		m := newMany(rt, n, batch.Config{Limits: wide, Requests: 8, Hold: hold})
		m.answer = func(r *batch.Request, o *record.Outcome) time.Duration {
			if r.Stream == bad {
				*o = record.Outcome{Fate: record.Unknown, Code: "reset"}
			}
			return time.Millisecond
		}
		recs := plain(2 * n)
		recs = append(recs, record.Record{Seq: uint64(bad + 1), PartitionKey: "k", Due: 10 * time.Minute})
		m.run(recs, 5*time.Minute)
		i, long := m.s.Failing(m.now)
		if hold && long != 0 || !hold && (i != bad || long < 2*time.Minute) {
			rt.Fatalf("hold %v: stream %d fails for %v, want stream %d", hold, i, long, bad)
		}
	})
}

// Streams whose records are not due yet keep half of the connections at most.
func TestWhatIsNotDueKeepsFewConnections(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, requests := rapid.IntRange(2, 40).Draw(rt, "streams"), rapid.IntRange(2, 8).Draw(rt, "requests")
		m := newMany(rt, n, batch.Config{Limits: batch.Limits{Records: 5, RequestBytes: 1 << 20, RecordBytes: 1 << 10}, Requests: requests})
		m.answer = func(*batch.Request, *record.Outcome) time.Duration { return time.Second }
		recs := plain(n * 100)
		for i := range recs {
			if i%n > 0 {
				recs[i].Due = time.Hour
			}
		}
		m.run(recs, 500*time.Millisecond)
		if want := requests - min(n-1, requests/2); len(m.flight) != want {
			rt.Fatalf("%d requests in flight of %d, want %d", len(m.flight), requests, want)
		}
	})
}

// Full says that it is not for want of records that Take gives nothing.
func TestFull(t *testing.T) {
	cfg := batch.Config{Limits: batch.Limits{Records: 1, RequestBytes: 1000, RecordBytes: 300}, Requests: 4, Pairs: true}
	for _, n := range []int{1, 2} {
		s := batch.NewStreams(slices.Repeat([]batch.Config{cfg}, n))
		var flying []*batch.Request
		next := uint64(0)
		take := func(want int) {
			t.Helper()
			for !s.Full() && next < 100 { // as who makes records
				if err := s.Offer(int(next)%n, &record.Record{Seq: next, PartitionKey: "k"}); err != nil {
					t.Fatal(err)
				}
				next++
				for r, _ := s.Take(0); r != nil; r, _ = s.Take(0) {
					flying = append(flying, r)
				}
			}
			if len(flying) != want {
				t.Errorf("%d streams: %d requests in flight, want %d", n, len(flying), want)
			}
		}
		take(4)
		if next > 8 {
			t.Errorf("%d streams: %d records are made for 4 requests of one", n, next)
		}
		s.Settle(0, flying[0], []record.Outcome{{Fate: record.Acked, Shard: "s"}})
		flying = flying[1:]
		take(4 - 2 + n) // alone in its stream it waits for company
		if next > 10 {
			t.Errorf("%d streams: %d records are made for 5 requests of one", n, next)
		}
	}
}

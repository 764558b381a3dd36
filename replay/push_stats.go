package replay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"kreplay/pkg/batch"
	"kreplay/pkg/stream"
)

// StatsFile holds a push's Stats in its run directory.
const StatsFile = "push.json"

const statsFormat = 1

// Stats are what a push measured: written when it ends or is interrupted, not
// when it is killed. Those of several workers, or of a run and its resumption,
// merge into one.
type Stats struct {
	Format   int          `json:"format"`
	Segments int          `json:"segments"`          // of the ledger, that they are about
	Bytes    uint64       `json:"bytes"`             // data and keys that were acked
	GivenUp  uint64       `json:"given_up"`          // records that were attempted too often, or for too long
	Held     uint64       `json:"held"`              // records of unknown fate that were not sent again (on_unknown: hold)
	Slip     *Latency     `json:"slip"`              // from when a record was due until it was sent first; nil: no schedule
	Put      *Latency     `json:"put"`               // of requests
	Shards   []ShardStats `json:"shards"`            // by stream and id
	Unpaced  string       `json:"unpaced,omitempty"` // why shards were not paced
	// Streams are there where the push went to several, by name.
	Streams []StreamStats `json:"streams,omitempty"`

	Clock stream.Offset `json:"clock"` // of the stream, ahead of the sender's
}

// StreamStats say what went into one of several streams.
type StreamStats struct {
	Stream    string   `json:"stream"`
	Records   uint64   `json:"records"` // acked
	Bytes     uint64   `json:"bytes"`
	Throttled uint64   `json:"throttled"`
	Unknown   uint64   `json:"unknown"` // attempts
	Slip      *Latency `json:"slip"`
}

// ShardStats say what went into a shard, data and keys, and what it refused.
type ShardStats struct {
	Stream    string   `json:"stream,omitempty"` // where there are several
	ID        string   `json:"id"`
	Records   uint64   `json:"records"`
	Bytes     uint64   `json:"bytes"`
	Throttled uint64   `json:"throttled"`
	Users     []uint32 `json:"users,omitempty"` // indexes of those who bring much of its records
}

// A Latency is a distribution of times.
type Latency struct {
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Max       float64 `json:"max_ms"`
	Histogram string  `json:"histogram"` // of microseconds, HdrHistogram V2 compressed, base64
}

// newHistogram counts microseconds up to a day, to three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (24 * time.Hour).Microseconds(), 3)
}

func observe(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 0), h.HighestTrackableValue())) // cannot fail within the range
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func newLatency(h *hdrhistogram.Histogram) (*Latency, error) {
	if h.TotalCount() == 0 {
		return nil, nil
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("replay: histogram: %w", err)
	}
	ms := func(n int64) float64 { return float64(n) / 1000 }
	return &Latency{ms(h.ValueAtQuantile(50)), ms(h.ValueAtQuantile(99)), ms(h.Max()), string(text)}, nil
}

// plus merges two distributions, of which either may be nil.
func (l *Latency) plus(m *Latency) (*Latency, error) {
	if l == nil || m == nil {
		if l == nil {
			return m, nil
		}
		return l, nil
	}
	sum := newHistogram()
	for _, one := range []*Latency{l, m} {
		h, err := hdrhistogram.Decode([]byte(one.Histogram))
		if err != nil {
			return nil, fmt.Errorf("replay: histogram: %w", err)
		}
		sum.Merge(h)
	}
	return newLatency(sum)
}

// Merge adds other to s.
func (s *Stats) Merge(other *Stats) error {
	s.Segments += other.Segments
	s.Bytes += other.Bytes
	s.GivenUp += other.GivenUp
	s.Held += other.Held
	if s.Unpaced == "" {
		s.Unpaced = other.Unpaced
	}
	s.Clock = s.Clock.Or(other.Clock)
	var errSlip, errPut error
	s.Slip, errSlip = s.Slip.plus(other.Slip)
	s.Put, errPut = s.Put.plus(other.Put)
	type key struct{ stream, id string }
	shards := map[key]ShardStats{}
	for _, one := range append(s.Shards, other.Shards...) {
		k := key{one.Stream, one.ID}
		sum := shards[k]
		users := slices.Concat(sum.Users, one.Users)
		shards[k] = ShardStats{one.Stream, one.ID, sum.Records + one.Records, sum.Bytes + one.Bytes, sum.Throttled + one.Throttled, users}
	}
	s.Shards = slices.SortedFunc(maps.Values(shards), func(a, b ShardStats) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.ID, b.ID))
	})
	return errors.Join(errSlip, errPut, s.mergeStreams(other.Streams))
}

func (s *Stats) mergeStreams(other []StreamStats) error {
	var faults []error
	streams := map[string]StreamStats{}
	for _, one := range append(s.Streams, other...) {
		sum := streams[one.Stream]
		slip, err := sum.Slip.plus(one.Slip)
		faults = append(faults, err)
		streams[one.Stream] = StreamStats{one.Stream, sum.Records + one.Records, sum.Bytes + one.Bytes, sum.Throttled + one.Throttled, sum.Unknown + one.Unknown, slip}
	}
	s.Streams = nil
	for _, name := range sortedKeys(streams) {
		s.Streams = append(s.Streams, streams[name])
	}
	return errors.Join(faults...)
}

// pending are stats that may have failed to be made.
type pending struct {
	stats *Stats
	err   error
}

// stats are those of the push and of what it resumed. No sender is at work.
func (p *push) stats() pending {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.dispatch.Counts()
	s := &Stats{Format: statsFormat, Segments: 1, Bytes: c.Bytes, GivenUp: c.GivenUp - c.Held, Held: c.Held, Shards: []ShardStats{}}
	faults := []error(nil)
	for i, f := range p.flows {
		faults = append(faults, s.add(f, p.dispatch.Stream(i)))
	}
	if p.offset != nil {
		s.Clock = p.offset()
	}
	var errSlip, errPut, errMerge error
	s.Slip, errSlip = newLatency(p.slip)
	s.Put, errPut = newLatency(p.put)
	if p.before != nil {
		errMerge = s.Merge(p.before)
	}
	return pending{s, errors.Join(append(faults, errSlip, errPut, errMerge)...)}
}

// add tells what went into a stream, which is named where there are several.
func (s *Stats) add(f *flow, d *batch.Dispatcher) (err error) {
	name := ""
	if f.slip != nil {
		c := d.Counts()
		one := StreamStats{Stream: f.Stream, Records: c.Acked, Bytes: c.Bytes, Throttled: c.Throttled, Unknown: c.Unknown}
		one.Slip, err = newLatency(f.slip)
		s.Streams = append(s.Streams, one)
		name = f.Stream
	}
	for _, shard := range d.Shards() {
		s.Shards = append(s.Shards, ShardStats{name, shard.ID, shard.Records, shard.Bytes, shard.Throttled, shard.Users})
	}
	switch {
	case f.unpaced == "" || name == "":
		s.Unpaced += f.unpaced
	case s.Unpaced != "":
		s.Unpaced += "; "
		fallthrough
	default:
		s.Unpaced += name + ": " + f.unpaced
	}
	return err
}

// write leaves either all of the file or what was there before.
func (w pending) write(dir string) error {
	if w.err != nil {
		return w.err
	}
	text, err := json.MarshalIndent(w.stats, "", "  ")
	if err != nil {
		return fmt.Errorf("replay: %s: %w", StatsFile, err)
	}
	f, err := os.CreateTemp(dir, StatsFile+".*.tmp")
	if err != nil {
		return fmt.Errorf("replay: %s: %w", StatsFile, err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, StatsFile))
	}
	if err != nil {
		return fmt.Errorf("replay: %s: %w", StatsFile, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// ReadStats reads a run directory's stats; nil: there are none, because the push
// goes on or was killed.
func ReadStats(dir string) (*Stats, error) {
	text, err := os.ReadFile(filepath.Join(dir, StatsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	s := &Stats{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("replay: %s: %w", filepath.Join(dir, StatsFile), err)
	}
	if s.Format != statsFormat {
		return nil, fmt.Errorf("replay: %s: format %d; this kreplay reads format %d", filepath.Join(dir, StatsFile), s.Format, statsFormat)
	}
	return s, nil
}

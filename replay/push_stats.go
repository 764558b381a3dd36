package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	Shards   []ShardStats `json:"shards"`            // by id
	Unpaced  string       `json:"unpaced,omitempty"` // why shards were not paced

	Clock stream.Offset `json:"clock"` // of the stream, ahead of the sender's
}

// ShardStats say what went into a shard, data and keys, and what it refused.
type ShardStats struct {
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
	byID := map[string]ShardStats{}
	for _, one := range append(s.Shards, other.Shards...) {
		sum := byID[one.ID]
		users := slices.Concat(sum.Users, one.Users)
		byID[one.ID] = ShardStats{one.ID, sum.Records + one.Records, sum.Bytes + one.Bytes, sum.Throttled + one.Throttled, users}
	}
	s.Shards = nil
	for _, id := range sortedKeys(byID) {
		s.Shards = append(s.Shards, byID[id])
	}
	return errors.Join(errSlip, errPut)
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
	s := &Stats{Format: statsFormat, Segments: 1, Bytes: c.Bytes, GivenUp: c.GivenUp - c.Held, Held: c.Held, Shards: []ShardStats{}, Unpaced: p.unpaced}
	for _, shard := range p.dispatch.Shards() {
		s.Shards = append(s.Shards, shardStats(shard))
	}
	if p.target.Offset != nil {
		s.Clock = p.target.Offset()
	}
	var errSlip, errPut, errMerge error
	s.Slip, errSlip = newLatency(p.slip)
	s.Put, errPut = newLatency(p.put)
	if p.before != nil {
		errMerge = s.Merge(p.before)
	}
	return pending{s, errors.Join(errSlip, errPut, errMerge)}
}

func shardStats(s batch.Shard) ShardStats { return ShardStats(s) }

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

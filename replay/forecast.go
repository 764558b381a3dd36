package replay

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/generate"
	"kreplay/pkg/pace"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
)

// Limits of a shard (aws-sdk-go-v2 kinesis v1.56.12, api_op_PutRecords.go; the
// documentation mixes MB and MiB, this is the lower).
const (
	shardRecords = 1000      // a second
	shardBytes   = 1_000_000 // a second, data and partition keys
)

// A Load is records and their bytes, partition keys included.
type Load struct{ Records, Bytes uint64 }

func (l *Load) add(bytes int) {
	l.Records++
	l.Bytes += uint64(bytes)
}

// A Forecast is what a run will send, counted record by record with the real
// keys. It holds for the run with the plan's run id and anchor; another run id
// gives other ids, and so other shards.
type Forecast struct {
	Load
	Requests  uint64           // at the least
	Scheduled time.Duration    // until the last record is due; 0: unpaced
	Wall      time.Duration    // at the least, by the schedule, the scenario's limits and, where asked for, the shards'
	Streams   []StreamForecast // in the order of PredictConfig
	Shards    []ShardForecast  // of all streams, in that order
	Hottest   int              // index of the shard with the longest way to go
	Keys      []KeyLoad        // the heaviest partition keys of the hottest shard, heaviest first

	firehoseUnits uint64
}

// A StreamForecast is one stream's share.
type StreamForecast struct {
	StreamShards
	Load
	Requests uint64 // at the least

	putUnits uint64
}

// A ShardForecast is one shard's share. Peaks are of the busiest second of the
// schedule, 0 where it does not pace.
type ShardForecast struct {
	Stream string // as in PredictConfig
	ID     string
	Load
	PeakRecords, PeakBytes uint64
}

// seconds is how long a shard takes at the share of its nominal limits.
func (s ShardForecast) seconds(share float64) float64 {
	return max(float64(s.Records)/shardRecords, float64(s.Bytes)/shardBytes) / share
}

// A KeyLoad is what one partition key brings; by default the key is a user's id.
type KeyLoad struct {
	Key string
	Load
}

// PredictConfig says what a forecast is about.
type PredictConfig struct {
	Streams []StreamShards
	Of      map[string]int // log type → its stream's index; nil: all goes to the first
	Limited bool           // the shards have their nominal limits: they bound the time
	Observe func(Progress)
}

// StreamShards are the shards of one stream.
type StreamShards struct {
	Name     string
	Shards   *stream.Map
	OnDemand bool // it is charged for what goes in and by the hour, not by the shard
}

// heaviest is how many keys a forecast names, and mostKeys how many it counts:
// of a run with more keys, those that come first.
const (
	heaviest = 5
	mostKeys = 1 << 20
)

// Predict counts what a plan will send, without sending it.
func Predict(ctx context.Context, plan *generate.Plan, limits scenario.Limits, cfg PredictConfig) (*Forecast, error) {
	c := newCensus(cfg.Streams)
	var of []int // by the plan's log types
	if cfg.Of != nil {
		for _, l := range plan.LogTypes() {
			of = append(of, cfg.Of[l])
		}
	}
	stop := watch(ctx, cfg.Observe, func() Progress {
		return Progress{Phase: PhasePlan, Done: c.done.Load(), Total: plan.Total()}
	})
	defer stop()
	for r := range plan.Records(generate.Slice{}) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		to := 0
		if of != nil {
			to = of[plan.Cohort(r.ID.User).LogType[r.ID.Event]]
		}
		c.count(to, r.PartitionKey, r.Size(), r.Due)
	}
	f := c.forecast()
	if plan.Paced() {
		f.Scheduled = c.due
	}
	records, bytes := limits.Ceilings()
	f.Wall = max(f.Scheduled, untilPassed(f.Records, records), untilPassed(f.Bytes, bytes))
	if cfg.Limited {
		share := float64(scenario.Whole)
		if limits.PerShard > 0 {
			share = float64(limits.PerShard)
		}
		hot := f.Shards[f.Hottest].seconds(share / float64(scenario.Whole))
		f.Wall = max(f.Wall, time.Duration(hot*float64(time.Second)))
	}
	return f, nil
}

// untilPassed is how long it takes for n to pass under a ceiling; at most a year.
func untilPassed(n uint64, ceiling pace.Profile) time.Duration {
	if ceiling == nil {
		return 0
	}
	const year = 365 * 24 * time.Hour
	ms := sort.Search(int(year/time.Millisecond), func(ms int) bool {
		return ceiling.Sum(time.Duration(ms)*time.Millisecond) >= float64(n)
	})
	return time.Duration(ms) * time.Millisecond
}

// census counts records by stream, shard, second and key.
type census struct {
	streams []streamCensus
	done    atomic.Uint64
	total   Load
	load    []ShardForecast
	second  []Load // of each shard, in the second now
	now     time.Duration
	due     time.Duration
	keys    map[streamKey]*keyCount
	last    *keyCount
	key     streamKey

	firehoseUnits uint64
}

type streamCensus struct {
	StreamForecast
	first int                          // of its shards
	open  struct{ records, bytes int } // of the request being filled
}

type streamKey struct {
	stream int
	key    string
}

type keyCount struct {
	shard int
	Load
}

func newCensus(streams []StreamShards) *census {
	c := &census{keys: map[streamKey]*keyCount{}}
	for _, s := range streams {
		c.streams = append(c.streams, streamCensus{StreamForecast: StreamForecast{StreamShards: s}, first: len(c.load)})
		for i := range s.Shards.Len() {
			c.load = append(c.load, ShardForecast{Stream: s.Name, ID: s.Shards.Shard(i).ID})
		}
	}
	c.second = make([]Load, len(c.load))
	return c
}

func (c *census) count(to int, key string, bytes int, due time.Duration) {
	if k := (streamKey{to, key}); c.last == nil || k != c.key {
		c.key, c.last = k, c.of(k)
	}
	c.last.add(bytes)
	c.total.add(bytes)
	c.streams[to].count(bytes)
	c.firehoseUnits += uint64(bytes+firehoseUnit-1) / firehoseUnit
	s := &c.load[c.last.shard]
	s.add(bytes)
	if second := due.Truncate(time.Second); second != c.now {
		clear(c.second)
		c.now = second
	}
	c.due = max(c.due, due)
	n := &c.second[c.last.shard]
	n.add(bytes)
	s.PeakRecords, s.PeakBytes = max(s.PeakRecords, n.Records), max(s.PeakBytes, n.Bytes)
	if c.total.Records%1024 == 0 {
		c.done.Store(c.total.Records)
	}
}

func (s *streamCensus) count(bytes int) {
	s.add(bytes)
	s.putUnits += uint64(bytes+putUnit-1) / putUnit
	if s.open.records == 0 || s.open.records == batch.MaxRecords || s.open.bytes+bytes > batch.MaxRequestBytes {
		s.Requests++
		s.open.records, s.open.bytes = 0, 0
	}
	s.open.records++
	s.open.bytes += bytes
}

// of returns the counter of a key, one that is kept for the first mostKeys.
func (c *census) of(key streamKey) *keyCount {
	if k := c.keys[key]; k != nil {
		return k
	}
	s := &c.streams[key.stream]
	k := &keyCount{shard: s.first + s.Shards.Find(stream.HashOf(key.key))}
	if len(c.keys) < mostKeys {
		c.keys[key] = k
	}
	return k
}

func (c *census) forecast() *Forecast {
	f := &Forecast{Load: c.total, Shards: c.load, firehoseUnits: c.firehoseUnits}
	for _, s := range c.streams {
		f.Streams = append(f.Streams, s.StreamForecast)
		f.Requests += s.Requests
	}
	for i := range f.Shards {
		if f.Shards[i].seconds(1) > f.Shards[f.Hottest].seconds(1) {
			f.Hottest = i
		}
		if c.due == 0 {
			f.Shards[i].PeakRecords, f.Shards[i].PeakBytes = 0, 0
		}
	}
	for key, k := range maps.All(c.keys) {
		if k.shard == f.Hottest {
			f.Keys = append(f.Keys, KeyLoad{key.key, k.Load})
		}
	}
	slices.SortFunc(f.Keys, func(a, b KeyLoad) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Key, b.Key))
	})
	f.Keys = f.Keys[:min(len(f.Keys), heaviest)]
	return f
}

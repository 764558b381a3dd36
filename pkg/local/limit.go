package local

import (
	"fmt"
	"math"
	"time"
)

// ShardLimit is what a shard takes in a second. 0 stands for the limit of
// Config, or none without Config.Limits.
type ShardLimit struct {
	Records int
	Bytes   int // data and partition keys
}

// rate is a limit as the bucket counts: a second and shard; 0: none.
type rate struct{ records, bytes float64 }

// limit is what l comes to under c.
func (c Config) limit(l ShardLimit) rate {
	if c.Limits {
		l.Records, l.Bytes = or(l.Records, c.ShardRecords), or(l.Bytes, c.ShardBytes)
	}
	return rate{float64(l.Records), float64(l.Bytes)}
}

// limits is the limit of each shard of spec, by the number in its id.
func (c Config) limits(spec StreamSpec) func(int) rate {
	if spec.ShardLimit == nil {
		return func(int) rate { return c.limit(ShardLimit{}) }
	}
	return func(number int) rate { return c.limit(spec.ShardLimit(number)) }
}

// SetShardLimit changes what a shard takes from now on, as another producer
// does who comes, goes, or uses more of it: a client is not told. id "" stands
// for all shards, those of a later reshard too. What is left in the shard's
// bucket stays, up to the new limit.
func (p *Pipeline) SetShardLimit(stream, id string, l ShardLimit) error {
	if l.Records < 0 || l.Bytes < 0 {
		return fmt.Errorf("local: stream %q, shard %q: limit %+v: want 0 or more", stream, id, l)
	}
	s, err := p.named(stream)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "" {
		i, ok := s.index(id)
		if !ok {
			return fmt.Errorf("local: stream %q: no shard %q", stream, id)
		}
		s.shards[i].limit = p.cfg.limit(l)
		return nil
	}
	s.limits = func(int) rate { return p.cfg.limit(l) }
	for _, sh := range s.shards {
		sh.limit = p.cfg.limit(l)
	}
	return nil
}

// named looks a stream up for the methods of Pipeline.
func (p *Pipeline) named(stream string) (*stream, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if s := p.streams[stream]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("local: no stream %q", stream)
}

// reads is what a shard gave: its consumers share ShardReads calls and
// ShardReadBytes a second. What was read is paid off before more is given, so
// that after MaxReadBytes nothing is for five seconds (API_GetRecords).
type reads struct {
	calls bucket
	paid  time.Time
}

func (r *reads) begin(now time.Time) bool {
	if now.Before(r.paid) {
		return false
	}
	r.paid = now
	return r.calls.take(now, 0, rate{records: ShardReads})
}

func (r *reads) end(bytes int) {
	r.paid = r.paid.Add(time.Duration(bytes) * time.Second / ShardReadBytes)
}

// bucket holds a second's worth of a shard's limit. It may go below zero: a
// record above a second's worth passes a full bucket and is paid off after.
type bucket struct {
	records, bytes float64
	filled         time.Time // zero: full
}

func (b *bucket) take(now time.Time, bytes int, r rate) bool {
	dt := now.Sub(b.filled).Seconds()
	if b.filled.IsZero() || dt > 3600 {
		b.records, b.bytes = r.records, r.bytes
	} else {
		b.records = min(r.records, b.records+dt*r.records)
		b.bytes = min(r.bytes, b.bytes+dt*r.bytes)
	}
	b.filled = now
	if r.records == 0 {
		b.records = math.Inf(1) // and full when there is a limit again
	}
	if r.bytes == 0 {
		b.bytes = math.Inf(1)
	}
	if b.records < 1 || b.bytes < min(float64(bytes), r.bytes) {
		return false
	}
	b.records--
	b.bytes -= float64(bytes)
	return true
}

package batch_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// sim is a stream in simulated time: shards with buckets of a second, as Kinesis
// and pkg/local have them, behind a network with a latency.
type sim struct {
	t       testing.TB
	d       *batch.Dispatcher
	luck    *rand.Rand
	now     time.Duration
	shards  []*simShard
	latency func() time.Duration
	answer  func(r *record.Record, o *record.Outcome)  // nil, or what goes wrong with a stored record
	call    func(recs []record.Record) *record.Outcome // nil, or what goes wrong with a call as a whole, before it is stored
	events  []event                                    // by time: what happens by itself

	flight  []answer
	most    int                 // requests in flight
	stored  map[uint64]int      // by seq
	acked   map[uint64]int      // by seq
	unknown map[uint64]bool     // by seq: an attempt was
	routed  []time.Duration     // when the map was read
	perSec  map[int]int         // attempts
	order   map[uint32][]uint64 // seqs by user as they were stored
	users   map[uint32]int      // records in flight
	tries   int
	took    time.Duration // until the last ack
}

type simShard struct {
	stream.Shard
	rate       float64 // records a second
	level      float64
	filled     time.Duration
	bytes      float64
	got, asked int
}

type event struct {
	at time.Duration
	do func()
}

type answer struct {
	at   time.Duration
	r    *batch.Request
	outs []record.Outcome
}

func newSim(t testing.TB, cfg batch.Config, shards int, rate float64) *sim {
	t.Helper()
	if cfg.Limits == (batch.Limits{}) {
		cfg.Limits = batch.Limits{Records: batch.MaxRecords, RequestBytes: batch.MaxRequestBytes, RecordBytes: batch.DefaultRecordBytes}
	}
	if cfg.Requests == 0 {
		cfg.Requests = 32
	}
	s := &sim{
		t: t, d: batch.New(cfg), luck: rand.New(rand.NewPCG(1, 2)), stored: map[uint64]int{}, acked: map[uint64]int{}, unknown: map[uint64]bool{}, perSec: map[int]int{},
		order: map[uint32][]uint64{}, users: map[uint32]int{},
	}
	s.latency = func() time.Duration {
		return 10*time.Millisecond + time.Duration(s.luck.ExpFloat64()*float64(10*time.Millisecond))
	}
	m, err := stream.EvenMap(shards)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Len() {
		s.shards = append(s.shards, &simShard{Shard: m.Shard(i), rate: rate, level: rate, bytes: rate * 1000})
	}
	return s
}

// route gives the dispatcher the map as it is.
func (s *sim) route() {
	s.t.Helper()
	s.routed = append(s.routed, s.now)
	var open []stream.Shard
	for _, sh := range s.shards {
		open = append(open, sh.Shard)
	}
	m, err := stream.NewMap(open)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.d.Route(m, s.now); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sim) shardOf(r *record.Record) *simShard {
	h := stream.HashOf(r.PartitionKey)
	for _, sh := range s.shards {
		if sh.First.Compare(h) <= 0 && h.Compare(sh.Last) <= 0 {
			return sh
		}
	}
	s.t.Fatal("no shard")
	return nil
}

func (sh *simShard) take(now time.Duration, size int) bool {
	sh.asked++
	dt := (now - sh.filled).Seconds()
	sh.level = min(sh.level+dt*sh.rate, sh.rate)
	sh.bytes = min(sh.bytes+dt*sh.rate*1000, sh.rate*1000)
	sh.filled = now
	if sh.rate == 0 {
		sh.got++
		return true
	}
	if sh.level < 1 || sh.bytes < min(float64(size), sh.rate*1000) {
		return false
	}
	sh.level--
	sh.bytes -= float64(size)
	sh.got++
	return true
}

// put is the server's side; it stores at once, the answer takes its time.
func (s *sim) put(r *batch.Request) {
	outs := make([]record.Outcome, len(r.Recs))
	s.tries += len(r.Recs)
	s.perSec[int(s.now/time.Second)] += len(r.Recs)
	var whole *record.Outcome
	if s.call != nil {
		whole = s.call(r.Recs)
	}
	for i := range r.Recs {
		rec := &r.Recs[i]
		s.users[rec.ID.User]++
		o := &outs[i]
		if whole != nil {
			*o = *whole
			continue
		}
		sh := s.shardOf(rec)
		if !sh.take(s.now, rec.Size()) {
			*o = record.Outcome{Fate: record.Refused, Code: stream.CodeShard}
			continue
		}
		s.stored[rec.Seq]++
		s.order[rec.ID.User] = append(s.order[rec.ID.User], rec.Seq)
		*o = record.Outcome{Fate: record.Acked, Shard: sh.ID}
		if s.answer != nil {
			s.answer(rec, o)
		}
	}
	s.flight = append(s.flight, answer{s.now + s.latency(), r, outs})
	slices.SortStableFunc(s.flight, func(a, b answer) int { return cmp.Compare(a.at, b.at) })
	s.most = max(s.most, len(s.flight))
}

// run offers all and plays until nothing is left. check sees every request.
func (s *sim) run(recs []record.Record, check func(r *batch.Request)) {
	s.t.Helper()
	for rounds := 0; ; rounds++ {
		for len(recs) > 0 && s.d.Room() {
			if err := s.d.Offer(&recs[0]); err != nil {
				s.t.Fatal(err)
			}
			recs = recs[1:]
		}
		if len(recs) == 0 {
			s.d.End()
		}
		r, wait := s.d.Take(s.now)
		if r != nil {
			if check != nil {
				check(r)
			}
			s.put(r)
			continue
		}
		if s.d.Done() {
			return
		}
		if wait <= 0 || rounds > 5_000_000 {
			s.t.Fatalf("at %v: nothing to send, and nothing to wait for", s.now)
		}
		s.advance(wait)
	}
}

// advance goes to the next moment at which something may happen.
func (s *sim) advance(wait time.Duration) {
	next := s.now + wait
	if len(s.flight) > 0 {
		next = min(next, s.flight[0].at)
	}
	if len(s.events) > 0 {
		next = min(next, s.events[0].at)
	}
	if next >= s.now+batch.Idle {
		s.t.Fatalf("at %v: it waits for nothing", s.now)
	}
	s.now = max(next, s.now)
	for len(s.events) > 0 && s.events[0].at <= s.now {
		do := s.events[0].do
		s.events = s.events[1:]
		do()
	}
	for len(s.flight) > 0 && s.flight[0].at <= s.now {
		a := s.flight[0]
		s.flight = s.flight[1:]
		for i := range a.r.Recs {
			rec := &a.r.Recs[i]
			s.users[rec.ID.User]--
			a.outs[i].ID = rec.ID
			if a.outs[i].Fate == record.Unknown {
				s.unknown[rec.Seq] = true
			}
			if a.outs[i].Fate == record.Acked {
				s.acked[rec.Seq]++
				s.took = s.now
			}
		}
		s.d.Settle(s.now, a.r, a.outs)
	}
	if s.d.Stale(s.now) {
		s.route()
	}
}

// skewed makes n records of which share go to the first shard, the others evenly.
func (s *sim) skewed(n int, share float64, size int) []record.Record {
	keys := make([][]string, len(s.shards))
	for i := 0; slices.ContainsFunc(keys, func(k []string) bool { return len(k) < 200 }); i++ {
		r := record.Record{PartitionKey: fmt.Sprint("user-", i)}
		at := slices.Index(s.shards, s.shardOf(&r))
		keys[at] = append(keys[at], r.PartitionKey)
	}
	recs := make([]record.Record, n)
	for i := range recs {
		at := 0
		if s.luck.Float64() >= share && len(s.shards) > 1 {
			at = 1 + s.luck.IntN(len(s.shards)-1)
		}
		k := s.luck.IntN(200)
		recs[i] = record.Record{Seq: uint64(i), ID: record.ID{User: uint32(at*1000 + k), Event: uint32(i)}, PartitionKey: keys[at][k], Data: make([]byte, size)}
	}
	return recs
}

// once checks that every record was stored, and counts attempts a record.
func (s *sim) once(n int) (attempts float64) {
	s.t.Helper()
	for seq := range uint64(n) {
		if s.acked[seq] != 1 {
			s.t.Fatalf("record %d was acked %d times, stored %d times", seq, s.acked[seq], s.stored[seq])
		}
	}
	return float64(s.tries) / float64(n)
}

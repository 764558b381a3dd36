package local

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// rec is a stored record. Key and data lie side by side in the memory of their request.
type rec struct {
	buf []byte // key, then data
	at  int64  // arrival, Unix ms
	seq uint64
	key uint16 // bytes of the key: 256 runes are 1024 bytes at most
}

func (r rec) data() []byte { return r.buf[r.key:] }

// request is what the retention counts by: the records that came in one call.
type request struct {
	last  uint64 // greatest seq
	bytes int64
}

// stream is a named log cut into shards. One lock, because all shards share
// the sequence numbers and one deliverer buffer.
type stream struct {
	name     string
	maxRec   int // bytes of data and key
	created  time.Time
	onDemand bool
	auto     atomic.Bool // RecordDistributionStrategy AUTO: keys do not route

	mu sync.Mutex
	ring
	tags    map[string]string
	deleted bool
	turn    int       // of the open shards under AUTO
	busy    time.Time // UPDATING until then
	updates []time.Time

	pending []rec // not delivered yet, by seq
	waiting int64 // data bytes of pending
	stuck   bool  // the deliverer failed: nobody waits for it
	room    chan struct{}

	requests []request // kept, oldest first
	kept     int64     // bytes of requests
	horizon  uint64    // records below are forgotten

	// Guarded by Pipeline.delivery. Records are delivered when no share of theirs is left.
	draft  *draft
	shares []share // not drafted yet
	dealt  int     // records in all shares of one deal
	aside  []aside // changed under Pipeline.delivery and plan.mu, read under either
}

func (c Config) newStream(spec StreamSpec, now time.Time) *stream {
	s := &stream{
		name: spec.Name, maxRec: max(spec.MaxRecordKiB, MinRecordKiB) << 10, created: now, onDemand: spec.OnDemand,
		ring: newRing(spec.Shards, now, c.limits(spec)), tags: map[string]string{}, room: make(chan struct{}),
	}
	maps.Copy(s.tags, spec.Tags)
	return s
}

// Sequence numbers have 56 digits like the real ones, and sort as text.
const seqHead = "496700000000000000000000000000000000"

func appendSeq(dst []byte, seq uint64) []byte {
	dst = append(dst, seqHead...)
	var room [20]byte // on the stack: this runs once a record
	digits := strconv.AppendUint(room[:0], seq, 10)
	for range 20 - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

func parseSeq(text string) (uint64, bool) {
	digits, ok := strings.CutPrefix(text, seqHead)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// outcome is what became of an entry.
type outcome struct {
	seq    uint64 // 0: not stored
	shard  string // id
	failed bool   // answered by InternalFailure, stored or not; else 0 means throttled
}

// append stores sc.recs in the shards that are open now, by sc.places, and
// sets sc.out. It tells false when the stream was deleted.
func (s *stream) append(p *Pipeline, sc *scratch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deleted {
		return false
	}
	now := time.Now()
	ms := now.UnixMilli()
	idle, before, stored := len(s.pending) == 0, s.waiting, int64(0)
	sc.out = sc.out[:0]
	for i, r := range sc.recs {
		sh := s.target(sc.places[i])
		fate := p.plan.entry(r, sc.fault)
		if fate == failUnstored {
			sc.out = append(sc.out, outcome{0, sh.id, true})
			continue
		}
		if fate == throttleEntry || sh.limit != (rate{}) && !sh.bucket.take(now, len(r.buf), sh.limit) {
			sh.throttled++
			sc.out = append(sc.out, outcome{0, sh.id, false})
			continue
		}
		r.seq, r.at = s.seq(), ms
		if fate == failStored {
			p.plan.stored(r)
		}
		sc.out = append(sc.out, outcome{r.seq, sh.id, fate == failStored})
		if len(p.plan.stores) == 0 {
			stored += s.store(p, sh, r)
			continue
		}
		for _, r := range p.plan.store(r, fate == pass && !sc.fault.lost(), s.seq) {
			stored += s.store(p, sh, r)
		}
	}
	if stored > 0 {
		s.requests = append(s.requests, request{s.next - 1, stored})
		s.kept += stored
	}
	if p.cfg.Lake == "" {
		s.trim(p.cfg.Retain+p.cfg.Retain/8, p.cfg.Retain)
	} else if full := int64(p.cfg.BufferBytes); idle || before < full && s.waiting >= full {
		p.nudge()
	}
	return true
}

// store keeps r in sh and returns its bytes. The caller holds s.mu.
func (s *stream) store(p *Pipeline, sh *shard, r rec) int64 {
	sh.recs = append(sh.recs, r)
	sh.records++
	sh.bytes += int64(len(r.buf))
	if p.cfg.Lake != "" {
		s.pending = append(s.pending, r)
		s.waiting += int64(len(r.data()))
	}
	return int64(len(r.buf))
}

// target is the open shard for a record at place h; under AUTO they take turns.
func (s *stream) target(h hash) *shard {
	if s.auto.Load() {
		s.turn++
		return s.open[s.turn%len(s.open)]
	}
	return s.open[route(s.starts, h)]
}

// trim forgets the oldest delivered records down to low bytes once more than high are kept.
func (s *stream) trim(high, low int64) {
	if s.kept <= high {
		return
	}
	undelivered := s.next
	if len(s.pending) > 0 {
		undelivered = s.pending[0].seq
	}
	n := 0
	for ; n < len(s.requests) && s.kept > low && s.requests[n].last < undelivered; n++ {
		s.kept -= s.requests[n].bytes
	}
	if n == 0 {
		return
	}
	cut := s.requests[n-1].last
	s.requests = s.requests[n:]
	s.horizon = cut + 1
	for _, sh := range s.shards {
		k := sort.Search(len(sh.recs), func(i int) bool { return sh.recs[i].seq > cut })
		if k > 0 {
			sh.forgotten = rec{seq: sh.recs[k-1].seq, at: sh.recs[k-1].at}
		}
		clear(sh.recs[:k]) // the array behind the slice must not hold the memory
		sh.recs = sh.recs[k:]
	}
}

// await returns once fewer than limit bytes wait for the deliverer, or ctx ends.
func (s *stream) await(ctx context.Context, limit int64) error {
	for {
		s.mu.Lock()
		free, room := s.waiting < limit || s.stuck, s.room
		s.mu.Unlock()
		if free {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// due returns the records of the next object, up to those numbered last, and
// nil when it is not time for one. They stay pending until delivered is called.
func (s *stream) due(p *Pipeline, now time.Time, last uint64) []rec {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return nil
	}
	old := now.UnixMilli()-s.pending[0].at >= p.cfg.BufferInterval.Milliseconds()
	if s.waiting < int64(p.cfg.BufferBytes) && !old && s.pending[0].seq > last {
		return nil
	}
	n, bytes := 0, 0
	for n < len(s.pending) && bytes < p.cfg.BufferBytes {
		bytes += len(s.pending[n].data())
		n++
	}
	return s.pending[:n:n]
}

// delivered takes the first n pending records off.
func (s *stream) delivered(p *Pipeline, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.pending[:n] {
		s.waiting -= int64(len(r.data()))
	}
	clear(s.pending[:n])
	s.pending = s.pending[n:]
	s.stuck = false
	s.trim(p.cfg.Retain, p.cfg.Retain)
	close(s.room)
	s.room = make(chan struct{})
}

// fail lets those go who wait for the deliverer.
func (s *stream) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = true
	close(s.room)
	s.room = make(chan struct{})
}

// oldest is when the first pending record arrived, Unix ms; 0: none is pending.
func (s *stream) oldest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return 0
	}
	return s.pending[0].at
}

// held is how many records wait for their object.
func (s *stream) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

// newest is the sequence number given last.
func (s *stream) newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next - 1
}

func (s *stream) counts() []Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Count, 0, len(s.shards))
	for _, sh := range s.shards {
		all = append(all, Count{Stream: s.name, ID: sh.id, Records: sh.records, Bytes: sh.bytes, Throttled: sh.throttled, Closed: sh.last > 0})
	}
	return all
}

// reading is what one read of a shard found.
type reading struct {
	recs []rec
	next uint64  // where to go on
	left int64   // arrival of the next record left, Unix ms; 0: none
	end  bool    // the shard is closed, and this was all of it
	kids []child // at the end
}

// read returns records of a shard from sequence number from on, up to n and
// MaxReadBytes of data.
func (s *stream) read(p *Pipeline, shard int, from uint64, n int) (got reading, no *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shards[shard]
	if sh.forgotten.seq > 0 && from <= sh.forgotten.seq {
		return got, refuse("TrimmedDataAccessException", "Shard %s in stream %s does not keep the records that this iterator stands before: %d bytes are kept. Begin at TRIM_HORIZON, or keep more.", sh.id, s.name, p.cfg.Retain)
	}
	if p.cfg.Limits && !sh.reads.begin(time.Now()) {
		return got, refuse("ProvisionedThroughputExceededException", "%s", rateExceeded(s.name, sh.id))
	}
	all := sh.recs
	i := sort.Search(len(all), func(i int) bool { return all[i].seq >= from })
	end, bytes := i, 0
	for end < len(all) && end-i < n && (end == i || bytes+len(all[end].data()) <= MaxReadBytes) {
		bytes += len(all[end].data())
		end++
	}
	got.next = max(from, 1)
	if end > i {
		got.next = all[end-1].seq + 1
	}
	if end < len(all) {
		got.left = all[end].at
	} else if sh.last > 0 {
		got.end, got.kids = true, sh.children()
	}
	got.recs = slices.Clone(all[i:end])
	sh.reads.end(bytes)
	return got, nil
}

// holds tells whether seq is a sequence number of the shard.
func (s *stream) holds(shard int, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shards[shard]
	return seq >= sh.first && seq < s.next && (sh.last == 0 || seq <= sh.last)
}

// trimmed is the first sequence number of a shard that is not forgotten.
func (s *stream) trimmed(shard int) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shards[shard].forgotten.seq + 1
}

// since is the sequence number of the first record that arrived at ms or later,
// be it forgotten.
func (s *stream) since(shard int, ms int64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.shards[shard].forgotten; f.seq > 0 && f.at >= ms {
		return f.seq
	}
	all := s.shards[shard].recs
	if i := sort.Search(len(all), func(i int) bool { return all[i].at >= ms }); i < len(all) {
		return all[i].seq
	}
	return s.next
}

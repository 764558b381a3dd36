package local

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// rec is a stored record. Key and data lie side by side in the memory of their request.
type rec struct {
	buf   []byte // key, then data
	at    int64  // arrival, Unix ms
	seq   uint64
	shard uint32
	key   uint16 // bytes of the key: 256 runes are 1024 bytes at most
}

func (r rec) data() []byte { return r.buf[r.key:] }

// shard is one hash range of a stream.
type shard struct {
	id        string
	recs      []rec // by seq
	bucket    bucket
	bytes     int64
	records   int64
	throttled int64
}

// request is what the retention counts by: the records that came in one call.
type request struct {
	last  uint64 // greatest seq
	bytes int64
}

// stream is a named log cut into shards. One lock, because all shards share
// the sequence numbers and one deliverer buffer.
type stream struct {
	name    string
	maxRec  int // bytes of data and key
	starts  []hash
	created time.Time

	mu      sync.Mutex
	tags    map[string]string
	shards  []shard
	next    uint64 // sequence number of the next record
	deleted bool

	pending []rec // not delivered yet, by seq
	waiting int64 // data bytes of pending
	stuck   bool  // the deliverer failed: nobody waits for it
	room    chan struct{}

	requests []request // kept, oldest first
	kept     int64     // bytes of requests

	draft *draft // guarded by Pipeline.delivery
}

func newStream(spec StreamSpec, now time.Time) *stream {
	s := &stream{
		name: spec.Name, maxRec: max(spec.MaxRecordKiB, MinRecordKiB) << 10, starts: starts(spec.Shards), created: now,
		tags: map[string]string{}, shards: make([]shard, spec.Shards), next: 1, room: make(chan struct{}),
	}
	maps.Copy(s.tags, spec.Tags)
	for i := range s.shards {
		s.shards[i].id = fmt.Sprintf("shardId-%012d", i)
	}
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

// bucket holds a second's worth of a shard's limit. It may go below zero: a
// record above a second's worth passes a full bucket and is paid off after.
type bucket struct {
	records, bytes float64
	filled         time.Time // zero: full
}

func (b *bucket) take(now time.Time, bytes int, perRecord, perByte float64) bool {
	dt := now.Sub(b.filled).Seconds()
	if b.filled.IsZero() || dt > 3600 {
		b.records, b.bytes = perRecord, perByte
	} else {
		b.records = min(perRecord, b.records+dt*perRecord)
		b.bytes = min(perByte, b.bytes+dt*perByte)
	}
	b.filled = now
	if b.records < 1 || b.bytes < min(float64(bytes), perByte) {
		return false
	}
	b.records--
	b.bytes -= float64(bytes)
	return true
}

// outcome is what became of an entry.
type outcome struct {
	seq   uint64 // 0: throttled
	shard uint32
}

// append stores recs, whose shards are set, and appends one outcome each to
// out. It tells false when the stream was deleted.
func (s *stream) append(p *Pipeline, recs []rec, out []outcome) ([]outcome, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deleted {
		return out, false
	}
	now := time.Now()
	ms := now.UnixMilli()
	idle, before, stored := len(s.pending) == 0, s.waiting, int64(0)
	for _, r := range recs {
		sh := &s.shards[r.shard]
		if p.plan.throttle(r) || p.cfg.Limits && !sh.bucket.take(now, len(r.buf), float64(p.cfg.ShardRecords), float64(p.cfg.ShardBytes)) {
			sh.throttled++
			out = append(out, outcome{0, r.shard})
			continue
		}
		r.seq, r.at = s.next, ms
		s.next++
		sh.recs = append(sh.recs, r)
		sh.records++
		sh.bytes += int64(len(r.buf))
		stored += int64(len(r.buf))
		if p.cfg.Lake != "" {
			s.pending = append(s.pending, r)
			s.waiting += int64(len(r.data()))
		}
		out = append(out, outcome{r.seq, r.shard})
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
	return out, true
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
	for i := range s.shards {
		sh := &s.shards[i]
		k := sort.Search(len(sh.recs), func(i int) bool { return sh.recs[i].seq > cut })
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
	for i := range s.shards {
		sh := &s.shards[i]
		all = append(all, Count{Stream: s.name, ID: sh.id, Records: sh.records, Bytes: sh.bytes, Throttled: sh.throttled})
	}
	return all
}

// read returns records of a shard from sequence number from on, up to n and
// MaxReadBytes of data, where to go on, and the arrival of the next record left (0: none).
func (s *stream) read(shard int, from uint64, n int) (recs []rec, next uint64, left int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.shards[shard].recs
	i := sort.Search(len(all), func(i int) bool { return all[i].seq >= from })
	end, bytes := i, 0
	for end < len(all) && end-i < n && (end == i || bytes+len(all[end].data()) <= MaxReadBytes) {
		bytes += len(all[end].data())
		end++
	}
	next = max(from, 1)
	if end > i {
		next = all[end-1].seq + 1
	}
	if end < len(all) {
		left = all[end].at
	}
	return slices.Clone(all[i:end]), next, left
}

// since is the sequence number of the first record that arrived at ms or later.
func (s *stream) since(shard int, ms int64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.shards[shard].recs
	if i := sort.Search(len(all), func(i int) bool { return all[i].at >= ms }); i < len(all) {
		return all[i].seq
	}
	return s.next
}

package local

import (
	"fmt"
	"slices"
	"time"
)

// shard is one hash range of a stream for the time it is open.
type shard struct {
	id      string
	from    hash // range, both ends included
	to      hash
	parents []string // ids: none, the shard it was split from, or the two that were merged
	heirs   []*shard // what took its range over; none: open
	first   uint64   // a sequence number that no record has, below all of its records
	last    uint64   // the same, above all of them; 0: open
	opened  int64    // Unix ms
	closed  int64    // Unix ms; 0: open

	recs      []rec // by seq
	forgotten rec   // the youngest that is not kept any more; seq 0: all are
	reads     reads
	bucket    bucket
	limit     rate
	bytes     int64
	records   int64
	throttled int64
}

// ring is a stream's shards: all that ever were by number, and the open ones by
// hash. It is a pure value; the stream's lock guards it.
type ring struct {
	shards []*shard // by the number in the id
	open   []*shard // cover all hash keys, without gap or overlap
	starts []hash   // where the open ones start
	next   uint64   // sequence number to give next
	limits func(number int) rate
}

// newRing cuts the hash keys into n equal ranges.
func newRing(n int, now time.Time, limits func(int) rate) ring {
	r := ring{starts: starts(n), next: 1, limits: limits}
	for i := range n {
		sh := r.born(now, r.starts[i], last(r.starts, i))
		sh.first = 0
		r.open = append(r.open, sh)
	}
	r.next = 1
	return r
}

// born makes the next shard. It is not among the open ones yet.
func (r *ring) born(now time.Time, from, to hash, parents ...*shard) *shard {
	number := len(r.shards)
	sh := &shard{
		id: fmt.Sprintf("shardId-%012d", number), from: from, to: to,
		first: r.seq(), opened: now.UnixMilli(), limit: r.limits(number),
	}
	for _, p := range parents {
		sh.parents = append(sh.parents, p.id)
		p.heirs = append(p.heirs, sh)
	}
	r.shards = append(r.shards, sh)
	return sh
}

// seq takes a sequence number.
func (r *ring) seq() uint64 {
	r.next++
	return r.next - 1
}

// retire closes sh.
func (r *ring) retire(sh *shard, now time.Time) {
	sh.last, sh.closed = r.seq(), now.UnixMilli()
}

// split closes the open shard k; a child takes its range below at, another one the rest.
func (r *ring) split(k int, at hash, now time.Time) {
	old := r.open[k]
	r.retire(old, now)
	low, high := r.born(now, old.from, at.before(), old), r.born(now, at, old.to, old)
	r.open = slices.Replace(r.open, k, k+1, low, high)
	r.starts = slices.Insert(r.starts, k+1, at)
}

// merge closes the open shards k and k+1; a child takes their range. swapped:
// the upper one is the parent, the lower one the adjacent parent.
func (r *ring) merge(k int, swapped bool, now time.Time) {
	low, high := r.open[k], r.open[k+1]
	r.retire(low, now)
	r.retire(high, now)
	parents := []*shard{low, high}
	if swapped {
		slices.Reverse(parents)
	}
	r.open = slices.Replace(r.open, k, k+2, r.born(now, low.from, high.to, parents...))
	r.starts = slices.Delete(r.starts, k+1, k+2)
}

// resize makes n equal ranges of what is open. As in Kinesis that is done by
// splits, then merges, so shards may come and go on the way.
func (r *ring) resize(n int, now time.Time) {
	want := starts(n)
	for _, at := range want {
		if k := route(r.starts, at); r.starts[k] != at {
			r.split(k, at, now)
		}
	}
	for k := range want {
		for k+1 < len(r.starts) && (k+1 == len(want) || r.starts[k+1] != want[k+1]) {
			r.merge(k, false, now)
		}
	}
}

// place is where the open shard named id stands in open.
func (r *ring) place(id string) (int, bool) {
	k := slices.IndexFunc(r.open, func(sh *shard) bool { return sh.id == id })
	return k, k >= 0
}

// describe is a shard as ListShards and DescribeStream show it.
func (sh *shard) describe() map[string]any {
	sequence := map[string]string{"StartingSequenceNumber": string(appendSeq(nil, sh.first))}
	if sh.last > 0 {
		sequence["EndingSequenceNumber"] = string(appendSeq(nil, sh.last))
	}
	d := map[string]any{"ShardId": sh.id, "HashKeyRange": sh.keys(), "SequenceNumberRange": sequence}
	if len(sh.parents) > 0 {
		d["ParentShardId"] = sh.parents[0]
	}
	if len(sh.parents) > 1 {
		d["AdjacentParentShardId"] = sh.parents[1]
	}
	return d
}

func (sh *shard) keys() map[string]string {
	return map[string]string{"StartingHashKey": sh.from.String(), "EndingHashKey": sh.to.String()}
}

// child is a shard as GetRecords shows it at the end of a parent.
type child struct {
	ShardId      string
	ParentShards []string
	HashKeyRange map[string]string
}

func (sh *shard) children() []child {
	all := make([]child, 0, len(sh.heirs))
	for _, h := range sh.heirs {
		all = append(all, child{h.id, h.parents, h.keys()})
	}
	return all
}

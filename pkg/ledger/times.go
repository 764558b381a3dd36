package ledger

import (
	"math"
	"sort"

	"kreplay/pkg/record"
)

// A Sent asks when one record was sent.
type Sent struct {
	Seq   uint64
	Place uint32 // the asker's own
	// At is the answer: 1 + the milliseconds since the run started at which the
	// request began that carried the record: that of its first acked attempt; where
	// none was acked, of its last unknown one. 0: there was neither. By the
	// sender's clock; what is beyond 49 days counts as 49 days.
	At uint32
}

// Times answers each of list, which is in order of Seq without one that is there
// twice. It reads the segments again and holds nothing beside list.
func (a *Account) Times(list []Sent) error {
	acked := make([]bool, len(list))
	at := 0
	note := func(p piece, ms int64) {
		if p.fate != record.Acked && p.fate != record.Unknown {
			return
		}
		for at = nearest(list, at, p.first); at < len(list) && list[at].Seq < p.end; at++ {
			s := &list[at]
			t := uint32(min(max(ms, 0), math.MaxUint32-1)) + 1
			switch {
			case p.fate == record.Acked && acked[at]:
				s.At = min(s.At, t)
			case p.fate == record.Acked:
				s.At, acked[at] = t, true
			case !acked[at]:
				s.At = max(s.At, t)
			}
		}
	}
	for i := range list {
		list[i].At = 0
	}
	again := newAccount(a.Manifest)
	again.Dir = a.Dir
	return again.readSegments(&layers{note: note})
}

// nearest finds the first of list that is not below seq. Requests carry seqs near
// those of the ones before them, so it looks around at first.
func nearest(list []Sent, at int, seq uint64) int {
	const near = 16
	for range near {
		switch {
		case at > 0 && list[at-1].Seq >= seq:
			at--
		case at < len(list) && list[at].Seq < seq:
			at++
		default:
			return at
		}
	}
	return sort.Search(len(list), func(i int) bool { return list[i].Seq >= seq })
}

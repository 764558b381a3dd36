package batch

import (
	"cmp"
	"slices"
)

const (
	heatSize  = 32 // users that are counted at a time
	heatEvery = 61 // of so many records one is looked at: a prime, so that no pattern of the plan meets it
	heatShare = 20 // who brings a twentieth of a shard's records heats it
	heatNamed = 3  // users that are named
)

// heat finds the few users who bring much of what goes to a shard: whoever
// brings more than a thirty-third is among those counted, too low by at most
// that part (Misra and Gries, Finding repeated elements, 1982).
type heat struct {
	counts map[uint32]uint64
	seen   uint64
}

// look counts a record, if it is one of those that are looked at.
func (h *heat) look(seq uint64, user uint32) {
	if seq%heatEvery == 0 {
		h.add(user)
	}
}

func (h *heat) add(user uint32) {
	h.seen++
	if h.counts == nil {
		h.counts = make(map[uint32]uint64, heatSize)
	}
	if _, known := h.counts[user]; known || len(h.counts) < heatSize {
		h.counts[user]++
		return
	}
	for u, n := range h.counts {
		if n == 1 {
			delete(h.counts, u)
			continue
		}
		h.counts[u] = n - 1
	}
}

// users are those who heat the shard, the hottest first; most often none.
func (h *heat) users() []uint32 {
	var users []uint32
	for u, n := range h.counts {
		if n >= 3 && n*heatShare >= h.seen { // fewer than three are chance
			users = append(users, u)
		}
	}
	slices.SortFunc(users, func(a, b uint32) int { return cmp.Or(cmp.Compare(h.counts[b], h.counts[a]), cmp.Compare(a, b)) })
	return users[:min(heatNamed, len(users))]
}

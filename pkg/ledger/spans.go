package ledger

import (
	"math"

	"kreplay/pkg/record"
)

// state is what attempts at a record add up to.
type state struct {
	fate     record.Fate // the strongest of any attempt
	code     uint32      // of the last attempt of that fate; 0 when acked
	unknowns uint32
}

// strength orders fates: one ack decides, and what may be stored comes before
// what is surely not.
var strength = [...]int{record.Unsent: 0, record.Refused: 1, record.Unknown: 2, record.Acked: 3}

// and returns what s and the later t add up to.
func (s state) and(t state) state {
	u := t
	if strength[s.fate] > strength[t.fate] {
		u = s
	}
	u.unknowns = uint32(min(uint64(s.unknowns)+uint64(t.unknowns), math.MaxUint32))
	return u
}

// A piece is a range of seqs in one state: first <= seq < end.
type piece struct {
	first, end uint64
	state
}

// push appends p to a layer, or makes its last piece longer.
func push(layer []piece, p piece) []piece {
	if n := len(layer); n > 0 && layer[n-1].end == p.first && layer[n-1].state == p.state {
		layer[n-1].end = p.end
		return layer
	}
	return append(layer, p)
}

// merge lays one layer over an older one. Layers are in order, without overlap.
func merge(older, newer []piece) []piece {
	out := make([]piece, 0, max(len(older), len(newer)))
	for len(older) > 0 && len(newer) > 0 {
		a, b := older[0], newer[0]
		var p piece
		switch {
		case a.first < b.first:
			p = piece{a.first, min(a.end, b.first), a.state}
		case b.first < a.first:
			p = piece{b.first, min(b.end, a.first), b.state}
		default:
			p = piece{a.first, min(a.end, b.end), a.and(b.state)}
		}
		out = push(out, p)
		older, newer = after(older, p.end), after(newer, p.end)
	}
	for _, p := range older {
		out = push(out, p)
	}
	for _, p := range newer {
		out = push(out, p)
	}
	return out
}

// after drops what of a layer's first piece lies below seq. It writes to the
// layer, which is not used again.
func after(layer []piece, seq uint64) []piece {
	if layer[0].end <= seq {
		return layer[1:]
	}
	layer[0].first = max(layer[0].first, seq)
	return layer
}

// flatten makes one layer of pieces that stand in the order of their attempts.
// It may use their memory.
func flatten(pieces []piece) []piece {
	ordered := true
	for i := 1; i < len(pieces) && ordered; i++ {
		ordered = pieces[i-1].end <= pieces[i].first
	}
	if ordered {
		out := pieces[:0]
		for _, p := range pieces {
			out = push(out, p)
		}
		return out
	}
	n := len(pieces) / 2
	return merge(flatten(pieces[:n:n]), flatten(pieces[n:]))
}

// batchSize is how many pieces wait before they are made a layer.
const batchSize = 4096

// layers adds up attempts in the order in which they were made, by memory in
// proportion to the pieces that differ, not to records: a merge sort over
// ranges, where each layer is at most half of the one below it.
type layers struct {
	note    func(attempt piece, begun int64) // takes the attempts instead, with the ms at which each began; nil: they are added up
	waiting []piece
	stack   [][]piece
}

func (l *layers) attempt(p piece, begun int64) {
	if l.note != nil {
		l.note(p, begun)
		return
	}
	l.add(p)
}

func (l *layers) add(p piece) {
	l.waiting = push(l.waiting, p)
	if len(l.waiting) == batchSize {
		l.flush()
	}
}

func (l *layers) flush() {
	if len(l.waiting) == 0 {
		return
	}
	layer := append([]piece(nil), flatten(l.waiting)...)
	l.waiting = l.waiting[:0]
	for n := len(l.stack); n > 0 && len(l.stack[n-1]) < 2*len(layer); n-- {
		layer = merge(l.stack[n-1], layer)
		l.stack = l.stack[:n-1]
	}
	l.stack = append(l.stack, layer)
}

// all returns what all attempts add up to, and leaves l empty.
func (l *layers) all() (layer []piece) {
	l.flush()
	for n := len(l.stack) - 1; n >= 0; n-- {
		layer = merge(l.stack[n], layer)
	}
	l.stack = nil
	return layer
}

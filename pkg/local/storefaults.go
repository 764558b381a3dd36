package local

import (
	"bytes"
	"slices"
)

// store is what is stored in place of r, whose entry is acked: nothing, r twice,
// another text, or r. A fault that an entry cannot take, such as one whose fate
// its client does not learn, waits for the next one.
func (p *plan) store(r rec, acked bool, seq func() uint64) []rec {
	if !acked {
		return []rec{r}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, kind := range p.waiting {
		kept, seen := []rec{r}, r
		switch kind {
		case StreamDropped:
			kept, seen.seq = nil, 0
		case StreamDuplicated:
			again := r
			again.seq = seq()
			kept, seen = append(kept, again), again
		case StreamCorrupted:
			other := p.f.Mutate(r.data())
			if other == nil || bytes.Equal(other, r.data()) {
				continue
			}
			kept[0].buf = slices.Concat(r.buf[:r.key], other)
		}
		p.waiting = slices.Delete(p.waiting, i, i+1)
		p.plant(Planted{Kind: kind}, seen)
		return kept
	}
	return []rec{r}
}

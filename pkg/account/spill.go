package account

import (
	"cmp"
	"slices"
)

// An overflow is what two bits cannot say of one slot. It takes 12 bytes. Of a
// page on which more than mostSpilled did, each slot gets a byte instead: so at
// worst, where every record of a run has a mutated row, or three, a record takes a
// byte and a quarter. Only records with more rows than a byte can say take 12.
type overflow struct {
	slot uint32
	seen
}

// spill is what spilled of a page.
type spill struct {
	list []overflow // by slot
	wide bool       // all that a byte can say is in the wide arena instead
}

const mostSpilled = 1024 // as many as 4 kB of a page of 16,384 records hold, less than a byte for each

// A byte is the intact rows in its upper half and the mutated ones in its lower.
const (
	mostIntact  = 14
	mostMutated = 15
	tooMany     = 0xff // look among the page's overflows
)

// spilled returns what spilled of a slot.
func (c *counters) spilled(p *page, n int, slot uint32) seen {
	if p.more == nil {
		return seen{}
	}
	if p.more.wide {
		if b := c.wide.page(n)[slot]; b != tooMany {
			return seen{uint32(b >> 4), uint32(b & mostMutated)}
		}
	}
	if i, ok := p.more.find(slot); ok {
		return p.more.list[i].seen
	}
	return seen{}
}

func (m *spill) find(slot uint32) (int, bool) {
	return slices.BinarySearchFunc(m.list, slot, func(o overflow, slot uint32) int { return cmp.Compare(o.slot, slot) })
}

// spillTo notes what is known of a slot that spilled.
func (c *counters) spillTo(p *page, n int, slot uint32, s seen) {
	if p.more == nil {
		p.more = new(spill)
	}
	m := p.more
	if m.wide {
		b := &c.wide.page(n)[slot]
		if *b = s.byte(); *b != tooMany {
			return
		}
	}
	i, ok := m.find(slot)
	if ok {
		m.list[i].seen = s
		return
	}
	m.list = slices.Insert(m.list, i, overflow{slot, s})
	if !m.wide && len(m.list) > mostSpilled {
		m.widen(c.wide.page(n))
	}
}

// widen moves what spilled to where there is a byte for each slot.
func (m *spill) widen(bytes []byte) {
	var rest []overflow
	for _, o := range m.list {
		if bytes[o.slot] = o.byte(); bytes[o.slot] == tooMany {
			rest = append(rest, o)
		}
	}
	m.list, m.wide = rest, true
}

func (s seen) byte() byte {
	if s.intact > mostIntact || s.mutated > mostMutated {
		return tooMany
	}
	return byte(s.intact<<4 | s.mutated)
}

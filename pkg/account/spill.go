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

const mostSpilled = 1024 // as many as 4 kB of a page of 16,384 records hold, less than a byte for each

// A byte is the intact rows in its upper half and the mutated ones in its lower.
const (
	mostIntact  = 14
	mostMutated = 15
	tooMany     = 0xff // look among the page's overflows
)

// spilled returns what spilled of a slot.
func (c *counters) spilled(p *page, n int, slot uint32) seen {
	if p.wide {
		if b := c.wide.page(n)[slot]; b != tooMany {
			return seen{uint32(b >> 4), uint32(b & mostMutated)}
		}
	}
	if i, ok := p.find(slot); ok {
		return p.spill[i].seen
	}
	return seen{}
}

func (p *page) find(slot uint32) (int, bool) {
	return slices.BinarySearchFunc(p.spill, slot, func(o overflow, slot uint32) int { return cmp.Compare(o.slot, slot) })
}

// spillTo notes what is known of a slot that spilled.
func (c *counters) spillTo(p *page, n int, slot uint32, s seen) {
	if p.wide {
		b := &c.wide.page(n)[slot]
		if *b = s.byte(); *b != tooMany {
			return
		}
	}
	i, ok := p.find(slot)
	if ok {
		p.spill[i].seen = s
		return
	}
	p.spill = slices.Insert(p.spill, i, overflow{slot, s})
	if !p.wide && len(p.spill) > mostSpilled {
		c.widen(p, n)
	}
}

// widen moves what spilled of a page to where there is a byte for each slot.
func (c *counters) widen(p *page, n int) {
	p.wide = true
	bytes := c.wide.page(n)
	var rest []overflow
	for _, o := range p.spill {
		if bytes[o.slot] = o.byte(); bytes[o.slot] == tooMany {
			rest = append(rest, o)
		}
	}
	p.spill = rest
}

func (s seen) byte() byte {
	if s.intact > mostIntact || s.mutated > mostMutated {
		return tooMany
	}
	return byte(s.intact<<4 | s.mutated)
}

package account

import (
	"sync"

	"kreplay/pkg/generate"
)

// counters hold what was seen of each planned record in a quarter byte: 0, 1 or
// 2 intact rows, or 3: look in what spilled. The rows of a class of records alike
// are dealt to its records in turn, so that a lake as planned has a 1 everywhere.
// They are safe for concurrent use.
type counters struct {
	*layout
	table  []page
	narrow arena // two bits a slot
	wide   arena // a byte a slot, of pages of which much spilled
	whole  bool  // no record is planned twice: a page with a row each is complete
}

// seen counts the rows of one record, or of one class of records alike.
type seen struct{ intact, mutated uint32 }

func (s seen) rows() uint64 { return uint64(s.intact) + uint64(s.mutated) }

const spilled = 3

// ones are four records with an intact row each.
const ones = 0x55

// What a page is.
const (
	untouched = iota // no row yet
	open             // counted in memory
	complete         // each record has exactly one row, which is intact: costs no memory
)

// A page takes 32 bytes, so that two fill a line of the processor's cache.
type page struct {
	mu    sync.Mutex
	rows  uint64
	more  *spill // nil: nothing spilled
	slots uint32 // that are records; set when it is opened
	state uint8
	odd   bool // has an extra or a mutated row: is never complete
}

func newCounters(classes *generate.Comparer) *counters { return newCountersOf(classes, pageUnit) }

func newCountersOf(classes *generate.Comparer, unit int) *counters {
	l, plan := newLayout(classes, unit), classes.Plan()
	return &counters{
		layout: l, table: make([]page, l.pages), whole: plan.Total() == plan.Distinct(),
		narrow: arena{size: l.slots / 4, count: l.pages}, wide: arena{size: l.slots, count: l.pages},
	}
}

// add counts one more row of the class that begins with event. It says whether
// the class had all its rows before.
func (c *counters) add(seat generate.Seat, user, event uint32, intact bool) (extra bool) {
	at := c.find(seat, user, event)
	p := &c.table[at.page]
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.addTo(p, at, user, intact)
}

// addTo is add to a page that the caller has locked.
func (c *counters) addTo(p *page, at spot, user uint32, intact bool) (extra bool) {
	bits := c.open(at.page)
	before := c.read(p, at, bits)
	if n := before.rows(); n > 0 { // else there is no need to know how many are planned
		extra = n >= uint64(c.classes.Multiplicity(user, at.event))
	}
	c.count(p, at, bits, before, intact)
	p.odd = p.odd || extra || !intact
	c.counted(p, at.page)
	return extra
}

// addFirst adds an intact row to a page that the caller has locked, if it is the first
// of the class that begins at a slot, as nearly all are.
func (c *counters) addFirst(p *page, n int, slot uint32) bool {
	bits := c.open(n)
	if slotOf(bits, slot) != 0 {
		return false
	}
	setSlot(bits, slot, 1)
	c.counted(p, n)
	return true
}

// counted notes that a page has a row more.
func (c *counters) counted(p *page, n int) {
	if p.rows++; c.whole && !p.odd && p.rows == uint64(p.slots) {
		p.state = complete
		c.narrow.drop(n)
	}
}

// get returns the rows of the class that begins with event.
func (c *counters) get(seat generate.Seat, user, event uint32) seen {
	at := c.find(seat, user, event)
	p := &c.table[at.page]
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case untouched:
		return seen{}
	case complete:
		return seen{intact: uint32(at.class())}
	}
	return c.read(p, at, c.narrow.page(at.page))
}

// once says whether each class of a user has as many rows as records, copies
// aside, all of them intact.
func (c *counters) once(seat generate.Seat, user uint32) bool {
	at := c.home(seat, user)
	p := &c.table[at.page]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != open {
		return p.state == complete
	}
	bits := c.narrow.page(at.page)
	for slot, end := at.user, at.user+uint32(seat.Cohort.Events); slot < end; slot++ {
		if slot%4 == 0 && slot+4 <= end {
			if bits[slot/4] != ones {
				return false
			}
			slot += 3
		} else if slotOf(bits, slot) != 1 {
			return false
		}
	}
	return true
}

// total is how many rows were counted.
func (c *counters) total() (n uint64) {
	for i := range c.table {
		c.table[i].mu.Lock()
		n += c.table[i].rows
		c.table[i].mu.Unlock()
	}
	return n
}

func (c *counters) close() {
	c.narrow.close()
	c.wide.close()
}

// open returns the counters of a page that is about to change.
func (c *counters) open(n int) []byte {
	bits := c.narrow.page(n)
	p := &c.table[n]
	if p.state == open {
		return bits
	}
	switch p.state {
	case untouched:
		p.slots = uint32(c.slotsOf(n))
	case complete:
		p.refill(bits)
	}
	p.state = open
	return bits
}

// refill writes down what a complete page stands for.
func (p *page) refill(bits []byte) {
	clear(bits)
	for i := range p.slots / 4 {
		bits[i] = ones
	}
	if rest := p.slots % 4; rest > 0 {
		bits[p.slots/4] = ones & (1<<(2*rest) - 1)
	}
}

func slotOf(bits []byte, slot uint32) byte { return bits[slot/4] >> (slot % 4 * 2) & 3 }

func setSlot(bits []byte, slot uint32, to byte) {
	shift := slot % 4 * 2
	bits[slot/4] = bits[slot/4]&^(3<<shift) | to<<shift
}

// read returns the rows of a class. Where they spilled, its first slot says so
// and the others mean nothing.
func (c *counters) read(p *page, at spot, bits []byte) (s seen) {
	first := slotOf(bits, at.slot(0))
	if first == spilled {
		return c.spilled(p, at.page, at.slot(0))
	}
	s.intact = uint32(first)
	for n := 1; n < len(at.members); n++ {
		s.intact += uint32(slotOf(bits, at.slot(n)))
	}
	return s
}

// count adds a row to the before that read returned.
func (c *counters) count(p *page, at spot, bits []byte, before seen, intact bool) {
	class := uint32(at.class())
	if intact && before.mutated == 0 && before.intact < 2*class {
		slot := at.slot(int(before.intact % class))
		setSlot(bits, slot, slotOf(bits, slot)+1)
		return
	}
	if intact {
		before.intact++
	} else {
		before.mutated++
	}
	setSlot(bits, at.slot(0), spilled)
	c.spillTo(p, at.page, at.slot(0), before)
}

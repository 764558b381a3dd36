package account

// counters holds what was seen of each planned record in a quarter byte: 0, 1
// or 2 intact rows, or 3: look in spill. Mutated rows always spill; they are rare.
type counters struct {
	packed []byte
	spill  map[uint64]seen
}

// seen counts the rows of one record, or of one class of records alike.
type seen struct{ intact, mutated uint32 }

const spilled = 3

func newCounters(records uint64) *counters {
	return &counters{packed: make([]byte, (records+3)/4), spill: map[uint64]seen{}}
}

func (c *counters) get(i uint64) seen {
	n := c.packed[i/4] >> (i % 4 * 2) & 3
	if n == spilled {
		return c.spill[i]
	}
	return seen{intact: uint32(n)}
}

// add counts one more row and returns how many were counted before.
func (c *counters) add(i uint64, intact bool) (before seen) {
	before = c.get(i)
	after := before
	if intact {
		after.intact++
	} else {
		after.mutated++
	}
	bits := byte(spilled)
	if after.mutated == 0 && after.intact < spilled {
		bits = byte(after.intact)
	} else {
		c.spill[i] = after
	}
	shift := i % 4 * 2
	c.packed[i/4] = c.packed[i/4]&^(3<<shift) | bits<<shift
	return before
}

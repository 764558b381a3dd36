package kinesis

import (
	"encoding/binary"
	"math"
)

// cborReader is what is left of a text in CBOR. It never reads on behind what is
// bad, and allocates only where a text comes in pieces, which nobody writes.
type cborReader struct {
	rest []byte
	bad  bool // no CBOR, or not what was asked for
}

func (c *cborReader) fail() {
	c.rest, c.bad = nil, true
}

// head reads the head of an item: its major type and its argument, which is a
// length, a number or a value. open: it has none, and a break ends the item.
func (c *cborReader) head() (major byte, n uint64, open bool) {
	if len(c.rest) == 0 {
		c.fail()
		return 0, 0, false
	}
	major, low := c.rest[0]>>5, c.rest[0]&31
	c.rest = c.rest[1:]
	switch {
	case low < 24:
		return major, uint64(low), false
	case low == 31 && major >= cborBytes && major <= cborMap:
		return major, 0, true
	case low > 27 || len(c.rest) < 1<<(low-24):
		c.fail()
		return 0, 0, false
	}
	switch low {
	case 24:
		n = uint64(c.rest[0])
		if major == cborOther && n < 32 { // these have a shorter form, and that alone is one
			c.fail()
			return 0, 0, false
		}
	case 25:
		n = uint64(binary.BigEndian.Uint16(c.rest))
	case 26:
		n = uint64(binary.BigEndian.Uint32(c.rest))
	default:
		n = binary.BigEndian.Uint64(c.rest)
	}
	c.rest = c.rest[1<<(low-24):]
	return major, n, false
}

// open steps into a list or a map of n items; open: until a break.
func (c *cborReader) open(want byte) (n uint64, open bool) {
	major, n, open := c.head()
	if major != want {
		c.fail()
	}
	return n, open
}

// more says whether a list or a map has another item.
func (c *cborReader) more(n *uint64, open bool) bool {
	if c.bad {
		return false
	}
	if open {
		return !c.take(cborBreak)
	}
	*n--
	return *n != math.MaxUint64 // it was 0
}

// take steps over b, if it is next.
func (c *cborReader) take(b byte) bool {
	if len(c.rest) == 0 || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// text reads a text or a null, which is an empty one. It may not be UTF-8.
func (c *cborReader) text() []byte {
	if c.take(0xf6) {
		return nil
	}
	major, n, open := c.head()
	if major != cborText {
		c.fail()
		return nil
	}
	return c.content(cborText, n, open)
}

// content reads what stands behind the head of bytes or of a text.
func (c *cborReader) content(major byte, n uint64, open bool) []byte {
	if !open {
		if n > uint64(len(c.rest)) {
			c.fail()
			return nil
		}
		text := c.rest[:n:n]
		c.rest = c.rest[n:]
		return text
	}
	var all []byte
	for c.more(&n, true) {
		m, size, pieces := c.head()
		if m != major || pieces {
			c.fail()
			return nil
		}
		all = append(all, c.content(major, size, false)...)
	}
	return all
}

// maxDepth is deeper than any answer: a list of lists of lists would fill the stack.
const maxDepth = 16

// skip steps over an item, which lies depth deep.
func (c *cborReader) skip(depth int) {
	if depth > maxDepth {
		c.fail()
		return
	}
	switch major, n, open := c.head(); major {
	case cborBytes, cborText:
		c.content(major, n, open)
	case cborList, cborMap:
		for c.more(&n, open) {
			c.skip(depth + 1)
			if major == cborMap {
				c.skip(depth + 1)
			}
		}
	case cborTag:
		c.skip(depth + 1)
	}
}

// scanCBOR reads an answer to n records. Names are exact, and of two members of
// one name the last one counts.
func scanCBOR(answer []byte, into []entry, n int) (entries []entry, ok bool) {
	c := cborReader{rest: answer}
	found := false
	for members, open := c.open(cborMap); c.more(&members, open); {
		if string(c.text()) != "Records" {
			c.skip(0)
			continue
		}
		found = true
		into = c.entries(into[:0], n)
	}
	return into, found && !c.bad && len(c.rest) == 0
}

// entries reads the value of Records, and makes no more than one entry more than there should be.
func (c *cborReader) entries(into []entry, n int) []entry {
	if c.take(0xf6) {
		return into
	}
	for left, open := c.open(cborList); c.more(&left, open); n-- {
		if n < 0 {
			c.fail()
			return into
		}
		into = append(into, entry{})
		e := &into[len(into)-1]
		one := c.rest
		at := c.stored(e)
		if at == 0 {
			c.entry(e)
			continue
		}
		e.more = c.alike(one[:len(one)-len(c.rest)], at, len(e.sequence))
		if !open && uint64(e.more) > left {
			c.fail()
			return into
		}
		n, left = n-e.more, left-uint64(e.more)
	}
	return into
}

// Members of an entry of a record that was stored, as their names stand there.
const (
	cborSequence = "\x6eSequenceNumber"
	cborShard    = "\x67ShardId"
)

// stored reads an entry of a record that was stored, as it is written nearly
// always, and returns where its sequence number begins; otherwise it reads
// nothing, and returns 0.
func (c *cborReader) stored(e *entry) (at int) {
	b := c.rest
	if len(b) <= len(cborSequence) || b[0] != cborOpenMap && b[0] != cborMap<<5|2 || string(b[1:1+len(cborSequence)]) != cborSequence {
		return 0
	}
	open := b[0] == cborOpenMap
	sequence, b := shortText(b[1+len(cborSequence):])
	at = len(c.rest) - len(b) - len(sequence)
	if len(b) < len(cborShard) || string(b[:len(cborShard)]) != cborShard {
		return 0
	}
	shard, b := shortText(b[len(cborShard):])
	if open {
		if len(b) == 0 || b[0] != cborBreak {
			return 0
		}
		b = b[1:]
	}
	if shard == nil {
		return 0
	}
	e.sequence, e.shard, c.rest = sequence, shard, b
	return at
}

// shortText reads a text of less than 256 bytes; nil: it is something else.
func shortText(b []byte) (text, rest []byte) {
	if len(b) < 2 {
		return nil, nil
	}
	n, from := int(b[0])-cborText<<5, 1
	if n == 24 {
		n, from = int(b[1]), 2
	} else if n < 0 || n > 24 {
		return nil, nil
	}
	if len(b)-from < n {
		return nil, nil
	}
	return b[from : from+n : from+n], b[from+n:]
}

// alike steps over entries that differ from one only in the n bytes from at on,
// its sequence number, and counts them.
func (c *cborReader) alike(one []byte, at, n int) (entries int) {
	head, tail := one[:at], one[at+n:]
	for b := c.rest; len(b) >= len(one) && string(b[:at]) == string(head) && string(b[at+n:len(one)]) == string(tail); entries++ {
		b = b[len(one):]
		c.rest = b
	}
	return entries
}

func (c *cborReader) entry(e *entry) {
	*e = entry{}
	for n, open := c.open(cborMap); c.more(&n, open); {
		if at := e.member(c.text()); at != nil {
			*at = c.text()
		} else {
			c.skip(0)
		}
	}
}

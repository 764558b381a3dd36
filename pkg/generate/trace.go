package generate

import (
	"bytes"
	"fmt"
	"strconv"

	"kreplay/pkg/record"
)

// A Trace is what bytes that are no row say of the run: an id of its own.
type Trace struct {
	At   int64 // in the bytes, of what is behind the id; in base64 of the text that holds it
	User uint32
	ID   record.ID // if Named: of the first record of its class
	// Named: the id is a uuid that stands in one record, or in one class of them, only.
	Named bool
}

func (t Trace) String() string {
	if t.Named {
		return fmt.Sprintf("an id of record %s", t.ID)
	}
	return fmt.Sprintf("an id of user %d", t.User)
}

// Traces says where a Tracer looks beside text as it was sent.
type Traces struct {
	Cells  bool // in CSV no name stands before a value: a user's id is a cell
	Base64 bool // rows may be wrapped in it
}

// A Tracer looks for identity where no row can be read, as Identify does in rows:
//   - a uuid or ULID of the run's tag, in any form, wherever it stands;
//   - the id of a user of the run, in a form that the templates write it in, as the
//     value of a field that holds a user's or a peer's, or as a cell of CSV. An id of
//     the wide range, which numbers of others do not meet by chance, counts anywhere.
//
// Names and values have to be written as they were captured, but for the case of
// names and quotes around them. Memory is bounded, and time is linear in the bytes.
type Tracer struct {
	plan  *Plan
	o     Traces
	found *Trace

	buf  []byte
	base int64 // offset of buf[0]
	word int   // in buf, where the letters and digits began that end at next; else next
	next int   // in buf, the first byte that was not looked at

	last   uint32     // sextets of base64
	length int64      // of the base64 so far
	inner  *[4]Tracer // by the length of the base64 at which their groups of four end, modulo 4
}

const (
	behind    = 256     // bytes that stay in sight before a word: names and the rest of a uuid
	ahead     = 64      // likewise behind it: what follows an id
	longest   = 1 << 10 // word that is looked at as a whole
	overlap   = 35      // bytes of a longer one that are looked at again: of an id that the cut goes through
	traceSize = 8 << 10 // bytes that are looked at together
)

// Tracer returns a Tracer of the run.
func (p *Plan) Tracer(o Traces) *Tracer { return &Tracer{plan: p, o: o} }

// Look takes the bytes that follow those before. They may change afterwards.
func (t *Tracer) Look(part []byte) {
	for len(part) > 0 && !t.done() {
		if drop := t.word - behind; drop > traceSize {
			t.buf = append(t.buf[:0], t.buf[drop:]...)
			t.base, t.word, t.next = t.base+int64(drop), t.word-drop, t.next-drop
		}
		n := min(len(part), traceSize)
		t.buf = append(t.buf, part[:n]...)
		part = part[n:]
		t.scan(len(t.buf) - ahead)
	}
}

// done says that nothing better can be found.
func (t *Tracer) done() bool { return t.found != nil && t.found.Named }

// find takes the first id, and the first one that names a record instead.
func (t *Tracer) find(x Trace) {
	if t.found == nil || x.Named && !t.found.Named {
		t.found = &x
	}
}

// End says whose the bytes are, if they say so, and begins anew.
func (t *Tracer) End() (Trace, bool) {
	if !t.done() {
		t.scan(len(t.buf))
		t.look(true)
		t.endBase64(len(t.buf))
	}
	found := t.found
	*t = Tracer{plan: t.plan, o: t.o, buf: t.buf[:0], inner: t.inner}
	if found == nil {
		return Trace{}, false
	}
	return *found, true
}

// Kinds of letters and digits, as flags; words are made of them.
const (
	isDigit = 1 << iota
	isLowerHex
	isUpperHex
	isLowerULID
	isUpperULID
	isLetter
)

var traceKinds = func() (k [256]uint8) {
	for c := range k {
		lower, upper := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z'
		hex, ulid := c|' ' <= 'f', bytes.IndexByte([]byte("ilou"), byte(c|' ')) < 0
		switch {
		case c >= '0' && c <= '9':
			k[c] = isDigit | isLowerHex | isUpperHex | isLowerULID | isUpperULID
		case lower || upper:
			k[c] = isLetter
		}
		if lower && hex {
			k[c] |= isLowerHex
		}
		if upper && hex {
			k[c] |= isUpperHex
		}
		if lower && ulid {
			k[c] |= isLowerULID
		}
		if upper && ulid {
			k[c] |= isUpperULID
		}
	}
	return k
}()

// scan looks at the bytes of buf up to end, word by word.
func (t *Tracer) scan(end int) {
	for t.next < end && !t.done() {
		if t.o.Base64 {
			t.unbase64(t.next)
		}
		if traceKinds[t.buf[t.next]] != 0 {
			if t.next++; t.next-t.word == longest {
				t.look(false)
				t.word = t.next - overlap
			}
			continue
		}
		if t.next > t.word {
			t.look(true)
		}
		t.next++
		t.word = t.next
	}
}

// look looks at the word that ends at next, or goes on there.
func (t *Tracer) look(ends bool) {
	digits, lowerHex, upperHex, lowerULID, upperULID := 0, 0, 0, 0, 0
	if t.word > 0 && traceKinds[t.buf[t.word-1]]&isDigit != 0 { // of a longer word
		digits = overlap
	}
	for i := t.word; i < t.next; i++ {
		k := traceKinds[t.buf[i]]
		if k&isDigit == 0 && digits > 0 {
			t.number(i-digits, i)
		}
		count(&digits, k&isDigit)
		if t.next-t.word < 12 {
			continue
		}
		count(&lowerHex, k&isLowerHex)
		count(&upperHex, k&isUpperHex)
		count(&lowerULID, k&isLowerULID)
		count(&upperULID, k&isUpperULID)
		hex := max(lowerHex, upperHex)
		if hex >= 32 && hasVariant(t.buf[i+1-16]) {
			t.uuid(i+1-32, i+1)
		}
		if hex >= 12 && i >= 35 && t.buf[i-12] == '-' {
			t.uuid(i+1-36, i+1)
		}
		if max(lowerULID, upperULID) >= 26 && hasVariant(t.buf[i+1-13]) {
			t.uuid(i+1-26, i+1)
		}
	}
	if ends && digits > 0 {
		t.number(t.next-digits, t.next)
	}
}

func count(run *int, is uint8) {
	if is == 0 {
		*run = 0
	} else {
		*run++
	}
}

// hasVariant says whether the digit of a uuid, or of a ULID, that holds the variant
// may be that of ours: it spares three of four.
func hasVariant(digit byte) bool { return bytes.IndexByte([]byte("89abrstv"), digit|' ') >= 0 }

// uuid looks whether buf[from:to] is one of the run.
func (t *Tracer) uuid(from, to int) {
	u, _, ok := record.ParseUUID(t.buf[from:to])
	if !ok {
		return
	}
	tag, user, slot, ok := record.DecodeUUID(u)
	if !ok || tag != t.plan.Tag {
		return
	}
	x := Trace{At: t.base + int64(to), User: user}
	if uint64(user) < t.plan.Users {
		c := t.plan.Cohort(user)
		if events := c.Program.SlotEvent; int(slot) < len(events) && events[slot] >= 0 && int(events[slot]) < c.Events {
			x.ID, x.Named = t.plan.ID(user, uint32(c.Program.Class[events[slot]])), true
		}
	}
	t.find(x)
}

// number looks whether the digits of buf[begin:end] are a user's id.
func (t *Tracer) number(begin, end int) {
	const most = 20 // digits of a number of 64 bits
	if end-begin > most || t.found != nil {
		return
	}
	ids := t.plan.ids
	id, err := strconv.ParseUint(string(t.buf[begin:end]), 10, 64)
	if err != nil || id < ids.base || id-ids.base >= ids.users {
		return
	}
	for _, p := range ids.parsers {
		prefix, suffix := bytes.TrimPrefix(p.prefix, []byte(`"`)), bytes.TrimSuffix(p.suffix, []byte(`"`))
		before, ok := bytes.CutSuffix(t.buf[:begin], prefix)
		if !ok || !bytes.HasPrefix(t.buf[end:], suffix) {
			continue
		}
		if ids.base >= wideFirst || t.named(before) || t.o.Cells && t.cell(before, t.buf[end+len(suffix):]) {
			t.find(Trace{At: t.base + int64(end), User: uint32(id - ids.base)})
			return
		}
	}
}

// named says whether a value that follows before has the name of a field that holds
// ids of users. Quotes may be escaped, as in JSON within a string.
func (t *Tracer) named(before []byte) bool {
	const around = "\"'\\ \t\r\n"
	before, ok := bytes.CutSuffix(bytes.TrimRight(before, around), []byte(":"))
	if !ok {
		return false
	}
	before = bytes.TrimRight(before, around)
	return t.plan.lookup.endsInUser(before)
}

// endsInUser says whether text ends in the name of a field that holds ids of users.
func (l lookup) endsInUser(text []byte) bool {
	for _, keys := range []map[string]bool{l.userKeys, l.peerKeys} {
		for key := range keys {
			if at := len(text) - len(key); at >= 0 && bytes.EqualFold(text[at:], []byte(key)) && (at == 0 || traceKinds[text[at-1]] == 0 && text[at-1] != '_') {
				return true
			}
		}
	}
	return false
}

// cell says whether a cell of CSV begins behind before and ends with what is after.
func (t *Tracer) cell(before, after []byte) bool {
	begins := len(before) == 0 && t.base == 0 || len(before) > 0 && bytes.IndexByte([]byte(",\n\""), before[len(before)-1]) >= 0
	return begins && (len(after) == 0 || bytes.IndexByte([]byte(",\r\n\""), after[0]) >= 0)
}

// unbase64 decodes base64, whose beginning may be lost: a Tracer looks at what it
// says for each of the four places that it may have begun at.
func (t *Tracer) unbase64(i int) {
	c := t.buf[i]
	n := sextets[c]
	switch {
	case c == '\\': // before a slash
		return
	case n < 0:
		t.endBase64(i)
		return
	}
	if t.inner == nil {
		t.inner = new([4]Tracer)
		for i := range t.inner {
			t.inner[i].plan = t.plan
		}
	}
	t.last, t.length = t.last<<6|uint32(n), t.length+1
	if t.length >= 4 {
		t.inner[t.length%4].Look([]byte{byte(t.last >> 16), byte(t.last >> 8), byte(t.last)})
	}
}

// endBase64 ends the base64 before buf[end].
func (t *Tracer) endBase64(end int) {
	if t.length == 0 {
		return
	}
	for i := range t.inner {
		inner := &t.inner[i]
		switch left := (t.length + 4 - int64(i)) % 4; {
		case t.length < left:
		case left == 2:
			inner.Look([]byte{byte(t.last >> 4)})
		case left == 3:
			inner.Look([]byte{byte(t.last >> 10), byte(t.last >> 2)})
		}
		if found, ok := inner.End(); ok {
			found.At = t.base + int64(end)
			t.find(found)
		}
	}
	t.length = 0
}

// sextets are the values of the characters of base64; -1: it is none.
var sextets = func() (s [256]int8) {
	for c := range s {
		s[c] = int8(bytes.IndexByte([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"), byte(c)))
	}
	return s
}()

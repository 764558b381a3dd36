package template

import (
	"bytes"
	"strings"

	"kreplay/pkg/record"
)

// A Checker holds rows against a program's records. What says which record that
// is lies close together, and what stands in several places of a user's
// records is rendered once. It is immutable and safe for concurrent use.
type Checker struct {
	events []check
	texts  int // that a user has in several places
}

// check is an event as rows are held against it.
type check struct {
	steps []step
	tail  string
}

// A step is the literal before a slot, and the slot: what is looked at for each row
// lies close together.
type step struct {
	literal string
	how     how
	form    record.UUIDForm
	text    uint16 // of Texts
	slot    uint32 // of a uuid
	part    *part
	stamp   *stamp
	count   *count
}

// how a slot is held against bytes.
type how uint8

const (
	asRendered how = iota // once more for each row
	asText                // that stands in several places
	asUUID
	asNumber // of beginsWithNumber
	asCount  // a time as a number
	asStamp  // a time or date in a layout
)

// A count is a time as a number: what of its slot says what that is.
type count struct {
	whole, second int64 // as captured; how much a second is
	fraction      string
}

// begins says how long it is so many seconds later, if b begins with it.
func (c *count) begins(b []byte, shift int64) (n int, ok bool) {
	at := c.whole + shift*c.second
	if at < 0 {
		return 0, false
	}
	if n, ok = digits(b, uint64(at), 0); len(c.fraction) > 0 && ok {
		end := n + len(c.fraction)
		return end, len(b) >= end && string(b[n:end]) == c.fraction
	}
	return n, ok
}

// Texts are slots of one user as a Checker renders them, those that stand in several
// places. They are not safe for concurrent use, and of one Checker until Reset.
type Texts struct {
	of    []span // by step.text
	bytes []byte // of all of them; what is behind is scratch
	days  calendar
}

type span struct{ start, length uint16 }

const (
	mostTexts = 1 << 9  // of a user
	textBytes = 4 << 10 // of them, about
)

// Reset forgets the texts, for another user, and keeps their memory.
func (t *Texts) Reset() {
	clear(t.of)
	t.bytes = t.bytes[:0]
}

// alike is equal for slots that are written alike, whoever the user is.
type alike struct {
	kind         slotKind
	uuid         record.UUIDForm
	inUUID, self bool
	index        uint32
	user         UserForm
	number       decimal
	shape        string
	fake         invention
}

func (s *part) alike() alike {
	a := alike{kind: s.kind, uuid: s.uuid, inUUID: s.inUUID, self: s.self, index: s.index, user: s.user, number: s.number}
	if s.shape != nil {
		a.shape = string(s.shape.digits) + "\x00" + string(s.shape.radix)
		for _, c := range s.shape.class {
			a.shape += string(rune(c))
		}
	}
	if s.fake != nil {
		a.fake = *s.fake
	}
	return a
}

// NewChecker returns the Checker of a program.
func NewChecker(p *Program) *Checker {
	c := &Checker{events: make([]check, len(p.Events))}
	places := map[alike]int{}
	for i := range p.Events {
		for j := range p.Events[i].parts {
			places[p.Events[i].parts[j].alike()]++
		}
	}
	numbers := map[alike]uint16{}
	for i := range p.Events {
		c.events[i] = c.check(&p.Events[i], func(a alike) uint16 {
			n, ok := numbers[a]
			if !ok && places[a] > 1 && c.texts < mostTexts {
				c.texts++
				n = uint16(c.texts)
				numbers[a] = n
			}
			return n
		})
	}
	return c
}

func (c *Checker) check(e *Event, number func(alike) uint16) (k check) {
	var all strings.Builder // literals of one event lie side by side
	for i := range e.parts {
		all.Write(e.parts[i].literal)
	}
	all.Write(e.tail)
	rest := all.String()
	for i := range e.parts {
		s := &e.parts[i]
		x := step{literal: rest[:len(s.literal)], part: s}
		rest = rest[len(s.literal):]
		switch {
		case s.kind == slotTime && s.form.unit != 0:
			x.how, x.count = asCount, &count{s.whole, 1e9 / s.form.unit, string(s.fraction)}
		case s.kind == slotTime || s.kind == slotDate:
			if x.stamp = stampOf(s); x.stamp != nil {
				x.how = asStamp
			}
		default:
			x.text = number(s.alike())
			switch {
			case x.text > 0:
				x.how = asText
			case s.kind == slotUUID:
				x.how = asUUID
			case s.kind == slotUser || s.kind == slotCounter:
				x.how = asNumber
			}
		}
		if s.kind == slotUUID {
			x.form, x.slot = s.uuid, s.index
		}
		k.steps = append(k.steps, x)
	}
	k.tail = rest
	return k
}

// A Told is a uuid that was read where a Lead has it.
type Told struct {
	Part int // len(Lead.Before) - 1; -1: none was
	Slot uint32
	Form record.UUIDForm
}

// Untold is that none was.
var Untold = Told{Part: -1}

// Begins returns the length of an event as Append renders it for a user, if b
// begins with that; else 0. What told says need not be compared once more. The
// texts are that user's.
func (c *Checker) Begins(b []byte, event int, v *Values, told Told, texts *Texts) (n int) {
	k, rest := &c.events[event], b
	for i := range k.steps {
		s := &k.steps[i]
		if len(rest) < len(s.literal) || string(rest[:len(s.literal)]) != s.literal {
			return 0
		}
		rest = rest[len(s.literal):]
		// Not a ULID: what reads one passes over four of its bits.
		if i == told.Part && s.slot == told.Slot && s.form == told.Form && s.part.kind == slotUUID && !s.form.ULID() {
			rest = rest[s.form.Len():]
			continue
		}
		length, ok := s.begins(rest, v, texts, c.texts)
		if !ok {
			return 0
		}
		rest = rest[length:]
	}
	if len(rest) < len(k.tail) || string(rest[:len(k.tail)]) != k.tail {
		return 0
	}
	return len(b) - len(rest) + len(k.tail)
}

// begins says how long a slot is, if b begins with it.
func (s *step) begins(b []byte, v *Values, t *Texts, all int) (n int, ok bool) {
	switch s.how {
	case asText:
		if len(t.of) <= all { // the user before was of another Checker
			t.of = append(t.of, make([]span, all+1-len(t.of))...)
		}
		at := t.of[s.text]
		if at.length == 0 {
			return s.keep(b, v, t)
		}
		text := t.bytes[at.start : at.start+at.length]
		return len(text), bytes.HasPrefix(b, text)
	case asUUID:
		return s.form.Len(), record.BeginsWithUUID(b, record.EncodeUUID(v.Tag, v.User, s.slot), s.form)
	case asNumber:
		if n, ok = s.part.beginsWithNumber(b, v); ok {
			return n, true
		}
	case asCount:
		if n, ok = s.count.begins(b, v.Shift); ok {
			return n, true
		}
	case asStamp:
		if s.stamp.begins(b, &t.days, v.Shift) {
			return len(s.stamp.captured), true
		}
	case asRendered:
	}
	end := len(t.bytes)
	scratch := s.part.append(t.bytes, v)
	t.bytes = scratch[:end]
	return len(scratch) - end, bytes.HasPrefix(b, scratch[end:])
}

// keep renders a slot that stands in several places, and keeps it if there is room.
func (s *step) keep(b []byte, v *Values, t *Texts) (n int, ok bool) {
	start := len(t.bytes)
	scratch := s.part.append(t.bytes, v)
	n, ok = len(scratch)-start, bytes.HasPrefix(b, scratch[start:])
	if t.bytes = scratch[:start]; len(scratch) <= textBytes {
		t.bytes, t.of[s.text] = scratch, span{uint16(start), uint16(n)}
	}
	return n, ok
}

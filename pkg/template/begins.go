package template

import (
	"bytes"

	"kreplay/pkg/record"
)

// A Lead is how an event begins, up to the slot that tells best whose it is: the
// uuid that names the event alone, else the first uuid or id of the user.
type Lead struct {
	Before [][]byte // the literals before the slots, up to that one's
	Length int      // of that slot's text, a uuid; 0: it is the user's id in a form
	Form   UserForm
}

// Lead returns how an event begins; false: no slot tells whose it is.
func (p *Program) Lead(event int) (l Lead, ok bool) {
	e, at := &p.Events[event], -1
	for i := range e.parts {
		s := &e.parts[i]
		if s.kind == slotUUID && p.SlotEvent[s.index] == int32(event) {
			at = i
			break
		}
		if at < 0 && (s.kind == slotUser || s.kind == slotUUID) {
			at = i
		}
	}
	if at < 0 {
		return l, false
	}
	for i := range at + 1 {
		if len(e.parts[i].literal) == 0 {
			return l, false
		}
		l.Before = append(l.Before, e.parts[i].literal)
	}
	if s := &e.parts[at]; s.kind == slotUUID {
		l.Length = s.uuid.Len()
	} else {
		l.Form = s.user
	}
	return l, true
}

// Text finds the slot in b, which may begin as l says: of a slot before it, what
// does not hold the byte that comes next.
func (l *Lead) Text(b []byte) (text []byte, ok bool) {
	for i, literal := range l.Before {
		if i > 0 {
			n := bytes.IndexByte(b, literal[0])
			if n < 0 {
				return nil, false
			}
			b = b[n:]
		}
		if !bytes.HasPrefix(b, literal) {
			return nil, false
		}
		b = b[len(literal):]
	}
	if l.Length > 0 {
		return b[:min(l.Length, len(b))], len(b) >= l.Length
	}
	if !bytes.HasPrefix(b, []byte(l.Form.Prefix)) {
		return nil, false
	}
	b = b[len(l.Form.Prefix):]
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return b[:n], n > 0
}

// A Told is a uuid that was read where a Lead has it.
type Told struct {
	Part int // len(Lead.Before) - 1; -1: none was
	Slot uint32
	Form record.UUIDForm
}

// Begins returns the length of an event as Append renders it for a user, if b
// begins with that; else 0. What told says need not be compared once more. It
// writes the texts of slots into room, and returns it for the next call.
func (p *Program) Begins(b []byte, event int, v *Values, told Told, room []byte) (n int, _ []byte) {
	e := &p.Events[event]
	rest := b
	for i := range e.parts {
		s := &e.parts[i]
		if !bytes.HasPrefix(rest, s.literal) {
			return 0, room
		}
		rest = rest[len(s.literal):]
		// Not a ULID: what reads one passes over four of its bits.
		if i == told.Part && s.kind == slotUUID && s.index == told.Slot && s.uuid == told.Form && !s.uuid.ULID() {
			rest = rest[s.uuid.Len():]
			continue
		}
		room = s.append(room[:0], v)
		if !bytes.HasPrefix(rest, room) {
			return 0, room
		}
		rest = rest[len(room):]
	}
	if !bytes.HasPrefix(rest, e.tail) {
		return 0, room
	}
	return len(b) - len(rest) + len(e.tail), room
}

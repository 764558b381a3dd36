package template

import "slices"

// At returns a program that renders what p does for users of that shift, whose
// times and dates are literals: most of what a record costs to render is its
// times. It is for rendering only.
func (p *Program) At(shift int64) *Program {
	q := *p
	q.Events = slices.Clone(p.Events)
	for i := range q.Events {
		q.Events[i].settle(&Values{Shift: shift})
	}
	return &q
}

// settle writes the slots that nothing but the shift decides into the literals.
func (e *Event) settle(v *Values) {
	var parts []part
	var literal []byte
	members := slices.Clone(e.members)
	for i, s := range e.parts {
		literal = append(literal, s.literal...)
		start, fixed := len(literal), s.kind == slotTime || s.kind == slotDate
		if fixed {
			literal = s.append(literal, v)
		}
		for j := range members {
			switch m := &members[j]; {
			case e.members[j].part != i:
			case fixed:
				m.part, m.text = -1, slices.Clone(literal[start:])
			default:
				m.part = len(parts)
			}
		}
		if !fixed {
			s.literal, literal = literal, nil
			parts = append(parts, s)
		}
	}
	e.parts, e.members, e.tail = parts, members, append(literal, e.tail...)
}

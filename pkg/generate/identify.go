package generate

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"kreplay/pkg/record"
	"kreplay/pkg/template"
)

// A Kind says whose a row is.
type Kind uint8

// The kinds of rows.
const (
	Foreign  Kind = iota // another producer's, or another run's
	Stranger             // our run tag or user range, but not planned
	Planned              // the record User, Event
)

// A Match is what a row turned out to be. Event is the first of its class.
type Match struct {
	Kind        Kind
	User, Event uint32
	Intact      bool   // what was sent, by the rules of the stage
	Detail      string // why not intact, or why a stranger
}

// A Scratch is the memory of one caller of Identify, reused between rows.
type Scratch struct {
	// Causes, if set, counts what changed rows, and bounds how many are looked into.
	Causes *Causes

	known      []known // users, for a Recogniser
	last       *known  // of them
	want, best []byte
	ids        identity
	candidates []uint32
	diff       *differ

	// What is inspected, by what.
	plan  *Plan
	row   []byte
	loose bool    // values may be written in another way than they were sent
	asks  *lookup // by the names of a record's fields, or by those of columns
	visit func(template.Field) error
	plain spelling
}

// identity is what a row says of itself.
type identity struct {
	slot  int      // of the first uuid of our run that names one event, whose user is the only one; -1: none
	users []uint32 // whose uuids or ids stand in the row, uuids first: a peer's may stand before the user's
	uuids int      // how many of users came by a uuid
	times []int64  // ns since 1970
}

// errFound ends the walk over a row whose record is known.
var errFound = errors.New("found")

// lookup holds what Identify asks of every field of a row.
type lookup struct {
	userKeys map[string]bool
	peerKeys map[string]bool     // that hold nothing but other users' ids
	timeKeys map[string][][]byte // the keys that a name stands for
}

func newLookup(cohorts []*Cohort) lookup {
	l := lookup{userKeys: map[string]bool{}, peerKeys: map[string]bool{}, timeKeys: map[string][][]byte{}}
	for _, c := range cohorts {
		for key := range c.Program.UserKeys {
			l.userKeys[key] = true
		}
		for key := range c.Program.TimeKeys {
			l.timeKeys[key] = [][]byte{[]byte(key)}
		}
		for key := range c.Program.PeerKeys {
			l.peerKeys[key] = true
		}
	}
	maps.DeleteFunc(l.peerKeys, func(key string, _ bool) bool { return l.userKeys[key] })
	return l
}

// Identify is that of a Comparer of bytes.
func (p *Plan) Identify(row []byte, s *Scratch) Match { return p.bytes.Identify(row, AsSent, s) }

// Identify says which planned record a row is: the inverse of generation. A
// uuid that stands in one record only names it; else the user with the event
// time names the candidates, and one that is as the row is it. Where none is, the
// most similar candidate is the one that was changed.
func (c *Comparer) Identify(row []byte, form Form, s *Scratch) Match {
	p := c.plan
	s.ids = identity{slot: -1, users: s.ids.users[:0], times: s.ids.times[:0]}
	// A row that the walk cannot finish is judged by what it said until there.
	if s.visit == nil || s.plan != p {
		s.plan, s.visit = p, func(f template.Field) error { return p.inspect(s, f) } // made once: it would be memory for each row
	}
	s.row, s.loose, s.asks = row, !c.strict(form), &p.lookup
	if form != AsSent {
		s.asks = &p.columns
	}
	_ = template.Walk(row, s.visit)
	id := &s.ids
	if len(id.users) == 0 {
		return Match{Kind: Foreign}
	}
	user := id.users[0]
	if uint64(user) >= p.Users {
		return Match{Kind: Stranger, User: user, Detail: fmt.Sprintf("user %d of %d", user, p.Users)}
	}
	if id.slot >= 0 {
		c := p.Cohort(user)
		if id.slot >= len(c.Program.SlotEvent) || c.Program.SlotEvent[id.slot] < 0 || int(c.Program.SlotEvent[id.slot]) >= c.Events {
			return Match{Kind: Stranger, User: user, Detail: fmt.Sprintf("its uuid names slot %d, which the user does not play", id.slot)}
		}
	}
	if m, ok := c.intact(row, form, s); ok {
		return m
	}
	return c.changed(row, form, s)
}

// inspect notes what one field says of the row's identity.
func (p *Plan) inspect(s *Scratch, f template.Field) error {
	value, id := s.row[f.Start:f.End], &s.ids
	if s.loose {
		f.Key = s.plain.name(f.Key)
		if f.Kind == template.String {
			value = s.plain.text(value)
		}
	}
	if s.asks.peerKeys[string(f.Key)] { // names another user
		return nil
	}
	if f.Kind == template.String && len(value) >= 28 { // a ULID in quotes
		if u, _, ok := record.ParseUUID(value[1 : len(value)-1]); ok {
			if tag, user, slot, ok := record.DecodeUUID(u); ok && tag == p.Tag {
				return p.noteUUID(user, int(slot), id)
			}
		}
	}
	if s.asks.userKeys[string(f.Key)] {
		user, ok := p.ids.parse(value)
		if !ok && s.loose {
			user, ok = p.ids.parse(s.plain.number(value))
		}
		if ok {
			id.note(user)
		}
	}
	if keys := s.asks.timeKeys[string(f.Key)]; keys != nil {
		if ns, ok := p.timeOf(keys, value, s); ok {
			id.times = append(id.times, ns)
		}
	}
	return nil
}

// timeOf reads a time as the template writes it, or in any form where the row may
// be written otherwise.
func (p *Plan) timeOf(keys [][]byte, value []byte, s *Scratch) (ns int64, ok bool) {
	for _, key := range keys {
		for _, c := range p.cohorts {
			if ns, ok := c.Program.ParseTime(key, value); ok {
				return ns, true
			}
		}
	}
	if !s.loose {
		return 0, false
	}
	return s.plain.timeOf(value)
}

func (p *Plan) noteUUID(user uint32, slot int, id *identity) error {
	alone := uint64(user) >= p.Users
	if !alone {
		events := p.Cohort(user).Program.SlotEvent
		if alone = slot >= len(events) || events[slot] >= 0; alone {
			id.slot = slot
		}
	}
	if alone {
		id.users = append(id.users[:0], user)
		return errFound
	}
	if !slices.Contains(id.users[:id.uuids], user) {
		id.users = slices.Insert(id.users, id.uuids, user)
		id.uuids++
	}
	return nil
}

func (id *identity) note(user uint32) {
	if !slices.Contains(id.users, user) {
		id.users = append(id.users, user)
	}
}

// candidates returns the events of a user that the row may be: the one that its
// uuid names, else those that no uuid names and whose event time is among the
// row's times: any of them, since another time of the row may be the event time
// of another event.
func (c *Cohort) candidates(id *identity, shift int64, s *Scratch) []uint32 {
	if id.slot >= 0 {
		s.candidates = append(s.candidates[:0], uint32(c.Program.Class[c.Program.SlotEvent[id.slot]]))
		return s.candidates
	}
	if len(id.times) == 0 {
		return c.timeless
	}
	s.candidates = s.candidates[:0]
	for _, ns := range id.times {
		s.candidates = append(s.candidates, c.byTime[ns-shift*1e9]...)
	}
	return s.candidates
}

// intact finds the candidate that the row is. Which of several does not matter:
// they are one class.
func (c *Comparer) intact(row []byte, form Form, s *Scratch) (m Match, ok bool) {
	var d *differ // of a row that is not as it was sent byte for byte
	isJSON, bytesOnly := false, c.bytesOnly(form)
	for _, user := range s.ids.users {
		v, cohort := c.plan.Values(user), c.plan.Cohort(user)
		for _, event := range cohort.candidates(&s.ids, v.Shift, s) {
			s.want = cohort.Program.Append(s.want[:0], int(event), &v)
			ok := bytes.Equal(s.want, row)
			if !ok && !bytesOnly {
				if d == nil {
					d = s.differ(c, form, "")
					isJSON = d.got.parse(row)
				}
				d.logType = c.plan.logTypes[cohort.LogType[event]]
				ok = isJSON && d.intact(s.want)
			}
			if ok {
				return Match{Kind: Planned, User: user, Event: uint32(c.Classes(cohort)[event]), Intact: true}, true
			}
		}
	}
	return Match{}, false
}

// changed finds the candidate that the row was before it was changed.
func (c *Comparer) changed(row []byte, form Form, s *Scratch) Match {
	m, most := Match{Kind: Stranger, User: s.ids.users[0], Detail: "the user has no such event"}, similarity{-1, -1}
	d := s.differ(c, form, "")
	isJSON := d.got.parse(row)
	var logType string
	for _, user := range s.ids.users {
		v, cohort := c.plan.Values(user), c.plan.Cohort(user)
		for _, event := range cohort.candidates(&s.ids, v.Shift, s) {
			s.want = cohort.Program.Append(s.want[:0], int(event), &v)
			d.logType = c.plan.logTypes[cohort.LogType[event]]
			if like := d.similar(s.want, row, isJSON); most.less(like) {
				m, most, logType = Match{Kind: Planned, User: user, Event: uint32(c.Classes(cohort)[event])}, like, d.logType
				s.best = append(s.best[:0], s.want...)
			}
		}
	}
	if m.Kind != Planned {
		return m
	}
	if m.Detail = unexamined; s.Causes.begin() {
		list := c.changes(s.best, row, form, logType, s)
		m.Detail = detail(s.best, row, list)
		s.Causes.add(c.plan.ID(m.User, m.Event), logType, list)
	}
	return m
}

// difference shows the first byte that differs, with what stands around it.
func difference(want, got []byte) string {
	n := 0
	for n < min(len(want), len(got)) && want[n] == got[n] {
		n++
	}
	around := func(b []byte) []byte { return b[min(max(n-12, 0), len(b)):min(n+12, len(b))] }
	return fmt.Sprintf("byte %d of %d: want %q, got %q", n, len(want), around(want), around(got))
}

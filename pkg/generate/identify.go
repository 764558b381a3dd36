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
	Intact      bool   // equal to the rendering, byte for byte
	Detail      string // why not intact, or why a stranger
}

// A Scratch is the memory of one caller of Identify, reused between rows.
type Scratch struct {
	want, best []byte
	ids        identity
	candidates []uint32
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
	peerKeys map[string]bool // that hold nothing but other users' ids
	timeKeys map[string]bool
}

func newLookup(cohorts []*Cohort) lookup {
	l := lookup{userKeys: map[string]bool{}, peerKeys: map[string]bool{}, timeKeys: map[string]bool{}}
	for _, c := range cohorts {
		for key := range c.Program.UserKeys {
			l.userKeys[key] = true
		}
		for key := range c.Program.TimeKeys {
			l.timeKeys[key] = true
		}
		for key := range c.Program.PeerKeys {
			l.peerKeys[key] = true
		}
	}
	maps.DeleteFunc(l.peerKeys, func(key string, _ bool) bool { return l.userKeys[key] })
	return l
}

// Identify says which planned record a row is: the inverse of generation. A
// uuid that stands in one record only names it; else the user with the event
// time names the candidates, and the one that renders to the row's bytes is it.
// Where none does, the most similar candidate is the one that was changed.
func (p *Plan) Identify(row []byte, s *Scratch) Match {
	s.ids = identity{slot: -1, users: s.ids.users[:0], times: s.ids.times[:0]}
	// A row that the walk cannot finish is judged by what it said until there.
	_ = template.Walk(row, func(f template.Field) error { return p.inspect(row, f, &s.ids) })
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
	return p.compare(row, s)
}

// inspect notes what one field says of the row's identity.
func (p *Plan) inspect(row []byte, f template.Field, id *identity) error {
	value := row[f.Start:f.End]
	if p.lookup.peerKeys[string(f.Key)] { // names another user
		return nil
	}
	if f.Kind == template.String && len(value) >= 28 { // a ULID in quotes
		if u, _, ok := record.ParseUUID(value[1 : len(value)-1]); ok {
			if tag, user, slot, ok := record.DecodeUUID(u); ok && tag == p.Tag {
				return p.noteUUID(user, int(slot), id)
			}
		}
	}
	if p.lookup.userKeys[string(f.Key)] {
		if user, ok := p.ids.parse(value); ok {
			id.note(user)
		}
	}
	if p.lookup.timeKeys[string(f.Key)] {
		for _, c := range p.cohorts {
			if ns, ok := c.Program.ParseTime(f.Key, value); ok {
				id.times = append(id.times, ns)
				break
			}
		}
	}
	return nil
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

// compare finds the candidate that the row is, or was before it was changed.
func (p *Plan) compare(row []byte, s *Scratch) Match {
	best, likeness := Match{Kind: Stranger, User: s.ids.users[0], Detail: "the user has no such event"}, -1
	for _, user := range s.ids.users {
		v, c := p.Values(user), p.Cohort(user)
		for _, event := range c.candidates(&s.ids, v.Shift, s) {
			s.want = c.Program.Append(s.want[:0], int(event), &v)
			if bytes.Equal(s.want, row) {
				return Match{Kind: Planned, User: user, Event: event, Intact: true}
			}
			if n := alike(s.want, row); n > likeness {
				best, likeness = Match{Kind: Planned, User: user, Event: event}, n
				s.best = append(s.best[:0], s.want...)
			}
		}
	}
	if best.Kind == Planned {
		best.Detail = difference(s.best, row)
	}
	return best
}

// alike is the length of the common prefix and suffix.
func alike(a, b []byte) int {
	n, most := 0, min(len(a), len(b))
	for n < most && a[n] == b[n] {
		n++
	}
	end := 0
	for end < most-n && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return n + end
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

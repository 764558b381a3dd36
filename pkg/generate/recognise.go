package generate

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"

	"kreplay/pkg/record"
	"kreplay/pkg/template"
)

// A Recogniser finds rows that are planned records byte for byte, as nearly all
// rows of a lake are, and says of them what Identify does, without taking them
// apart: how a row begins says which uuid or user's id comes next, that says
// which record it has to be, and then it is compared with that. It is immutable
// and safe for concurrent use.
type Recogniser struct {
	c     *Comparer
	of    [][]*lead           // by cohort and event; nil: the event is left to Identify
	check []*template.Checker // by cohort
	heads []head
	// A row's eight bytes at a place say which heads it may have. -1: some head is
	// shorter, and it may have any.
	place int
	by    map[uint64][]int32
}

// head is what records begin with, up to their first slot.
type head struct {
	first []byte
	leads []*lead
}

// lead is a way in which records begin.
type lead struct {
	template.Lead
	events [][]uint32 // by cohort, those that no uuid names, as they are sent
}

// NewRecogniser returns the Recogniser of rows that are as they were sent. nil:
// the stage takes rows for intact that are not.
func NewRecogniser(c *Comparer) *Recogniser {
	if !c.bytesOnly(AsSent) {
		return nil
	}
	r := &Recogniser{c: c}
	for _, cohort := range c.plan.cohorts {
		r.add(cohort)
	}
	r.arrange()
	return r
}

const word = 8

// arrange finds the place at which the heads differ most.
func (r *Recogniser) arrange() {
	shortest := math.MaxInt
	for _, h := range r.heads {
		shortest = min(shortest, len(h.first))
	}
	r.place = -1
	for place := 0; len(r.heads) > 0 && place+word <= shortest; place++ {
		by := map[uint64][]int32{}
		for i, h := range r.heads {
			at := binary.LittleEndian.Uint64(h.first[place:])
			by[at] = append(by[at], int32(i))
		}
		if len(by) > len(r.by) {
			r.place, r.by = place, by
		}
	}
}

// add adds the events of a cohort. How Identify tells a record does not depend
// on the user, so that an event is asked of one.
func (r *Recogniser) add(cohort *Cohort) {
	p, s := r.c.plan, &Scratch{}
	r.of = append(r.of, make([]*lead, cohort.Events))
	r.check = append(r.check, template.NewChecker(cohort.rendered))
	user, ok := p.Member(cohort)
	named := cohort.named()
	for event := 0; ok && event < cohort.Events; event++ {
		v := p.Values(user)
		text := cohort.rendered.Append(nil, event, &v)
		want := Match{Kind: Planned, User: user, Event: uint32(r.c.Classes(cohort)[event]), Intact: true}
		if begin, ok := cohort.rendered.Lead(event); ok && json.Valid(text) && r.c.Identify(text, AsSent, s) == want {
			l := r.lead(begin)
			r.of[cohort.number][event] = l
			if !named[event] {
				l.events[cohort.number] = append(l.events[cohort.number], uint32(event))
			}
		}
	}
}

// lead returns the lead that is like l.
func (r *Recogniser) lead(l template.Lead) *lead {
	i := slices.IndexFunc(r.heads, func(h head) bool { return bytes.Equal(h.first, l.Before[0]) })
	if i < 0 {
		i = len(r.heads)
		r.heads = append(r.heads, head{first: l.Before[0]})
	}
	h := &r.heads[i]
	for _, old := range h.leads {
		if slices.EqualFunc(old.Before, l.Before, bytes.Equal) && old.Length == l.Length && old.Form == l.Form {
			return old
		}
	}
	h.leads = append(h.leads, &lead{l, make([][]uint32, len(r.c.plan.cohorts))})
	return h.leads[len(h.leads)-1]
}

// mostTried bounds how many records of a user a row is compared with.
const mostTried = 16

// Recognise says which planned record b begins with, and how long that is; n is 0
// where it does not know. The record is JSON, so that no longer or shorter row can
// begin there. It allocates nothing once its memory is there.
func (r *Recogniser) Recognise(b []byte, s *Scratch) (user, event uint32, n int) {
	if user, event, n = r.next(b, s); n > 0 {
		return user, event, n
	}
	for _, l := range r.begin(b) {
		text, ok := l.Text(b)
		if !ok {
			continue
		}
		user, told, ok := r.whose(l, text)
		if !ok {
			continue
		}
		if event, n = r.record(b, l, s.player(r, user), told); n > 0 {
			return user, event, n
		}
	}
	return 0, 0, 0
}

// next says that b begins with the record after the one that was recognised last, as
// most do where users are sent one after another. Where it does not, that shows
// at its first bytes.
func (r *Recogniser) next(b []byte, s *Scratch) (user, event uint32, n int) {
	who := s.last
	if who == nil || who.of != r || who.next >= uint32(len(who.leads)) || who.leads[who.next] == nil {
		return 0, 0, 0
	}
	event, n = who.is(b, who.next, template.Untold)
	return who.values.User, event, n
}

// is says that b begins with a user's event, and of which class that is; n is 0 if not.
func (k *known) is(b []byte, event uint32, told template.Told) (class uint32, n int) {
	if n = k.check.Begins(b, int(event), &k.values, told, &k.texts); n == 0 {
		return 0, 0
	}
	k.next = event + 1
	return uint32(k.classes[event]), n
}

// begin returns the leads that b may begin with. Where the first literal of one is
// the beginning of another's, one may be missed.
func (r *Recogniser) begin(b []byte) []*lead {
	if r.place < 0 {
		for i := range r.heads {
			if bytes.HasPrefix(b, r.heads[i].first) {
				return r.heads[i].leads
			}
		}
		return nil
	}
	if len(b) < r.place+word {
		return nil
	}
	for _, i := range r.by[binary.LittleEndian.Uint64(b[r.place:])] {
		if bytes.HasPrefix(b, r.heads[i].first) {
			return r.heads[i].leads
		}
	}
	return nil
}

// whose reads the user's id, or a uuid.
func (r *Recogniser) whose(l *lead, text []byte) (user uint32, told template.Told, ok bool) {
	p := r.c.plan
	if l.Length == 0 {
		id := uint64(0)
		for _, c := range text {
			if id > math.MaxUint64/10-9 {
				return 0, told, false
			}
			id = id*10 + uint64(c-'0')
		}
		return uint32(id - p.ids.base), template.Told{Part: -1}, id >= p.ids.base && id-p.ids.base < p.Users
	}
	u, form, ok := record.ParseUUID(text)
	if !ok {
		return 0, told, false
	}
	tag, user, slot, ok := record.DecodeUUID(u)
	return user, template.Told{Part: len(l.Before) - 1, Slot: slot, Form: form}, ok && tag == p.Tag && uint64(user) < p.Users
}

// record finds the user's record that b begins with.
func (r *Recogniser) record(b []byte, l *lead, who *known, told template.Told) (class uint32, n int) {
	c := who.cohort
	events := l.events[c.number]
	if slots := c.Program.SlotEvent; told.Part >= 0 && int(told.Slot) < len(slots) && slots[told.Slot] >= 0 {
		who.one[0] = uint32(slots[told.Slot])
		events = who.one[:]
	}
	at := 0 // from the one after the user's last on, forwards and back by turns
	if len(events) > 1 {
		at, _ = slices.BinarySearch(events, who.next)
	}
	for i := range min(len(events), mostTried) {
		if i%2 == 0 {
			at += i
		} else {
			at -= i
		}
		event := events[(at+len(events))%len(events)]
		if int(event) >= c.Events || who.leads[event] != l {
			continue
		}
		if class, n = who.is(b, event, told); n > 0 {
			return class, n
		}
	}
	return 0, 0
}

// known is what a Scratch knows of a user whose rows came before.
type known struct {
	of     *Recogniser
	cohort *Cohort
	// Of the cohort, by event but for check.
	leads   []*lead
	classes []int32
	check   *template.Checker

	values template.Values
	texts  template.Texts
	next   uint32 // event
	one    [1]uint32
}

// knownUsers is how many users a Scratch knows, a power of two: 75 kB, and up to
// 6 kB for each of those who have many texts.
const knownUsers = 256

// player returns what is particular to a user, who is the last now.
func (s *Scratch) player(r *Recogniser, user uint32) *known {
	if s.known == nil {
		s.known = make([]known, knownUsers)
	}
	k := &s.known[user%knownUsers]
	if k.of != r || k.values.User != user {
		if k.of != r {
			k.texts = template.Texts{}
		}
		k.texts.Reset()
		k.of, k.cohort, k.values, k.next = r, r.c.plan.Cohort(user), r.c.plan.Values(user), 0
		k.leads, k.classes, k.check = r.of[k.cohort.number], r.c.Classes(k.cohort), r.check[k.cohort.number]
	}
	s.last = k
	return k
}

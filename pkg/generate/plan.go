// Package generate turns templates and a population into records, and a
// delivered row back into the record that it is.
package generate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"time"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// A Run is what one run adds to a scenario. The zero Run prints the same bytes
// for ever: no run id, and the anchor at the captured time.
type Run struct {
	ID     string
	Anchor time.Time // event time of the first user's first event; zero: as captured
}

// A Plan knows every record of a run without storing any. It is immutable and
// safe for concurrent use.
type Plan struct {
	Tag    record.Tag
	Digest [sha256.Size]byte
	Anchor time.Time
	Users  uint64
	// Reserved says which ids the users have, for people.
	Reserved string

	cohorts  []*Cohort
	spread   spread
	ids      idRange
	total    uint64
	logTypes []string
	newline  bool
	key      string
	lookup   lookup
}

// A Cohort is a share of the users that plays one template.
type Cohort struct {
	Name    string
	Program *template.Program
	Users   uint64
	LogType []uint16 // of each event: index into the plan's log types

	first    uint64 // first position of the cohort
	base     uint64 // dense index of its first record
	shift    int64  // seconds from captured to planned time
	counters uint64
	byTime   map[int64][]uint32 // captured event time, ns → events that no uuid names
	timeless []uint32           // the same without any time
	members  map[int][]uint32   // first of a class → all of it, where more than one
	single   []uint32           // 0, 1, 2, …: backs Members of a class of one
}

// Members returns the events that render alike, event being the first of them.
func (c *Cohort) Members(event int) []uint32 {
	if m := c.members[event]; m != nil {
		return m
	}
	return c.single[event : event+1]
}

// A Slice is one worker's share: part Index of Of, counted from 1. The zero
// Slice is everything.
type Slice struct{ Index, Of uint64 }

// New makes the plan of a scenario whose templates are compiled. Faults of the
// scenario come back as [scenario.Faults].
func New(sc *scenario.Scenario, programs map[string]*template.Program, run Run) (*Plan, error) {
	p := &Plan{Users: sc.Population.Users, spread: newSpread(sc.Population.Users, sc.Seed), key: sc.Stream.PartitionKey}
	p.Digest = contentDigest(sc, programs)
	p.Tag = record.RunTag(p.Digest, sc.Seed, run.ID)
	if err := p.addCohorts(sc, programs); err != nil {
		return nil, err
	}
	if p.total == 0 {
		return nil, errors.New("generate: the templates hold no events: there is nothing to send")
	}
	p.newline = endsInNewline(sc, p.cohorts)
	p.place(run.Anchor)
	var err error
	if p.ids, err = reserve(p.cohorts, p.Users, run.ID); err != nil {
		return nil, err
	}
	p.Reserved = p.ids.String()
	p.lookup = newLookup(p.cohorts)
	return p, nil
}

func (p *Plan) addCohorts(sc *scenario.Scenario, programs map[string]*template.Program) error {
	shares := make([]scenario.Share, len(sc.Population.Cohorts))
	for i, c := range sc.Population.Cohorts {
		shares[i] = c.Share
	}
	quotas := scenario.Quotas(p.Users, shares)
	types := map[string]uint16{}
	var first uint64
	for i, c := range sc.Population.Cohorts {
		prog := programs[c.Template]
		if prog == nil {
			return fmt.Errorf("generate: cohort %s: template %s is not compiled", c.Name, c.Template)
		}
		cohort := newCohort(c.Name, prog, quotas[i])
		cohort.first, cohort.base = first, p.total
		for _, e := range prog.Events {
			name := prog.LogTypes[e.LogType]
			t, ok := types[name]
			if !ok {
				t = uint16(len(p.logTypes))
				types[name] = t
				p.logTypes = append(p.logTypes, name)
			}
			cohort.LogType = append(cohort.LogType, t)
		}
		p.cohorts = append(p.cohorts, cohort)
		first += quotas[i]
		p.total += quotas[i] * uint64(len(prog.Events))
	}
	return nil
}

func newCohort(name string, prog *template.Program, users uint64) *Cohort {
	c := &Cohort{
		Name: name, Program: prog, Users: users, counters: uint64(prog.Counters),
		byTime: map[int64][]uint32{}, members: map[int][]uint32{},
	}
	named := c.named()
	classes := map[int][]uint32{}
	for i, e := range prog.Events {
		c.single = append(c.single, uint32(i))
		class := int(prog.Class[i])
		classes[class] = append(classes[class], uint32(i))
		switch {
		case named[i] || class != i:
		case e.HasTime:
			c.byTime[e.Time] = append(c.byTime[e.Time], uint32(i))
		default:
			c.timeless = append(c.timeless, uint32(i))
		}
	}
	for class, events := range classes {
		if len(events) > 1 {
			c.members[class] = events
		}
	}
	return c
}

// start is the captured event time of the cohort's first event, in ns.
func (c *Cohort) start() (ns int64, ok bool) {
	for _, e := range c.Program.Events {
		if e.HasTime {
			return e.Time, true
		}
	}
	return 0, false
}

// captured is the event time of the first user's first event as captured; where
// that user has no times, that of the first cohort that has.
func (p *Plan) captured() time.Time {
	for _, c := range append([]*Cohort{p.Cohort(0)}, p.cohorts...) {
		if ns, ok := c.start(); ok {
			return time.Unix(0, ns).UTC()
		}
	}
	return time.Time{}
}

// place sets the anchor and each cohort's shift. Shifts are whole seconds, so
// every form of time moves exactly and fractions stay as captured.
func (p *Plan) place(anchor time.Time) {
	if anchor.IsZero() {
		anchor = p.captured()
	}
	p.Anchor = anchor
	for _, c := range p.cohorts {
		if ns, ok := c.start(); ok {
			c.shift = anchor.Unix() - time.Unix(0, ns).Unix()
		}
	}
}

// AnchorBefore returns the anchor that puts the last event of any user in the
// last second before now.
func (p *Plan) AnchorBefore(now time.Time) time.Time {
	var span time.Duration
	for _, c := range p.cohorts {
		first, ok := c.start()
		for _, e := range c.Program.Events {
			if ok && e.HasTime {
				span = max(span, time.Duration(e.Time-first))
			}
		}
	}
	captured := p.captured()
	shift := now.Add(-span).Unix() - captured.Unix() - 1
	return captured.Add(time.Duration(shift) * time.Second)
}

// Total is the number of planned records of all workers.
func (p *Plan) Total() uint64 { return p.total }

// LogTypes returns the names that [Cohort.LogType] indexes.
func (p *Plan) LogTypes() []string { return p.logTypes }

// Cohort returns the cohort of a user.
func (p *Plan) Cohort(user uint32) *Cohort {
	position := p.spread.position(uint64(user))
	for _, c := range p.cohorts {
		if position < c.first+c.Users {
			return c
		}
	}
	return p.cohorts[len(p.cohorts)-1]
}

// Index numbers the planned records densely from 0, in no particular order.
func (p *Plan) Index(user, event uint32) uint64 {
	c := p.Cohort(user)
	return c.base + (p.spread.position(uint64(user))-c.first)*uint64(len(c.Program.Events)) + uint64(event)
}

// ID names one planned record.
func (p *Plan) ID(user, event uint32) record.ID {
	return record.ID{Run: p.Tag, User: user, Event: event}
}

// UsersOf yields the users of a slice in order: half-open ranges that cover
// all users without overlap.
func (p *Plan) UsersOf(s Slice) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		first, end := p.Range(s)
		for user := first; user < end; user++ {
			if !yield(uint32(user)) {
				return
			}
		}
	}
}

// Range is the half-open range of users of a slice.
func (p *Plan) Range(s Slice) (first, end uint64) {
	if s.Of == 0 {
		return 0, p.Users
	}
	return p.Users * (s.Index - 1) / s.Of, p.Users * s.Index / s.Of
}

// Count is the number of records of a slice.
func (p *Plan) Count(s Slice) (n uint64) {
	for user := range p.UsersOf(s) {
		n += uint64(len(p.Cohort(user).Program.Events))
	}
	return n
}

// Package generate turns templates and a population into records, and a
// delivered row back into the record that it is.
package generate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"kreplay/pkg/pace"
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
	distinct uint64 // records, copies aside
	counters uint64 // of a user: as many as any template has, so that no two cohorts meet
	fakes    template.Fakes
	logTypes []string
	planned  []uint64 // by log type

	start  time.Time // as the scenario has it; zero: it does not say
	curve  pace.Curve
	ranks  shuffle // user → place in the order of arrivals
	paced  bool
	speed  speed
	seed   uint64
	twice  quota // records with a copy, by dense index
	late   quota
	lateBy time.Duration

	newline bool
	key     string
	lookup  lookup
	columns lookup // of rows of columns
	bytes   *Comparer
}

// A Cohort is a share of the users that plays one template.
type Cohort struct {
	Name    string
	Program *template.Program
	Users   uint64
	Events  int      // of the program that its users play, from the first
	LogType []uint16 // of each event: index into the plan's log types

	number   int                // in the scenario's order
	rendered *template.Program  // with the users' times, if all have the same; else Program
	ownKey   []bool             // of each event: its key is the user's id, in one form
	since    []time.Duration    // of each event, after the first
	first    uint64             // first position of the cohort
	base     uint64             // dense index of its first record
	shift    int64              // seconds from captured to planned time
	numbers  []scenario.Decimal // what scale multiplies by, as the program numbers them
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
	p := &Plan{
		Users: sc.Population.Users, spread: newSpread(sc.Population.Users, sc.Seed), key: sc.Stream.PartitionKey, seed: sc.Seed,
		start: sc.Time.Start, curve: sc.Time.Arrivals, ranks: newShuffle(sc.Population.Users, sc.Seed),
		paced: sc.Time.Paced(), speed: newSpeed(sc.Time.Speedup), lateBy: sc.Inject.LateBy,
	}
	p.Digest = contentDigest(sc, programs)
	p.Tag = record.RunTag(p.Digest, sc.Seed, run.ID)
	if err := p.addCohorts(sc, programs); err != nil {
		return nil, err
	}
	if p.distinct == 0 {
		return nil, errors.New("generate: the templates hold no events: there is nothing to send")
	}
	p.inject(sc.Inject)
	p.newline = endsInNewline(sc, p.cohorts)
	p.place(run.Anchor)
	var err error
	if p.ids, err = reserve(p.cohorts, p.Users, run.ID); err != nil {
		return nil, err
	}
	p.Reserved = p.ids.String()
	p.lookup = newLookup(p.cohorts)
	p.columns = p.lookup.columns()
	p.bytes = p.ofBytes()
	for _, c := range p.cohorts {
		c.prepare(p.key, p.curve.Span() == 0)
	}
	return p, nil
}

// prepare does once what would else be done for each record. alike: all users
// of the cohort have its shift.
func (c *Cohort) prepare(key string, alike bool) {
	c.rendered = c.Program
	if alike {
		c.rendered = c.Program.At(c.shift)
	}
	var own template.UserForm
	found := false
	for event := range c.Events {
		form, ok := c.Program.KeyForm(event, key)
		if ok && !found {
			own, found = form, true
		}
		c.ownKey = append(c.ownKey, ok && form == own)
	}
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
		events, err := played(prog, c)
		if err != nil {
			return err
		}
		cohort := newCohort(c.Name, prog, quotas[i], events)
		if cohort.numbers, err = numbers(prog, c); err != nil {
			return err
		}
		cohort.number, cohort.first, cohort.base = i, first, p.distinct
		for _, e := range prog.Events[:events] {
			name := prog.LogTypes[e.LogType]
			t, ok := types[name]
			if !ok {
				t = uint16(len(p.logTypes))
				types[name] = t
				p.logTypes, p.planned = append(p.logTypes, name), append(p.planned, 0)
			}
			cohort.LogType = append(cohort.LogType, t)
			p.planned[t] += quotas[i]
		}
		p.cohorts = append(p.cohorts, cohort)
		p.counters, p.fakes = max(p.counters, uint64(prog.Counters)), p.fakes.Max(prog.Fakes)
		first += quotas[i]
		p.distinct += quotas[i] * uint64(events)
	}
	return nil
}

// played is how many of the program's events a cohort plays: all, or those up
// to the last of the log type that it stops with.
func played(prog *template.Program, c scenario.Cohort) (int, error) {
	if c.Until == "" {
		return len(prog.Events), nil
	}
	for i := len(prog.Events) - 1; i >= 0; i-- {
		if prog.LogTypes[prog.Events[i].LogType] == c.Until {
			return i + 1, nil
		}
	}
	return 0, scenario.Faults{{Pos: c.UntilPos, Msg: fmt.Sprintf("cohort %s: until %s: template %s has no such log type: it has %s",
		c.Name, c.Until, c.Template, strings.Join(prog.LogTypes, ", "))}}
}

// numbers are what a cohort's scale rules multiply by, in the program's order.
func numbers(prog *template.Program, c scenario.Cohort) (list []scenario.Decimal, err error) {
	for _, name := range prog.Numbers {
		n := slices.IndexFunc(c.Numbers, func(n scenario.Number) bool { return n.Name == name })
		if n < 0 {
			return nil, scenario.Faults{{Pos: c.Pos, Msg: fmt.Sprintf("cohort %s has no number %s, by which a rule scales: give it one, as in %s: 1.0", c.Name, name, name)}}
		}
		list = append(list, c.Numbers[n].Value)
	}
	return list, nil
}

func newCohort(name string, prog *template.Program, users uint64, events int) *Cohort {
	c := &Cohort{
		Name: name, Program: prog, Users: users, Events: events,
		byTime: map[int64][]uint32{}, members: map[int][]uint32{},
	}
	named := c.named()
	begin, _ := c.start()
	classes := map[int][]uint32{}
	for i, e := range prog.Events[:events] {
		c.since = append(c.since, max(time.Duration(e.Time-begin), 0))
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
	for _, e := range c.Program.Events[:c.Events] {
		if e.HasTime {
			return e.Time, true
		}
	}
	return 0, false
}

// inject plans the copies and the late records.
func (p *Plan) inject(in scenario.Inject) {
	p.twice = newQuota(p.distinct, in.Duplicate, mix(p.seed))
	p.late = newQuota(p.distinct, in.Late, mix(p.seed+1))
	for c, event := range p.Copies() {
		p.planned[c.LogType[event]]++
	}
}

// Copies yields the records that have a copy, in no particular order.
func (p *Plan) Copies() iter.Seq2[*Cohort, uint32] {
	return func(yield func(*Cohort, uint32) bool) {
		for i := range p.twice.all() {
			for _, c := range p.cohorts {
				if n := c.Users * uint64(c.Events); i >= c.base && i < c.base+n {
					if !yield(c, uint32((i-c.base)%uint64(c.Events))) {
						return
					}
				}
			}
		}
	}
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
		anchor = p.start
	}
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

// AnchorBefore returns the anchor of a run that begins now: as the scenario
// has it, else so that the last event of any user is before now.
func (p *Plan) AnchorBefore(now time.Time) time.Time {
	if !p.start.IsZero() {
		return p.start
	}
	var span time.Duration
	for _, c := range p.cohorts {
		for _, since := range c.since {
			span = max(span, since)
		}
	}
	if p.curve.Span() > 0 {
		span += p.curve.Offset(p.Users-1, p.Users)
	}
	captured := p.captured()
	shift := now.Add(-span).Unix() - captured.Unix() - 1
	return captured.Add(time.Duration(shift) * time.Second)
}

// Total is the number of planned records of all workers.
func (p *Plan) Total() uint64 { return p.distinct + p.twice.picked }

// Distinct is the number of planned records, copies aside: Index is below it.
func (p *Plan) Distinct() uint64 { return p.distinct }

// Planned is the number of planned records of each log type.
func (p *Plan) Planned() []uint64 { return p.planned }

// Paced says whether the schedule decides when a record is sent.
func (p *Plan) Paced() bool { return p.paced }

// LogTypes returns the names that [Cohort.LogType] indexes.
func (p *Plan) LogTypes() []string { return p.logTypes }

// Cohort returns the cohort of a user.
func (p *Plan) Cohort(user uint32) *Cohort {
	return p.Seat(user).Cohort
}

// A Seat is where a user's records stand: in a cohort, and from First on in the
// dense index, each First plus its event.
type Seat struct {
	Cohort *Cohort
	First  uint64
}

// Seat returns where a user's records stand.
func (p *Plan) Seat(user uint32) Seat {
	position, c := p.spread.position(uint64(user)), p.cohorts[len(p.cohorts)-1]
	for _, some := range p.cohorts {
		if position < some.first+some.Users {
			c = some
			break
		}
	}
	return Seat{c, c.base + (position-c.first)*uint64(c.Events)}
}

// Number is the cohort's place among [Plan.Cohorts].
func (c *Cohort) Number() int { return c.number }

// Index numbers the planned records densely from 0, in no particular order.
func (p *Plan) Index(user, event uint32) uint64 {
	return p.Seat(user).First + uint64(event)
}

func (p *Plan) index(c *Cohort, user, event uint32) uint64 {
	return c.base + (p.spread.position(uint64(user))-c.first)*uint64(c.Events) + uint64(event)
}

// Place is a user's place in the order in which the users begin, from 0: users
// whose places are near each other are sent at about the same time.
func (p *Plan) Place(user uint32) uint64 {
	if p.paced && p.curve.Span() > 0 {
		return p.ranks.at(uint64(user))
	}
	return uint64(user)
}

// Multiplicity is how many planned records, copies among them, render like one.
func (p *Plan) Multiplicity(user, event uint32) int { return p.bytes.Multiplicity(user, event) }

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

// WorkerOf is the index, from 1, of the slice of so many that has a user.
func (p *Plan) WorkerOf(user uint32, of uint64) uint64 {
	return ((uint64(user)+1)*of + p.Users - 1) / p.Users
}

// Count is the number of records of a slice.
func (p *Plan) Count(s Slice) (n uint64) {
	if s.Of <= 1 {
		return p.Total()
	}
	for user := range p.UsersOf(s) {
		n += p.CountOf(user)
	}
	return n
}

// CountOf is the number of records of a user.
func (p *Plan) CountOf(user uint32) uint64 {
	seat := p.Seat(user)
	n := uint64(seat.Cohort.Events)
	return n + p.twice.count(seat.First, n)
}

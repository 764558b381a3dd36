package account

import (
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
)

// plans are one for each way in which counters are laid out.
func plans(t fatal, users int) map[string]*generate.Plan {
	return map[string]*generate.Plan{
		"user by user":    smokePlan(t, users),
		"as users arrive": smokePlan(t, users, scheduled, func(sc *scenario.Scenario) { sc.Inject = scenario.Inject{} }),
		"with copies":     smokePlan(t, users, scheduled),
		"cohorts differ":  smokePlan(t, users, dividing),
	}
}

// dividing has half of the users stop early, so that cohorts differ in length.
func dividing(sc *scenario.Scenario) {
	c := sc.Population.Cohorts[0]
	c.Share = scenario.Whole / 2
	short := c
	short.Name, short.Until = "short", "login"
	sc.Population.Cohorts = []scenario.Cohort{c, short}
}

// Counters hold what a plain map would, whatever completes, spills or is closed on the way.
func TestCountersAgreeWithAMap(t *testing.T) {
	for name, plan := range plans(t, 7) {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { againstMap(t, plan) })
		})
	}
}

func againstMap(t *rapid.T, plan *generate.Plan) {
	c := newCountersOf(plan.Bytes(), rapid.SampledFrom([]int{1, 8, 64, pageUnit}).Draw(t, "unit"))
	if rapid.Bool().Draw(t, "no mapped memory") {
		c.narrow.once.Do(func() { c.narrow.heap = make([][]byte, c.narrow.count) })
		c.wide.once.Do(func() { c.wide.heap = make([][]byte, c.wide.count) })
	}
	defer c.close()
	model, rows := map[class]seen{}, uint64(0)
	var list []class
	for s := range plan.Order(generate.Slice{}) {
		list = append(list, class{s.User, classOf(plan, s.User, s.Event)})
	}
	add := func(k class, intact bool) {
		want := model[k].rows() >= uint64(plan.Multiplicity(k.user, k.first))
		if got := c.add(c.plan.Seat(k.user), k.user, k.first, intact); got != want {
			t.Fatalf("class %v with %+v: extra = %v, want %v", k, model[k], got, want)
		}
		s := model[k]
		if intact {
			s.intact++
		} else {
			s.mutated++
		}
		model[k] = s
		rows++
	}
	if rapid.Bool().Draw(t, "delivered as planned") {
		for _, k := range list {
			add(k, true)
		}
	}
	for range rapid.IntRange(0, 60).Draw(t, "bursts") {
		k := rapid.SampledFrom(list).Draw(t, "class")
		for range rapid.SampledFrom([]int{1, 1, 1, 2, 3, 20, 40}).Draw(t, "rows") {
			add(k, rapid.IntRange(0, 3).Draw(t, "mutated") > 0)
		}
	}
	for _, k := range list {
		if got := c.get(c.plan.Seat(k.user), k.user, k.first); got != model[k] {
			t.Fatalf("class %v: %+v, want %+v", k, got, model[k])
		}
	}
	if got := c.total(); got != rows {
		t.Fatalf("%d rows in all, want %d", got, rows)
	}
}

// Every record has a slot of its own; a user's lie on one page.
func TestSlotsAreDistinct(t *testing.T) {
	for name, plan := range plans(t, 7) {
		for _, unit := range []int{1, 3, 8, pageUnit} {
			l := newLayout(plan.Bytes(), unit)
			if differ := name == "cohorts differ"; l.byTime == differ || len(l.bands) != len(plan.Cohorts()) {
				t.Fatalf("%s: %d bands, in the order of users' beginnings: %v", name, len(l.bands), l.byTime)
			}
			taken, slots := map[[2]int]bool{}, 0
			for user := range uint32(plan.Users) {
				for event := range uint32(plan.Cohort(user).Events) {
					at := l.find(plan.Seat(user), user, event)
					key := [2]int{at.page, int(at.user + event)}
					if taken[key] || key[1] >= l.slotsOf(at.page) || l.slotsOf(at.page) > l.slots || at.page >= l.pages {
						t.Fatalf("%s, unit %d: record %d/%d at %v of %d pages: taken, or outside", name, unit, user, event, key, l.pages)
					}
					taken[key] = true
				}
			}
			for page := range l.pages {
				slots += l.slotsOf(page)
			}
			if slots != int(plan.Distinct()) || len(taken) != slots {
				t.Errorf("%s, unit %d: %d slots for %d records", name, unit, slots, plan.Distinct())
			}
		}
	}
}

// A page whose records have one row each costs nothing; one more row, and it is there again.
func TestCompletePagesAreDropped(t *testing.T) {
	plan := smokePlan(t, 1000)
	c := newCounters(plan.Bytes())
	defer c.close()
	for s := range plan.Order(generate.Slice{}) {
		c.add(c.plan.Seat(s.User), s.User, classOf(plan, s.User, s.Event), true)
	}
	for i := range c.table {
		if p := &c.table[i]; p.state != complete || p.more != nil {
			t.Errorf("page %d of %d: state %d, want complete", i, c.pages, p.state)
		}
	}
	if extra := c.add(c.plan.Seat(500), 500, 0, true); !extra {
		t.Error("a row more of a complete page is none too many")
	}
	for user := range uint32(1000) {
		for event := range uint32(plan.Cohort(user).Events) {
			if classOf(plan, user, event) != event {
				continue
			}
			want := uint32(plan.Multiplicity(user, event))
			if user == 500 && event == 0 {
				want++
			}
			if got := c.get(c.plan.Seat(user), user, event); got != (seen{intact: want}) {
				t.Fatalf("record %d/%d: %+v, want %d intact", user, event, got, want)
			}
		}
	}
	if open := c.table[c.find(c.plan.Seat(500), 500, 0).page].state; open != 1 {
		t.Errorf("its state is %d, want open", open)
	}
}

// Where every record has a mutated row, or three, it takes a byte, and not a word of the heap.
func TestMuchThatSpillsIsDense(t *testing.T) {
	plan := smokePlan(t, 1000)
	c := newCounters(plan.Bytes())
	defer c.close()
	many := func(user uint32, intact bool) {
		for range 15 {
			c.add(c.plan.Seat(user), user, 0, intact)
		}
	}
	many(7, true) // more than a byte can say, before the page has bytes and behind it
	for s := range plan.Order(generate.Slice{}) {
		c.add(c.plan.Seat(s.User), s.User, s.Event, s.Event%2 == 0)
		c.add(c.plan.Seat(s.User), s.User, s.Event, true)
		c.add(c.plan.Seat(s.User), s.User, s.Event, true)
	}
	many(8, true)
	many(10, false)
	for i := range c.table {
		if p := &c.table[i]; p.more == nil || !p.more.wide || len(p.more.list) > 2 {
			t.Errorf("page %d: spilled %+v, want bytes, but for two records", i, p.more)
		}
	}
	for user, want := range map[uint32]seen{7: {18, 0}, 8: {18, 0}, 10: {3, 15}} {
		if got := c.get(c.plan.Seat(user), user, 0); got != want {
			t.Errorf("user %d: %+v, want %+v", user, got, want)
		}
	}
	for event, want := range []seen{{3, 0}, {2, 1}, {3, 0}} {
		if got := c.get(c.plan.Seat(9), 9, uint32(event)); got != want {
			t.Errorf("event %d: %+v, want %+v", event, got, want)
		}
	}
}

// A page holds whole users, and little of it is unused.
func TestPagesAreFull(t *testing.T) {
	for _, events := range []uint64{1, 3, 40, 1000, 5000, 9000, 20_000, 1_000_003} {
		l := &layout{bands: []band{{events: events, users: 1_000_000}}}
		l.divide(4 * pageUnit)
		held := l.bands[0].perPage * events
		if unused := 1 - float64(held)/float64(l.slots); held == 0 || unused > 1.0/40 {
			t.Errorf("%d events a user: pages of %d slots, %.1f %% unused", events, l.slots, 100*unused)
		}
	}
}

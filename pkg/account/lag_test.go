package account

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

var began = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// trip is one record on its way, times in ms since the run began.
type trip struct {
	id   record.ID
	seq  uint64 // of its worker
	fate fate
	sent int64 // −1: no ledger says
	rows []sighting
}

// sighting is a row, and when its object was listed first; −1: nobody knows.
type sighting struct{ at, visible int64 }

// journeys is a run, and one stage of it.
type journeys struct {
	plan    *generate.Plan
	workers uint64
	trips   [][]trip // by worker, in the order of sending
	errors  []generate.Match
	settled bool
	now     int64
	ahead   int64 // the clock of sending, of who lists

	restored bool // the account was saved and restored again and again
	grown    bool // when a stage was settled first, half of the ledgers was written
}

// newJourneys lists a plan's records by worker.
func newJourneys(plan *generate.Plan, workers uint64) *journeys {
	j := &journeys{plan: plan, workers: workers, trips: make([][]trip, workers)}
	for s := range plan.Order(generate.Slice{}) {
		w := plan.WorkerOf(s.User, workers) - 1
		id := plan.ID(s.User, s.Event)
		id.Copy = s.Copy
		j.trips[w] = append(j.trips[w], trip{id: id, seq: uint64(len(j.trips[w])), sent: -1})
	}
	return j
}

// lag is what the Account makes of it.
func (j *journeys) lag(t fatal, timing *Timing) Lag {
	t.Helper()
	a := newAccount(t, j.plan)
	a.Time(timing)
	seen := 0
	see := func(m generate.Match, at Place) {
		if seen++; j.restored && seen%16 == 0 {
			a = again(t, a)
			a.Time(timing)
		}
		a.See(m, at)
	}
	rejects := NewRejects(j.plan)
	for _, m := range j.errors {
		rejects.See(m)
	}
	fates, half := make([]iter.Seq[ledger.Span], j.workers), make([]iter.Seq[ledger.Span], j.workers)
	for w, trips := range j.trips {
		var list []fate
		for _, r := range trips {
			list = append(list, r.fate)
			for _, row := range r.rows {
				at := Place{At: began.UnixMilli() + row.at}
				if row.visible >= 0 {
					at.Visible = began.UnixMilli() + row.visible
				}
				see(generate.Match{Kind: generate.Planned, User: r.id.User, Event: classOf(j.plan, r.id.User, r.id.Event), Intact: true}, at)
			}
		}
		fates[w], half[w] = spans(list), spans(list[:len(list)/2])
	}
	a.Rejects = rejects
	ask := func(sent func(trip) int64) {
		err := timing.Ask(func(worker int, list []ledger.Sent) (time.Time, error) {
			for i := range list {
				if i > 0 && list[i].Seq <= list[i-1].Seq {
					t.Errorf("asked for seq %d behind %d", list[i].Seq, list[i-1].Seq)
				}
				list[i].At = uint32(sent(j.trips[worker][list[i].Seq]) + 1)
			}
			return began, nil
		})
		if err != nil {
			t.Fatalf("ask: %v", err)
		}
	}
	settle := func(fates []iter.Seq[ledger.Span]) {
		if _, err := a.Settle(fates, j.settled, ignore); err != nil {
			t.Fatalf("settle: %v", err)
		}
	}
	settle(fates)
	if j.grown {
		timing.Renew()
		settle(half)
		ask(func(r trip) int64 { return r.sent + 77 }) // of an attempt that an earlier one overtakes
		timing.Renew()
	}
	settle(fates) // as if more had been seen
	ask(func(r trip) int64 { return r.sent })
	return a.Lag(began.Add(time.Duration(j.now)*time.Millisecond), time.Duration(j.ahead)*time.Millisecond, j.settled)
}

// model is the lag written down naively, all records timed.
func (j *journeys) model() Lag {
	type key struct {
		worker      int
		user, first uint32
	}
	type one struct {
		best    trip
		row     int64
		visible int64 // −1: not known
	}
	classes := map[key]*one{}
	for w, trips := range j.trips {
		for _, r := range trips {
			k := key{w, r.id.User, classOf(j.plan, r.id.User, r.id.Event)}
			c := classes[k]
			if c == nil {
				c = &one{best: trip{fate: fate{fate: record.Unsent}}, row: -1}
				classes[k] = c
			}
			for _, row := range r.rows {
				if c.row < 0 {
					c.visible = row.visible
				}
				if c.row < 0 || row.at < c.row {
					c.row = row.at
				}
				c.visible = min(c.visible, row.visible)
			}
			rank := map[record.Fate]int{record.Acked: 2, record.Unknown: 1}
			if rank[r.fate.fate] > rank[c.best.fate.fate] {
				c.best = r
			}
		}
	}
	l := Lag{Every: 1, Seconds: true}
	var all, atLeast, visible []int64
	types, minutes := map[string][]int64{}, map[int64][]int64{}
	for k, c := range classes {
		inErrors := slices.ContainsFunc(j.errors, func(m generate.Match) bool { return m.User == k.user && m.Event == k.first })
		known := c.best.sent >= 0 && (c.best.fate.fate == record.Acked || c.best.fate.fate == record.Unknown)
		switch {
		case c.row < 0 && !inErrors && !j.settled && c.best.fate.fate == record.Acked && known:
			l.Waiting++
			atLeast = append(atLeast, max(j.now+j.ahead-c.best.sent, 0))
		case c.row < 0:
		case !known:
			l.Unsaid++
		default:
			if c.row < c.best.sent {
				l.Early++
			}
			l.Seconds = l.Seconds && c.row%1000 == 0
			ms := max(c.row-c.best.sent, 0)
			all, atLeast = append(all, ms), append(atLeast, ms)
			if c.visible >= 0 {
				visible = append(visible, max(c.visible+j.ahead-c.best.sent, 0))
			}
			name := j.plan.LogType(record.ID{User: k.user, Event: k.first})
			types[name] = append(types[name], ms)
			minutes[c.best.sent/60_000] = append(minutes[c.best.sent/60_000], ms)
		}
	}
	l.All, l.Visible, l.AtLeast, l.Step = quantilesOf(all), quantilesOf(visible), quantilesOf(atLeast).P99, time.Minute
	if len(all) == 0 {
		l.Step = 0
	}
	for _, name := range j.plan.LogTypes() {
		if len(types[name]) > 0 {
			l.LogTypes = append(l.LogTypes, LogTypeLag{name, quantilesOf(types[name])})
		}
	}
	for m := range int64(2000) {
		if len(minutes[m]) > 0 {
			l.Steps = append(l.Steps, StepLag{began.Add(time.Duration(m) * time.Minute), quantilesOf(minutes[m])})
		}
	}
	return l
}

// quantilesOf counts up to each quantile: slow, and by its definition.
func quantilesOf(list []int64) (q Quantiles) {
	q.Count = uint64(len(list))
	slices.Sort(list)
	for percent, to := range map[int]*time.Duration{50: &q.P50, 90: &q.P90, 99: &q.P99, 100: &q.Max} {
		for i, ms := range list {
			if 100*(i+1) >= percent*len(list) {
				*to = time.Duration(ms) * time.Millisecond
				break
			}
		}
	}
	return q
}

// Whatever is sent when, by whom, with what fate, and seen when, if at all: the
// lag is the model's.
func TestLagIsTheModels(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := smokePlan(rt, rapid.IntRange(1, 4).Draw(rt, "users"))
		if change := rapid.SampledFrom([]func(*scenario.Scenario){nil, scheduled, late}).Draw(rt, "change"); change != nil {
			plan = smokePlan(rt, rapid.IntRange(1, 4).Draw(rt, "users"), change)
		}
		j := newJourneys(plan, rapid.Uint64Range(1, 3).Draw(rt, "workers"))
		j.settled = rapid.Bool().Draw(rt, "settled")
		j.now = rapid.Int64Range(0, 200_000).Draw(rt, "now")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		unit := int64(1)
		if rapid.Bool().Draw(rt, "whole seconds") {
			unit = 1000
		}
		calm := rapid.SliceOfN(rapid.Bool(), 4, 4).Draw(rt, "calm") // users of whom nothing is lost
		for _, trips := range j.trips {
			sent := int64(0)
			for i := range trips {
				c := &trips[i]
				sent += r.Int64N(9000)
				if calm[c.id.User] {
					c.sent, c.fate.fate, c.rows = sent, record.Acked, []sighting{{sent + r.Int64N(9000)/unit*unit, -1}}
					continue
				}
				if r.IntN(20) > 0 {
					c.sent = sent
				}
				c.fate.fate = []record.Fate{record.Acked, record.Acked, record.Acked, record.Unknown, record.Refused, record.Unsent}[r.IntN(6)]
				for range r.IntN(3) {
					row := sighting{max(sent-3000+r.Int64N(100_000), 0) / unit * unit, -1}
					if r.IntN(5) > 0 {
						row.visible = row.at + r.Int64N(9000)
					}
					c.rows = append(c.rows, row)
				}
				if r.IntN(10) == 0 {
					j.errors = append(j.errors, generate.Match{Kind: generate.Planned, User: c.id.User, Event: classOf(plan, c.id.User, c.id.Event)})
				}
			}
		}
		j.ahead = rapid.Int64Range(-5000, 5000).Draw(rt, "ahead")
		j.restored, j.grown = rapid.Bool().Draw(rt, "restored"), rapid.Bool().Draw(rt, "grown")
		timing, want := NewTiming(plan, began), j.model()
		for _, stage := range []string{"first", "second"} {
			if diff := gocmp.Diff(want, j.lag(rt, timing)); diff != "" {
				rt.Fatalf("%s stage: model (-), account (+):\n%s", stage, diff)
			}
		}
	})
}

// A second stage asks no ledger again, and says the same of the same rows.
func TestStagesShareATiming(t *testing.T) {
	j := newJourneys(smokePlan(t, 2), 1)
	for i := range j.trips[0] {
		c := &j.trips[0][i]
		c.fate.fate, c.sent, c.rows = record.Acked, int64(i), []sighting{{int64(5 * i), -1}}
	}
	timing := NewTiming(j.plan, began)
	first := j.lag(t, timing)
	for i := range j.trips[0] {
		j.trips[0][i].sent = 0 // would be noticed
	}
	if diff := gocmp.Diff(first, j.lag(t, timing)); diff != "" || first.All.Max == 0 {
		t.Errorf("first (-), second (+):\n%s", diff)
	}
}

// A sample has one record of each block, and no kind of record or user more
// often than chance has it: what it says of a part or of the whole is what all say.
func TestSampleIsFair(t *testing.T) {
	const users, every = 3000, 15
	plan := smokePlan(t, users)
	timing := newTiming(plan, began, (plan.Distinct()+every-1)/every)
	if timing.every != every || len(timing.sends) != int((plan.Distinct()+every-1)/every) {
		t.Fatalf("one in %d, %d slots", timing.every, len(timing.sends))
	}
	byEvent, byUser, picks := map[uint32]int{}, map[uint32]int{}, map[uint64]int{}
	slots := map[uint32]int{}
	total := 0
	for user := range uint32(users) {
		for event := range uint32(plan.Cohort(user).Events) {
			index := plan.Index(user, event)
			slot, timed := timing.slot(index)
			if !timed {
				continue
			}
			total++
			slots[slot]++
			byEvent[event]++
			byUser[user*10/users]++
			picks[index%every]++
		}
	}
	for slot, n := range slots {
		if n != 1 {
			t.Fatalf("slot %d is %d records'", slot, n)
		}
	}
	if total < len(timing.sends)-1 || total > len(timing.sends) {
		t.Errorf("%d records are timed, want one of each of %d blocks", total, len(timing.sends))
	}
	fair(t, "event", byEvent, total, plan.Cohort(0).Events)
	fair(t, "tenth of the users", byUser, total, 10)
	fair(t, "place in its block", picks, total, every)
}

// A picker times the records that slot times, wherever it is asked next.
func TestPickerTimesTheSample(t *testing.T) {
	plan := smokePlan(t, 30)
	rapid.Check(t, func(rt *rapid.T) {
		timing := newTiming(plan, began, rapid.Uint64Range(1, plan.Distinct()).Draw(rt, "most"))
		picks := newPicker(timing)
		for range rapid.IntRange(1, 10).Draw(rt, "runs") {
			from := rapid.Uint64Range(0, plan.Distinct()-1).Draw(rt, "from")
			for index := from; index < min(from+40, plan.Distinct()); index++ {
				slot, timed := timing.slot(index)
				if s, ok := picks.slot(index); ok != timed || timed && s != slot {
					rt.Fatalf("record %d of one in %d: slot %d, %v, want %d, %v", index, timing.every, s, ok, slot, timed)
				}
			}
		}
	})
}

// fair holds counts of parts of equal size against chance: five sigma.
func fair[K comparable](t *testing.T, what string, counts map[K]int, total, parts int) {
	t.Helper()
	want := float64(total) / float64(parts)
	sum := 0
	for k, n := range counts {
		sum += n
		if d := float64(n) - want; d*d > 25*want {
			t.Errorf("%s %v: %d of %d, want about %.0f", what, k, n, total, want)
		}
	}
	if sum != total || len(counts) != parts {
		t.Errorf("%s: %d parts with %d, want %d with %d", what, len(counts), sum, parts, total)
	}
}

// The quantiles of a sample are near those of all: their rank is off by chance only.
func TestSampledQuantilesAreNear(t *testing.T) {
	plan := smokePlan(t, 500)
	j := newJourneys(plan, 2)
	j.settled = true
	r := rand.New(rand.NewPCG(3, 4))
	for _, trips := range j.trips {
		for i := range trips {
			at := int64(60 * i)
			trips[i].fate.fate, trips[i].sent, trips[i].rows = record.Acked, at, []sighting{{at + int64(1000*r.ExpFloat64()), -1}}
		}
	}
	all, sample := j.lag(t, NewTiming(plan, began)), j.lag(t, newTiming(plan, began, plan.Distinct()/8))
	if sample.Every != 9 || sample.All.Count > all.All.Count/8 || sample.All.Count < all.All.Count/10 {
		t.Fatalf("one in %d: %d of %d", sample.Every, sample.All.Count, all.All.Count)
	}
	for _, q := range []struct {
		name      string
		got, want time.Duration
	}{{"p50", sample.All.P50, all.All.P50}, {"p90", sample.All.P90, all.All.P90}, {"p99", sample.All.P99, all.All.P99}} {
		if ratio := float64(q.got) / float64(q.want); ratio < 0.85 || ratio > 1.18 {
			t.Errorf("%s: %v of the sample, %v of all", q.name, q.got, q.want)
		}
	}
}

// However long a run is, it is told in so many steps.
func TestStepsAreBounded(t *testing.T) {
	if step := stepOf(59_999, 59_999+MaxSteps*60_000-1); step != 2*time.Minute {
		t.Errorf("steps of %v where a day touches a minute too many", step)
	}
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.Int64Range(0, 1<<42).Draw(rt, "first")
		last := first + rapid.Int64Range(0, 1<<32).Draw(rt, "span")
		step := stepOf(first, last).Milliseconds()
		if n := last/step - first/step + 1; n > MaxSteps || step%60_000 != 0 {
			rt.Errorf("%d steps of %d ms", n, step)
		}
		if less := step - 60_000; less > 0 && last/less-first/less+1 <= MaxSteps {
			rt.Errorf("steps of %d ms would do, not %d", less, step)
		}
	})
}

// The earliest row counts, whoever sees it.
func TestEarliestRowFromManyGoroutines(t *testing.T) {
	plan := smokePlan(t, 1)
	a := New(plan)
	defer func() { _ = a.Close() }()
	a.Time(NewTiming(plan, began))
	var g sync.WaitGroup
	for k := range 4 {
		g.Go(func() {
			for i := range int64(1000) {
				a.arrivals.see(plan.Index(0, 3), a.arrivals.arrival(Place{At: began.UnixMilli() + (i*7919+int64(k))%1009}))
			}
		})
	}
	g.Wait()
	if got, want := a.arrivals.seen[plan.Index(0, 3)].Load(), a.arrivals.ms(began.UnixMilli()); got != want {
		t.Errorf("seen at %d, want %d", got, want)
	}
}

// What is out of the range of times is kept at its ends.
func TestTimesFarAway(t *testing.T) {
	timing := NewTiming(smokePlan(t, 1), began)
	for at, want := range map[int64]uint32{0: 1, began.UnixMilli(): uint32(before.Milliseconds()), began.UnixMilli() + 1<<40: latest} {
		if got := timing.ms(at); got != want {
			t.Errorf("%d is kept as %d, want %d", at, got, want)
		}
	}
}

// What it costs to see and to settle with times, beside without.
func BenchmarkTimed(b *testing.B) {
	plan := smokePlan(b, 5000)
	acked := allAcked(plan)
	for _, every := range []uint64{0, 1, 64} {
		b.Run(fmt.Sprintf("every=%d", every), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a := New(plan)
				if every > 0 {
					a.Time(newTiming(plan, began, (plan.Distinct()+every-1)/every))
				}
				for s := range plan.Order(generate.Slice{}) {
					a.See(generate.Match{Kind: generate.Planned, User: s.User, Event: classOf(plan, s.User, s.Event), Intact: true}, Place{At: began.UnixMilli()})
				}
				if _, err := a.Settle(alone(acked), true, ignore); err != nil {
					b.Fatal(err)
				}
				if every == 0 {
					_ = a.Close()
					continue
				}
				err := a.arrivals.Ask(func(_ int, list []ledger.Sent) (time.Time, error) {
					for i := range list {
						list[i].At = 1 + uint32(list[i].Seq)
					}
					return began, nil
				})
				if l := a.Lag(began, 0, true); err != nil || l.All.Count == 0 {
					b.Fatal(err, l)
				}
				_ = a.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(plan.Total()), "ns/record")
		})
	}
}

// Rows that were seen before anyone timed them are told, and neither guessed nor
// waited for, whatever is seen of their records later.
func TestRowsThatNobodyTimed(t *testing.T) {
	plan := smokePlan(t, 1)
	a := New(plan)
	defer func() { _ = a.Close() }()
	lake(a, plan, func(int) int { return 1 })
	timing := NewTiming(plan, began)
	a.Time(timing)
	for range 2 {
		if _, err := a.Settle(alone(allAcked(plan)), false, ignore); err != nil {
			t.Fatal(err)
		}
		a.See(generate.Match{Kind: generate.Planned, Intact: true}, Place{At: began.UnixMilli()})
	}
	err := timing.Ask(func(_ int, list []ledger.Sent) (time.Time, error) {
		for i := range list {
			list[i].At = 1
		}
		return began, nil
	})
	l := a.Lag(began, 0, false)
	if classes := plan.Total() - 2; err != nil || l.Unsaid != classes || l.All.Count+l.Waiting > 0 { // three records are alike
		t.Errorf("%v, %+v; want %d of no known time", err, l, classes)
	}
}

// An error of who asks a ledger is the caller's.
func TestErrorOfALedger(t *testing.T) {
	j := newJourneys(smokePlan(t, 1), 1)
	a := New(j.plan)
	defer func() { _ = a.Close() }()
	timing := NewTiming(j.plan, began)
	a.Time(timing)
	if _, err := a.Settle(alone(allAcked(j.plan)), true, ignore); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	if err := timing.Ask(func(int, []ledger.Sent) (time.Time, error) { return began, gone }); !errors.Is(err, gone) {
		t.Errorf("got %v, want the ledger's error", err)
	}
}

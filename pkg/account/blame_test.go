package account

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/generate"
	"kreplay/pkg/record"
)

// wayNames are the stages of a way; raw is the first one that error records are of.
var wayNames = []string{"stream", "raw", "table"}

// accounts makes the accounts of a way from the rows of each stage.
func accounts(t fatal, plan *generate.Plan, stages [][]row, rejects []generate.Match) (way []*Account) {
	kept := NewRejects(plan)
	t.Cleanup(func() { _ = kept.Close() })
	for _, m := range rejects {
		kept.See(m)
	}
	for i, rows := range stages {
		a := newAccount(t, plan)
		a.Stage = wayNames[i]
		if i > 0 {
			a.Before, a.Rejects = way[i-1], kept
		}
		for _, r := range rows {
			a.See(r.match, r.place)
		}
		way = append(way, a)
	}
	return way
}

// lane is a class in a stage, one letter a record, as the rows are dealt out to
// the records in one order everywhere: I intact, M mutated, - no row; and how many rows are extra.
func lane(members int, rows []row) (letters string, extra int) {
	intact := 0
	for _, r := range rows {
		if r.match.Intact {
			intact++
		}
	}
	letters = strings.Repeat("I", intact) + strings.Repeat("M", len(rows)-intact) + strings.Repeat("-", members)
	return letters[:members], max(0, len(rows)-members)
}

// blamed is the model of what Settle says of the last of the stages: each class written out.
func blamed(w world, stages [][]row) (arose []Arose, producer uint64) {
	last := len(stages) - 1
	for i := range stages {
		from := Push
		if i > 0 {
			from = wayNames[i-1]
		}
		arose = append(arose, Arose{Gap: Gap{from, wayNames[i]}})
	}
	members, rejects := map[class][]int{}, map[class]int{}
	for i, id := range w.records {
		k := class{id.User, classOf(w.plan, id.User, id.Event)}
		members[k] = append(members[k], i)
	}
	for _, m := range w.rejects {
		rejects[class{m.User, m.Event}]++
	}
	rows := make([]map[class][]row, len(stages))
	strangers := make([]uint64, len(stages))
	for i, list := range stages {
		rows[i] = map[class][]row{}
		for _, r := range list {
			switch r.match.Kind {
			case generate.Planned:
				k := class{r.match.User, r.match.Event}
				rows[i][k] = append(rows[i][k], r)
			case generate.Stranger:
				strangers[i]++
			case generate.Foreign:
			}
		}
	}
	for k, list := range members {
		lanes, extras := make([]string, len(stages)), make([]int, len(stages))
		for i := range stages {
			lanes[i], extras[i] = lane(len(list), rows[i][k])
		}
		rank := map[record.Fate]int{record.Acked: 0, record.Unknown: 1, record.Refused: 2, record.Unsent: 3}
		slices.SortStableFunc(list, func(x, y int) int { return cmp.Compare(rank[w.fates[x].fate], rank[w.fates[y].fate]) })
		errors, unknowns := rejects[k], uint32(0)
		for at, i := range list {
			unknowns += w.fates[i].unknowns
			has := func(stage int, letters string) bool { return strings.ContainsRune(letters, rune(lanes[stage][at])) }
			guilty := last
			switch {
			case has(last, "I"):
			case has(last, "M"):
				for guilty > 0 && has(guilty-1, "M") {
					guilty--
				}
				arose[guilty].Mutated++
			case last > 0 && errors > 0 && (last == 1 || has(last-1, "-")):
				errors--
				arose[1].Rejected++
			case w.settled && (w.fates[i].fate == record.Acked || last > 0 && has(last-1, "IM")):
				for guilty > 0 && has(guilty-1, "-") {
					guilty--
				}
				arose[guilty].Missing++
			}
		}
		left := extras[last]
		for i := last; i >= 0; i-- {
			came := 0
			if i > 0 {
				came = min(left, extras[i-1])
			}
			arose[i].Duplicates += uint64(left - came)
			left = came
		}
		producer += uint64(min(uint32(slices.Min(extras)), unknowns)) // those that stood in the first stage already
	}
	left := strangers[last]
	for i := last; i >= 0; i-- {
		came := uint64(0)
		if i > 0 {
			came = min(left, strangers[i-1])
		}
		arose[i].Strangers = left - came
		left = came
	}
	return arose, producer
}

// Where something arose is what a naive reading says, class by class, for rows
// as wild as they come, in any of the stages of a way.
func TestBlameAgreesWithTheModel(t *testing.T) {
	for name, plan := range map[string]*generate.Plan{"user by user": smokePlan(t, 2), "with copies": smokePlan(t, 2, scheduled)} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := draw(t, plan)
				stages := [][]row{w.rows, draw(t, plan).rows, draw(t, plan).rows}[:rapid.IntRange(1, 3).Draw(t, "stages")]
				want, producer := blamed(w, stages)
				way := accounts(t, plan, stages, w.rejects)
				tally, err := way[len(way)-1].Settle(w.ledgers(1), w.settled, ignore)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(want, tally.Arose); diff != "" || producer != tally.Producer {
					t.Errorf("%d duplicates by the producer, the model says %d; arose, model (-), account (+):\n%s", tally.Producer, producer, diff)
				}
			})
		})
	}
}

// What happened to a record between two stages is blamed on that gap, in the
// account of every stage after it, and each is named with it.
func TestPlantedGapsAreBlamed(t *testing.T) {
	plan := smokePlan(t, 4)
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var rows []row
		var single []record.ID // records like no other: what happens to one can be told
		for r := range plan.Records(generate.Slice{}) {
			m := generate.Match{Kind: generate.Planned, User: r.ID.User, Event: classOf(plan, r.ID.User, r.ID.Event), Intact: true}
			rows = append(rows, row{m, Place{Object: "o", Offset: int64(len(rows))}})
			if plan.Multiplicity(m.User, m.Event) == 1 {
				single = append(single, r.ID)
			}
		}
		rng.Shuffle(len(single), func(i, j int) { single[i], single[j] = single[j], single[i] })
		stages, want := make([][]row, len(wayNames)), make([]map[string]string, len(wayNames))
		happened := map[string]string{} // kind and record → gap
		gap := Gap{Push, ""}
		for i, name := range wayNames {
			gap.To = name
			for _, kind := range []string{KindMissing, KindMutated, KindDuplicate} {
				for range rng.IntN(4) {
					id := single[0]
					single = single[1:]
					happened[kind+" "+id.String()] = gap.String()
					at := slices.IndexFunc(rows, func(r row) bool { return r.match.User == id.User && r.match.Event == id.Event })
					rows = slices.Clone(rows)
					switch kind {
					case KindMissing:
						rows = slices.Delete(rows, at, at+1)
					case KindMutated:
						rows[at].match.Intact, rows[at].match.Detail = false, "byte 7"
					case KindDuplicate:
						again := rows[at]
						again.place.Offset += 10_000
						rows = append(rows, again)
					}
				}
			}
			stages[i], want[i] = rows, map[string]string{}
			for k, v := range happened {
				want[i][k] = v
			}
			gap.From = name
		}
		for i, a := range accounts(t, plan, stages, nil) {
			got := map[string]string{}
			tally, err := a.Settle(alone(allAcked(plan)), true, func(d Difference) error {
				got[d.Kind+" "+d.ID.String()] = d.Gap.String()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(want[i], got); diff != "" {
				t.Errorf("seed %d, %s: planted (-), blamed (+):\n%s", seed, wayNames[i], diff)
			}
			sums := map[string]uint64{}
			for _, x := range tally.Arose {
				sums[x.String()] = x.Missing + x.Mutated + x.Duplicates
			}
			for _, gap := range want[i] {
				sums[gap]--
			}
			for gap, n := range sums {
				if n != 0 {
					t.Errorf("seed %d, %s: %d too many arose %s", seed, wayNames[i], int64(n), gap)
				}
			}
		}
	}
}

// A record that the stage before has was stored, whatever its fate says; so its loss is one.
func TestWhatTheStageBeforeHasWasStored(t *testing.T) {
	plan := smokePlan(t, 1)
	before, a := newAccount(t, plan), newAccount(t, plan)
	before.Stage, a.Stage, a.Before = "stream", "raw", before
	lake(before, plan, func(int) int { return 1 })
	fates := make([]fate, plan.Total())
	for i := range fates {
		fates[i].fate = []record.Fate{record.Unknown, record.Refused, record.Unsent}[i%3]
	}
	for _, settled := range []bool{true, false} {
		details := map[string]int{}
		tally, err := a.Settle(alone(spans(fates)), settled, func(d Difference) error { details[fmt.Sprint(d.Kind, ": ", d.Detail)]++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if tally.Undecided+tally.Absent != 0 || len(details) != 1 || settled != (tally.Missing == plan.Total()) || settled == (tally.InFlight == plan.Total()) {
			t.Errorf("settled %v: %+v, named %v; want all missing, or in flight", settled, tally.States, details)
		}
	}
}

// A record that raw has was not rejected on the way to raw: one that the table has not was lost after it.
func TestErrorRecordsSpeakOfOneGap(t *testing.T) {
	plan := smokePlan(t, 1)
	last := uint32(plan.Total() - 1)
	m := generate.Match{Kind: generate.Planned, User: 0, Event: classOf(plan, 0, last), Intact: true}
	whole, less := []row{}, []row{}
	for r := range plan.Records(generate.Slice{}) {
		x := row{match: generate.Match{Kind: generate.Planned, Event: classOf(plan, 0, r.ID.Event), Intact: true}}
		whole = append(whole, x)
		if x.match != m {
			less = append(less, x)
		}
	}
	for name, x := range map[string]struct {
		stages [][]row
		want   Arose
	}{
		"rejected":       {[][]row{whole, less, less}, Arose{Gap: Gap{"stream", "raw"}, Rejected: 1}},
		"in raw as well": {[][]row{whole, whole, less}, Arose{Gap: Gap{"raw", "table"}, Missing: 1}},
	} {
		way := accounts(t, plan, x.stages, []generate.Match{m})
		tally, err := way[2].Settle(alone(allAcked(plan)), true, ignore)
		if err != nil {
			t.Fatal(err)
		}
		if got := tally.Arose[slices.IndexFunc(tally.Arose, func(a Arose) bool { return a.Gap == x.want.Gap })]; got != x.want || tally.Missing+tally.Rejected != 1 {
			t.Errorf("%s: %+v, want %+v", name, tally.Arose, x.want)
		}
	}
}

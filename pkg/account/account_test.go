package account

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lake puts an intact row of each record that rows says so into a, as many as it says.
func lake(a *Account, plan *generate.Plan, rows func(n int) int) {
	n, offset := 0, int64(0)
	for r := range plan.Records(generate.Slice{}) {
		for range rows(n) {
			m := generate.Match{Kind: generate.Planned, User: r.ID.User, Event: classOf(plan, r.ID.User, r.ID.Event), Intact: true}
			a.See(m, Place{Object: "o", Offset: offset})
			offset += 100
		}
		n++
	}
}

func ignore(Difference) error { return nil }

// As many losses as duplicates leave the number of rows as planned, and are still both found.
func TestEqualLossesAndDuplicatesDoNotCancel(t *testing.T) {
	plan := smokePlan(t, 4)
	a := newAccount(t, plan)
	lake(a, plan, func(n int) int {
		switch n % 43 {
		case 20: // the first ones of a user are alike: among those a loss and a duplicate are nothing
			return 0
		case 30:
			return 2
		default:
			return 1
		}
	})
	kinds := map[string]int{}
	tally, err := a.Settle(alone(allAcked(plan)), true, func(d Difference) error {
		kinds[d.Kind]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if tally.Rows != plan.Total() || tally.Missing != 4 || tally.Pipeline != 4 || tally.Producer != 0 {
		t.Errorf("%d rows of %d, %d missing, %d + %d duplicates; want as many rows, 4, 0 + 4",
			tally.Rows, plan.Total(), tally.Missing, tally.Producer, tally.Pipeline)
	}
	if kinds[KindMissing] != 4 || kinds[KindDuplicate] != 4 || len(kinds) != 2 {
		t.Errorf("named %v, want 4 missing and 4 duplicate", kinds)
	}
	if a.Delivered() != tally.Rows {
		t.Errorf("Delivered = %d, want %d", a.Delivered(), tally.Rows)
	}
}

// A class of three has three rows that are as planned: they cost no place, and nothing spills.
func TestRowsOfAClassTakeNoPlace(t *testing.T) {
	plan := smokePlan(t, 3)
	a := newAccount(t, plan)
	lake(a, plan, func(int) int { return 1 })
	if len(a.places.held) != 0 || a.counts.table[0].more != nil {
		t.Errorf("%d places and %v spilled of a lake as planned, want 0", len(a.places.held), a.counts.table[0].more)
	}
	tally, err := a.Settle(alone(allAcked(plan)), true, func(d Difference) error { return fmt.Errorf("named %+v", d) })
	if err != nil || tally.Delivered != plan.Total() {
		t.Errorf("%d of %d delivered, %v", tally.Delivered, plan.Total(), err)
	}
}

// What the ledger does not speak of was not sent.
func TestRecordsBeyondTheLedgerAreUnsent(t *testing.T) {
	plan := smokePlan(t, 2)
	fates := iter.Seq[ledger.Span](func(yield func(ledger.Span) bool) {
		yield(ledger.Span{First: 0, Count: 5, Fate: record.Acked})
	})
	tally, err := newAccount(t, plan).Settle(alone(fates), true, ignore)
	if err != nil {
		t.Fatal(err)
	}
	if tally.Fates != (Fates{Acked: 5, Unsent: plan.Total() - 5}) || tally.Missing != 5 || tally.Absent != plan.Total()-5 {
		t.Errorf("%+v; want 5 acked and missing, the rest unsent and absent", tally)
	}
}

// An error of report ends the walk, at whatever difference it comes.
func TestErrorOfReportEndsTheWalk(t *testing.T) {
	plan := smokePlan(t, 1)
	full := errors.New("disk full")
	for kind, m := range map[string]generate.Match{
		KindMissing:   {Kind: generate.Foreign},
		KindMutated:   {Kind: generate.Planned, Detail: "byte 1"},
		KindDuplicate: {Kind: generate.Planned, Intact: true},
		KindStranger:  {Kind: generate.Stranger},
	} {
		a := newAccount(t, plan)
		a.See(m, Place{})
		a.See(m, Place{})
		calls := 0
		_, err := a.Settle(alone(allAcked(plan)), true, func(d Difference) error {
			if d.Kind != kind {
				return nil
			}
			calls++
			return full
		})
		if !errors.Is(err, full) || calls != 1 {
			t.Errorf("%s: %v after %d calls, want the error of the first", kind, err, calls)
		}
	}
}

// Workers may see rows at the same time.
func TestSeeFromManyGoroutines(t *testing.T) {
	plan := smokePlan(t, 1)
	a := newAccount(t, plan)
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			lake(a, plan, func(int) int { return 1 })
			a.Damage()
			_ = a.Delivered()
		})
	}
	g.Wait()
	tally, err := a.Settle(alone(allAcked(plan)), true, ignore)
	if err != nil || tally.Delivered != plan.Total() || tally.Pipeline != 3*plan.Total() || tally.Damaged != 4 {
		t.Errorf("%+v, %v; want %d delivered thrice too often", tally, err, plan.Total())
	}
}

// Workers may count batches at the same time, over many pages, one of them backwards;
// which row is extra differs, how many and where does not.
func TestBatchesFromManyGoroutines(t *testing.T) {
	const workers = 3
	plan := smokePlan(t, 20)
	a := newAccount(t, plan)
	var g sync.WaitGroup
	counted := [workers]Counted{}
	for i := range workers {
		g.Go(func() {
			var b Batch
			b.Begin(a, Place{Object: fmt.Sprint(i)})
			add := func(n Counted) { counted[i].Intact += n.Intact; counted[i].Extra += n.Extra }
			for user := range uint32(plan.Users) {
				if i == 1 {
					user = uint32(plan.Users) - 1 - user
				}
				for event := range uint32(plan.Cohort(user).Events) {
					add(b.See(generate.Match{Kind: generate.Planned, User: user, Event: classOf(plan, user, event), Intact: true}, int64(user)<<16|int64(event)))
				}
			}
			add(b.Flush())
		})
	}
	g.Wait()
	sum, named := Counted{}, map[string]bool{}
	for _, n := range counted {
		sum.Intact += n.Intact
		sum.Extra += n.Extra
	}
	tally, err := a.Settle(alone(allAcked(plan)), true, func(d Difference) error {
		named[fmt.Sprint(d.Object, d.Offset)] = true
		return nil
	})
	if want := (Counted{Intact: plan.Total(), Extra: (workers - 1) * plan.Total()}); err != nil || sum != want ||
		tally.Delivered != want.Intact || tally.Pipeline != want.Extra || uint64(len(named)) != want.Extra {
		t.Errorf("%+v, %v; counted %+v and %d places named, want %+v", tally, err, sum, len(named), want)
	}
}

// A duplicate of a row is found where Identify reads it: the account and the plan speak of the same record.
func TestRowsAsIdentified(t *testing.T) {
	plan := smokePlan(t, 2)
	a, scratch := New(plan), new(generate.Scratch)
	var victim record.ID
	offset := int64(0)
	for r := range plan.Records(generate.Slice{}) {
		row := []byte(strings.TrimSpace(string(r.Data)))
		if r.Seq == 11 {
			victim = r.ID
			a.See(plan.Identify(row, scratch), Place{Object: "dup.gz", Offset: 4711})
		}
		a.See(plan.Identify(row, scratch), Place{Object: "a.gz", Offset: offset})
		offset += int64(len(row))
	}
	var named []Difference
	tally, err := a.Settle(alone(allAcked(plan)), true, func(d Difference) error { named = append(named, d); return nil })
	if err != nil || tally.Delivered != plan.Total() || len(named) != 1 || named[0].ID != victim || named[0].Object != "a.gz" || named[0].Charge != "pipeline" {
		t.Errorf("%v, %+v, named %+v; want all delivered and the one duplicate of %s", err, tally, named, victim)
	}
}

package account

import (
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"testing/fstest"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/pace"
	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
	"kreplay/scenarios"
)

type fatal interface {
	Helper()
	Cleanup(func())
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// poke is one record of a log type that nothing tells from its like.
const poke = `{"log_type":"poke","user_id":"10004217","ts":1789344025305}` + "\n"

// smokePlan plans the shipped scenario with one log type more, of which each
// user has a class of three records alike.
func smokePlan(t fatal, users int, change ...func(*scenario.Scenario)) *generate.Plan {
	t.Helper()
	return smokeRun(t, "test", users, change...)
}

func smokeRun(t fatal, id string, users int, change ...func(*scenario.Scenario)) *generate.Plan {
	t.Helper()
	fsys := fstest.MapFS{}
	err := fs.WalkDir(scenarios.FS, "smoke", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(scenarios.FS, name)
		fsys[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatalf("copy of smoke: %v", err)
	}
	const folder = "smoke/templates/player/"
	fsys[folder+"poke.ndjson"] = &fstest.MapFile{Data: []byte(strings.Repeat(poke, 3))}
	meta := fsys[folder+template.MetaFile]
	meta.Data = append(meta.Data, "  - { name: poke, file: poke.ndjson, events: 3 }\n"...)
	sc, err := scenario.Load(fsys, "smoke", []string{fmt.Sprintf("population.users=%d", users)})
	if err != nil {
		t.Fatalf("scenario: %v", err)
	}
	for _, f := range change {
		f(sc)
	}
	programs := map[string]*template.Program{}
	for _, ref := range sc.Templates {
		tpl, err := template.Read(sc.FS, ref.Dir)
		if err != nil {
			t.Fatalf("template: %v", err)
		}
		if programs[ref.Name], err = template.Compile(tpl, sc.Rewrite, sc.Time.Zone); err != nil {
			t.Fatalf("template: %v", err)
		}
	}
	plan, err := generate.New(sc, programs, generate.Run{ID: id})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	return plan
}

// scheduled has records come as they are due, some of them late, a fifth of
// them with a copy.
func scheduled(sc *scenario.Scenario) {
	sc.Time.Speedup = scenario.Decimal{Digits: 60}
	sc.Time.Arrivals = pace.NewCurve([]pace.Part{{Length: time.Minute, Weight: 1}})
	sc.Inject = scenario.Inject{Duplicate: scenario.Whole / 5, Late: scenario.Whole / 10, LateBy: 10 * time.Minute}
}

// late has records come as they are due, some of them late.
func late(sc *scenario.Scenario) {
	scheduled(sc)
	sc.Inject.Duplicate = 0
}

// spans yields fates as the longest ranges that are alike.
func spans(fates []fate) iter.Seq[ledger.Span] {
	return func(yield func(ledger.Span) bool) {
		for i := 0; i < len(fates); {
			n, f := 1, fates[i]
			for i+n < len(fates) && fates[i+n] == f {
				n++
			}
			if !yield(ledger.Span{First: uint64(i), Count: uint64(n), Fate: f.fate, Unknowns: f.unknowns, Code: f.code}) {
				return
			}
			i += n
		}
	}
}

// alone is the ledger of a run that was not divided.
func alone(fates iter.Seq[ledger.Span]) []iter.Seq[ledger.Span] {
	return []iter.Seq[ledger.Span]{fates}
}

// allAcked yields one span of all records.
func allAcked(plan *generate.Plan) iter.Seq[ledger.Span] {
	return func(yield func(ledger.Span) bool) {
		yield(ledger.Span{Count: plan.Total(), Fate: record.Acked})
	}
}

type fate struct {
	fate     record.Fate
	unknowns uint32
	code     string
}

// classOf returns the first record of the class of an event.
func classOf(plan *generate.Plan, user, event uint32) uint32 {
	return uint32(plan.Cohort(user).Program.Class[event])
}

// newAccount is New for a test. Its pages are small, so that there are several, and
// so is the memory for places.
func newAccount(t fatal, plan *generate.Plan) *Account {
	t.Helper()
	a := New(plan)
	a.counts.close()
	a.counts = newCountersOf(plan.Bytes(), 8)
	a.places.most = 16 * entrySize
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

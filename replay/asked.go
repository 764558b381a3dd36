package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"kreplay/pkg/expect"
	"kreplay/pkg/scenario"
)

// Stages whose rows queries are asked of: what the pipeline delivers, and what a
// batch job makes of it.
const (
	rawStage   = "raw"
	tableStage = "table"
)

// asked says which stage each of the scenario's queries is asked of, by the scenario.
func (j *Job) asked() []string {
	list := make([]string, len(j.Scenario.Expect.Queries))
	for i, q := range j.Scenario.Expect.Queries {
		list[i] = j.Scenario.Asked(q)
	}
	return list
}

// asked is which stages of a run are asked what.
type asked struct {
	of    []string // the stage of each query
	usual string   // that of queries which name none, and of what nobody asked for
	notes []string
}

// ask finds out which stages are asked in a verify of those in paths. Where the run
// has no such stage at all, as on one machine, where nobody makes a table, the other one is
// asked: the queries can be tried there.
func (r *Result) ask(paths map[string]string) asked {
	a := asked{of: r.Job.asked(), usual: r.Job.Scenario.Asked(scenario.Query{})}
	has := func(stage string) bool { return paths[stage] != "" }
	for stage, other := range map[string]string{rawStage: tableStage, tableStage: rawStage} {
		if has(stage) || r.Ledger.Manifest.Stages[stage] != "" || !has(other) {
			continue
		}
		n := 0
		for i := range a.of {
			if a.of[i] == stage {
				a.of[i] = other
				n++
			}
		}
		if a.usual == stage {
			a.usual = other
		}
		if n > 0 {
			a.notes = append(a.notes, fmt.Sprintf("%d queries are asked of %s: the run has no stage %s", n, other, stage))
		}
	}
	return a
}

// queries is how many queries are asked of a stage.
func (a asked) queries(stage string) (n int) {
	for _, s := range a.of {
		if s == stage {
			n++
		}
	}
	return n
}

// of are the expectations that are asked of a stage.
func (e *expectations) of(stage string, of []string) (list []expect.Expectation) {
	for i, q := range e.asked {
		if of[i] == stage {
			list = append(list, q)
		}
	}
	return list
}

// Unjudged are expectations that were not judged.
type Unjudged struct {
	Stage   string
	Queries int
	Why     string
}

// inquire makes the tables of a stage whose rows expectations are about, in
// place of those of before.
func (v *verifier) inquire(ctx context.Context) error {
	if v.stage.Name != v.res.asked.usual && v.res.asked.queries(v.stage.Name) == 0 {
		return nil
	}
	if err := v.dismiss(); err != nil {
		return err
	}
	var open OpenEngine
	if v.cfg.Engine != nil {
		open = v.cfg.Engine(v.res.Job)
	}
	switch n := len(v.res.Ledger.absent); {
	case open == nil:
		v.unjudged = "no SQL engine was asked"
		return nil
	case n > 0:
		v.unjudged = fmt.Sprintf("%d of %d workers are absent, and they are about the whole run", n, len(v.res.Ledger.Workers))
		return nil
	}
	var err error
	v.unjudged = ""
	v.ask, err = inquire(ctx, v.res, v.stage.Name, open, v.cfg.Dir)
	return err
}

// dismiss gives up what was asked.
func (v *verifier) dismiss() error {
	if v.ask == nil {
		return nil
	}
	q := v.ask
	v.ask = nil
	return q.engine.Close()
}

// judge judges the expectations, those of the scenario first and in its order.
func (w *waiting) judge(ctx context.Context) error {
	r := w.res
	r.Notes = append(r.Notes, r.asked.notes...)
	why, lapsed := map[string]string{}, map[string]int{}
	for _, v := range w.stages {
		n, err := v.judge(ctx)
		if err != nil {
			return err
		}
		why[v.stage.Name], lapsed[v.stage.Name] = v.unjudged, n
	}
	for _, stage := range []string{rawStage, tableStage} {
		if _, there := why[stage]; !there {
			why[stage] = "the stage was not verified; say where it lies with --stage " + stage + "=PATH"
		}
		if n := r.asked.queries(stage) + lapsed[stage]; n > 0 && why[stage] != "" {
			r.Unjudged = append(r.Unjudged, Unjudged{stage, n, why[stage]})
		}
	}
	queries := r.Job.Scenario.Expect.Queries
	rank := func(f Finding) int {
		if f.Asked {
			return slices.IndexFunc(queries, func(q scenario.Query) bool { return q.Name == f.Name })
		}
		return len(queries)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return nil
}

// judgement is what was found of what is checked unasked, before it was doubted. The
// next verify, which does not read the rows again, says the same: it must not pass
// what has failed.
type judgement struct {
	Rows     SoFar     `json:"rows"` // of the stage, that it is about
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes"`
}

// on says whether it is about the rows that were read so far: they only get more.
func (j *judgement) on(v *verifier) bool { return j.Rows == v.soFar.load() }

// judge judges expectations over the stage's rows, if any are about them. It says
// how many that an earlier verify has judged nobody has judged on more rows.
func (v *verifier) judge(ctx context.Context) (lapsed int, err error) {
	switch {
	case v.ask == nil && v.judged == nil:
		return 0, nil
	case v.unread():
		v.unjudged = "the stage could not be read"
		return 0, nil
	case v.ask == nil && v.stage.Name != v.res.asked.usual:
		return 0, nil
	case v.ask == nil && !v.judged.on(v):
		return len(v.judged.Findings), nil
	case v.ask == nil:
		v.find(slices.Clone(v.judged.Findings), v.judged.Notes)
		return 0, nil
	}
	findings, err := v.ask.judge(ctx, v.stage.Tally)
	if err != nil {
		return 0, err
	}
	v.judged = &judgement{Rows: v.soFar.load(), Notes: v.ask.notes}
	for _, f := range findings {
		if !f.Asked {
			v.judged.Findings = append(v.judged.Findings, f)
		}
		if f.Verdict == expect.Inconclusive { // the engine may work next time
			v.judged = nil
			break
		}
	}
	v.find(findings, v.ask.notes)
	return 0, nil
}

// find reports what was found.
func (v *verifier) find(findings []Finding, notes []string) {
	v.res.Notes = append(v.res.Notes, notes...)
	v.doubt(findings)
	v.res.Findings = append(v.res.Findings, findings...)
}

// doubt takes back failures that rows which are not there yet, or never were
// sent, may have made: law 5.
func (v *verifier) doubt(findings []Finding) {
	t := v.stage.Tally
	absent := t.InFlight + t.Undecided + t.Absent
	if absent == 0 {
		return
	}
	for i := range findings {
		if f := &findings[i]; f.Verdict == expect.Fail {
			f.Verdict = expect.Inconclusive
			f.Reason += fmt.Sprintf("; but %d records are in flight, undecided or were never stored", absent)
		}
	}
}

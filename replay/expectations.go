package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kreplay/pkg/account"
	"kreplay/pkg/expect"
	"kreplay/pkg/generate"
)

// OpenEngine opens the SQL engine that judges expectations; what it writes to
// disk goes below dir, or to the system's temporary directory if that is empty.
type OpenEngine func(ctx context.Context, dir string) (expect.Engine, error)

// expectations are what a job wants of the rows themselves, beyond delivery.
type expectations struct {
	planned *expect.Planned
	tables  []expect.Table
	asked   []expect.Expectation // by the scenario
}

func (j *Job) expectations(plan *generate.Plan) (*expectations, error) {
	asked, err := expect.FromScenario(j.Scenario.Expect.Queries)
	if err != nil {
		return nil, err
	}
	planned := expect.NewPlanned(plan, j.Scenario.Rewrite)
	return &expectations{planned, planned.Tables(), asked}, nil
}

// CheckQueries finds what is wrong with the scenario's queries, before anything
// is sent: their SQL against empty tables, names, formulas. All faults come back
// at once, as [scenario.Faults].
func (j *Job) CheckQueries(ctx context.Context, open OpenEngine) error {
	if len(j.Scenario.Expect.Queries) == 0 {
		return nil
	}
	plan, err := j.Plan(generate.Run{})
	if err != nil {
		return err
	}
	e, err := j.expectations(plan)
	if err != nil {
		return err
	}
	of := j.asked()
	var faults []expect.Fault
	for _, stage := range slices.Compact(slices.Sorted(slices.Values(of))) {
		more, err := e.check(ctx, open, stage, of)
		if err != nil {
			return err
		}
		faults = append(faults, more...)
	}
	return expect.Places(faults, j.Scenario.Expect.Queries).Err()
}

// check checks what is asked of one stage.
func (e *expectations) check(ctx context.Context, open OpenEngine, stage string, of []string) (faults []expect.Fault, err error) {
	engine, err := open(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	faults, err = expect.Check(ctx, engine, e.tables, e.planned, e.of(stage, of))
	for i := range faults {
		for k, q := range e.asked {
			if f := &faults[i]; f.Part == expect.InSQL && of[k] != stage && strings.Contains(strings.ToLower(f.Msg), " name "+strings.ToLower(q.Name)+" ") {
				f.Msg += fmt.Sprintf("; the query %s is asked of %s and this one of %s: a query sees those of its own stage", q.Name, of[k], stage)
			}
		}
	}
	return faults, err
}

// A Wanted is what a query must give, before anything is sent.
type Wanted struct{ Name, Equals, Value string }

// Wants lists what the scenario's queries must give on a plan's records.
func (j *Job) Wants(plan *generate.Plan) ([]Wanted, error) {
	e, err := j.expectations(plan)
	if err != nil {
		return nil, err
	}
	list := make([]Wanted, 0, len(e.asked))
	for _, q := range e.asked {
		value, err := q.Want(e.planned)
		if err != nil {
			return nil, err
		}
		list = append(list, Wanted{q.Name, q.Equals.String(), value})
	}
	return list, nil
}

// A Finding is an expectation judged. Explained is set for the counts that are
// checked without anyone asking.
type Finding struct {
	expect.Finding
	Stage     string // whose rows it is about
	Asked     bool   // by the scenario
	Explained *Explained
}

// Explained says which part of a count's difference the stage's account
// explains. What it does not explain is a finding of its own.
type Explained struct{ Missing, Duplicates, Mutated, Unexplained int64 }

// inquiry judges the expectations that are about the rows of one stage.
type inquiry struct {
	*expectations // those asked of the stage only
	stage         string
	counts        bool // what is checked without anyone asking is judged too
	plan          *generate.Plan
	engine        expect.Engine
	loader        expect.Loader
	notes         []string
}

// inquire opens the engine in dir and makes the tables that feed fills.
func inquire(ctx context.Context, res *Result, stage string, open OpenEngine, dir string) (*inquiry, error) {
	e, err := res.Job.expectations(res.Plan)
	if err != nil {
		return nil, err
	}
	e.asked = e.of(stage, res.asked.of)
	q := &inquiry{expectations: e, stage: stage, counts: stage == res.asked.usual, plan: res.Plan}
	if q.engine, err = open(ctx, dir); err != nil {
		return nil, err
	}
	tables := slices.Clone(e.tables)
	for i, said := 0, res.Job.stage(stage); i < len(tables); i++ {
		tables[i].Cells = said.CSV && said.Payload == ""
	}
	if q.loader, err = q.engine.Load(ctx, expect.Delivered, tables); err != nil {
		return nil, errors.Join(err, q.engine.Close())
	}
	return q, nil
}

// feed takes a row that is one of the run's records, intact or not.
func (q *inquiry) feed(user, event uint32, row []byte) error {
	return q.loader.Add(q.plan.LogType(q.plan.ID(user, event)), row)
}

// judge is called when all rows have been fed.
func (q *inquiry) judge(ctx context.Context, tally account.Tally) ([]Finding, error) {
	misfits, err := q.loader.Close(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range misfits {
		where, became := m.LogType+"."+m.Column, "are NULL"
		if m.Column == "" { // of the row as a whole
			where, became = m.LogType, "are not there"
		}
		q.notes = append(q.notes, fmt.Sprintf("%s: %s: %d values did not fit and %s in SQL, such as %s: %s", q.stage, where, m.Count, became, m.Example, m.Reason))
	}
	if expect.NeedOracle(q.asked) {
		if err := q.loadExpected(ctx); err != nil {
			return nil, err
		}
	}
	var counts []expect.Expectation
	if q.counts {
		counts = q.planned.Automatic(q.tables)
	}
	judged, err := expect.Judge(ctx, q.engine, q.planned, append(q.asked, counts...))
	if err != nil {
		return nil, err
	}
	findings := make([]Finding, len(judged))
	for i, f := range judged {
		findings[i] = Finding{Finding: f, Stage: q.stage, Asked: i < len(q.asked)}
	}
	for _, l := range tally.LogTypes {
		for i := range findings[len(q.asked):] {
			if f := &findings[len(q.asked)+i]; f.Name == expect.CountName(l.Name) {
				f.explain(l)
			}
		}
	}
	return findings, nil
}

// loadExpected regenerates every record of the run.
func (q *inquiry) loadExpected(ctx context.Context) error {
	loader, err := q.engine.Load(ctx, expect.Expected, q.tables)
	if err != nil {
		return err
	}
	for r := range q.plan.Records(generate.Slice{}) {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), closeLoader(context.WithoutCancel(ctx), loader))
		}
		if err := loader.Add(q.plan.LogType(r.ID), bytes.TrimSuffix(r.Data, []byte("\n"))); err != nil {
			return errors.Join(err, closeLoader(ctx, loader))
		}
	}
	return closeLoader(ctx, loader)
}

func closeLoader(ctx context.Context, l expect.Loader) error {
	_, err := l.Close(ctx)
	return err
}

// explain holds a count against the account of its log type. The account's own
// differences are judged as delivery; a count fails by what they leave open.
func (f *Finding) explain(l account.LogType) {
	var want, got int64
	if _, err := fmt.Sscan(f.Want, &want); err != nil {
		return
	}
	if _, err := fmt.Sscan(f.Got, &got); err != nil {
		return
	}
	e := Explained{Missing: int64(l.Planned - l.Delivered - l.Mutated), Duplicates: int64(l.Duplicates)}
	e.Unexplained = got - (want - e.Missing + e.Duplicates)
	f.Explained = &e
	f.Verdict, f.Reason = expect.Pass, ""
	if e.Unexplained != 0 {
		f.Verdict, f.Reason = expect.Fail, fmt.Sprintf("off by %d rows that the account of the stage does not explain", e.Unexplained)
	}
}

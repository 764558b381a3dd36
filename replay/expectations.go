package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"

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
func (j *Job) CheckQueries(ctx context.Context, open OpenEngine) (err error) {
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
	engine, err := open(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	faults, err := expect.Check(ctx, engine, e.tables, e.planned, e.asked)
	if err != nil {
		return err
	}
	return expect.Places(faults, j.Scenario.Expect.Queries).Err()
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
	Explained *Explained
}

// Explained says which part of a count's difference the stage's account
// explains. What it does not explain is a finding of its own.
type Explained struct{ Missing, Duplicates, Mutated, Unexplained int64 }

// inquiry judges a job's expectations over the rows of one stage.
type inquiry struct {
	*expectations
	plan   *generate.Plan
	engine expect.Engine
	loader expect.Loader
	notes  []string
}

// inquire opens the engine in dir and makes the tables that feed fills.
func inquire(ctx context.Context, res *Result, open OpenEngine, dir string) (*inquiry, error) {
	e, err := res.Job.expectations(res.Plan)
	if err != nil {
		return nil, err
	}
	q := &inquiry{expectations: e, plan: res.Plan}
	if q.engine, err = open(ctx, dir); err != nil {
		return nil, err
	}
	if q.loader, err = q.engine.Load(ctx, expect.Delivered, e.tables); err != nil {
		return nil, errors.Join(err, q.engine.Close())
	}
	return q, nil
}

// feed takes a row that is one of the run's records, intact or not.
func (q *inquiry) feed(m generate.Match, row []byte) error {
	return q.loader.Add(q.plan.LogType(q.plan.ID(m.User, m.Event)), row)
}

// judge is called when all rows have been fed.
func (q *inquiry) judge(ctx context.Context, tally account.Tally) ([]Finding, error) {
	misfits, err := q.loader.Close(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range misfits {
		q.notes = append(q.notes, fmt.Sprintf("%s.%s: %d values did not fit and are NULL in SQL, such as %s: %s", m.LogType, m.Column, m.Count, m.Example, m.Reason))
	}
	if expect.NeedOracle(q.asked) {
		if err := q.loadExpected(ctx); err != nil {
			return nil, err
		}
	}
	counts := q.planned.Automatic(q.tables)
	judged, err := expect.Judge(ctx, q.engine, q.planned, append(q.asked, counts...))
	if err != nil {
		return nil, err
	}
	findings := make([]Finding, len(judged))
	for i, f := range judged {
		findings[i].Finding = f
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

// judgedStage is the stage whose rows are the tables of expectations.
const judgedStage = "raw"

// inquire makes the tables of the stage whose rows expectations are about, in
// place of those of before.
func (v *verifier) inquire(ctx context.Context) error {
	if v.stage.Name != judgedStage {
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
		v.res.Unjudged = "no SQL engine was asked"
		return nil
	case n > 0:
		v.res.Unjudged = fmt.Sprintf("%d of %d workers are absent, and they are about the whole run", n, len(v.res.Ledger.Workers))
		return nil
	}
	var err error
	v.res.Unjudged = ""
	v.ask, err = inquire(ctx, v.res, open, v.cfg.Dir)
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

// judge judges expectations over the stage's rows, if they are about them.
func (v *verifier) judge(ctx context.Context) (err error) {
	switch {
	case v.ask == nil:
		return nil
	case v.unread():
		v.res.Unjudged = "the stage could not be read"
		return nil
	}
	if v.res.Findings, err = v.ask.judge(ctx, v.stage.Tally); err != nil {
		return err
	}
	v.res.Notes = append(v.res.Notes, v.ask.notes...)
	v.doubt()
	return nil
}

// doubt takes back failures that rows which are not there yet, or never were
// sent, may have made: law 5.
func (v *verifier) doubt() {
	t := v.stage.Tally
	absent := t.InFlight + t.Undecided + t.Absent
	if absent == 0 {
		return
	}
	for i := range v.res.Findings {
		if f := &v.res.Findings[i]; f.Verdict == expect.Fail {
			f.Verdict = expect.Inconclusive
			f.Reason += fmt.Sprintf("; but %d records are in flight, undecided or were never stored", absent)
		}
	}
}

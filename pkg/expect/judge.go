package expect

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Verdict is what an expectation proves.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive" // the engine could not work
)

// A Finding is an expectation judged. Want and Got are written exactly; of a
// table, they are the first rows that differ.
type Finding struct {
	Name, Owner, SQL, Tolerance string
	Want, Got                   string
	Verdict                     Verdict
	Reason                      string  // why not pass
	Seconds                     float64 // of the query over what was delivered
}

// Judge runs the expectations in order over loaded sets; Expected is needed
// where [NeedOracle] says so. A query that fails, or takes longer than it may, fails
// its expectation and not the others. The error is the ctx's.
func Judge(ctx context.Context, engine Engine, facts Facts, list []Expectation) ([]Finding, error) {
	j := judge{engine: engine, facts: facts}
	for i, e := range list {
		// Later queries may ask for this one's table in either set.
		j.oracle = NeedOracle(list[i:])
		f, err := j.one(ctx, e)
		if err != nil {
			return nil, err
		}
		j.findings = append(j.findings, f)
	}
	return j.findings, nil
}

// NeedOracle says whether any expectation compares with the regenerated records.
func NeedOracle(list []Expectation) bool {
	for _, e := range list {
		if e.Equals.Oracle() {
			return true
		}
	}
	return false
}

type judge struct {
	engine   Engine
	facts    Facts
	oracle   bool
	findings []Finding
}

var errTooLong = errors.New("the query took longer than it may")

func (j *judge) one(ctx context.Context, e Expectation) (Finding, error) {
	f := Finding{Name: e.Name, Owner: e.Owner, SQL: e.SQL, Tolerance: e.toleranceText(), Verdict: Pass}
	started := time.Now()
	got, err := j.timed(ctx, e)
	f.Seconds = time.Since(started).Seconds()
	var want Result
	var wantErr error
	if j.oracle {
		want, wantErr = j.engine.Query(ctx, Expected, e.Name, e.SQL)
	}
	if ctx.Err() != nil {
		return f, context.Cause(ctx)
	}
	if errors.Is(err, errTooLong) {
		err = fmt.Errorf("stopped after max_seconds %g: it took longer than it may", e.Max.Seconds())
	}
	if e.Equals.Oracle() && err == nil && wantErr != nil {
		err = fmt.Errorf("over the regenerated records: %w", wantErr)
	}
	switch {
	case err != nil:
		f.Verdict, f.Reason, f.Want = Fail, err.Error(), e.Equals.String()
		if errors.Is(err, ErrEngine) {
			f.Verdict = Inconclusive
		}
	case e.Equals.Oracle():
		f.compare(got, want, e)
	default:
		f.single(got, e, j.facts)
	}
	return f, nil
}

// timed runs the query within max_seconds.
func (j *judge) timed(ctx context.Context, e Expectation) (Result, error) {
	if e.Max > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, e.Max, errTooLong)
		defer stop()
	}
	return j.engine.Query(ctx, Delivered, e.Name, e.SQL)
}

// fail notes the first reason.
func (f *Finding) fail(format string, args ...any) {
	if f.Verdict == Pass {
		f.Verdict, f.Reason = Fail, fmt.Sprintf(format, args...)
	}
}

// single judges against a formula or a literal.
func (f *Finding) single(got Result, e Expectation, facts Facts) {
	f.Want, f.Got = e.Equals.String(), tableText(got.Rows)
	if len(got.Rows) != 1 || len(got.Columns) != 1 {
		f.fail("%s is one value, but the query returned %s", e.Equals, sizeOf(got))
		return
	}
	v := got.Rows[0][0]
	if literal := e.Equals.literal; literal != nil {
		f.Want = literal.String()
		if v != *literal {
			f.fail("got %s, a value of type %s", v, got.Columns[0].Type)
		}
		return
	}
	want, err := e.Equals.formula.Eval(facts)
	if err != nil {
		f.fail("equals: %v", err)
		return
	}
	f.Want = exactText(want)
	t := e.tolerance(got.Columns[0].Name)
	f.Tolerance = t.String()
	switch n, ok := v.number(); {
	case v.Kind == Null:
		f.fail("the query returned NULL: no row, or no value in any, came into it")
	case !ok:
		f.fail("%s is no number (%s)", v, got.Columns[0].Type)
	case !v.within(want, t):
		f.fail("off by %s", exactText(n.Sub(n, want)))
	}
}

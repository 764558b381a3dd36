package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/object"
	"kreplay/pkg/scenario"
)

// errorStage holds what the pipeline could not deliver.
const errorStage = "dlq"

// judged lists the stages in the order in which they are judged: the error
// stage first, because the others have to know which records it holds; then
// those that records come through, in that order; then the others, which nobody
// knows the place of.
func judged(stages map[string]string) (names []string) {
	for _, name := range append([]string{errorStage}, way...) {
		if _, ok := stages[name]; ok {
			names = append(names, name)
		}
	}
	for _, name := range sortedKeys(stages) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// within returns the prefixes of keys below which, in a stage, another one lies:
// Firehose writes error records into the bucket that it delivers to.
func within(stages map[string]string, name string) (prefixes []string) {
	for _, other := range sortedKeys(stages) {
		below, ok := strings.CutPrefix(stages[other], strings.TrimSuffix(stages[name], "/")+"/")
		if below = strings.Trim(below, "/"); ok && below != "" {
			prefixes = append(prefixes, below+"/")
		}
	}
	return prefixes
}

// since is when what holds records of the run can have come at the earliest:
// what was there before is another run's.
func (v *verifier) since() time.Time {
	began := v.res.Ledger.Manifest.Started
	if v.stage.Name == errorStage {
		return began.Truncate(time.Second) // S3 tells no finer time
	}
	return began.Add(-clockSkew)
}

// readErrors names the records that one object of the error stage holds, and says
// whether any is of this run, or may be.
func (v *verifier) readErrors(ctx context.Context, info object.Info) (ours bool, err error) {
	r := &errorReader{v: v, info: info}
	err = r.read(ctx)
	return r.ours, err
}

// countErrors sums up what was read of the error stage.
func (v *verifier) countErrors() {
	n, t := v.errs.load(), &v.stage.Tally
	v.stage.Errors = int(n.Objects)
	t.Rejected, t.Strangers, t.Foreign, t.Damaged = n.Rejected, n.Strangers, n.Foreign, n.Damaged
	t.Rows = t.Rejected + t.Strangers + t.Foreign
}

// errorFound is what there is in an error stage.
type errorFound struct{ Objects, Rejected, Strangers, Foreign, Damaged uint64 }

// errorCounts is an errorFound that is counted by many.
type errorCounts struct{ objects, rejected, strangers, foreign, damaged atomic.Uint64 }

func (c *errorCounts) load() errorFound {
	return errorFound{c.objects.Load(), c.rejected.Load(), c.strangers.Load(), c.foreign.Load(), c.damaged.Load()}
}

func (c *errorCounts) store(n errorFound) {
	c.objects.Store(n.Objects)
	c.rejected.Store(n.Rejected)
	c.strangers.Store(n.Strangers)
	c.foreign.Store(n.Foreign)
	c.damaged.Store(n.Damaged)
}

// errorReader reads one object of the error stage.
type errorReader struct {
	v       *verifier
	info    object.Info
	scratch generate.Scratch
	ours    bool // it holds a record of this run, or what may be one
}

// read names each record of this run that the object holds. An object of other
// producers' error records only is none of our business; one that holds
// anything that cannot be told is named as a whole.
func (r *errorReader) read(ctx context.Context) error {
	untold := false
	_, err := lake.Rejections(ctx, r.v.store, r.info.Key, func(x lake.Rejection) error {
		m := r.v.res.Plan.Identify(x.Data, &r.scratch)
		if m.Kind == generate.Foreign {
			r.v.errs.foreign.Add(1)
			untold = untold || !x.Wrapped
			return nil
		}
		return r.record(m, x)
	}, func(d lake.Damage) error {
		r.ours = true
		r.v.errs.damaged.Add(1)
		return r.v.found.add(damaged(d, ""))
	})
	if untold && !r.ours {
		r.ours = true
		err = firstError(err, r.v.found.add(account.Difference{
			Kind: account.KindRejected, Object: r.info.Key, Detail: fmt.Sprintf("%d bytes in the error stage, not as Firehose writes error records", r.info.Size),
		}))
	}
	if r.ours {
		r.v.errs.objects.Add(1)
	}
	return err
}

// record names a record of this run.
func (r *errorReader) record(m generate.Match, x lake.Rejection) error {
	d := account.Difference{Kind: account.KindStranger, Object: x.Object, Offset: x.Offset, Detail: why(x)}
	switch m.Kind {
	case generate.Stranger:
		r.v.errs.strangers.Add(1)
		d.Detail += "; " + m.Detail
	default:
		r.v.errs.rejected.Add(1)
		r.v.rejects.See(m)
		d.Kind, d.ID = account.KindRejected, r.v.res.Plan.ID(m.User, m.Event)
		d.LogType = r.v.res.Plan.LogType(d.ID)
		if !m.Intact {
			d.Detail += "; changed: " + m.Detail
		}
	}
	r.ours = true
	return r.v.found.add(d)
}

// mostDetail is how many bytes of an error message are listed.
const mostDetail = 300

// why is what an error record says of its reason.
func why(x lake.Rejection) string {
	switch {
	case x.Code == "" && x.Message == "":
		return "in the error stage, without a reason"
	case len(x.Message) > mostDetail:
		x.Message = x.Message[:mostDetail] + "…"
	}
	return x.Code + ": " + x.Message
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// expectedEmpty says whether the scenario expects a stage to hold nothing.
func (j *Job) expectedEmpty(stage string) bool {
	return slices.ContainsFunc(j.Scenario.Stages, func(s scenario.Stage) bool { return s.Name == stage && s.Empty })
}

package replay

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
)

// An unreadable span is held against the run only if it can concern it:
//   - one that holds an id of the run is damage, and says whose;
//   - what was not seen, because compression broke or the format is not read, is
//     damage: whose it was nobody can tell, and the run's may be in it;
//   - any other one is foreign: counted, never in the way.
//
// Nothing is hidden by that: a record whose damage left no id is missing.

// ForeignSpans are the unreadable spans of a stage that hold nothing of the run.
// None of their bytes is kept: they are others', and may be private.
type ForeignSpans struct {
	Spans, Bytes uint64
	Samples      []ForeignSpan // the first by object and offset
}

// A ForeignSpan says where one is.
type ForeignSpan struct {
	Object         string
	Offset, Length int64
	Reason         string // why it cannot be read
}

// maxForeign is how many are named.
const maxForeign = 5

// foreignSpans is a ForeignSpans that is counted by many.
type foreignSpans struct {
	mu sync.Mutex
	n  ForeignSpans
}

func (f *foreignSpans) add(d lake.Damage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n.Spans++
	f.n.Bytes += uint64(d.Length)
	one := ForeignSpan{d.Object, d.Offset, d.Length, d.Reason}
	at, _ := slices.BinarySearchFunc(f.n.Samples, one, func(a, b ForeignSpan) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Offset, b.Offset))
	})
	f.n.Samples = slices.Insert(f.n.Samples, at, one)
	f.n.Samples = f.n.Samples[:min(len(f.n.Samples), maxForeign)]
}

func (f *foreignSpans) load() ForeignSpans {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.n
	n.Samples = slices.Clone(n.Samples)
	return n
}

func (f *foreignSpans) store(n ForeignSpans) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n = n
}

// owner tells of the unreadable spans of one object whose they are.
type owner struct {
	plan   *generate.Plan
	where  generate.Traces
	tracer *generate.Tracer // made when there is such a span
	row    []byte           // that holds the span, where rows are wrapped
}

// owner returns one for an object of a stage.
func (r *Result) owner(stage string) *owner {
	said := r.Job.stage(stage)
	return &owner{plan: r.Plan, where: generate.Traces{Cells: r.Job.format(stage) == lake.CSV, Base64: said.Payload != "" && said.Base64}}
}

// unread looks at bytes of a span; see lake.Sweep.
func (o *owner) unread(part []byte) {
	if o.tracer == nil {
		o.tracer = o.plan.Tracer(o.where)
	}
	o.tracer.Look(part)
}

// within makes row, whose rows are wrapped, tell whose the spans in it are.
func (o *owner) within(row func(lake.Row) error) func(lake.Row) error {
	return func(r lake.Row) error {
		o.row = r.Data
		defer func() { o.row = nil }()
		return row(r)
	}
}

// of says whether a span is foreign, and what it holds of the run, if that is known.
func (o *owner) of(d lake.Damage) (foreign bool, whose string) {
	if d.Blind {
		return false, ""
	}
	if o.row != nil {
		o.unread(o.row)
	}
	if o.tracer == nil {
		return true, ""
	}
	trace, ok := o.tracer.End()
	if !ok {
		return true, ""
	}
	return false, fmt.Sprintf("; before byte %d stands %s", d.Offset+trace.At, trace)
}

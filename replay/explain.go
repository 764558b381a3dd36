package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
	"kreplay/pkg/template"
)

// ErrID is wrapped when an id names no record of the run directory.
var ErrID = errors.New("no such record")

// ExplainConfig says which record of which run to explain.
type ExplainConfig struct {
	Dir     string            // run directory
	Copy    bool              // Dir was fetched from a copy, which may lag behind the run; see Fetch
	ID      string            // as in differences.ndjson
	Stages  map[string]string // where the stages lie; nil: as the manifest says
	Quiet   time.Duration     // a stage has settled when nothing new came for this long; 0: as the scenario says
	Workers int               // objects read at a time; 0: 2
	Observe func(Progress)
	Open    func(ctx context.Context, path string) (object.Store, io.Closer, error) // nil: every path is a directory
	Tail    func(context.Context, Tailing) (stream.Tail, io.Closer, error)          // nil: the stage stream cannot be read
}

// A Life is all that is known of one planned record. Its JSON keys are stable.
type Life struct {
	ID       string      `json:"id"`
	Run      string      `json:"run"`
	Scenario string      `json:"scenario"`
	Planned  PlannedLife `json:"planned"`
	Ledger   LedgerLife  `json:"ledger"`
	Stages   []StageLife `json:"stages"`
}

// PlannedLife is what the plan says of a record.
type PlannedLife struct {
	LogType      string     `json:"log_type"`
	Cohort       string     `json:"cohort"`
	User         uint32     `json:"user"`
	UserID       []IDField  `json:"user_id"` // fields of the record that hold the user's id
	Event        uint32     `json:"event"`
	Events       int        `json:"events"` // of the user
	Copy         uint16     `json:"copy,omitempty"`
	EventTime    *time.Time `json:"event_time,omitempty"`
	DueMS        *int64     `json:"due_ms,omitempty"` // since the schedule began; nil: there is no schedule
	Stream       string     `json:"stream"`           // that it goes to
	PartitionKey string     `json:"partition_key"`
	Data         string     `json:"data"`  // as it was sent
	Alike        int        `json:"alike"` // planned records with these bytes, this one included
}

// An IDField is a field that names the record's user.
type IDField struct {
	Path  string `json:"path"`
	Value string `json:"value"` // as it stands in the JSON text
}

// LedgerLife is what the ledger knows of a record.
type LedgerLife struct {
	Seq      uint64 `json:"seq"`
	Of       uint64 `json:"of"` // records of this run directory
	Fate     string `json:"fate"`
	Unknowns uint32 `json:"unknown_attempts"`
	Code     string `json:"last_code,omitempty"`
	// Sent is when the request began that carried it: of its first acked attempt, else
	// of its last unknown one; by the stream's clock where that is surely ahead of the
	// sender's by SenderBehindMS. nil: there was neither.
	Sent           *time.Time `json:"sent,omitempty"`
	SenderBehindMS int64      `json:"sender_behind_ms,omitempty"`
	// InWindow: it was in flight when the run broke off, or, in a copy of a run
	// directory without its end, may have been sent since.
	InWindow bool `json:"in_window"`
}

// StageLife is what a stage holds of a record.
type StageLife struct {
	Name    string    `json:"name"`
	Path    string    `json:"path"`
	State   string    `json:"state,omitempty"` // empty: not known, as for records alike or a stage that could not be read
	Err     string    `json:"error,omitempty"`
	Objects int       `json:"objects"` // read
	Older   int       `json:"older"`   // not read: they were there before the run began
	Damaged int       `json:"damaged"` // unreadable spans, in any of which the record may be; foreign ones are left out
	Alike   int       `json:"alike"`   // planned records that a row cannot tell from it in this stage, itself included
	Rows    []RowLife `json:"rows"`
	More    int       `json:"more_rows"` // beyond MaxRows
}

// A RowLife is one row of a record.
type RowLife struct {
	Object    string            `json:"object"`
	Offset    int64             `json:"offset"`             // in decompressed bytes; of a Parquet file, the row's number
	Sequence  string            `json:"sequence,omitempty"` // of a row of the stream; its object is stream/shard
	Bytes     int               `json:"bytes"`
	Modified  time.Time         `json:"modified"`         // of the object; of a row of the stream: when it arrived
	LagMS     *int64            `json:"lag_ms,omitempty"` // until then, from being sent; nil: not known, or the row may be of a record alike
	Intact    bool              `json:"intact"`
	Misplaced bool              `json:"misplaced"`
	Reason    string            `json:"reason,omitempty"` // of a rejected row
	Changes   []generate.Change `json:"changes,omitempty"`
}

// MaxRows bounds how many rows of a record are named in one stage.
const MaxRows = 1000

// Explain tells one record's life. An id that names no record of the run
// directory is [ErrID]; a stage that cannot be read is told in its StageLife.
func Explain(ctx context.Context, cfg ExplainConfig) (*Life, error) {
	if cfg.Open == nil {
		cfg.Open = openDir
	}
	id, err := record.ParseID(cfg.ID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; ids stand in %s", ErrID, err, differencesFile)
	}
	res, err := open([]string{cfg.Dir}, cfg.Copy)
	if err != nil {
		return nil, err
	}
	led, err := whose(res, id)
	if err != nil {
		return nil, err
	}
	e := &explainer{cfg: cfg, res: res, id: id}
	if err := e.find(ctx, led); err != nil {
		return nil, err
	}
	stages := cfg.Stages
	if stages == nil {
		stages = res.Ledger.Manifest.Stages
	}
	e.life.Stages = []StageLife{}
	names := judged(stages)
	for _, name := range names {
		s, err := e.stage(ctx, name, stages)
		if err != nil {
			return nil, err
		}
		e.rejected = e.rejected || name == errorStage && len(s.Rows) > 0
		e.life.Stages = append(e.life.Stages, s)
	}
	if len(names) > 0 && names[0] == errorStage { // told last, as verify does
		e.life.Stages = append(e.life.Stages[1:], e.life.Stages[0])
	}
	return &e.life, nil
}

// whose is the ledger of the worker that sends a record, or says why the id names
// no record of this run directory.
func whose(res *Result, id record.ID) (*ledger.Account, error) {
	p := res.Plan
	fault := func(format string, args ...any) (*ledger.Account, error) {
		return nil, fmt.Errorf("replay: %s: %w: %s", id, ErrID, fmt.Sprintf(format, args...))
	}
	if id.Run != p.Tag {
		return fault("it is of run tag %08x, this run's is %08x: give the run directory in whose %s it stands", uint32(id.Run), uint32(p.Tag), differencesFile)
	}
	if uint64(id.User) >= p.Users {
		return fault("the run has users 0 to %d", p.Users-1)
	}
	if c := p.Cohort(id.User); int(id.Event) >= c.Events {
		return fault("user %d is of cohort %s and has events 0 to %d", id.User, c.Name, c.Events-1)
	}
	led := res.Ledger.of(p, id.User)
	if led == nil {
		of := uint64(len(res.Ledger.Workers))
		return fault("user %d is worker %d's of %d, whose run directory is not here: give that", id.User, p.WorkerOf(id.User, of), of)
	}
	return led, nil
}

type explainer struct {
	cfg  ExplainConfig
	res  *Result
	id   record.ID
	life Life

	rejected bool // the error stage holds it
}

// find tells what the plan and the ledger know.
func (e *explainer) find(ctx context.Context, led *ledger.Account) error {
	plan, w := e.res.Plan, led.Manifest.Worker
	var steps atomic.Uint64
	stop := watch(ctx, e.cfg.Observe, func() Progress {
		return Progress{Phase: PhasePlan, Done: steps.Load(), Total: led.Manifest.Planned}
	})
	r, ok := plan.Find(generate.Slice{Index: w.Index, Of: w.Of}, e.id, func(n uint64) bool { steps.Store(n); return ctx.Err() == nil })
	if ok {
		steps.Store(led.Manifest.Planned) // no more is asked for
	}
	stop()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !ok: // the id is sound but for its copy
		return fmt.Errorf("replay: %s: %w: the record has no copy %d: take /%d off the id for the record itself", e.id, ErrID, e.id.Copy, e.id.Copy)
	}
	e.life = Life{
		ID: e.id.String(), Run: led.Manifest.Run, Scenario: led.Manifest.Scenario,
		Planned: planned(plan, r), Ledger: known(led, r.Seq),
	}
	if err := e.sent(led); err != nil {
		return err
	}
	e.life.Planned.Stream, _ = scenario.StreamOf(led.Manifest.Stream, e.life.Planned.LogType) // it was one when the run began
	return nil
}

// sent tells when the record was sent.
func (e *explainer) sent(led *ledger.Account) error {
	list := []ledger.Sent{{Seq: e.life.Ledger.Seq}}
	if err := led.Times(list); err != nil || list[0].At == 0 {
		return err
	}
	behind := e.res.clocks[slices.Index(e.res.Ledger.Workers, led)].Correction()
	at := led.Manifest.Started.Add(behind + time.Duration(list[0].At-1)*time.Millisecond).UTC().Truncate(time.Millisecond)
	e.life.Ledger.Sent, e.life.Ledger.SenderBehindMS = &at, behind.Milliseconds()
	return nil
}

func planned(p *generate.Plan, r record.Record) PlannedLife {
	c := p.Cohort(r.ID.User)
	l := PlannedLife{
		LogType: p.LogType(r.ID), Cohort: c.Name, User: r.ID.User, UserID: []IDField{}, Event: r.ID.Event, Events: c.Events, Copy: r.ID.Copy,
		PartitionKey: r.PartitionKey, Data: string(r.Data), Alike: p.Multiplicity(r.ID.User, uint32(c.Program.Class[r.ID.Event])),
	}
	_ = template.Walk(r.Data, func(f template.Field) error { // what we rendered, and as far as it can be read
		if c.Program.UserKeys[string(f.Key)] {
			l.UserID = append(l.UserID, IDField{f.Path(), string(r.Data[f.Start:f.End])})
		}
		return nil
	})
	if event := c.Program.Events[r.ID.Event]; event.HasTime {
		t := time.Unix(0, event.Time).UTC().Add(time.Duration(p.Values(r.ID.User).Shift) * time.Second)
		l.EventTime = &t
	}
	if p.Paced() {
		ms := r.Due.Milliseconds()
		l.DueMS = &ms
	}
	return l
}

func known(led *ledger.Account, seq uint64) LedgerLife {
	l := LedgerLife{Seq: seq, Of: led.Manifest.Planned, Fate: record.Unsent.String()}
	for s := range led.Fates() {
		if seq < s.First+s.Count {
			l.Fate, l.Unknowns, l.Code = s.Fate.String(), s.Unknowns, s.Code
			l.InWindow = s.Code == ledger.CodeCrash
			break
		}
	}
	return l
}

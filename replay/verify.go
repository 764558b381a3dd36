package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
)

// VerifyConfig says which run is accounted for and how long to wait for it.
type VerifyConfig struct {
	Dir     string                // run directory; the list of differences is left in it
	Runs    []string              // the run directories of one run's workers, or folders that hold them; nil: Dir
	Copy    bool                  // they were fetched from a copy, which may lag behind the run; see Fetch
	Stages  map[string]string     // where the stages lie; nil: as the manifest says
	Quiet   time.Duration         // a stage has settled when nothing new came for this long; 0: as the scenario says
	Max     time.Duration         // no longer than this; 0: as the scenario says
	Workers int                   // objects read at a time; 0: 2
	Samples int                   // differences kept in the result; 0: 100
	Engine  func(*Job) OpenEngine // judges expectations; nil, or nil for a job: they are not judged
	Observe func(Progress)

	// Open opens the place where a stage lies; the closer is called when the
	// stage has been read. nil: every path is a directory.
	Open func(ctx context.Context, path string) (object.Store, io.Closer, error)
}

// A Result is what verify found.
type Result struct {
	Ledger *Ledgers
	Stats  *Stats // what the pushes measured; nil: one of them was killed
	Job    *Job
	Plan   *generate.Plan
	Stages []Stage
	// Findings are the expectations judged, the scenario's first. They are empty
	// where Verify had no engine, or a share of the run only.
	Findings []Finding
	Notes    []string // what people should know of the rows that SQL saw
	Unjudged string   // why the scenario's expectations were not judged; empty: they were
	Samples  []Named  // the first differences; all of them are in differences.ndjson
	Total    uint64   // differences
}

// A Stage is the account of one stage.
type Stage struct {
	Name    string
	Path    string
	Objects int
	Bytes   int64 // as stored
	Settled bool
	Err     error // set when the stage could not be read: nothing is proven about it
	Tally   account.Tally
	Errors  int // of an error stage: objects that came since the run began, but those of other producers' records only

	Partitioned bool   // the scenario says where records belong
	Misplaced   uint64 // rows of planned records in objects that lie elsewhere
}

// Named is a difference of a stage.
type Named struct {
	Stage string
	account.Difference
}

// defaultWorkers read at a time where nothing else is said.
const defaultWorkers = 2

const differencesFile = "differences.ndjson"

// Verify accounts for a run: all of it, with what workers sent whose run
// directories are not there. It writes nothing but the list of differences and
// may be repeated.
func Verify(ctx context.Context, cfg VerifyConfig) (*Result, error) {
	if cfg.Open == nil {
		cfg.Open = openDir
	}
	if cfg.Runs == nil {
		cfg.Runs = []string{cfg.Dir}
	}
	res, err := open(cfg.Runs, cfg.Copy)
	if err != nil {
		return nil, err
	}
	stages := cfg.Stages
	if stages == nil {
		stages = res.Ledger.Manifest.Stages
	}
	if len(stages) == 0 {
		return nil, errors.New("replay: the run names no stage to verify; give the lake's folder with --stage raw=DIR, or stages in the scenario")
	}
	list, err := newDifferences(filepath.Join(cfg.Dir, differencesFile), cfg.Samples)
	if err != nil {
		return nil, err
	}
	rejects := account.NewRejects(res.Plan)
	for _, name := range judged(stages) {
		v := &verifier{cfg: cfg, res: res, list: list, stage: Stage{Name: name, Path: stages[name]}, within: within(stages, name)}
		v.rejects = rejects
		if p := res.Job.partition(name); p != "" {
			v.stage.Partitioned, v.place = true, newPartition(p)
		}
		account := v.judged
		if name == errorStage {
			account = v.errors
		}
		if err := account(ctx); err != nil {
			return nil, errors.Join(err, list.close())
		}
		res.Stages = append(res.Stages, v.stage)
	}
	if res.Stages[0].Name == errorStage { // judged first, told last
		res.Stages = append(res.Stages[1:], res.Stages[0])
	}
	res.Samples, res.Total = list.samples, list.total
	return res, list.close()
}

func openDir(_ context.Context, path string) (object.Store, io.Closer, error) {
	s, err := dir.Open(path)
	return s, s, err
}

// open reads run directories, or copies of them, and regenerates their plan.
func open(runs []string, isCopy bool) (*Result, error) {
	read := ledger.Open
	if isCopy {
		read = ledger.OpenCopy
	}
	dirs, err := runDirs(runs)
	if err != nil {
		return nil, err
	}
	led, err := gather(dirs, read)
	if err != nil {
		return nil, err
	}
	m := led.Manifest
	job, err := reopen(dirs[0], m.ScenarioFile, m.Set)
	if err != nil {
		return nil, err
	}
	plan, err := job.Plan(generate.Run{ID: m.Run, Anchor: m.Anchor})
	if err != nil {
		return nil, err
	}
	if got := fmt.Sprintf("%x", plan.Digest); got != m.Digest || plan.Tag != m.Tag {
		return nil, fmt.Errorf("replay: %s: the scenario snapshot has digest %.12s, but %.12s was sent: it was edited, or another version of kreplay wrote it",
			filepath.Join(dirs[0], snapshotDir), got, m.Digest)
	}
	if err := led.complete(plan); err != nil {
		return nil, err
	}
	stats, err := readStats(dirs)
	if err != nil {
		return nil, err
	}
	return &Result{Ledger: led, Stats: stats, Job: job, Plan: plan}, nil
}

// verifier accounts for one stage.
type verifier struct {
	cfg   VerifyConfig
	res   *Result
	list  *differences
	stage Stage

	within  []string         // prefixes of keys that are another stage's
	rejects *account.Rejects // shared: written by the error stage, then read by the others

	store object.Store
	ask   *inquiry // nil: nobody asks this stage
	place partition
	away  atomic.Uint64 // misplaced rows
	read  atomic.Int64
	size  int64
}

func (v *verifier) run(ctx context.Context) error {
	store, closer, err := v.cfg.Open(ctx, v.stage.Path)
	if err == nil {
		defer func() { _ = closer.Close() }()
		v.store = store
		err = v.settle(ctx)
	}
	acc := account.New(v.res.Plan)
	acc.Rejects = v.rejects
	if err == nil {
		err = v.scan(ctx, acc)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// A stage that cannot be read proves nothing: law 5.
	v.stage.Err = err
	v.stage.Misplaced = v.away.Load()
	settled := v.stage.Settled && err == nil
	missing, most := uint64(0), v.res.Job.Scenario.Guard.Missing
	v.res.Ledger.look(acc)
	v.stage.Tally, err = acc.Settle(v.res.Ledger.fates(), settled, func(d account.Difference) error {
		if d.Kind == account.KindMissing {
			missing++
		}
		if most > 0 && missing > most {
			return fmt.Errorf("%w: %s: more than %d records are missing (guard.missing); those found so far are in %s", ErrGuard, v.stage.Name, most, differencesFile)
		}
		return v.list.add(Named{v.stage.Name, d})
	})
	return err
}

// settle waits until nothing new has come for the quiet time, counted from the
// newest object or the end of the push, whichever is later.
func (v *verifier) settle(ctx context.Context) error {
	quiet, most := v.patience()
	stop := watch(ctx, v.cfg.Observe, func() Progress { return Progress{Phase: PhaseSettle} })
	defer stop()
	deadline := time.Now().Add(most)
	for {
		newest := v.res.Ledger.Ended
		v.stage.Objects, v.size = 0, 0
		for info, err := range v.store.List(ctx, "") {
			if err != nil {
				return err
			}
			if v.elsewhere(info.Key) {
				continue
			}
			v.stage.Objects++
			v.size += info.Size
			if info.Modified.After(newest) {
				newest = info.Modified
			}
		}
		v.stage.Bytes = v.size
		wait := time.Until(newest.Add(quiet))
		if wait <= 0 {
			v.stage.Settled = true
			return nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, min(wait, left)); err != nil {
			return err
		}
	}
}

func (v *verifier) patience() (quiet, most time.Duration) {
	quiet, most = v.res.Job.Scenario.Settle.Quiet, v.res.Job.Scenario.Settle.Max
	if v.cfg.Quiet > 0 {
		quiet = v.cfg.Quiet
	}
	if v.cfg.Max > 0 {
		most = v.cfg.Max
	}
	return quiet, most
}

// scan reads every object once and counts its rows.
func (v *verifier) scan(ctx context.Context, acc *account.Account) error {
	stop := watch(ctx, v.cfg.Observe, func() Progress {
		return Progress{Phase: PhaseVerify, Done: uint64(v.read.Load()), Total: uint64(v.size)}
	})
	defer stop()
	workers := max(v.cfg.Workers, defaultWorkers)
	return lake.Objects(ctx, v.store, "", workers, func(ctx context.Context, info object.Info) error {
		if v.elsewhere(info.Key) {
			return nil
		}
		defer v.read.Add(info.Size)
		return v.scanObject(ctx, info, acc)
	})
}

func (v *verifier) scanObject(ctx context.Context, info object.Info, acc *account.Account) error {
	scratch := new(generate.Scratch)
	began := v.res.Ledger.Manifest.Started.Add(-clockSkew)
	misplaced := v.stage.Partitioned && !v.place.holds(info.Key, began, info.Modified.Add(clockSkew))
	row := func(r lake.Row) error {
		m := v.res.Plan.Identify(r.Data, scratch)
		acc.See(m, account.Place{Object: r.Object, Offset: r.Offset})
		if m.Kind != generate.Planned {
			return nil
		}
		if misplaced {
			if err := v.misplaced(m, r); err != nil {
				return err
			}
		}
		if v.ask == nil {
			return nil
		}
		return v.ask.feed(m, r.Data)
	}
	damage := func(d lake.Damage) error {
		acc.Damage()
		return v.list.add(Named{v.stage.Name, damaged(d)})
	}
	if said := v.res.Job.stage(v.stage.Name); said.Payload != "" {
		row = lake.Wrap{Path: said.Payload, Base64: said.Base64}.Rows(ctx, row, damage)
	}
	_, err := lake.Scan(ctx, v.store, info.Key, row, damage)
	return err
}

func damaged(d lake.Damage) account.Difference {
	return account.Difference{
		Kind: account.KindDamaged, Object: d.Object, Offset: d.Offset, Detail: fmt.Sprintf("%d bytes: %s", d.Length, d.Reason),
	}
}

// misplaced names a row that lies where nothing of this run belongs.
func (v *verifier) misplaced(m generate.Match, r lake.Row) error {
	v.away.Add(1)
	id := v.res.Plan.ID(m.User, m.Event)
	return v.list.add(Named{v.stage.Name, account.Difference{
		Kind: account.KindMisplaced, ID: id, LogType: v.res.Plan.LogType(id), Object: r.Object, Offset: r.Offset,
		Detail: "no folder of " + v.place.pattern + " while the run was on",
	}})
}

// sleep is time.Sleep that a cancelled context cuts short.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// differences is the complete list on disk, with the first of them in memory.
// It is safe for concurrent use.
type differences struct {
	mu      sync.Mutex
	file    *os.File
	buf     *bufio.Writer
	most    int
	samples []Named
	total   uint64
}

func newDifferences(path string, samples int) (*differences, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("replay: list of differences: %w", err)
	}
	if samples == 0 {
		samples = 100
	}
	return &differences{file: f, buf: bufio.NewWriter(f), most: samples}, nil
}

// line is one line of differences.ndjson.
type line struct {
	Stage   string  `json:"stage"`
	Kind    string  `json:"kind"`
	ID      string  `json:"id,omitempty"`
	LogType string  `json:"log_type,omitempty"`
	User    *uint32 `json:"user,omitempty"`
	Event   *uint32 `json:"event,omitempty"`
	Charge  string  `json:"charge,omitempty"`
	Object  string  `json:"object,omitempty"`
	Offset  *int64  `json:"offset,omitempty"`
	Detail  string  `json:"detail,omitempty"`
}

func (d *differences) add(n Named) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total++
	if len(d.samples) < d.most {
		d.samples = append(d.samples, n)
	}
	l := line{Stage: n.Stage, Kind: n.Kind, LogType: n.LogType, Charge: n.Charge, Object: n.Object, Detail: n.Detail}
	if n.Kind != account.KindDamaged && n.Kind != account.KindStranger && n.LogType != "" {
		l.ID, l.User, l.Event = n.ID.String(), &n.ID.User, &n.ID.Event
	}
	if n.Object != "" {
		l.Offset = &n.Offset
	}
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("replay: list of differences: %w", err)
	}
	if _, err := d.buf.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("replay: list of differences: %w", err)
	}
	return nil
}

func (d *differences) close() error {
	return errors.Join(d.buf.Flush(), d.file.Close())
}

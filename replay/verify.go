package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
)

// VerifyConfig says which run is accounted for and how long to wait for it.
type VerifyConfig struct {
	Dir     string            // run directory; the list of differences is left in it
	Runs    []string          // the run directories of one run's workers, or folders that hold them; nil: Dir
	Copy    bool              // they were fetched from a copy, which may lag behind the run; see Fetch
	Stages  map[string]string // where the stages lie; nil: as the manifest says
	Quiet   time.Duration     // a stage has settled when nothing new came for this long; 0: as the scenario says
	Max     time.Duration     // no longer than this; 0: as the scenario says
	Workers int               // objects read at a time; 0: 2
	Samples int               // differences kept in the result; 0: 100
	// Everywhere lists all of a stage from the beginning, not only the folders of
	// the run's time, where the scenario says how it is partitioned. Without it
	// rows elsewhere are looked for only when some are missing.
	Everywhere bool
	// Afresh reads all of the stages. Without it Verify goes on from what an earlier
	// one, ended or not, has left in the run directory.
	Afresh bool
	// Follow waits for the end of a push that goes on. One whose ledger has not
	// grown for the quiet time has broken off.
	Follow bool
	// Refresh brings copies of run directories up to date, before their ledgers are
	// read again by Follow; see Copy.Update. nil: they are no copies.
	Refresh func(context.Context) error
	// Pending is how many records the pipeline holds that are in no stage yet: no
	// stage settles while there are any. nil: nobody knows.
	Pending  func() int
	Previous *report.Report        // what the run's last verify reported; nil: there was none
	Engine   func(*Job) OpenEngine // judges expectations; nil, or nil for a job: they are not judged
	Observe  func(Progress)

	// Open opens the place where a stage lies; the closer is called when the
	// stage has been read. nil: every path is a directory. Run opens stages twice,
	// by several goroutines at a time.
	Open func(ctx context.Context, path string) (object.Store, io.Closer, error)
	// Tail reads the run's streams back, for the stage stream; the closer is
	// called when that has been read. nil: the stage cannot be read.
	Tail func(context.Context, Tailing) (stream.Tail, io.Closer, error)

	scouting *scouting       // lists the stages as well, since the push began; nil: nobody does
	columns  map[string]bool // of the self-test's copies, which are JSON: by key, rows were read from columns that have types; nil: it is no copy
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
	Notes    []string // what people should know of how the stages were read, and of the rows that SQL saw
	Unjudged []Unjudged
	Samples  []Named // the first differences; all of them are in differences.ndjson
	Total    uint64  // differences

	asked   asked
	timings map[string]*account.Timing // by the classes of a stage
	clocks  []stream.Offset            // by worker; a zero one is not known
}

// A Stage is the account of one stage.
type Stage struct {
	Name    string
	Path    string
	Objects int   // of the run's time; of the stream: shards
	Bytes   int64 // as stored; of the stream: data read
	Older   int   // objects of before the run, which were not read
	Folders int   // listed, of the run's time; 0: all of the stage
	Settled bool
	Err     error // set when the stage could not be read: nothing is proven about it
	Tally   account.Tally
	Lag     *account.Lag     // nil: the stage could not be read
	Listed  Listings         // as far as Lag tells of it
	Causes  *generate.Causes // what changed its rows; nil: of an error stage
	Errors  int              // of an error stage: objects that came since the run began, but those of other producers' records only

	Partitioned bool   // the scenario says where records belong
	Misplaced   uint64 // rows of planned records in objects that lie elsewhere

	ForeignSpans ForeignSpans // of an error stage: none, all of them are held against it
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
	res.timings, res.asked = map[string]*account.Timing{}, res.ask(stages)
	w := newWaiting(cfg, res, stages)
	w.keep = true
	err = w.conclude(ctx)
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrGuard) {
		err = errors.Join(err, w.leave())
	}
	if err := errors.Join(err, w.close()); err != nil {
		return nil, err
	}
	for _, v := range w.stages {
		res.Stages = append(res.Stages, v.stage)
	}
	for _, name := range judged(res.Ledger.Manifest.Stages) {
		if _, ok := stages[name]; !ok {
			res.Notes = append(res.Notes, fmt.Sprintf("%s: the run has this stage, and it was not verified; say where it lies with --stage %s=PATH", name, name))
		}
	}
	if res.Stages[0].Name == errorStage { // judged first, told last
		res.Stages = append(res.Stages[1:], res.Stages[0])
	}
	return res, nil
}

func openDir(_ context.Context, path string) (object.Store, io.Closer, error) {
	s, err := dir.Open(path)
	if err != nil {
		return nil, nil, err // and no store that is a nil *dir.Store
	}
	return s, s, nil
}

// open reads run directories, or copies of them, and regenerates their plan.
func open(runs []string, isCopy bool) (*Result, error) {
	dirs, err := runDirs(runs)
	if err != nil {
		return nil, err
	}
	led, err := gatherFrom(dirs, isCopy)
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
	clocks, err := readClocks(led.Workers)
	if err != nil {
		return nil, err
	}
	return &Result{Ledger: led, Stats: stats, Job: job, Plan: plan, clocks: clocks}, nil
}

func gatherFrom(dirs []string, isCopy bool) (*Ledgers, error) {
	if isCopy {
		return gather(dirs, ledger.OpenCopy)
	}
	return gather(dirs, ledger.Open)
}

// reread reads the ledgers of a push that goes on once more.
func (r *Result) reread(runs []string, isCopy bool) error {
	dirs, err := runDirs(runs)
	if err != nil {
		return err
	}
	led, err := gatherFrom(dirs, isCopy)
	if err != nil {
		return err
	}
	if err := led.complete(r.Plan); err != nil {
		return err
	}
	if r.clocks, err = readClocks(led.Workers); err != nil {
		return err
	}
	for _, t := range r.timings {
		t.Renew()
	}
	r.Ledger = led
	r.Stats, err = readStats(dirs)
	return err
}

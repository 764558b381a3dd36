package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"go.uber.org/zap"

	"kreplay/pkg/batch"
	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/pace"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
)

// A Target is the stream that a push writes to, or several.
type Target struct {
	Sink        stream.Sink // one attempt a Put; Push adds the retries
	Stream      string      // its name, for the manifest; of several as in staging-{log_type}
	Endpoint    string      // where it answers, without credentials
	RecordBytes int         // the stream's own record limit; 0: the service's default
	// Shards lists the open shards, as kinesis.Client does. With it each shard
	// is sent no more than it takes. nil where shards have no limits, or where
	// keys do not say the shard (distribution AUTO).
	Shards func(context.Context) ([]stream.Shard, error)
	// LogTypes are the streams of each log type that is sent, each with its own
	// Sink, Stream, RecordBytes and Shards; see Streams. nil: all goes to this one.
	LogTypes map[string]Target
	// Offset is how far the stream's clock is ahead of this machine's, as
	// kinesis.Client has it when all is sent. nil: nobody knows.
	Offset func() stream.Offset
}

// PushConfig says where a push goes and what it leaves behind.
type PushConfig struct {
	Dir     string    // run directory; must not hold a ledger
	Resume  bool      // Dir is a run that did not end: send what is not acked. RunID, Anchor, Slice and Stages are the run's
	Copy    bool      // with Resume: Dir was fetched from a copy, which may lag behind what was sent; see Fetch
	RunID   string    // empty: a fresh one
	Anchor  time.Time // of the run; zero: so that the last event is just before now
	Slice   generate.Slice
	Target  Target
	Stages  map[string]string // where the stages lie, kept for verify; of the stage stream: names of streams, empty: the target's
	Version string            // of the program, for the manifest
	Mirror  object.Store      // where a copy of Dir is kept as it grows; nil: nowhere. With Resume: it has one
	Observe func(Progress)    // called a few times a second; nil: nobody looks
	Log     *zap.Logger       // told of what does not go well, once a request; nil: nobody reads it

	// Of this worker alone; nil: its part of the scenario's.
	Rate     pace.Profile // records a second that are not passed; nil: stream.limits.rate of the scenario
	ByteRate pace.Profile // bytes a second, likewise stream.limits.bytes
}

// Push sends a job's records: generate, wait for the turn, put, record. All of it
// is in the run directory when Push returns, whatever the error; with ErrKept it
// can be gone on with. When ctx is done, what is in flight is waited for, for up to 20 s, and nothing else is sent.
func Push(ctx context.Context, job *Job, cfg PushConfig) (*ledger.Account, error) {
	p, err := prepare(job, &cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.alone.Close() }()
	copied, err := startMirror(ctx, cfg.Mirror, cfg.Dir, cfg.Resume)
	if err != nil {
		return nil, errors.Join(err, p.ledger.Close(ledger.Stopped))
	}
	stop := watch(ctx, cfg.Observe, p.progress)
	err = p.run(ctx)
	stop()
	reason := ledger.Complete
	if err != nil {
		reason = ledger.Stopped
	}
	closed := p.ledger.Close(reason)
	if errors.Is(err, closed) { // one that could not be written says so each time
		closed = nil
	}
	if err := errors.Join(err, closed, p.stats().write(cfg.Dir), copied.end(ctx)); err != nil {
		return nil, fmt.Errorf("%w; %w", err, ErrKept)
	}
	return ledger.Open(cfg.Dir)
}

// prepare does all that can fail before anything is sent.
func prepare(job *Job, cfg *PushConfig) (*push, error) {
	if cfg.Resume {
		return again(job, cfg)
	}
	started := time.Now()
	if cfg.RunID == "" {
		cfg.RunID = NewRunID(started)
	}
	plan, err := job.Start(generate.Run{ID: cfg.RunID, Anchor: cfg.Anchor}, started)
	if err != nil {
		return nil, err
	}
	p, err := newPush(job, plan, cfg)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("replay: run directory: %w", err)
	}
	starting, err := alone(cfg.Dir, ".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = starting.Close() }()
	if err := ledger.Clear(cfg.Dir); err != nil {
		return nil, err
	}
	// The snapshot comes first: where there is a manifest, verify can read the run.
	if err := job.snapshot(cfg.Dir); err != nil {
		return nil, err
	}
	if p.ledger, err = ledger.Create(cfg.Dir, manifest(job, plan, *cfg, started)); err != nil {
		return nil, err
	}
	if p.alone, err = alone(cfg.Dir, ledger.ManifestFile); err != nil {
		return nil, errors.Join(err, p.ledger.Close(ledger.Stopped))
	}
	return p, nil
}

// alone takes a run directory for one push, until it is closed: two that send the
// same records at a time would not know of each other's attempts. What is taken is
// the manifest, and as long as there is none, the directory.
func alone(dir, name string) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("replay: run directory: %w", err)
	}
	if !lock(f) {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s: another push is at work on it; wait until it has ended, or end it", ErrGuard, dir)
	}
	return f, nil
}

func manifest(job *Job, plan *generate.Plan, cfg PushConfig, started time.Time) ledger.Manifest {
	first, end := plan.Range(cfg.Slice)
	if path, ok := cfg.Stages[streamStage]; ok && path == "" {
		cfg.Stages = maps.Clone(cfg.Stages)
		cfg.Stages[streamStage] = cfg.Target.Stream
	}
	worker := ledger.Worker{Index: 1, Of: 1}
	if cfg.Slice.Of > 0 {
		worker = ledger.Worker{Index: cfg.Slice.Index, Of: cfg.Slice.Of}
	}
	return ledger.Manifest{
		Run: cfg.RunID, Tag: plan.Tag, Scenario: job.Scenario.Name, ScenarioFile: job.Scenario.File,
		Digest: fmt.Sprintf("%x", plan.Digest), Seed: job.Scenario.Seed, Users: plan.Users, Anchor: plan.Anchor,
		Stream: cfg.Target.Stream, Endpoint: cfg.Target.Endpoint, Worker: worker,
		FirstUser: first, EndUser: end, Planned: plan.Count(cfg.Slice), Started: started.UTC(),
		Stages: cfg.Stages, Set: job.Set, Version: cfg.Version,
	}
}

// push is one push under way.
type push struct {
	plan     *generate.Plan
	slice    generate.Slice
	flows    []*flow // by name
	of       []int   // of each of the plan's log types; nil: one stream
	ledger   *ledger.Writer
	alone    *os.File      // held while it lasts
	requests int           // in flight at most
	pairer   stream.Pairer // nil: requests are readied one by one
	guard    time.Duration
	paced    bool
	total    uint64
	resumed  *resumed // nil: all is sent
	before   *Stats   // of the segments before; nil: none
	offset   func() stream.Offset

	begun  time.Time
	wake   chan struct{} // the dispatcher has something new
	supply supply
	jobs   chan job // as many as may be in flight: giving one never blocks

	mu       sync.Mutex // guards what follows
	dispatch *batch.Streams
	slip     *hdrhistogram.Histogram // µs
	put      *hdrhistogram.Histogram // µs
	looked   time.Duration           // when guards that cost something were looked at
	trouble  error                   // the last that a request met; nil: none
}

func newPush(job *Job, plan *generate.Plan, cfg *PushConfig) (*push, error) {
	sc := job.Scenario.Stream
	log := cfg.Log
	if log == nil {
		log = zap.NewNop()
	}
	p := &push{
		plan: plan, slice: cfg.Slice, requests: max(sc.Limits.Requests, 1),
		guard: job.Scenario.Guard.ThrottledFor, paced: job.Scenario.Time.Paced(), total: plan.Count(cfg.Slice),
		wake: make(chan struct{}, 1), slip: newHistogram(), put: newHistogram(), offset: cfg.Target.Offset,
	}
	var err error
	if p.flows, p.of, err = cfg.Target.flows(plan, log); err != nil {
		return nil, err
	}
	if err := p.fits(); err != nil {
		return nil, err
	}
	workers := max(cfg.Slice.Of, 1)
	rate, bytes := sc.Limits.Ceilings()
	rate, bytes = pace.Divide(rate, workers), pace.Divide(bytes, workers)
	if cfg.Rate != nil {
		rate = cfg.Rate
	}
	if cfg.ByteRate != nil {
		bytes = cfg.ByteRate
	}
	if pairer, ok := p.flows[0].Sink.(stream.Pairer); ok && len(p.flows) == 1 && pairer.Pairs() {
		p.pairer = pairer
	}
	dispatch := make([]batch.Config, len(p.flows))
	for i, f := range p.flows {
		dispatch[i] = batch.Config{
			Limits:  batch.Limits{Records: batch.MaxRecords, RequestBytes: batch.MaxRequestBytes, RecordBytes: f.recordBytes()},
			Records: held(p.requests), Requests: p.requests, Rate: rate, ByteRate: bytes, Seed: rand.Uint64(),
			Sharded: f.Shards != nil, Share: float64(cmp.Or(sc.Limits.PerShard, scenario.Whole)) / float64(scenario.Whole) / float64(workers), // all of them write to all shards
			Hold: sc.OnUnknown == scenario.Hold, Ordered: sc.Order == scenario.OrderUser, Pairs: p.pairer != nil,
		}
		switch {
		case !p.paced:
		case f.slip == nil:
			dispatch[i].Sent = func(slip time.Duration) { observe(p.slip, slip) }
		default:
			dispatch[i].Sent = func(slip time.Duration) { observe(p.slip, slip); observe(f.slip, slip) }
		}
	}
	p.dispatch = batch.NewStreams(dispatch)
	return p, nil
}

// held is how many records wait or are in flight: what can be in flight, and a
// little more to choose from.
func held(requests int) int { return min((requests+8)*batch.MaxRecords, 16384) }

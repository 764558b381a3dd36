package replay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kreplay/pkg/batch"
	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/pace"
	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
)

// A Target is the stream that a push writes to.
type Target struct {
	Sink        stream.Sink // one attempt a Put; Push adds the retries
	Stream      string      // its name, for the manifest
	Endpoint    string      // where it answers, without credentials
	RecordBytes int         // the stream's own record limit; 0: the service's default
}

// PushConfig says where a push goes and what it leaves behind.
type PushConfig struct {
	Dir     string    // run directory; must not hold a ledger
	RunID   string    // empty: a fresh one
	Anchor  time.Time // of the run; zero: so that the last event is just before now
	Slice   generate.Slice
	Target  Target
	Stages  map[string]string // where the stages lie, kept for verify
	Version string            // of the program, for the manifest
	Mirror  object.Store      // where a copy of Dir is kept as it grows; nil: nowhere
	Observe func(Progress)    // called a few times a second; nil: nobody looks
}

// Push sends a job's records: generate and batch, then limit, put, record. All
// of it is in the run directory when Push returns, whatever the error.
func Push(ctx context.Context, job *Job, cfg PushConfig) (*ledger.Account, error) {
	started := time.Now()
	if cfg.RunID == "" {
		cfg.RunID = NewRunID(started)
	}
	plan, err := job.Start(generate.Run{ID: cfg.RunID, Anchor: cfg.Anchor}, started)
	if err != nil {
		return nil, err
	}
	limits := batch.Limits{Records: batch.MaxRecords, RequestBytes: batch.MaxRequestBytes, RecordBytes: cfg.Target.RecordBytes}
	if limits.RecordBytes == 0 {
		limits.RecordBytes = batch.DefaultRecordBytes
	}
	if err := fits(plan, limits); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("replay: run directory: %w", err)
	}
	// The snapshot comes first: where there is a manifest, verify can read the run.
	if err := job.snapshot(cfg.Dir); err != nil {
		return nil, err
	}
	w, err := ledger.Create(cfg.Dir, manifest(job, plan, cfg, started))
	if err != nil {
		return nil, err
	}
	copied, err := startMirror(ctx, cfg.Mirror, cfg.Dir)
	if err != nil {
		return nil, errors.Join(err, w.Close(ledger.Stopped))
	}
	p := newPush(job, plan, cfg, limits, w)
	stop := watch(ctx, cfg.Observe, p.progress)
	err = p.run(ctx)
	stop()
	reason := ledger.Complete
	if err != nil {
		reason = ledger.Stopped
	}
	if err := errors.Join(err, w.Close(reason), copied.end(ctx)); err != nil {
		return nil, err
	}
	return ledger.Open(cfg.Dir)
}

// fits refuses a plan with a record that the stream would refuse, before
// anything is sent. The last user has the longest ids.
func fits(plan *generate.Plan, limits batch.Limits) error {
	var faults scenario.Faults
	for _, c := range plan.Cohorts() {
		for event := range c.Events {
			n := c.Program.MaxSize(event) + 1 + batch.MaxKeyBytes
			if n <= limits.RecordBytes {
				continue
			}
			e := c.Program.Events[event]
			faults = append(faults, scenario.Fault{Pos: e.Pos,
				Msg: fmt.Sprintf("a record of about %d bytes with its key is over the stream's limit of %d; raise MaxRecordSizeInKiB of the stream or leave the event out", n, limits.RecordBytes)})
		}
	}
	return faults.Err()
}

func manifest(job *Job, plan *generate.Plan, cfg PushConfig, started time.Time) ledger.Manifest {
	first, end := plan.Range(cfg.Slice)
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
	plan    *generate.Plan
	slice   generate.Slice
	limits  batch.Limits
	limiter *pace.Limiter
	sink    stream.Sink
	ledger  *ledger.Writer
	senders int
	total   uint64

	acked, bytes, throttled, unknown atomic.Uint64
}

func newPush(job *Job, plan *generate.Plan, cfg PushConfig, limits batch.Limits, w *ledger.Writer) *push {
	l := job.Scenario.Stream.Limits
	p := &push{
		plan: plan, slice: cfg.Slice, limits: limits, ledger: w, senders: l.Requests, total: plan.Count(cfg.Slice),
		limiter: pace.NewLimiter(float64(l.Rate), float64(l.Bytes)),
	}
	p.sink = stream.Retry(cfg.Target.Sink, stream.RetryOptions{
		Hold:    job.Scenario.Stream.OnUnknown == scenario.Hold,
		Attempt: p.attempt,
	})
	return p
}

// run reads as the pipeline does: generate and batch, then limit, put, record.
func (p *push) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	batches := make(chan []record.Record)
	g.Go(func() error {
		defer close(batches)
		return p.pack(ctx, batches)
	})
	for range p.senders {
		g.Go(func() error { return p.send(ctx, batches) })
	}
	return g.Wait()
}

func (p *push) pack(ctx context.Context, batches chan<- []record.Record) error {
	b := batch.New(p.limits)
	for r := range p.plan.Records(p.slice) {
		full, err := b.Add(r)
		if err != nil {
			return err
		}
		if err := emit(ctx, batches, full); err != nil {
			return err
		}
	}
	return emit(ctx, batches, b.Flush())
}

func emit(ctx context.Context, batches chan<- []record.Record, recs []record.Record) error {
	if len(recs) == 0 {
		return nil
	}
	select {
	case batches <- recs:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *push) send(ctx context.Context, batches <-chan []record.Record) error {
	for recs := range batches {
		if err := p.limiter.Wait(ctx, len(recs), size(recs)); err != nil {
			return err
		}
		// The mark stands on disk before the first byte is sent: after a crash
		// nothing at or above it can have been stored.
		if err := p.ledger.Mark(recs[len(recs)-1].Seq + 1); err != nil {
			return err
		}
		if _, err := p.sink.Put(ctx, recs); err != nil {
			return err
		}
	}
	return nil
}

// attempt writes every attempt to the ledger before anything is sent again.
func (p *push) attempt(recs []record.Record, outs []record.Outcome) error {
	var acked, bytes, throttled, unknown uint64
	for i, o := range outs {
		switch o.Fate {
		case record.Acked:
			acked++
			bytes += uint64(recs[i].Size())
		case record.Refused:
			throttled++
		case record.Unknown:
			unknown++
		case record.Unsent: // no attempt has it
		}
	}
	p.acked.Add(acked)
	p.bytes.Add(bytes)
	p.throttled.Add(throttled)
	p.unknown.Add(unknown)
	return p.ledger.Attempt(recs, outs)
}

func (p *push) progress() Progress {
	return Progress{
		Phase: PhasePush, Done: p.acked.Load(), Total: p.total, Bytes: p.bytes.Load(),
		Refused: p.throttled.Load(), Unknown: p.unknown.Load(),
	}
}

func size(recs []record.Record) (n int) {
	for _, r := range recs {
		n += r.Size()
	}
	return n
}

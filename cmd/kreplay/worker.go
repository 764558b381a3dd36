package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// place is where the run directory of this process lies: that of a worker is
// below that of its run.
func (p *pusher) place(id string) string {
	dir := named(p.dir, id)
	switch {
	case p.me.Of <= 1:
		return dir
	case dir == "":
		return filepath.Join("runs", id, p.me.Name())
	case inS3(dir):
		return strings.TrimRight(dir, "/") + "/" + p.me.Name()
	}
	return filepath.Join(dir, p.me.Name())
}

// anchor is the same for all workers, or there is none: what one of them would
// choose by its own clock, another chooses differently.
func (p *pusher) anchor(job *replay.Job) (time.Time, error) {
	switch {
	case !p.me.Anchor.IsZero():
		return p.me.Anchor, nil
	case p.me.Of <= 1 || !job.Scenario.Time.Start.IsZero():
		return time.Time{}, nil // its start, or just before now
	case p.me.StartAt.IsZero():
		return time.Time{}, usagef("worker %d of %d: workers need one anchor, the same for all: pass --anchor or --start-at, or set time.start in the scenario", p.me.Index, p.me.Of)
	}
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		return time.Time{}, err
	}
	return plan.AnchorBefore(p.me.StartAt), nil
}

// retried goes on with the run directory that an attempt before this one left;
// without one the job is nil.
func (p *pusher) retried(ctx context.Context, cfg replay.PushConfig) (*replay.Job, replay.PushConfig, error) {
	at := p.place(cfg.RunID)
	found, err := p.find(ctx, at, cfg.RunID)
	switch {
	case err != nil:
		return nil, cfg, err
	case !found && p.me.Attempt > 1 && !inS3(at):
		return nil, cfg, fmt.Errorf("%w: this is attempt %d, and there is no run directory of the one before in %s, so nobody knows what it sent; give --run-dir s3://BUCKET/PREFIX, which outlives the container",
			replay.ErrGuard, p.me.Attempt, at)
	case !found:
		return nil, cfg, nil
	}
	job, m, err := replay.Reopen(p.where.dir, nil)
	if err != nil {
		return nil, cfg, err
	}
	want := ledger.Worker{Index: p.me.Index, Of: p.me.Of}
	if m.Run != cfg.RunID || m.Worker != want || !cfg.Anchor.IsZero() && !m.Anchor.Equal(cfg.Anchor) {
		return nil, cfg, usagef("%s holds worker %d of %d of run %s with anchor %s, which is not this one; choose another --run-dir",
			p.where, m.Worker.Index, m.Worker.Of, m.Run, m.Anchor.Format(time.RFC3339))
	}
	fmt.Fprintf(p.app.stderr, "%s is there: an attempt before this one left it, and this one goes on\n", p.where)
	p.target.stream = m.Stream
	return job, replay.PushConfig{Dir: p.where.dir, Resume: true, Copy: p.where.temp, Mirror: p.where.mirror(), RunID: m.Run}, nil
}

// find looks for a run directory, and brings it here if it is in S3.
func (p *pusher) find(ctx context.Context, at, id string) (bool, error) {
	if inS3(at) {
		where, err := p.app.fetchRun(ctx, at)
		if errors.Is(err, object.ErrNotExist) {
			return false, nil
		}
		p.where = where
		return err == nil, err
	}
	dir, err := runDir(at, id)
	if err != nil {
		return false, err
	}
	_, err = os.Stat(filepath.Join(dir, ledger.ManifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	p.where = runPlace{dir: dir}
	return err == nil, err
}

// rehearse does what a push does before it sends, and has the service check a
// first record of each stream with its own dry run. Emulators store what they are
// asked to check.
func (p *pusher) rehearse(ctx context.Context, client *kinesis.Client, job *replay.Job, cfg replay.PushConfig) error {
	first, m, err := replay.Rehearse(job, cfg)
	if err != nil {
		return err
	}
	asked := "not asked, for it is not AWS"
	if onAWS(p.app.kinesisEndpoint()) {
		var faults []error
		for _, name := range slices.Sorted(maps.Keys(first)) {
			faults = append(faults, client.Of(name).DryRun(ctx, []record.Record{first[name]}))
		}
		if err := errors.Join(faults...); err != nil {
			return err
		}
		asked = "says that the first record would be taken"
	}
	to := m.Stream
	if cfg.Target.LogTypes != nil {
		to = fmt.Sprintf("%s (%d streams)", to, len(first))
	}
	fmt.Fprintf(p.app.stdout, "nothing was sent: %d records of users %d to %d would go to stream %s as worker %d of %d of run %s; the service %s\n",
		m.Planned, m.FirstUser, m.EndUser-1, to, m.Worker.Index, m.Worker.Of, m.Run, asked)
	return nil
}

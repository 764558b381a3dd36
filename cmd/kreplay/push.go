package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"kreplay/pkg/fleet"
	"kreplay/pkg/generate"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

func (a *app) pushCommand() *cobra.Command {
	p := &pusher{app: a}
	c := &cobra.Command{
		Use: "push SCENARIO", Short: "Send the records; leaves a run directory for verify",
		Example: "  kreplay push smoke --stream actions-staging --region eu-west-1\n  kreplay push --resume runs/20260914-090000-a1b2c3 --region eu-west-1",
		Args: func(c *cobra.Command, args []string) error {
			if p.resume != "" {
				return cobra.NoArgs(c, args)
			}
			return one("scenario")(c, args)
		},
		RunE: p.run,
	}
	p.src.add(c)
	p.src.addRate(c)
	p.src.addWire(c)
	a.addMetrics(c)
	p.target.add(c)
	f := c.Flags()
	f.StringVar(&p.dir, "run-dir", "", runDirUsage+"; that of a worker is worker-i below it")
	f.StringVar(&p.who.Worker, "worker", "", "send only this worker's share, as in 1/4; /4 where AWS Batch or Kubernetes says which")
	f.Uint64Var(&p.who.Workers, "workers", 0, "number of workers, where Kubernetes says which this is (JOB_COMPLETION_INDEX)")
	f.StringVar(&p.who.Run, "run-id", "", "id of the run, one for all workers (default: $KREPLAY_RUN_ID, the job's id on AWS Batch, else a fresh one)")
	f.StringVar(&p.who.Anchor, "anchor", "", "event time of the first user's first event, RFC 3339, one for all workers (default: $KREPLAY_ANCHOR, else so that the last event is just before the start)")
	f.StringVar(&p.who.StartAt, "start-at", "", "send nothing before this time, RFC 3339, one for all workers (default: $KREPLAY_START_AT, else at once)")
	f.StringVar(&p.resume, "resume", "", "go on with the run of this directory: send what is not acked; --rate, --wire and --set stream.limits… may change, --run-dir s3://… is its copy")
	f.BoolVar(&p.dry, "dry-run", false, "check scenario, stream, permissions and guards, and send nothing")
	return c
}

type pusher struct {
	app    *app
	src    sourceFlags
	target targetFlags
	dir    string
	who    fleet.Flags
	resume string
	dry    bool

	me    fleet.Member
	where runPlace
}

func (p *pusher) run(c *cobra.Command, args []string) (err error) {
	if p.dry && p.target.create > 0 {
		return usagef("--dry-run creates no stream; leave --create-stream out")
	}
	begin := p.fresh
	if p.resume != "" {
		begin = p.again // who it was is in the manifest
	} else if p.me, err = fleet.Who(p.who, os.LookupEnv); err != nil {
		return usagef("%v", err)
	}
	job, cfg, err := begin(c, args)
	defer p.where.close()
	if err != nil {
		return err
	}
	if p.dry {
		p.app.metricsAddr = "" // there is nothing to be seen
	}
	observe, stop, err := p.app.monitored(c.Context())
	if err != nil {
		return err
	}
	defer stop()
	if !loopback(p.app.kinesisEndpoint()) { // an emulator is nobody else's
		if err := wait(c.Context(), p.me.Describe()); err != nil {
			return err
		}
	}
	var client *kinesis.Client
	if cfg.Target, client, err = p.target.open(c.Context(), p.app, job); err != nil {
		return err
	}
	defer client.Close()
	if p.dry {
		return p.rehearse(c.Context(), client, job, cfg)
	}
	if err := wait(c.Context(), time.Until(p.me.StartAt)); err != nil {
		return err
	}
	cfg.Version, cfg.Log, cfg.Observe = version(), p.app.log, observe
	fmt.Fprintf(p.app.stderr, "run %s in %s\n", cfg.RunID, p.where)
	led, err := replay.Push(c.Context(), job, cfg)
	if err != nil {
		return stopped(err, p.where)
	}
	t := led.Totals()
	fmt.Fprintf(p.app.stdout, "%s  planned %d, acked %d, refused %d, unknown %d, unsent %d\n", p.where,
		led.Manifest.Planned, t.Acked, t.Refused, t.Unknown, t.Unsent)
	if t.Acked != led.Manifest.Planned {
		return verdictError{exitInconclusive}
	}
	return nil
}

// wait returns after d, or when ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fresh begins a run, or goes on with it where an attempt before this one left
// its run directory.
func (p *pusher) fresh(c *cobra.Command, args []string) (*replay.Job, replay.PushConfig, error) {
	cfg := replay.PushConfig{RunID: p.me.Run, Anchor: p.me.Anchor}
	if p.me.Of > 1 {
		cfg.Slice = generate.Slice{Index: p.me.Index, Of: p.me.Of}
	}
	if cfg.RunID == "" {
		cfg.RunID = replay.NewRunID(time.Now())
	}
	if err := checkRunID(cfg.RunID); err != nil {
		return nil, cfg, err
	}
	if p.me.Of > 1 || p.me.Attempt > 1 {
		job, cfg, err := p.retried(c.Context(), cfg)
		if job != nil || err != nil {
			return job, cfg, err
		}
	}
	var err error
	if p.where, err = p.app.placeRun(c.Context(), p.place(cfg.RunID), cfg.RunID); err != nil {
		return nil, cfg, err
	}
	if p.where.store != nil && p.me.Of > 1 {
		p.where.dir = filepath.Join(p.where.dir, p.me.Name())
	}
	cfg.Dir, cfg.Mirror = p.where.dir, p.where.mirror()
	job, err := p.src.sendable(c, args[0])
	if err != nil {
		return nil, cfg, err
	}
	cfg.Stages = stagePaths(job)
	cfg.Anchor, err = p.anchor(job)
	return job, cfg, err
}

// again goes on with a run.
func (p *pusher) again(c *cobra.Command, _ []string) (*replay.Job, replay.PushConfig, error) {
	for _, name := range []string{"worker", "workers", "run-id", "anchor", "start-at", "dry-run", "stream", "users", "seed", "var"} {
		if c.Flags().Changed(name) {
			return nil, replay.PushConfig{}, usagef("--resume goes on with the run as it is; leave --%s out", name)
		}
	}
	if p.dir != "" && !inS3(p.dir) {
		return nil, replay.PushConfig{}, usagef("--resume names the run directory; --run-dir may name its copy in S3 beside it")
	}
	list, err := p.src.overrides(c)
	if err != nil {
		return nil, replay.PushConfig{}, err
	}
	job, m, err := replay.Reopen(p.resume, sets(list))
	if err != nil {
		return nil, replay.PushConfig{}, flagged(err, list, len(m.Set))
	}
	p.target.stream = m.Stream
	if p.where, err = p.app.placeRun(c.Context(), p.dir, m.Run); err != nil {
		return nil, replay.PushConfig{}, err
	}
	p.where.dir = p.resume
	return job, replay.PushConfig{Dir: p.resume, Resume: true, RunID: m.Run, Mirror: p.where.mirror()}, nil
}

// stagePaths are the stages as the scenario names them.
func stagePaths(job *replay.Job) map[string]string {
	stages := map[string]string{}
	for _, s := range job.Scenario.Stages {
		stages[s.Name] = s.Path
	}
	return stages
}

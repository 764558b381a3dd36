package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"kreplay/pkg/generate"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// allowTag marks a stream that kreplay may write to (law 9).
const allowTag = "kreplay:allow"

// targetFlags say which stream is written to.
type targetFlags struct {
	stream string
	create int
	allow  []string
}

func (t *targetFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&t.stream, "stream", "", "stream name (stream.name of the scenario)")
	f.IntVar(&t.create, "create-stream", 0, "create the stream with so many shards and the allow tag; on loopback, or with --allow-stream")
	f.Lookup("create-stream").NoOptDefVal = "1"
	f.StringArrayVar(&t.allow, "allow-stream", nil, "write to this stream although it lacks the tag "+allowTag+"=true (repeatable)")
}

// open connects to the stream and makes sure that it may be written to.
func (t *targetFlags) open(ctx context.Context, a *app, job *replay.Job) (replay.Target, error) {
	name := t.stream
	if name == "" {
		name = job.Scenario.Stream.Name
	}
	if name == "" {
		return replay.Target{}, usagef("no stream: pass --stream NAME, set stream.name in the scenario, or use --local")
	}
	cfg, err := a.awsConfig(ctx, a.kinesisEndpoint())
	if err != nil {
		return replay.Target{}, err
	}
	client := kinesis.New(cfg, name, kinesis.Options{Requests: job.Scenario.Stream.Limits.Requests})
	named := slices.Contains(t.allow, name)
	info, err := client.Describe(ctx)
	if errors.Is(err, kinesis.ErrNoStream) && t.create > 0 {
		if !named && !loopback(a.kinesisEndpoint()) {
			return replay.Target{}, fmt.Errorf("%w: --create-stream on AWS needs --allow-stream %s as well", replay.ErrGuard, name)
		}
		if err = client.Create(ctx, t.create, map[string]string{allowTag: "true"}); err == nil {
			info, err = client.Describe(ctx)
		}
	}
	if err != nil {
		return replay.Target{}, err
	}
	if !named && info.Tags[allowTag] != "true" {
		return replay.Target{}, fmt.Errorf("%w: stream %s does not carry the tag %s=true, so it is not written to; tag it, or pass --allow-stream %s",
			replay.ErrGuard, name, allowTag, name)
	}
	if err := a.checkSpend(ctx, job, client, info); err != nil {
		return replay.Target{}, err
	}
	to := replay.Target{Sink: client, Stream: name, Endpoint: a.kinesisEndpoint(), RecordBytes: info.MaxRecordBytes}
	// An emulator has no limits, or does not say so.
	if !info.Auto() && (job.Scenario.Stream.Limits.PerShard > 0 || !loopback(to.Endpoint)) {
		to.Shards = client.Shards
	}
	return to, nil
}

// checkSpend holds the estimated cost of a run against the scenario's guard.
func (a *app) checkSpend(ctx context.Context, job *replay.Job, client *kinesis.Client, info kinesis.Info) error {
	allowed := job.Scenario.Guard.SpendUSD
	if allowed.Digits == 0 {
		return nil
	}
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		return err
	}
	list, err := client.Shards(ctx)
	if err != nil {
		return err
	}
	shards, err := stream.NewMap(list)
	if err != nil {
		return err
	}
	prices, err := replay.ListPrices()
	if err != nil {
		return err
	}
	f, err := replay.Predict(ctx, plan, job.Scenario.Stream.Limits, replay.PredictConfig{Shards: shards, Limited: true, Observe: a.observer()})
	if err != nil {
		return err
	}
	return replay.CheckSpend(allowed, f.Cost(prices, info.Mode == "ON_DEMAND"))
}

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
	a.addMetrics(c)
	p.target.add(c)
	f := c.Flags()
	f.StringVar(&p.dir, "run-dir", "", runDirUsage)
	f.StringVar(&p.worker, "worker", "", "send only this worker's share, as in 1/4; give all workers one --run-id and --anchor")
	f.StringVar(&p.id, "run-id", "", "id of the run (default: a fresh one)")
	f.StringVar(&p.anchor, "anchor", "", "event time of the first user's first event, RFC 3339 (default: so that the last event is just before now)")
	f.StringVar(&p.resume, "resume", "", "go on with the run of this directory: send what is not acked; --rate and --set stream.limits… may change, --run-dir s3://… is its copy")
	return c
}

type pusher struct {
	app    *app
	src    sourceFlags
	target targetFlags
	dir    string
	worker string
	id     string
	anchor string
	resume string
	where  runPlace
}

func (p *pusher) run(c *cobra.Command, args []string) error {
	begin := p.fresh
	if p.resume != "" {
		begin = p.again
	}
	job, cfg, err := begin(c, args)
	defer p.where.close()
	if err != nil {
		return err
	}
	if cfg.Target, err = p.target.open(c.Context(), p.app, job); err != nil {
		return err
	}
	observe, stop, err := p.app.monitored(c.Context())
	if err != nil {
		return err
	}
	defer stop()
	cfg.Version, cfg.Log, cfg.Observe = version(), p.app.log, observe
	fmt.Fprintf(p.app.stderr, "run %s in %s\n", cfg.RunID, p.where)
	led, err := replay.Push(c.Context(), job, cfg)
	if err != nil {
		return err
	}
	t := led.Totals()
	fmt.Fprintf(p.app.stdout, "%s  planned %d, acked %d, refused %d, unknown %d, unsent %d\n", p.where,
		led.Manifest.Planned, t.Acked, t.Refused, t.Unknown, t.Unsent)
	if t.Acked != led.Manifest.Planned {
		return verdictError{exitInconclusive}
	}
	return nil
}

// fresh begins a run.
func (p *pusher) fresh(c *cobra.Command, args []string) (*replay.Job, replay.PushConfig, error) {
	var cfg replay.PushConfig
	var err error
	if cfg.Slice, err = parseSlice(p.worker); err != nil {
		return nil, cfg, err
	}
	if cfg.Slice.Of > 1 && (p.id == "" || p.anchor == "") {
		return nil, cfg, usagef("--worker %s: workers need one --run-id and one --anchor, the same for all", p.worker)
	}
	if cfg.RunID = p.id; p.id == "" {
		cfg.RunID = replay.NewRunID(time.Now())
	}
	if p.where, err = p.app.placeRun(c.Context(), p.dir, cfg.RunID); err != nil {
		return nil, cfg, err
	}
	cfg.Dir, cfg.Mirror = p.where.dir, p.where.mirror()
	if cfg.Anchor, err = parseAnchor(p.anchor); err != nil {
		return nil, cfg, err
	}
	job, err := p.src.sendable(c, args[0])
	if err != nil {
		return nil, cfg, err
	}
	cfg.Stages = stagePaths(job)
	return job, cfg, nil
}

// again goes on with a run.
func (p *pusher) again(c *cobra.Command, _ []string) (*replay.Job, replay.PushConfig, error) {
	for _, name := range []string{"worker", "run-id", "anchor", "stream", "users", "seed", "var"} {
		if c.Flags().Changed(name) {
			return nil, replay.PushConfig{}, usagef("--resume goes on with the run as it is; leave --%s out", name)
		}
	}
	if p.dir != "" && !inS3(p.dir) {
		return nil, replay.PushConfig{}, usagef("--resume names the run directory; --run-dir may name its copy in S3 beside it")
	}
	set, err := p.src.overrides(c)
	if err != nil {
		return nil, replay.PushConfig{}, err
	}
	job, m, err := replay.Reopen(p.resume, set)
	if err != nil {
		return nil, replay.PushConfig{}, err
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

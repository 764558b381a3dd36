package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/spf13/cobra"

	"kreplay/pkg/fleet"
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
	f.StringVar(&t.stream, "stream", "", "stream name or ARN (stream.name of the scenario)")
	f.IntVar(&t.create, "create-stream", 0, "create the stream with so many shards and the allow tag; on loopback, or with --allow-stream")
	f.Lookup("create-stream").NoOptDefVal = "1"
	f.StringArrayVar(&t.allow, "allow-stream", nil, "write to this stream although it lacks the tag "+allowTag+"=true (repeatable)")
}

// open connects to the stream and makes sure that it may be written to.
func (t *targetFlags) open(ctx context.Context, a *app, job *replay.Job) (replay.Target, *kinesis.Client, error) {
	given := t.stream
	if given == "" {
		given = job.Scenario.Stream.Name
	}
	if given == "" {
		return replay.Target{}, nil, usagef("no stream: pass --stream NAME, set stream.name in the scenario, or use --local")
	}
	cfg, err := a.awsConfig(ctx, a.kinesisEndpoint())
	if err != nil {
		return replay.Target{}, nil, err
	}
	name, err := streamName(given, cfg.Region)
	if err != nil {
		return replay.Target{}, nil, err
	}
	client := kinesis.New(cfg, name, kinesis.Options{Requests: job.Scenario.Stream.Limits.Requests})
	named := slices.Contains(t.allow, name) || slices.Contains(t.allow, given)
	info, err := client.Describe(ctx)
	if errors.Is(err, kinesis.ErrNoStream) && t.create > 0 {
		if !named && !loopback(a.kinesisEndpoint()) {
			return replay.Target{}, nil, fmt.Errorf("%w: --create-stream on AWS needs --allow-stream %s as well", replay.ErrGuard, name)
		}
		if err = client.Create(ctx, t.create, map[string]string{allowTag: "true"}); err == nil {
			info, err = client.Describe(ctx)
		}
	}
	if err != nil {
		return replay.Target{}, nil, err
	}
	if err := a.checkPlace(given, cfg.Region, info); err != nil {
		return replay.Target{}, nil, err
	}
	if !named && info.Tags[allowTag] != "true" {
		return replay.Target{}, nil, fmt.Errorf("%w: stream %s does not carry the tag %s=true, so it is not written to; tag it, or pass --allow-stream %s",
			replay.ErrGuard, name, allowTag, name)
	}
	if err := a.checkSpend(ctx, job, client, info); err != nil {
		return replay.Target{}, nil, err
	}
	to := replay.Target{Sink: client, Stream: name, Endpoint: a.kinesisEndpoint(), RecordBytes: info.MaxRecordBytes, Offset: client.Offset}
	// An emulator has no limits, or does not say so.
	if !info.Auto() && (job.Scenario.Stream.Limits.PerShard > 0 || !loopback(to.Endpoint)) {
		to.Shards = client.Shards
	}
	return to, client, nil
}

// streamName is the name of a stream that may be given as an ARN, which then has
// to be in the region that is asked.
func streamName(given, region string) (string, error) {
	if !arn.IsARN(given) {
		return given, nil
	}
	at, err := arn.Parse(given)
	name, ok := strings.CutPrefix(at.Resource, "stream/")
	if err != nil || !ok || at.Service != "kinesis" || name == "" {
		return "", usagef("--stream %q: want a name, or arn:aws:kinesis:REGION:ACCOUNT:stream/NAME", given)
	}
	if at.Region != region {
		return "", fmt.Errorf("%w: the stream is in region %s, and the client asks %s; pass --region %s", replay.ErrGuard, at.Region, region, at.Region)
	}
	return name, nil
}

// checkPlace makes sure that the stream is the one that was meant, and says
// where it is: of all mistakes that of the account costs most.
func (a *app) checkPlace(given, region string, info kinesis.Info) error {
	if arn.IsARN(given) && given != info.ARN {
		return fmt.Errorf("%w: the stream is %s, not %s: are these the credentials of another account?", replay.ErrGuard, info.ARN, given)
	}
	if loopback(a.kinesisEndpoint()) {
		return nil // an emulator, whose account is nobody's
	}
	at, err := arn.Parse(info.ARN)
	if err != nil {
		return fmt.Errorf("stream %s: its ARN says no account and region: %w", info.Name, err)
	}
	if at.Region != region {
		return fmt.Errorf("%w: the stream is in region %s, but requests are signed for %s; check --region and --endpoint-url", replay.ErrGuard, at.Region, region)
	}
	if !a.quiet {
		fmt.Fprintf(a.stderr, "stream %s of account %s in %s: %s, %d shards\n", info.Name, at.AccountID, at.Region, strings.ToLower(info.Mode), info.OpenShards)
	}
	return nil
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
	f.StringVar(&p.dir, "run-dir", "", runDirUsage+"; that of a worker is worker-i below it")
	f.StringVar(&p.who.Worker, "worker", "", "send only this worker's share, as in 1/4; /4 where AWS Batch or Kubernetes says which")
	f.Uint64Var(&p.who.Workers, "workers", 0, "number of workers, where Kubernetes says which this is (JOB_COMPLETION_INDEX)")
	f.StringVar(&p.who.Run, "run-id", "", "id of the run, one for all workers (default: $KREPLAY_RUN_ID, the job's id on AWS Batch, else a fresh one)")
	f.StringVar(&p.who.Anchor, "anchor", "", "event time of the first user's first event, RFC 3339, one for all workers (default: $KREPLAY_ANCHOR, else so that the last event is just before the start)")
	f.StringVar(&p.who.StartAt, "start-at", "", "send nothing before this time, RFC 3339, one for all workers (default: $KREPLAY_START_AT, else at once)")
	f.StringVar(&p.resume, "resume", "", "go on with the run of this directory: send what is not acked; --rate and --set stream.limits… may change, --run-dir s3://… is its copy")
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
	observe, stop, err := p.app.monitored(c.Context())
	if err != nil {
		return err
	}
	defer stop()
	cfg.Version, cfg.Log, cfg.Observe = version(), p.app.log, observe
	fmt.Fprintf(p.app.stderr, "run %s in %s\n", cfg.RunID, p.where)
	led, err := replay.Push(c.Context(), job, cfg)
	if err != nil {
		return interrupted(c.Context(), err, p.where)
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

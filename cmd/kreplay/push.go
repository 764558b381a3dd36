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
	return replay.Target{Sink: client, Stream: name, Endpoint: a.kinesisEndpoint(), RecordBytes: info.MaxRecordBytes}, nil
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
	var src sourceFlags
	var target targetFlags
	var dir, worker, id, anchor string
	c := &cobra.Command{
		Use: "push SCENARIO", Short: "Send the records; leaves a run directory for verify",
		Example: "  kreplay push smoke --stream actions-staging --region eu-west-1",
		Args:    one("scenario"),
		RunE: func(c *cobra.Command, args []string) error {
			slice, err := parseSlice(worker)
			if err != nil {
				return err
			}
			if slice.Of > 1 && (id == "" || anchor == "") {
				return usagef("--worker %s: workers need one --run-id and one --anchor, the same for all", worker)
			}
			if id == "" {
				id = replay.NewRunID(time.Now())
			}
			where, err := a.placeRun(c.Context(), dir, id)
			if err != nil {
				return err
			}
			defer where.close()
			since, err := parseAnchor(anchor)
			if err != nil {
				return err
			}
			job, err := src.sendable(c, args[0])
			if err != nil {
				return err
			}
			to, err := target.open(c.Context(), a, job)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stderr, "run %s in %s\n", id, where)
			led, err := replay.Push(c.Context(), job, replay.PushConfig{
				Dir: where.dir, Mirror: where.mirror(), RunID: id, Anchor: since, Slice: slice, Target: to, Stages: stagePaths(job), Version: version(), Observe: a.observer(),
			})
			if err != nil {
				return err
			}
			t := led.Totals()
			fmt.Fprintf(a.stdout, "%s  planned %d, acked %d, refused %d, unknown %d, unsent %d\n", where,
				led.Manifest.Planned, t.Acked, t.Refused, t.Unknown, t.Unsent)
			if t.Acked != led.Manifest.Planned {
				return verdictError{exitInconclusive}
			}
			return nil
		},
	}
	src.add(c)
	src.addRate(c)
	target.add(c)
	c.Flags().StringVar(&dir, "run-dir", "", runDirUsage)
	c.Flags().StringVar(&worker, "worker", "", "send only this worker's share, as in 1/4; give all workers one --run-id and --anchor")
	c.Flags().StringVar(&id, "run-id", "", "id of the run (default: a fresh one)")
	c.Flags().StringVar(&anchor, "anchor", "", "event time of the first user's first event, RFC 3339 (default: so that the last event is just before now)")
	return c
}

// stagePaths are the stages as the scenario names them.
func stagePaths(job *replay.Job) map[string]string {
	stages := map[string]string{}
	for _, s := range job.Scenario.Stages {
		stages[s.Name] = s.Path
	}
	return stages
}

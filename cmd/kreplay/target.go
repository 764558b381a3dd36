package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// allowTag marks a stream that kreplay may write to (law 9).
const allowTag = "kreplay:allow"

// creating is how many streams of an account may be in the making at a time
// (aws-sdk-go-v2 kinesis v1.56.12, api_op_CreateStream.go).
const creating = 5

// targetFlags say which streams are written to.
type targetFlags struct {
	stream string
	create int
	allow  []string
}

func (t *targetFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&t.stream, "stream", "", "stream name or ARN, with {log_type} in it for a stream for each log type (stream.name of the scenario)")
	f.IntVar(&t.create, "create-stream", 0, "create the streams that are missing with so many shards and the allow tag; on loopback, or with --allow-stream")
	f.Lookup("create-stream").NoOptDefVal = "1"
	c.PreRunE = func(*cobra.Command, []string) error {
		if f.Changed("create-stream") && t.create < 1 {
			return usagef("--create-stream=%d: a stream has at least one shard", t.create)
		}
		return nil
	}
	f.StringArrayVar(&t.allow, "allow-stream", nil, "write to this stream, or to those that match as in 'staging-*', without the tag "+allowTag+"=true (repeatable)")
}

// A door is a stream that is to be written to, and what is known of it.
type door struct {
	name, given string // given: as the user named it, with the log type put in
	client      *kinesis.Client
	info        kinesis.Info
}

// open connects to the streams and makes sure that all of them may be written to.
func (t *targetFlags) open(ctx context.Context, a *app, job *replay.Job) (replay.Target, *kinesis.Client, error) {
	given := cmp.Or(t.stream, job.Scenario.Stream.Name)
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
	names, of, err := streams(job, name)
	if err != nil {
		return replay.Target{}, nil, err
	}
	client := kinesis.New(cfg, name, sinkOptions(job))
	doors := make([]*door, len(names))
	for i, n := range names {
		doors[i] = &door{name: n, given: strings.TrimSuffix(given, name) + n, client: client.Of(n)}
	}
	if err := t.admit(ctx, a, cfg.Region, given, doors); err != nil {
		return replay.Target{}, nil, err
	}
	if err := a.checkSpend(ctx, job, doors, of); err != nil {
		return replay.Target{}, nil, err
	}
	to := replay.Target{Stream: name, Endpoint: a.kinesisEndpoint(), Offset: client.Offset}
	if of == nil {
		to.Sink, to.RecordBytes, to.Shards = doors[0].client, doors[0].info.MaxRecordBytes, a.paced(job, doors[0])
		return to, client, nil
	}
	to.LogTypes = map[string]replay.Target{}
	for l, i := range of {
		d := doors[i]
		to.LogTypes[l] = replay.Target{Sink: d.client, Stream: d.name, Endpoint: to.Endpoint, RecordBytes: d.info.MaxRecordBytes, Shards: a.paced(job, d)}
	}
	return to, client, nil
}

// sinkOptions are what a scenario says of requests.
func sinkOptions(job *replay.Job) kinesis.Options {
	o := kinesis.Options{Requests: job.Scenario.Stream.Limits.Requests}
	if job.Scenario.Stream.Wire == scenario.WireCBOR {
		o.Wire = kinesis.CBOR
	}
	return o
}

// streams names the streams that a run goes to, and which of them each log type goes to.
func streams(job *replay.Job, name string) (names []string, of map[string]int, err error) {
	if err := scenario.CheckStreamName(name); err != nil {
		return nil, nil, usagef("stream %v", err)
	}
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		return nil, nil, err
	}
	if names, of, err = replay.Streams(plan, name); err != nil {
		return nil, nil, usagef("stream %v", err)
	}
	return names, of, nil
}

// paced lists a stream's shards where their limits are to be kept to. An emulator
// has no limits, or does not say so.
func (a *app) paced(job *replay.Job, d *door) func(context.Context) ([]stream.Shard, error) {
	if d.info.Auto() || job.Scenario.Stream.Limits.PerShard == 0 && loopback(a.kinesisEndpoint()) {
		return nil
	}
	return d.client.Shards
}

// admit asks every stream about itself and says all that keeps any of them from
// being written to. Only when nothing else does are those created that are missing.
func (t *targetFlags) admit(ctx context.Context, a *app, region, given string, doors []*door) error {
	var faults []error
	var missing []*door
	for _, d := range doors {
		named, err := t.allowed(given, d)
		if err != nil {
			return err
		}
		d.info, err = d.client.Describe(ctx)
		switch {
		case errors.Is(err, kinesis.ErrNoStream) && t.create > 0:
			missing = append(missing, d)
			if !named && !loopback(a.kinesisEndpoint()) {
				faults = append(faults, fmt.Errorf("%w: --create-stream on AWS needs --allow-stream %s as well", replay.ErrGuard, d.name))
			}
		case errors.Is(err, kinesis.ErrNoStream), errors.Is(err, kinesis.ErrDenied):
			faults = append(faults, err) // the next one may be there
		case err != nil:
			return errors.Join(append(faults, err)...)
		default:
			faults = append(faults, a.admitted(d, region, named))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	return t.createAll(ctx, a, region, missing)
}

// admitted says why a stream that exists is not written to.
func (a *app) admitted(d *door, region string, named bool) error {
	if err := a.checkPlace(d.given, region, d.info); err != nil {
		return err
	}
	if s := d.info.Status; s == "CREATING" || s == "DELETING" {
		return fmt.Errorf("stream %s is %s: it can be written to when it is ACTIVE or UPDATING; wait for that, or for its end", d.name, s)
	}
	if !named && d.info.Tags[allowTag] != "true" {
		return fmt.Errorf("%w: stream %s does not carry the tag %s=true, so it is not written to; tag it, or pass --allow-stream %s",
			replay.ErrGuard, d.name, allowTag, d.name)
	}
	return nil
}

// allowed says whether --allow-stream names a stream.
func (t *targetFlags) allowed(given string, d *door) (named bool, err error) {
	for _, pattern := range t.allow {
		match, err := path.Match(pattern, d.name)
		if err != nil {
			return false, usagef("--allow-stream %q: %v; want a name, or one with *, ? and [a-z] in it", pattern, err)
		}
		named = named || match || pattern == d.given || pattern == given
	}
	return named, nil
}

// createAll creates streams, a few at a time, and waits until they can be written to.
func (t *targetFlags) createAll(ctx context.Context, a *app, region string, missing []*door) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(creating)
	for _, d := range missing {
		g.Go(func() (err error) {
			if err = d.client.Create(ctx, t.create, map[string]string{allowTag: "true"}); err == nil {
				d.info, err = d.client.Describe(ctx)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var faults []error
	for _, d := range missing {
		faults = append(faults, a.admitted(d, region, true))
	}
	return errors.Join(faults...)
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
	if loopback(a.kinesisEndpoint()) { // an emulator, whose account is nobody's
		if a.verbose {
			fmt.Fprintf(a.stderr, "stream %s: %v\n", info.Name, info)
		}
		return nil
	}
	at, err := arn.Parse(info.ARN)
	if err != nil {
		return fmt.Errorf("stream %s: its ARN says no account and region: %w", info.Name, err)
	}
	if at.Region != region {
		return fmt.Errorf("%w: the stream is in region %s, but requests are signed for %s; check --region and --endpoint-url", replay.ErrGuard, at.Region, region)
	}
	if !a.quiet {
		fmt.Fprintf(a.stderr, "stream %s of account %s in %s: %v\n", info.Name, at.AccountID, at.Region, info)
	}
	return nil
}

// checkSpend holds the estimated cost of a run against the scenario's guard.
func (a *app) checkSpend(ctx context.Context, job *replay.Job, doors []*door, of map[string]int) error {
	allowed := job.Scenario.Guard.SpendUSD
	if allowed.Digits == 0 {
		return nil
	}
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		return err
	}
	shards, err := shardsOf(ctx, doors)
	if err != nil {
		return err
	}
	prices, err := replay.ListPrices()
	if err != nil {
		return err
	}
	f, err := replay.Predict(ctx, plan, job.Scenario.Stream.Limits, replay.PredictConfig{Streams: shards, Of: of, Limited: true, Observe: a.observer()})
	if err != nil {
		return err
	}
	return replay.CheckSpend(allowed, f.Cost(prices))
}

// shardsOf lists the shards of streams that have been described.
func shardsOf(ctx context.Context, doors []*door) (list []replay.StreamShards, err error) {
	for _, d := range doors {
		shards, err := d.client.Shards(ctx)
		if err != nil {
			return nil, err
		}
		m, err := stream.NewMap(shards)
		if err != nil {
			return nil, err
		}
		list = append(list, replay.StreamShards{Name: d.name, Shards: m, OnDemand: d.info.Mode == "ON_DEMAND"})
	}
	return list, nil
}

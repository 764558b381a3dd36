package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/report"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// How long a local stage must be quiet, and at most waited for, at least (design.md, settle).
const (
	localQuiet = 2 * time.Second
	localMax   = 30 * time.Second
)

// outputFlags say which reports are written, and where.
type outputFlags struct {
	specs   []string
	outputs []report.Output
}

func (o *outputFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVarP(&o.specs, "output", "o", nil, "report: text or json, with =FILE to write a file (repeatable; default text)")
}

// check parses the flags; it is called before any work.
func (o *outputFlags) check() error {
	o.outputs = nil
	for _, s := range o.specs {
		out, err := report.ParseOutput(s)
		if err != nil {
			return usagef("-o: %v", err)
		}
		o.outputs = append(o.outputs, out)
	}
	return nil
}

// conclude prints the reports and turns the verdict into the exit status.
func (a *app) conclude(ctx context.Context, res *replay.Result, where runPlace, out outputFlags) error {
	rep := res.Report()
	text := true
	for _, o := range append([]report.Output{{Format: "json", File: filepath.Join(where.dir, reportFile)}}, out.outputs...) {
		text = text && o.File != ""
		if err := o.Write(a.stdout, rep); err != nil {
			return err
		}
	}
	if text {
		if err := (report.Output{Format: "text"}).Write(a.stdout, rep); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "\nrun directory: %s\n", where)
	}
	if err := where.upload(ctx); err != nil {
		return err
	}
	switch rep.Verdict {
	case report.Pass:
		return nil
	case report.Fail:
		return verdictError{exitFailed}
	default:
		return verdictError{exitInconclusive}
	}
}

func (a *app) runCommand() *cobra.Command {
	r := &runner{app: a}
	c := &cobra.Command{
		Use: "run SCENARIO", Short: "Push, wait until it has arrived, verify, report",
		Example: "  kreplay run smoke --local\n  kreplay run smoke --local -o json=report.json\n  kreplay run ./my-scenario --stream actions-staging",
		Args:    one("scenario"),
		RunE:    r.run,
	}
	r.src.add(c)
	r.src.addRate(c)
	r.src.addWire(c)
	r.app.addMetrics(c)
	r.target.add(c)
	r.out.add(c)
	r.emb.add(c)
	c.Flags().BoolVar(&r.local, "local", false, "run against the embedded pipeline on loopback")
	c.Flags().StringVar(&r.dir, "run-dir", "", runDirUsage)
	c.Flags().StringVar(&r.id, "run-id", "", "id of the run (default: a fresh one)")
	c.Flags().StringVar(&r.anchor, "anchor", "", "event time of the first user's first event, RFC 3339 (default: so that the last event is just before now)")
	return c
}

type runner struct {
	app    *app
	src    sourceFlags
	target targetFlags
	out    outputFlags
	emb    embeddedFlags
	local  bool
	dir    string
	id     string
	anchor string
	where  runPlace
}

func (r *runner) run(c *cobra.Command, args []string) error {
	if err := r.out.check(); err != nil {
		return err
	}
	if !r.local {
		if err := r.emb.unused(); err != nil {
			return err
		}
	}
	job, err := r.src.sendable(c, args[0])
	if err != nil {
		return err
	}
	if r.local && !job.Scenario.Settle.Set {
		// As overrides they are in the manifest, so that verify waits no longer either.
		quiet, err := r.emb.quiet()
		if err != nil {
			return err
		}
		r.src.set = append(r.src.set, "settle.quiet="+quiet.String(), "settle.max="+max(localMax, 4*quiet).String())
		if job, err = r.src.job(c, args[0]); err != nil {
			return err
		}
	}
	id := r.id
	if id == "" {
		id = replay.NewRunID(time.Now())
	}
	since, err := parseAnchor(r.anchor)
	if err != nil {
		return err
	}
	if r.where, err = r.app.placeRun(c.Context(), r.dir, id); err != nil {
		return err
	}
	defer r.where.close()
	observe, stop, err := r.app.monitored(c.Context())
	if err != nil {
		return err
	}
	defer stop()
	cfg := replay.RunConfig{
		Push:   replay.PushConfig{Dir: r.where.dir, Mirror: r.where.mirror(), RunID: id, Anchor: since, Stages: stagePaths(job), Version: version(), Log: r.app.log, Observe: observe},
		Verify: replay.VerifyConfig{Dir: r.where.dir, Open: r.app.openPlace, Tail: r.app.openTail, Observe: observe},
	}
	cfg.Verify.Engine = engine
	if r.local {
		return r.runLocal(c.Context(), job, cfg)
	}
	if len(cfg.Push.Stages) == 0 {
		return usagef("scenario %s names no stage to verify; add stages to it, or use --local", job.Scenario.Name)
	}
	var client *kinesis.Client
	if cfg.Push.Target, client, err = r.target.open(c.Context(), r.app, job); err != nil {
		return err
	}
	defer client.Close()
	return r.finish(c.Context(), job, cfg)
}

func (r *runner) finish(ctx context.Context, job *replay.Job, cfg replay.RunConfig) error {
	fmt.Fprintf(r.app.stderr, "run %s in %s\n", cfg.Push.RunID, r.where)
	res, err := replay.Run(ctx, job, cfg)
	switch {
	case err != nil && r.local: // its stream has gone with it
		return err
	case err != nil:
		return stopped(err, r.where)
	}
	return r.app.conclude(ctx, res, r.where, r.out)
}

// runLocal brings up the embedded pipeline, whose lake is a folder of the run directory.
func (r *runner) runLocal(ctx context.Context, job *replay.Job, cfg replay.RunConfig) error {
	lake := filepath.Join(cfg.Push.Dir, "lake")
	name := job.Scenario.Stream.Name
	if name == "" {
		name = "kreplay-" + job.Scenario.Name
	}
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		return err
	}
	names, of, err := replay.Streams(plan, name)
	if err != nil {
		return err
	}
	to := embeddedTarget{listen: "127.0.0.1:0", lake: lake, records: plan.Total(), keep: readsBack(job)}
	if err := to.partition(job); err != nil {
		return err
	}
	for _, n := range names {
		to.streams = append(to.streams, local.StreamSpec{Name: n, Shards: localShards, Tags: map[string]string{allowTag: "true"}})
	}
	pipe, err := r.emb.start(ctx, to)
	if err != nil {
		return err
	}
	defer func() { _ = pipe.Close() }() //nolint:contextcheck // it also ends what outlives a cancelled ctx
	client := kinesis.New(localConfig(pipe.URL()), name, sinkOptions(job))
	cfg.Push.Target = r.localTarget(client, name, pipe.URL())
	if of != nil {
		cfg.Push.Target.LogTypes = map[string]replay.Target{}
	}
	for l, i := range of {
		cfg.Push.Target.LogTypes[l] = r.localTarget(client.Of(names[i]), names[i], pipe.URL())
	}
	errorsOf := filepath.Join(lake, "errors") // where the deliverer leaves what it rejects
	if err := os.MkdirAll(errorsOf, 0o755); err != nil {
		return fmt.Errorf("error stage: %w", err)
	}
	cfg.Push.Stages = map[string]string{"raw": lake, "dlq": errorsOf}
	cfg.Verify.Pending = pipe.Pending
	if to.keep {
		cfg.Push.Stages["stream"] = name
	}
	return r.finish(ctx, job, cfg)
}

// localTarget is a stream of the embedded pipeline.
func (r *runner) localTarget(client *kinesis.Client, name, url string) replay.Target {
	to := replay.Target{Sink: client, Stream: name, Endpoint: url, Offset: client.Offset}
	if r.emb.limits == "aws" {
		to.Shards = client.Shards
	}
	return to
}

// readsBack says whether the scenario has the stage stream.
func readsBack(job *replay.Job) bool {
	return slices.ContainsFunc(job.Scenario.Stages, func(s scenario.Stage) bool { return s.Name == "stream" })
}

// partition tells the embedded deliverer where to write, so that records lie where
// the scenario says they belong.
func (to *embeddedTarget) partition(job *replay.Job) error {
	for _, s := range job.Scenario.Stages {
		if s.Name != "raw" || s.Partition == "" {
			continue
		}
		if unnamed := s.Unnamed(); len(unnamed) > 0 {
			return usagef("--local: the embedded pipeline partitions by fields of records: name the field of %s in stages.raw.keys", strings.Join(unnamed, ", "))
		}
		to.prefix, to.zone, to.keys = strings.TrimSuffix(s.Partition, "/")+"/", s.Zone(), map[string]string{}
		for _, k := range s.Keys {
			to.keys[k.Name] = k.Field
		}
	}
	return nil
}

// listenLoopback refuses any other address: what is served has no authentication.
func listenLoopback(ctx context.Context, flag, addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(ctx, "tcp", port)
	}
	if err != nil {
		return nil, usagef("%s %q: want HOST:PORT, as in 127.0.0.1:4566", flag, addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usagef("%s %q: only a loopback address, as in 127.0.0.1:4566: nothing there checks credentials", flag, addr)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	return l, nil
}

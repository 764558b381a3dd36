package replay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// acks takes all records and keeps none: it makes the ledger of a worker whose
// records another run has brought into the lake.
var acks = sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
	outs := make([]record.Outcome, len(recs))
	for i, r := range recs {
		outs[i] = record.Outcome{ID: r.ID, Fate: record.Acked}
	}
	return outs, nil
})

var workersAnchor = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// crew is a run whose workers leave their run directories below dir.
type crew struct {
	t    *testing.T
	dir  string
	lake string
}

const crewUsers = 30

func newCrew(t *testing.T) crew {
	dir := t.TempDir()
	return crew{t, dir, filepath.Join(dir, "lake")}
}

// spoiled is a crew with the run directory "alone" of one worker, all of whose
// records are in a lake where some were lost, doubled and changed.
func spoiled(t *testing.T) crew {
	t.Helper()
	c := newCrew(t)
	pipe := start(t, local.Config{Lake: c.lake, BufferInterval: time.Hour, BufferBytes: 64 << 10, Compression: "gzip",
		Faults: local.Faults{Seed: 7, Of: 40 * crewUsers, Drop: 9, Duplicate: 60, Corrupt: 7, Truncate: 1}}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	cfg := pushConfig(filepath.Join(c.dir, "alone"), client, c.lake)
	cfg.RunID, cfg.Anchor = "crew", workersAnchor
	if _, err := replay.Push(t.Context(), smoke(t, crewUsers), cfg); err != nil {
		t.Fatal(err)
	}
	if err := pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// worker leaves the run directory of worker i of n below a folder.
func (c crew) worker(folder string, i, n uint64, change ...func(*replay.PushConfig)) string {
	c.t.Helper()
	dir := filepath.Join(c.dir, folder, fmt.Sprintf("worker-%d", i))
	cfg := pushConfig(dir, acks, c.lake)
	cfg.RunID, cfg.Anchor, cfg.Slice = "crew", workersAnchor, generate.Slice{Index: i, Of: n}
	for _, f := range change {
		f(&cfg)
	}
	if _, err := replay.Push(c.t.Context(), smoke(c.t, crewUsers), cfg); err != nil {
		c.t.Fatal(err)
	}
	return dir
}

func (c crew) verify(runs ...string) (*replay.Result, error) {
	return replay.Verify(c.t.Context(), replay.VerifyConfig{Dir: c.t.TempDir(), Runs: runs, Quiet: time.Nanosecond, Max: time.Second, Samples: 1 << 20})
}

// One run on one machine or on eight: number by number and difference by
// difference one account, one verdict.
func TestManyWorkersAreOneRun(t *testing.T) {
	c := spoiled(t)
	want, err := c.verify(filepath.Join(c.dir, "alone"))
	if err != nil {
		t.Fatal(err)
	}
	if tally := want.Stages[0].Tally; tally.Missing < 9 || tally.Pipeline == 0 || tally.Mutated != 7 || tally.Damaged == 0 {
		t.Fatalf("%+v: the lake is not as planted", tally)
	}
	for _, n := range []uint64{1, 2, 8, 50} { // also more workers than users
		var dirs []string
		folder := fmt.Sprintf("crew-%d", n)
		for i := range n {
			dirs = append([]string{c.worker(folder, i+1, n)}, dirs...) // in any order
		}
		for _, runs := range [][]string{{filepath.Join(c.dir, folder)}, dirs} {
			got, err := c.verify(runs...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Stages[0].Tally, got.Stages[0].Tally); diff != "" {
				t.Errorf("%d workers: tally of one (-), of all (+):\n%s", n, diff)
			}
			if diff := cmp.Diff(named(want), named(got)); diff != "" {
				t.Errorf("%d workers: differences of one (-), of all (+):\n%s", n, diff)
			}
			checkSums(t, got.Ledger)
			a, b := want.Report(), got.Report()
			if a.Verdict != b.Verdict || !cmp.Equal(a.Reasons, b.Reasons) || b.Push.Planned != 40*crewUsers || b.Push.Acked != a.Push.Acked {
				t.Errorf("%d workers: %s %v, %+v; want %s %v, %+v", n, b.Verdict, b.Reasons, b.Push, a.Verdict, a.Reasons, a.Push)
			}
		}
	}
}

// checkSums holds what is said of the run against what the workers say: it began
// with the first of them, ended with the last, and did what they did together.
func checkSums(t *testing.T, l *replay.Ledgers) {
	t.Helper()
	want := replay.Ledgers{Manifest: l.Workers[0].Manifest, Clean: true}
	for _, a := range l.Workers {
		if a.Manifest.Started.Before(want.Manifest.Started) {
			want.Manifest.Started = a.Manifest.Started
		}
		if a.Ended.After(want.Ended) {
			want.Ended = a.Ended
		}
		want.Attempts.Requests += a.Attempts.Requests
		want.Attempts.Acked += a.Attempts.Acked
		want.Segments += a.Segments
	}
	if !l.Manifest.Started.Equal(want.Manifest.Started) || !l.Ended.Equal(want.Ended) || l.Attempts != want.Attempts || l.Segments != want.Segments || !l.Clean {
		t.Errorf("from %v to %v, %+v in %d segments, clean %v; want %v to %v, %+v in %d", l.Manifest.Started, l.Ended, l.Attempts, l.Segments, l.Clean,
			want.Manifest.Started, want.Ended, want.Attempts, want.Segments)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// named are the differences as text; damaged spans are named as objects are
// read, which is in no order.
func named(res *replay.Result) (list []string) {
	for _, d := range res.Samples {
		if d.Kind != account.KindDamaged {
			list = append(list, fmt.Sprintf("%s %s %s %s %s+%d %s", d.Kind, d.ID, d.LogType, d.Charge, d.Object, d.Offset, d.Detail))
		}
	}
	return list
}

// A worker that never started is named with its users; its records are absent,
// and nothing is proven. When it has run, all is as if it always had been there.
func TestAbsentWorkersAreNamed(t *testing.T) {
	c := newCrew(t)
	pipe := start(t, local.Config{Lake: c.lake, BufferInterval: time.Hour, Compression: "gzip"}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	live := func(cfg *replay.PushConfig) { cfg.Target.Sink = client }
	for _, i := range []uint64{1, 2, 5} {
		c.worker("run", i, 5, live)
	}
	check := func(verdict report.Verdict, absent uint64, reason string) {
		t.Helper()
		if err := pipe.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		res, err := c.verify(filepath.Join(c.dir, "run"))
		if err != nil {
			t.Fatal(err)
		}
		tally, rep := res.Stages[0].Tally, res.Report()
		want := account.States{Planned: 1200, Delivered: 1200 - absent, Absent: absent}
		if rep.Verdict != verdict || tally.States != want || rep.Push.Unsent != absent {
			t.Errorf("%s, %+v, %d unsent; want %s, %+v", rep.Verdict, tally.States, rep.Push.Unsent, verdict, want)
		}
		if text := strings.Join(rep.Reasons, "\n"); !strings.Contains(text, reason) {
			t.Errorf("reasons %q, want one with %q", text, reason)
		}
	}
	check(report.Inconclusive, 480, "workers 3 to 4 of 5 never started: no run directory, and no row; users 12 to 23, 480 records")
	c.worker("run", 3, 5, live)
	check(report.Inconclusive, 240, "worker 4 of 5 never started: no run directory, and no row; users 18 to 23, 240 records")
	c.worker("run", 4, 5, live)
	check(report.Pass, 0, "")
	// One whose run directory is lost is not taken for one that never started.
	if err := os.Rename(filepath.Join(c.dir, "run", "worker-2"), filepath.Join(c.dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	check(report.Inconclusive, 0, "worker 2 of 5 sent something, but left no run directory here: give it to verify as well; users 6 to 11, 240 records")
}

// Nothing is held against the pipeline that a worker whose ledger is not there
// may have done: it may have sent its records any number of times.
func TestLostLedgerBlamesNobody(t *testing.T) {
	c := spoiled(t)
	all, err := c.verify(filepath.Join(c.dir, "alone"))
	if err != nil {
		t.Fatal(err)
	}
	// Where faults fall depends on which request came first, so the worker is one of whom some
	// records were lost and some doubled.
	var lost, missing, doubled uint64
	for missing == 0 || doubled == 0 {
		if lost++; lost > 4 {
			t.Fatal("of no worker are records both missing and doubled")
		}
		missing, doubled = 0, 0
		first, end := all.Plan.Range(generate.Slice{Index: lost, Of: 4})
		for _, d := range all.Samples {
			switch user := uint64(d.ID.User); {
			case user < first || user >= end:
			case d.Kind == account.KindMissing:
				missing++
			case d.Kind == account.KindDuplicate:
				doubled++
			}
		}
	}
	for i := range uint64(4) {
		if i+1 != lost {
			c.worker("run", i+1, 4)
		}
	}
	res, err := c.verify(filepath.Join(c.dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	want, got := all.Stages[0].Tally, res.Stages[0].Tally
	if got.Rows != want.Rows || got.Delivered != want.Delivered || got.Mutated != want.Mutated || got.Duplicates() != want.Duplicates() {
		t.Errorf("%+v, want the rows of %+v", got, want)
	}
	if got.Undecided != missing || got.Missing != want.Missing-missing || got.Producer != doubled {
		t.Errorf("%d missing, %d undecided, %d duplicates by the producer; want %d, %d, %d", got.Missing, got.Undecided, got.Producer, want.Missing-missing, missing, doubled)
	}
}

// Run directories that are not of one run are not added up, and all of them are named.
func TestStrangersAreNotOneRun(t *testing.T) {
	c := newCrew(t)
	first := c.worker("run", 1, 3)
	second := c.worker("run", 2, 3)
	for name, tc := range map[string]struct {
		dirs []string
		want []string
	}{
		"twice":     {[]string{first, second, first}, []string{"worker 1 of 3 is there twice"}},
		"anchor":    {[]string{first, c.worker("anchor", 2, 3, func(p *replay.PushConfig) { p.Anchor = p.Anchor.Add(time.Second) })}, []string{"the anchor is 2026-11-01T00:00:01Z, not 2026-11-01T00:00:00Z"}},
		"run id":    {[]string{first, c.worker("id", 2, 3, func(p *replay.PushConfig) { p.RunID = "other" })}, []string{"the run id is other, not crew"}},
		"number":    {[]string{first, c.worker("number", 2, 4)}, []string{"the number of workers is 4, not 3"}},
		"stream":    {[]string{first, c.worker("stream", 2, 3, func(p *replay.PushConfig) { p.Target.Stream = "t" })}, []string{"the stream is t, not s"}},
		"no run":    {[]string{first, t.TempDir()}, []string{"not a run directory"}},
		"all wrong": {[]string{first, c.worker("a", 2, 4), c.worker("b", 3, 5)}, []string{"workers is 4, not 3", "workers is 5, not 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.verify(tc.dirs...)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
		})
	}
}

// The limits are those of the whole run, and of each shard: a worker of four
// takes a quarter of them, however few of the others there are.
func TestWorkersShareTheLimits(t *testing.T) {
	shards := func(context.Context) ([]stream.Shard, error) {
		last, err := stream.ParseHashKey("340282366920938463463374607431768211455")
		return []stream.Shard{{ID: "shardId-000000000000", Last: last}}, err
	}
	for name, tc := range map[string]struct {
		users int
		set   []string
		paced func(context.Context) ([]stream.Shard, error)
	}{
		"rate":       {840, []string{"stream.limits.rate=4k/s"}, nil},        // 8,400 records of 33,600 at 1,000/s
		"bytes":      {840, []string{"stream.limits.bytes=920kB/s"}, nil},    // 230 bytes a record
		"shards":     {208, nil, shards},                                     // 2,080 records at 250/s
		"half shard": {104, []string{"stream.limits.per_shard=50%"}, shards}, // 1,040 records at 125/s
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := pushConfig(filepath.Join(t.TempDir(), "run"), acks, "lake")
				cfg.Slice, cfg.Target.Shards = generate.Slice{Index: 2, Of: 4}, tc.paced
				begun := time.Now()
				if _, err := replay.Push(t.Context(), smoke(t, tc.users, tc.set...), cfg); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took < 7500*time.Millisecond || took > 9*time.Second {
					t.Errorf("took %v, want about 8.3 s", took)
				}
			})
		})
	}
}

// A record's life is told out of the ledger of the worker that sent it.
func TestExplainAmongManyWorkers(t *testing.T) {
	c := newCrew(t)
	if err := os.Mkdir(c.lake, 0o755); err != nil {
		t.Fatal(err)
	}
	first := c.worker("run", 1, 3)
	c.worker("run", 2, 3)
	plan, err := smoke(t, crewUsers).Plan(generate.Run{ID: "crew", Anchor: workersAnchor})
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[uint32]string{0: "", 9: "", 10: "", 19: "", 20: "user 20 is worker 3's of 3, whose run directory is not here: give that"} {
		cfg := replay.ExplainConfig{Dir: filepath.Join(c.dir, "run"), ID: plan.ID(user, 7).String(), Quiet: time.Nanosecond}
		life, err := replay.Explain(t.Context(), cfg)
		if want != "" {
			if !errors.Is(err, replay.ErrID) || !strings.Contains(err.Error(), want) {
				t.Errorf("user %d: %v, want %q", user, err, want)
			}
			continue
		}
		if seq := uint64(user%10)*40 + 7; err != nil || life.Ledger.Fate != "acked" || life.Ledger.Seq != seq || life.Ledger.Of != 400 {
			t.Errorf("user %d: %v, %+v; want acked, record %d of 400", user, err, life, seq)
		}
	}
	cfg := replay.ExplainConfig{Dir: first, ID: plan.ID(10, 7).String()}
	if _, err := replay.Explain(t.Context(), cfg); !errors.Is(err, replay.ErrID) || !strings.Contains(err.Error(), "user 10 is worker 2's of 3") {
		t.Errorf("%v, want whose it is", err)
	}
}

// Whether a worker was started is not known while no stage tells: one that cannot
// be read, or that has not settled. Its records are undecided until then.
func TestNoStageTellsOfAbsentWorkers(t *testing.T) {
	c := newCrew(t)
	c.worker("run", 1, 3)
	c.worker("run", 3, 3)
	empty, unread := t.TempDir(), filepath.Join(t.TempDir(), "nowhere")
	const unknown = "worker 2 of 3: no run directory here; whether it started is not known yet; users 10 to 19, 400 records"
	for name, tc := range map[string]struct {
		stages map[string]string
		quiet  time.Duration
		states account.States // of raw
		want   string
	}{
		"unread":    {map[string]string{"raw": unread}, time.Nanosecond, account.States{Planned: 1200, InFlight: 800, Undecided: 400}, unknown},
		"unsettled": {map[string]string{"raw": empty}, time.Hour, account.States{Planned: 1200, InFlight: 800, Undecided: 400}, unknown},
		"settled": {map[string]string{"raw": empty}, time.Nanosecond, account.States{Planned: 1200, Missing: 800, Absent: 400},
			"worker 2 of 3 never started: no run directory, and no row"},
		"one does": {map[string]string{"raw": unread, "table": empty}, time.Nanosecond, account.States{Planned: 1200, InFlight: 800, Absent: 400},
			"worker 2 of 3 never started: no run directory, and no row"},
		"errors do not": {map[string]string{"raw": unread, "dlq": empty}, time.Nanosecond, account.States{Planned: 1200, InFlight: 800, Undecided: 400}, unknown},
	} {
		res, err := replay.Verify(t.Context(), replay.VerifyConfig{
			Dir: t.TempDir(), Runs: []string{filepath.Join(c.dir, "run")}, Stages: tc.stages, Quiet: tc.quiet, Max: time.Nanosecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		rep := res.Report()
		if got := res.Stages[0].Tally.States; got != tc.states || rep.Push.Unknown != tc.states.Undecided || rep.Push.Unsent != tc.states.Absent {
			t.Errorf("%s: %+v, %d unknown, %d unsent; want %+v", name, got, rep.Push.Unknown, rep.Push.Unsent, tc.states)
		}
		if text := strings.Join(rep.Reasons, "\n"); !strings.Contains(text, tc.want) {
			t.Errorf("%s: reasons %q, want one with %q", name, text, tc.want)
		}
	}
}

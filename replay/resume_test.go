package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/ledger"
	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// Kill the sender at any moment and resume, time and again: in the end nothing is
// missing, what is there twice was in flight at a kill or got no answer, and the
// run passes as one that was never killed.
func TestResumeAfterKills(t *testing.T) {
	var killed, doubled atomic.Uint64
	t.Run("runs", func(t *testing.T) {
		for seed := range uint64(8) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				n, res := killAndResume(t, seed, []string{streamName, perLogType}[seed%2])
				tally, rep := res.Stages[0].Tally, res.Report()
				if err := errors.Join(res.Ledger.Check(), tally.Check()); err != nil {
					t.Error(err)
				}
				if want := uint64(killedUsers * 40); rep.Verdict != report.Pass || tally.Delivered != want || tally.Pipeline != 0 || tally.Missing != 0 {
					t.Errorf("%s (%s): %d delivered, %d missing, %d duplicates by the pipeline; want pass, %d, none, none",
						rep.Verdict, rep.Reasons, tally.Delivered, tally.Missing, tally.Pipeline, want)
				}
				// What the server still reads of a killed sender may kill the next before it has begun.
				if led := res.Ledger; !led.Clean || led.Segments < 2 || led.Segments > int(n)+1 || led.Window > n*killedSenders*batch.MaxRecords {
					t.Errorf("clean %v, %d segments, window %d after %d kills", led.Clean, led.Segments, led.Window, n)
				}
				killed.Add(n)
				doubled.Add(tally.Producer)
			})
		}
	})
	t.Logf("%d kills, %d records doubled", killed.Load(), doubled.Load())
	if !t.Failed() && (killed.Load() < 12 || doubled.Load() == 0) {
		t.Error("too few kills, or none of them met a request in flight")
	}
}

// killAndResume pushes with three kills at most, and lets the last resumption end.
func killAndResume(t *testing.T, seed uint64, to string) (kills uint64, res *replay.Result) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 3))
	dir := t.TempDir()
	run, lake := filepath.Join(dir, "run"), filepath.Join(dir, "lake")
	trap := newTrap(rng)
	pipe := start(t, local.Config{Lake: lake, BufferInterval: time.Hour, BufferBytes: 1 << 20, Delimiter: "\n", Streams: specs(t, smoke(t, 1), to),
		Faults: local.Faults{Seed: seed, LostPercent: float64(seed / 2 % 2 * 10)}}, trap.listen)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	how := sender
	for alive := false; !alive; how = resumer {
		if kills > 0 { // the rest is less than all
			trap.set(1+rng.Int64N(trap.size/2), trap.size)
		}
		if kills == 3 {
			trap.set(1<<60, 1<<60)
		}
		var stderr bytes.Buffer
		child := exec.CommandContext(t.Context(), exe, how, pipe.URL(), run, lake, to)
		child.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // one that ends would wait a second for others' races
		child.Stderr = &stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		trap.victim <- child.Process
		err := child.Wait()
		switch {
		case err == nil:
			alive = true
		case child.ProcessState.ExitCode() != -1:
			t.Fatalf("%v\n%s", err, stderr.Bytes())
		default:
			kills++
		}
		select {
		case <-trap.victim:
		default:
		}
	}
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	res, err = replay.Verify(t.Context(), replay.VerifyConfig{Dir: run, Quiet: time.Nanosecond, Max: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return kills, res
}

// An interrupted push takes nothing more, waits for what is in flight and writes
// it down; resumed, it sends the rest and only that. What it measured is that of both parts.
func TestInterruptedAndResumed(t *testing.T) {
	dir := t.TempDir()
	run, lake := filepath.Join(dir, "run"), filepath.Join(dir, "lake")
	pipe := start(t, local.Config{Lake: lake, BufferInterval: time.Hour, Faults: local.Faults{Latency: 20 * time.Millisecond}}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	job := smoke(t, 500, "stream.limits.requests=4")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var puts atomic.Int64
	cfg := pushConfig(run, sinkFunc(func(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
		if puts.Add(1) == 10 {
			interrupt()
		}
		return client.Put(ctx, recs)
	}), lake)
	if _, err := replay.Push(ctx, job, cfg); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want the interruption", err)
	}
	led, err := ledger.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	acked := led.Totals().Acked
	if want := (ledger.Totals{Acked: acked, Unsent: 20_000 - acked}); !led.Clean || led.Reason != ledger.Stopped || led.Totals() != want || acked == 0 || acked > 20*500 {
		t.Fatalf("clean %v, %s, %+v; want clean, stopped, acked and unsent only", led.Clean, led.Reason, led.Totals())
	}
	cfg.Resume, cfg.Target.Stream = true, "another"
	if _, err := replay.Push(t.Context(), job, cfg); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("resumed to another stream: %v", err)
	}
	cfg.Target.Stream = streamName
	for set, want := range map[string]string{
		"seed=7":           "the run began with seed 20261123, not 7; leave the seed out",
		"time.speedup=600": "whether time.speedup is 0, and inject.late, say which record is which in the ledger; leave them out",
		"inject.late={share: 1%, by: 2h}|time.speedup=600": "leave them out",
	} {
		other, _, err := replay.Reopen(run, strings.Split(set, "|"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := replay.Push(t.Context(), other, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("resumed with %s: %v, want %q", set, err, want)
		}
	}
	again, m, err := replay.Reopen(run, []string{"stream.limits.rate=max"})
	if err != nil || m.Run != led.Manifest.Run {
		t.Fatal(m.Run, err)
	}
	led, err = replay.Push(t.Context(), again, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n := stored(pipe); n != 20_000 || led.Totals().Acked != 20_000 || led.Attempts.Records() != 20_000 || led.Segments != 2 {
		t.Errorf("%d stored, %+v in %+v; want each record once", n, led.Totals(), led.Attempts)
	}
	stats, err := replay.ReadStats(run)
	if err != nil {
		t.Fatal(err)
	}
	var inShards uint64
	for _, s := range stats.Shards {
		inShards += s.Records
	}
	if stats.Segments != 2 || inShards != 20_000 || stats.Put.P50 < 15 || stats.Slip != nil || len(stats.Shards) != 3 {
		t.Errorf("%+v: want both parts, 20,000 records in 3 shards, puts of 20 ms and no slip", stats)
	}
	led, err = replay.Push(t.Context(), again, cfg) // there is nothing left
	if err != nil || led.Attempts.Records() != 20_000 || led.Segments != 3 {
		t.Errorf("resumed once more: %v, %+v", err, led.Attempts)
	}
}

// A run that is still being sent is not resumed: the two would send the same
// records, and neither would know of the other's attempts.
func TestOnePushAtATime(t *testing.T) {
	run, job := filepath.Join(t.TempDir(), "run"), smoke(t, 10)
	var second error
	cfg := pushConfig(run, nil, "lake")
	cfg.Target.Sink = sinkFunc(func(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
		other := cfg
		other.Resume = true
		_, second = replay.Push(ctx, job, other)
		outs := make([]record.Outcome, len(recs))
		for i := range outs {
			outs[i].Fate = record.Acked
		}
		return outs, nil
	})
	if _, err := replay.Push(t.Context(), job, cfg); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(second, replay.ErrGuard) {
		t.Errorf("resumed meanwhile: %v, want a guard", second)
	}
	cfg.Resume = true
	if _, err := replay.Push(t.Context(), job, cfg); err != nil {
		t.Errorf("resumed afterwards: %v", err)
	}
}

// on_unknown: hold holds in a resumed run too.
func TestResumeHoldsUnknown(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	answers := false
	cfg := pushConfig(run, sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
		out := make([]record.Outcome, len(recs))
		for i := range recs {
			out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
			if !answers && recs[i].Seq < 100 {
				out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Unknown, Code: "reset", Err: errLost}
			}
		}
		return out, nil
	}), "lake")
	job := smoke(t, 10, "stream.on_unknown=hold")
	for range 2 {
		led, err := replay.Push(t.Context(), job, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if want := (ledger.Totals{Acked: 300, Unknown: 100}); led.Totals() != want || led.Attempts.Unknown != 100 {
			t.Errorf("%+v after %+v, want %+v", led.Totals(), led.Attempts, want)
		}
		answers, cfg.Resume = true, true
	}
	job = smoke(t, 10) // resend
	led, err := replay.Push(t.Context(), job, cfg)
	if err != nil || led.Totals().Acked != 400 {
		t.Errorf("%v, %+v", err, led.Totals())
	}
}

// A resumed schedule goes on where it stood: what should have gone before goes at
// once, and the rest as far apart as planned.
func TestResumedSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := filepath.Join(t.TempDir(), "run")
		ctx, interrupt := context.WithCancel(t.Context())
		lost := map[uint64]bool{3: true, 400: true} // records that are not acked
		cfg := pushConfig(run, sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
			out := make([]record.Outcome, len(recs))
			for i := range recs {
				out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
				if lost[recs[i].Seq] {
					out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Unknown, Code: "reset", Err: errLost}
				}
			}
			return out, nil
		}), "lake")
		schedule := []string{"time.speedup=10", "time.arrivals=even", "time.span=1200s"} // two minutes, and a user's time
		job := smoke(t, 100, append(schedule, "stream.on_unknown=hold")...)
		time.AfterFunc(time.Minute, interrupt)
		if _, err := replay.Push(ctx, job, cfg); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		lost, cfg.Resume = nil, true
		begun := time.Now()
		var first, last time.Duration
		sink := cfg.Target.Sink
		cfg.Target.Sink = sinkFunc(func(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
			last = time.Since(begun)
			for _, r := range recs {
				if r.Seq == 400 {
					first = last
				}
			}
			return sink.Put(ctx, recs)
		})
		led, err := replay.Push(t.Context(), smoke(t, 100, schedule...), cfg)
		if err != nil || led.Totals().Acked != 4000 {
			t.Fatal(err, led)
		}
		stats, err := replay.ReadStats(run)
		if err != nil {
			t.Fatal(err)
		}
		if first > 100*time.Millisecond || last < time.Minute || last > 3*time.Minute || stats.Slip.P99 > 10 {
			t.Errorf("what was late went after %v, the last after %v, slip %v ms; want at once, the rest of the schedule, 10 ms at most", first, last, stats.Slip.P99)
		}
	})
}

// sinkFunc is a stream.Sink.
type sinkFunc func(context.Context, []record.Record) ([]record.Outcome, error)

func (f sinkFunc) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	return f(ctx, recs)
}

var (
	errLost             = errors.New("lost")
	_       stream.Sink = sinkFunc(nil)
)

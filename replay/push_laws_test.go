package replay_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/local"
	"kreplay/pkg/pace"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// pushed is a push into the embedded pipeline.
type pushed struct {
	pipe *local.Pipeline
	led  *ledger.Account
	err  error
	run  string
}

// push sends so many users' records; sharded: each shard is paced.
func push(t testing.TB, job *replay.Job, cfg local.Config, change func(*replay.PushConfig, *local.Pipeline, *kinesis.Client)) pushed {
	t.Helper()
	return pushOver(t, kinesis.JSON, job, cfg, change)
}

var wires = map[string]kinesis.Wire{"json": kinesis.JSON, "cbor": kinesis.CBOR}

func pushOver(t testing.TB, wire kinesis.Wire, job *replay.Job, cfg local.Config, change func(*replay.PushConfig, *local.Pipeline, *kinesis.Client)) pushed {
	t.Helper()
	pipe := start(t, cfg, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 16, Wire: wire})
	t.Cleanup(client.Close)
	p := pushed{pipe: pipe, run: filepath.Join(t.TempDir(), "run")}
	to := pushConfig(p.run, client, cfg.Lake)
	if change != nil {
		change(&to, pipe, client)
	}
	p.led, p.err = replay.Push(t.Context(), job, to)
	return p
}

func sharded(cfg *replay.PushConfig, _ *local.Pipeline, c *kinesis.Client) {
	cfg.Target.Shards = c.Shards
}

// Over a network without latency every copy that the stream holds is in the
// ledger: nothing is sent twice behind its back.
func TestNoDuplicateBehindTheLedger(t *testing.T) {
	for i := range 10 {
		p := pushOver(t, kinesis.Wire(i%2), smoke(t, 500), local.Config{}, nil)
		if p.err != nil {
			t.Fatal(p.err)
		}
		if n := uint64(stored(p.pipe)); n != 20_000+p.led.Attempts.Unknown || p.led.Totals().Acked != 20_000 {
			t.Errorf("%d stored, %+v; want 20,000 and one for each unknown attempt", n, p.led.Attempts)
		}
	}
}

// Lost answers, resets and failed entries at once: nothing is missing, what is
// there twice is the producer's, and the books balance.
func TestAllFaultsAtOnce(t *testing.T) {
	for name, wire := range wires {
		t.Run(name, func(t *testing.T) {
			lake := t.TempDir()
			faults := local.Faults{Seed: 1, LostPercent: 10, ResetPercent: 5, FailPercent: 0.5, FailStoredPercent: 0.5}
			p := pushOver(t, wire, smoke(t, 500), local.Config{Lake: lake, BufferInterval: time.Hour, Delimiter: "\n", Faults: faults}, nil)
			if p.err != nil {
				t.Fatal(p.err)
			}
			if err := p.pipe.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: p.run, Quiet: time.Nanosecond, Max: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			tally := res.Stages[0].Tally
			if err := errors.Join(p.led.Check(), tally.Check()); err != nil {
				t.Error(err)
			}
			if rep := res.Report(); rep.Verdict != report.Pass || tally.Delivered != 20_000 || tally.Producer == 0 || tally.Pipeline != 0 ||
				tally.Rows != 20_000+tally.Producer || *rep.Push.Bytes == 0 || rep.Push.Put == nil || len(rep.Push.Shards) != 3 {
				t.Errorf("%s %s, %+v, push %+v", rep.Verdict, rep.Reasons, tally, rep.Push)
			}
		})
	}
}

// order: user: each user's records lie in order in the stream, through refused
// entries, lost answers, throttled shards, a split and a merge.
func TestOrderedByUser(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			const users = 60
			job := smoke(t, users, "stream.order=user")
			rng := rand.New(rand.NewPCG(seed, 4))
			cfg := local.Config{
				Streams: []local.StreamSpec{{Name: streamName, Shards: 2}}, Limits: true, ShardRecords: 1000 + 200*rng.IntN(5),
				Faults: local.Faults{Seed: seed, LostPercent: float64(rng.IntN(10)), ResetPercent: float64(rng.IntN(5)),
					FailPercent: float64(rng.IntN(5)), FailStoredPercent: float64(rng.IntN(5)), Throttle: rng.IntN(200), Of: 40 * users, Latency: time.Millisecond},
			}
			p := pushOver(t, kinesis.Wire(seed%2), job, cfg, func(to *replay.PushConfig, pipe *local.Pipeline, c *kinesis.Client) {
				if seed%3 > 0 {
					to.Target.Shards = c.Shards
				}
				to.Target.Sink = resharding(t, pipe, c)
			})
			if p.err != nil {
				t.Fatal(p.err)
			}
			inOrder(t, job, p)
		})
	}
}

// resharding splits a shard and merges two while records go in.
func resharding(t testing.TB, pipe *local.Pipeline, c *kinesis.Client) stream.Sink {
	api := sdk.NewFromConfig(sdkConfig(pipe.URL()))
	name := aws.String(streamName)
	puts := make(chan int, 1)
	puts <- 0
	return sinkFunc(func(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
		n := <-puts + 1
		var err error
		switch n {
		case 10:
			quarter := new(big.Int).Lsh(big.NewInt(1), 126)
			_, err = api.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String(quarter.String())})
		case 25:
			_, err = api.MergeShards(ctx, &sdk.MergeShardsInput{StreamName: name, ShardToMerge: aws.String("shardId-000000000003"), AdjacentShardToMerge: aws.String("shardId-000000000001")})
		}
		if err != nil {
			t.Error(err)
		}
		puts <- n
		return c.Put(ctx, recs)
	})
}

// inOrder reads the stream as a consumer does, parents before children, and
// checks that each user's records are all there and that what comes first comes
// first; one that was sent again may come again, before the next.
func inOrder(t testing.TB, job *replay.Job, p pushed) {
	t.Helper()
	plan, err := job.Plan(generate.Run{ID: p.led.Manifest.Run, Anchor: p.led.Manifest.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	planned := map[string][]record.Record{} // of a text, in order
	for r := range plan.Records(generate.Slice{}) {
		planned[string(r.Data)] = append(planned[string(r.Data)], r)
	}
	last, rows := map[uint32]int64{}, 0
	for _, text := range readAll(t, p.pipe) {
		recs := planned[text]
		if len(recs) == 0 {
			t.Fatalf("nobody planned %s", text)
		}
		user := recs[0].ID.User
		before, seen := last[user]
		if !seen {
			before = -1
		}
		// Of records that are alike, the first that can come now.
		i := slices.IndexFunc(recs, func(r record.Record) bool { return int64(r.ID.Event) >= before })
		if i < 0 {
			t.Fatalf("user %d: event %d comes after event %d", user, recs[len(recs)-1].ID.Event, before)
		}
		if at := int64(recs[i].ID.Event); at > before+1 {
			t.Fatalf("user %d: event %d comes after event %d", user, at, before)
		} else if at == before && i+1 < len(recs) && int64(recs[i+1].ID.Event) == before+1 {
			last[user] = before + 1
		} else {
			last[user] = at
		}
		rows++
	}
	if rows < int(plan.Total()) || p.led.Totals().Acked != plan.Total() {
		t.Errorf("%d rows, %+v; want all of %d", rows, p.led.Totals(), plan.Total())
	}
	t.Logf("%d rows of %d records, %+v", rows, plan.Total(), p.led.Attempts)
}

// readAll reads all shards of the stream, in the order in which they were made.
func readAll(t testing.TB, pipe *local.Pipeline) (texts []string) {
	t.Helper()
	// A shard gives five answers and 2 MB a second; three tries that wait by chance may all come too early.
	api := sdk.NewFromConfig(sdkConfig(pipe.URL()), func(o *sdk.Options) { o.RetryMaxAttempts = 20 })
	name := aws.String(streamName)
	shards, err := api.ListShards(t.Context(), &sdk.ListShardsInput{StreamName: name})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(shards.Shards, func(a, b types.Shard) int { return strings.Compare(*a.ShardId, *b.ShardId) })
	for _, s := range shards.Shards {
		it, err := api.GetShardIterator(t.Context(), &sdk.GetShardIteratorInput{StreamName: name, ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		for at := it.ShardIterator; at != nil; {
			out, err := api.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: at})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Records {
				texts = append(texts, string(r.Data))
			}
			if at = out.NextShardIterator; len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
				break
			}
		}
	}
	return texts
}

// A split and a merge while a paced push goes on: nothing is lost, and hardly
// anything is sent twice.
func TestReshardInMidRun(t *testing.T) {
	t.Parallel()
	cfg := local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 2}}, Limits: true}
	p := push(t, smoke(t, 150), cfg, func(to *replay.PushConfig, pipe *local.Pipeline, c *kinesis.Client) {
		to.Target.Shards, to.Target.Sink = c.Shards, resharding(t, pipe, c)
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	attempts := float64(p.led.Attempts.Records()) / 6000
	if n := stored(p.pipe); n != 6000 || p.led.Totals().Acked != 6000 || attempts > 1.05 {
		t.Errorf("%d stored, %+v, %.3f attempts a record; want 6000, at most 1.05", n, p.led.Totals(), attempts)
	}
	stats, err := replay.ReadStats(p.run)
	if err != nil {
		t.Fatal(err)
	}
	if len(stats.Shards) != 5 {
		t.Errorf("%+v: want what went into each of 5 shards", stats.Shards)
	}
}

// guard.throttled_for stops a run that gets nothing but throttles; what has
// been sent stays written down.
func TestGuardStopsThrottledRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := filepath.Join(t.TempDir(), "run")
		begun := time.Now()
		cfg := pushConfig(run, sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
			out := make([]record.Outcome, len(recs))
			for i := range recs {
				out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Refused, Code: stream.CodeShard, Err: errLost}
				if time.Since(begun) < 10*time.Second {
					out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
				}
			}
			return out, nil
		}), "lake")
		_, err := replay.Push(t.Context(), smoke(t, 1000, "guard.throttled_for=2m", "stream.limits.rate=1000/s"), cfg)
		took := time.Since(begun)
		if !errors.Is(err, replay.ErrGuard) || took < 2*time.Minute || took > 3*time.Minute {
			t.Errorf("%v after %v, want a guard after 2 minutes of throttles", err, took)
		}
		led, err := ledger.Open(run)
		if err != nil || !led.Clean || led.Totals().Acked < 9000 || led.Throttled() == 0 {
			t.Errorf("%v, %+v", err, led)
		}
	})
}

// A stream that answers no call ends the push, some time.
func TestDeadStreamEndsThePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := filepath.Join(t.TempDir(), "run")
		begun := time.Now()
		cfg := pushConfig(run, sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
			out := make([]record.Outcome, len(recs))
			for i := range recs {
				out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Refused, Code: "unreachable", Err: errLost}
			}
			return out, nil
		}), "lake")
		_, err := replay.Push(t.Context(), smoke(t, 100), cfg)
		if !errors.Is(err, errLost) || !strings.Contains(err.Error(), "--resume") || time.Since(begun) > 6*time.Minute {
			t.Errorf("%v after %v, want an end after 5 minutes", err, time.Since(begun))
		}
	})
}

// An answer that never comes holds an interrupted push up for 20 s, no longer.
func TestInterruptionWaitsForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := filepath.Join(t.TempDir(), "run")
		ctx, interrupt := context.WithCancel(t.Context())
		calls := make(chan struct{}, 100)
		cfg := pushConfig(run, sinkFunc(func(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
			calls <- struct{}{}
			wait := 15 * time.Second // an answer that is late
			if recs[0].Seq == 0 {
				wait = time.Hour // one that never comes
			}
			out := make([]record.Outcome, len(recs))
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-timer.C:
				for i := range recs {
					out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
				}
			case <-ctx.Done():
				for i := range recs {
					out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Unknown, Code: "canceled", Err: ctx.Err()}
				}
			}
			return out, nil
		}), "lake")
		var begun time.Time
		time.AfterFunc(time.Second, func() { begun = time.Now(); interrupt() })
		_, err := replay.Push(ctx, smoke(t, 100), cfg)
		if took := time.Since(begun); !errors.Is(err, context.Canceled) || took != 20*time.Second {
			t.Errorf("%v after %v, want the interruption after 20s", err, took)
		}
		led, err := ledger.Open(run)
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(len(calls)-1) * 500
		if want := (ledger.Totals{Acked: n, Unknown: 500, Unsent: 3500 - n}); !led.Clean || led.Totals() != want || n == 0 {
			t.Errorf("clean %v, %+v; want %+v", led.Clean, led.Totals(), want)
		}
	})
}

// A schedule that slips past its bound is known, and proves nothing; one that
// is kept does.
func TestSlip(t *testing.T) {
	for name, tc := range map[string]struct {
		latency time.Duration
		want    string
	}{"kept": {10 * time.Millisecond, ""}, "late": {3 * time.Second, "max_slip"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run := filepath.Join(t.TempDir(), "run")
				job := smoke(t, 100, "time.speedup=1000", "stream.limits.requests=1", "stream.max_slip=1s")
				var last replay.Progress
				cfg := pushConfig(run, sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
					time.Sleep(tc.latency)
					out := make([]record.Outcome, len(recs))
					for i := range recs {
						out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
					}
					return out, nil
				}), "lake")
				cfg.Observe = func(p replay.Progress) { last = p }
				led, err := replay.Push(t.Context(), job, cfg)
				if err != nil {
					t.Fatal(err)
				}
				stats, err := replay.ReadStats(run)
				if err != nil {
					t.Fatal(err)
				}
				_, reasons := verdictOf(&replay.Result{Job: job, Ledger: alone(led), Stats: stats})
				if got := strings.Join(reasons, "; "); strings.Contains(got, "max_slip") != (tc.want != "") {
					t.Errorf("slip %+v: %q, want %q", stats.Slip, got, tc.want)
				}
				if got := last.Slip.Seconds() * 1000; got < stats.Slip.P99*0.99 || got > stats.Slip.P99*1.01 || stats.Slip.P99 == 0 {
					t.Errorf("progress says %v, the stats %+v", last.Slip, stats.Slip)
				}
			})
		})
	}
}

func verdictOf(res *replay.Result) (report.Verdict, []string) {
	rep := res.Report()
	return rep.Verdict, rep.Reasons
}

// A profile is the ceiling: a push through it takes the time that it asks for.
func TestProfileIsTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		burst, err := pace.BurstRate(100, 1000, 10*time.Second, 2*time.Second) // 2,800 in 10 s
		if err != nil {
			t.Fatal(err)
		}
		cfg := pushConfig(filepath.Join(t.TempDir(), "run"), sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
			out := make([]record.Outcome, len(recs))
			for i := range recs {
				out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
			}
			return out, nil
		}), "lake")
		cfg.Rate = burst
		rates := map[float64]bool{}
		cfg.Observe = func(p replay.Progress) { rates[p.Wanted] = true }
		begun := time.Now()
		if _, err := replay.Push(t.Context(), smoke(t, 210), cfg); err != nil { // 8,400 records
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 28*time.Second || took > 31*time.Second || !rates[100] || !rates[1000] {
			t.Errorf("took %v with the rates %v wanted; want nearly 30s, 100 and 1000", took, rates)
		}
	})
}

// A stream that is deleted in mid-run ends the push, with what was sent written down.
func TestStreamDeletedInMidRun(t *testing.T) {
	p := push(t, smoke(t, 200, "stream.limits.requests=2"), local.Config{}, func(to *replay.PushConfig, pipe *local.Pipeline, c *kinesis.Client) {
		api := sdk.NewFromConfig(sdkConfig(pipe.URL()))
		calls := make(chan int, 1)
		calls <- 0
		to.Target.Sink = sinkFunc(func(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
			n := <-calls + 1
			if n == 5 {
				if _, err := api.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamName: aws.String(streamName)}); err != nil {
					t.Error(err)
				}
			}
			calls <- n
			return c.Put(ctx, recs)
		})
	})
	if !errors.Is(p.err, kinesis.ErrNoStream) {
		t.Errorf("%v, want that there is no such stream", p.err)
	}
	led, err := ledger.Open(p.run)
	if err != nil || !led.Clean || led.Check() != nil || led.Totals().Acked < 1000 || led.Totals().Unsent == 0 {
		t.Errorf("%v, %+v of %+v", err, led.Totals(), led)
	}
}

// alone is the ledger of a run that was not divided.
func alone(led *ledger.Account) *replay.Ledgers {
	return &replay.Ledgers{Manifest: led.Manifest, Workers: []*ledger.Account{led}, Segments: led.Segments}
}

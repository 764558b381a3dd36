package replay_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// ListShards that is not allowed leaves the limits of the whole, and is told.
func TestShardsThatCannotBeRead(t *testing.T) {
	denied := errors.New("access is denied")
	p := push(t, smoke(t, 50), local.Config{}, func(to *replay.PushConfig, _ *local.Pipeline, _ *kinesis.Client) {
		to.Target.Shards = func(context.Context) ([]stream.Shard, error) { return nil, denied }
	})
	stats, err := replay.ReadStats(p.run)
	if p.err != nil || err != nil || p.led.Totals().Acked != 2000 || stats.Unpaced != denied.Error() {
		t.Errorf("%v, %v, %+v", p.err, err, stats)
	}
	if rep := (&replay.Result{Job: smoke(t, 50), Ledger: alone(p.led), Stats: stats}).Report(); len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], denied.Error()) {
		t.Errorf("notes %q, want why shards were not paced", rep.Notes)
	}
	p = push(t, smoke(t, 50), local.Config{}, sharded)
	stats, err = replay.ReadStats(p.run)
	if p.err != nil || err != nil || stats.Unpaced != "" {
		t.Errorf("%v, %v, %+v", p.err, err, stats)
	}
}

// ackAll is a stream of one shard that takes everything at once.
func ackAll(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
	out := make([]record.Outcome, len(recs))
	for i := range recs {
		out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "shardId-000000000000"}
	}
	return out, nil
}

// A map that cannot be read at first, as in the middle of a reshard, is read later.
func TestShardsThatAreReadLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := filepath.Join(t.TempDir(), "run")
		cfg := pushConfig(run, sinkFunc(ackAll), "lake")
		reads := 0
		cfg.Target.Shards = func(context.Context) ([]stream.Shard, error) {
			if reads++; reads == 1 {
				return nil, stream.ErrShards
			}
			return []stream.Shard{{ID: "shardId-000000000000", Last: stream.MaxHashKey}}, nil
		}
		begun := time.Now()
		led, err := replay.Push(t.Context(), smoke(t, 500, "stream.limits.rate=1200/s"), cfg)
		if err != nil || led.Totals().Acked != 20_000 {
			t.Fatal(err, led)
		}
		// 12,000 records until the map is read, then one shard's 1000 a second.
		stats, err := replay.ReadStats(run)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 17*time.Second || took > 19*time.Second || reads != 2 || stats.Unpaced != "" || stats.Shards[0].Records != 20_000 {
			t.Errorf("took %v, %d reads, %+v", took, reads, stats)
		}
	})
}

// A push that is over, or interrupted, does not wait for a map that is being
// read; and that this was cut short is not why shards were not paced.
func TestNobodyWaitsForAMap(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			run := filepath.Join(t.TempDir(), "run")
			cfg := pushConfig(run, sinkFunc(ackAll), "lake")
			reads := 0
			cfg.Target.Shards = func(ctx context.Context) ([]stream.Shard, error) {
				if reads++; reads == 1 {
					return nil, stream.ErrShards
				}
				select {
				case <-ctx.Done():
					return nil, context.Cause(ctx)
				case <-time.After(10 * time.Minute):
					return nil, errors.New("no answer")
				}
			}
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			users := 500
			if interrupted {
				users = 5000
				time.AfterFunc(11*time.Second, interrupt)
			}
			begun := time.Now()
			_, err := replay.Push(ctx, smoke(t, users, "stream.limits.rate=1800/s"), cfg)
			if interrupted != errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			stats, err := replay.ReadStats(run)
			if took := time.Since(begun); err != nil || took > 12*time.Second || reads != 2 || stats.Unpaced != stream.ErrShards.Error() {
				t.Errorf("%v, took %v, %d reads, unpaced: %q; want some 11s, 2 reads, %v", err, took, reads, stats.Unpaced, stream.ErrShards)
			}
		})
	}
}

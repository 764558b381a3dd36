package replay_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
	"kreplay/replay"
)

// After an interruption answers are waited for, and nothing more is sent, though
// each of them lets another request go, and all of them have records to send again.
func TestNothingIsSentAfterAnInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		var calls atomic.Int64
		cfg := pushConfig(filepath.Join(t.TempDir(), "run"), sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
			time.Sleep(time.Duration(calls.Add(1)) * time.Second) // one answer after the other
			out := make([]record.Outcome, len(recs))
			for i := range recs {
				out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Refused, Code: stream.CodeShard, Err: errLost} // to be sent again
			}
			return out, nil
		}), "lake")
		time.AfterFunc(500*time.Millisecond, interrupt)
		if _, err := replay.Push(ctx, smoke(t, 500, "stream.limits.requests=4"), cfg); err == nil || calls.Load() != 4 {
			t.Errorf("%v after %d calls, want the interruption after the 4 that were in flight", err, calls.Load())
		}
	})
}

// A shard that refuses all ends the push, some time, and is named, though the
// other takes what is sent to it.
func TestDryShardEndsThePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shards, err := stream.EvenMap(2)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		cfg := pushConfig(filepath.Join(t.TempDir(), "run"), sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
			time.Sleep(10 * time.Millisecond)
			out := make([]record.Outcome, len(recs))
			for i := range recs {
				to, err := shards.Route(&recs[i])
				if err != nil {
					return nil, err
				}
				out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: shards.Shard(to).ID}
				if to == 1 && time.Since(begun) < 25*time.Minute {
					out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Refused, Code: stream.CodeShard, Err: errLost}
				}
			}
			return out, nil
		}), "lake")
		cfg.Target.Shards = func(context.Context) ([]stream.Shard, error) {
			return []stream.Shard{shards.Shard(0), shards.Shard(1)}, nil
		}
		_, err = replay.Push(t.Context(), smoke(t, 20), cfg)
		want := "shard " + shards.Shard(1).ID + " has refused every record for 20m"
		if took := time.Since(begun); err == nil || !strings.Contains(err.Error(), want) || took > 21*time.Minute {
			t.Errorf("%v after %v, want that %s", err, took, want)
		}
	})
}

// An answer that cannot be written down counts for nothing: what the ledger does
// not have is neither taken for stored nor sent again.
func TestAnswerIsWrittenDownFirst(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	calls := 0
	cfg := pushConfig(run, sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
		calls++
		out := make([]record.Outcome, len(recs))
		for i := range recs {
			out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
		}
		out[0].Fate = record.Unsent // no attempt has it: the ledger refuses the answer
		return out, nil
	}), "lake")
	_, err := replay.Push(t.Context(), smoke(t, 50, "stream.limits.requests=1"), cfg)
	stats, errStats := replay.ReadStats(run)
	if err == nil || errStats != nil || calls != 1 || stats.Bytes > 0 || len(stats.Shards) > 0 {
		t.Errorf("%v, %v, %d calls, %+v; want an error, one call, and nothing counted", err, errStats, calls, stats)
	}
}

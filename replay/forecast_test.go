package replay_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// What plan forecasts for each shard is what the stream counts when the same
// run has been pushed, to the byte.
func TestForecastIsWhatTheShardsCount(t *testing.T) {
	job := smoke(t, 30)
	rng := rand.New(rand.NewPCG(7, 7))
	for range 5 {
		shards, id := 1+rng.IntN(9), replay.NewRunID(time.Now())
		run := generate.Run{ID: id, Anchor: time.Unix(1_700_000_000, 0)}
		plan, err := job.Plan(run)
		if err != nil {
			t.Fatal(err)
		}
		even, err := stream.EvenMap(shards)
		if err != nil {
			t.Fatal(err)
		}
		f, err := replay.Predict(t.Context(), plan, scenario.Limits{}, replay.PredictConfig{Shards: even, Limited: true})
		if err != nil {
			t.Fatal(err)
		}
		counts := count(t, job, shards, run)
		var sum replay.Load
		for i, c := range counts {
			got := f.Shards[i]
			if got.ID != c.ID || got.Records != uint64(c.Records) || got.Bytes != uint64(c.Bytes) {
				t.Errorf("%d shards: forecast %s %+v, counted %+v", shards, got.ID, got.Load, c)
			}
			if got.Records > f.Shards[f.Hottest].Records && got.Bytes > f.Shards[f.Hottest].Bytes {
				t.Errorf("%s is hotter than %s", got.ID, f.Shards[f.Hottest].ID)
			}
			sum.Records, sum.Bytes = sum.Records+got.Records, sum.Bytes+got.Bytes
		}
		if len(counts) != shards || sum != f.Load || f.Records != plan.Total() {
			t.Errorf("%d of %d shards counted; forecast %+v, its shards' sum %+v, planned %d", len(counts), shards, f.Load, sum, plan.Total())
		}
	}
}

// count pushes a run and returns what each shard took.
func count(t *testing.T, job *replay.Job, shards int, run generate.Run) []local.Count {
	t.Helper()
	pipe := start(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: shards}}}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	cfg := pushConfig(filepath.Join(t.TempDir(), "run"), client, "")
	cfg.RunID, cfg.Anchor = run.ID, run.Anchor
	_, err := replay.Push(t.Context(), job, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return pipe.Counts()
}

// The shipped prices are dated, and a cost is what its parts come to.
func TestCostIsASum(t *testing.T) {
	prices, err := replay.ListPrices()
	if err != nil {
		t.Fatal(err)
	}
	f := &replay.Forecast{Load: replay.Load{Records: 2, Bytes: 3e9}, Wall: 2 * time.Hour, Shards: make([]replay.ShardForecast, 5)}
	if got, want := f.Cost(prices, false).Stream, 10*prices.Shard; got != want {
		t.Errorf("five shards for two hours cost %v, want %v", got, want)
	}
	if got, want := f.Cost(prices, true).Stream, 2*prices.OnDemand+3*prices.GBIn; got != want {
		t.Errorf("3 GB on demand in two hours cost %v, want %v", got, want)
	}
	for _, bad := range []string{"", "{}", `{"date":"2026-11-01","region":"x","shard_hour":-1}`, `{"date":"2026-11-01","region":"x","shard":1}`} {
		if p, err := replay.ParsePrices([]byte(bad)); err == nil {
			t.Errorf("%q was taken for %+v", bad, p)
		}
	}
}

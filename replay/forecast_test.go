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
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 6 {
		job := smoke(t, 30, "stream.name="+[]string{streamName, perLogType}[i%2])
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
		names, of, err := replay.Streams(plan, job.Scenario.Stream.Name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := replay.PredictConfig{Of: of, Limited: true}
		for _, name := range names {
			cfg.Streams = append(cfg.Streams, replay.StreamShards{Name: name, Shards: even})
		}
		f, err := replay.Predict(t.Context(), plan, scenario.Limits{}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		counts := count(t, job, shards, run)
		var sum replay.Load
		for i, c := range counts {
			got := f.Shards[i]
			if got.Stream != c.Stream || got.ID != c.ID || got.Records != uint64(c.Records) || got.Bytes != uint64(c.Bytes) {
				t.Errorf("%d shards: forecast %s %s %+v, counted %+v", shards, got.Stream, got.ID, got.Load, c)
			}
			if got.Records > f.Shards[f.Hottest].Records && got.Bytes > f.Shards[f.Hottest].Bytes {
				t.Errorf("%s is hotter than %s", got.ID, f.Shards[f.Hottest].ID)
			}
			sum.Records, sum.Bytes = sum.Records+got.Records, sum.Bytes+got.Bytes
		}
		var streams replay.Load
		for _, s := range f.Streams {
			streams.Records, streams.Bytes = streams.Records+s.Records, streams.Bytes+s.Bytes
		}
		if len(counts) != shards*len(names) || sum != f.Load || streams != f.Load || f.Records != plan.Total() {
			t.Errorf("%d shards of %d streams counted; forecast %+v, its shards' sum %+v, its streams' %+v, planned %d", len(counts), len(names), f.Load, sum, streams, plan.Total())
		}
	}
}

// count pushes a run and returns what each shard took.
func count(t *testing.T, job *replay.Job, shards int, run generate.Run) []local.Count {
	t.Helper()
	list := specs(t, job, nameOf(job))
	for i := range list {
		list[i].Shards = shards
	}
	pipe := start(t, local.Config{Streams: list}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	cfg := pushConfig(filepath.Join(t.TempDir(), "run"), client, "")
	cfg.RunID, cfg.Anchor = run.ID, run.Anchor
	var err error
	if cfg.Target, err = aim(job, client, nameOf(job)); err != nil {
		t.Fatal(err)
	}
	_, err = replay.Push(t.Context(), job, cfg)
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
	five, err := stream.EvenMap(5)
	if err != nil {
		t.Fatal(err)
	}
	one := replay.StreamForecast{StreamShards: replay.StreamShards{Shards: five}, Load: replay.Load{Records: 2, Bytes: 3e9}}
	f := &replay.Forecast{Wall: 2 * time.Hour, Streams: []replay.StreamForecast{one}}
	if got, want := f.Cost(prices).Stream, 10*prices.Shard; got != want {
		t.Errorf("five shards for two hours cost %v, want %v", got, want)
	}
	f.Streams[0].OnDemand = true
	if got, want := f.Cost(prices).Stream, 2*prices.OnDemand+3*prices.GBIn; got != want {
		t.Errorf("3 GB on demand in two hours cost %v, want %v", got, want)
	}
	f.Streams = append(f.Streams, one)
	if got, want := f.Cost(prices).Stream, 2*prices.OnDemand+3*prices.GBIn+10*prices.Shard; got != want {
		t.Errorf("both cost %v, want %v", got, want)
	}
	for _, bad := range []string{"", "{}", `{"date":"2026-11-01","region":"x","shard_hour":-1}`, `{"date":"2026-11-01","region":"x","shard":1}`} {
		if p, err := replay.ParsePrices([]byte(bad)); err == nil {
			t.Errorf("%q was taken for %+v", bad, p)
		}
	}
}

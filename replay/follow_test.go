package replay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/replay"
)

// delivering acks records and shows them as objects of a lake a second later.
type delivering struct {
	lake *scripted
}

func (d *delivering) Put(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
	out := make([]record.Outcome, len(recs))
	var rows []string
	for i := range recs {
		out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
		rows = append(rows, string(bytes.TrimSpace(recs[i].Data)))
	}
	at := time.Now().Add(time.Second)
	d.lake.mu.Lock()
	defer d.lake.mu.Unlock()
	d.lake.script = append(d.lake.script, episode{key: at.Format("150405.000000000-") + recs[0].ID.String(), data: strings.Join(rows, "\n"), from: at})
	return out, nil
}

// follow pushes 20 users' records in two minutes and verifies the run from its
// tenth second on.
// With a copy the verify is one of that, brought up to date as it grows.
func follow(ctx context.Context, t *testing.T, there object.Store, interrupt func(run string)) (res *replay.Result, seen []replay.Progress, pushed time.Time, err error) {
	lake := &scripted{}
	sink := &delivering{lake: lake}
	run := filepath.Join(t.TempDir(), "run")
	job := smoke(t, 20, "time.speedup=10", "time.arrivals=even", "time.span=1200s")
	var wg sync.WaitGroup
	defer wg.Wait()
	pushing, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() {
		cfg := pushConfig(run, sink, "lake")
		cfg.Mirror = there
		if _, err := replay.Push(pushing, job, cfg); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		pushed = time.Now()
	})
	time.Sleep(10 * time.Second)
	if interrupt != nil {
		interrupt(run)
	}
	read := run
	var refresh func(context.Context) error
	if there != nil {
		read = t.TempDir()
		c := replay.CopyTo(read, there)
		refresh = c.Update
		if err := refresh(ctx); err != nil {
			t.Fatal(err)
		}
	}
	res, err = replay.Verify(ctx, replay.VerifyConfig{
		Dir: read, Copy: there != nil, Refresh: refresh, Quiet: 15 * time.Second, Max: time.Minute, Follow: true, Observe: func(p replay.Progress) { seen = append(seen, p) },
		Open: func(context.Context, string) (object.Store, io.Closer, error) { return lake, io.NopCloser(nil), nil },
	})
	return res, seen, pushed, err
}

// While a push goes on its stages are seen to fill; the verdict comes when it has
// ended and they have settled, and not before.
func TestFollowWatchesThePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { followed(t, nil) })
}

// The same of a copy, which lags behind the push.
func TestFollowWatchesTheCopy(t *testing.T) {
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	synctest.Test(t, func(t *testing.T) { followed(t, store) })
}

func followed(t *testing.T, there object.Store) {
	t.Helper()
	res, seen, pushed, err := follow(t.Context(), t, there, nil)
	if err != nil {
		t.Fatal(err)
	}
	rep := res.Report()
	if quiet := time.Since(pushed); rep.Verdict != report.Pass || quiet < 15*time.Second || quiet > 40*time.Second {
		t.Errorf("%s %q, %v after the push; want pass after 15 s at least", rep.Verdict, rep.Reasons, quiet)
	}
	last, grown := uint64(0), 0
	for _, p := range seen {
		raw := p.Stages[0]
		if raw.Name != "raw" || raw.Planned != 800 || raw.Delivered < last {
			t.Fatalf("%+v after %d were delivered", raw, last)
		}
		if raw.Delivered > last {
			grown++
		}
		last = raw.Delivered
	}
	if grown < 20 || last != 800 || !seen[len(seen)-1].Stages[0].Settled {
		t.Errorf("grown %d times to %d, want it many times, to 800, and settled: %+v", grown, last, seen[len(seen)-1])
	}
	if res.Stats == nil {
		t.Error("what the push measured was not waited for")
	}
}

// What a push measured comes into its copy behind the end of its ledger, and is
// waited for: a verdict knows how late the push was.
func TestFollowWaitsForWhatThePushMeasured(t *testing.T) {
	p := pushAcked(t, 2)
	stats := filepath.Join(p.run, replay.StatsFile)
	if err := os.Rename(stats, stats+".later"); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(p.ended.Add(time.Second)))
		asked := 0
		res, err := replay.Verify(t.Context(), replay.VerifyConfig{
			Dir: p.run, Copy: true, Follow: true, Quiet: time.Second, Max: time.Minute,
			Refresh: func(context.Context) error {
				if asked++; asked == 3 {
					return os.Rename(stats+".later", stats)
				}
				return nil
			},
			Open: func(context.Context, string) (object.Store, io.Closer, error) {
				return &scripted{}, io.NopCloser(nil), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.Stats == nil {
			t.Error("what the push measured was not waited for")
		}
	})
}

// Who stops looking ends nothing but the looking.
func TestFollowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		_, _, _, err := follow(ctx, t, nil, func(string) { time.AfterFunc(20*time.Second, func() { cancel(why) }) })
		if !errors.Is(err, why) {
			t.Errorf("%v, want %v", err, why)
		}
	})
}

// A push that has written nothing for the quiet time has broken off: what it was
// sending is left open, and the rest is judged.
func TestFollowOfABrokenPushEnds(t *testing.T) {
	p := pushSlice(t, 2, generate.Slice{})
	truncate(t, filepath.Join(p.run, "ledger.bin"))
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)))
		cfg := replay.VerifyConfig{Dir: p.run, Quiet: time.Second, Max: time.Minute, Follow: true}
		if res, err := replay.Verify(t.Context(), cfg); err != nil || res.Report().Verdict == report.Pass || res.Ledger.Clean {
			t.Errorf("%v, want a verdict on a push that broke off, no pass", err)
		}
	})
}

// truncate takes the last frame from a ledger.
func truncate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-1); err != nil {
		t.Fatal(err)
	}
}

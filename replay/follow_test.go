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
func follow(ctx context.Context, t *testing.T, interrupt func(run string)) (res *replay.Result, seen []replay.Progress, pushed time.Time, err error) {
	lake := &scripted{}
	sink := &delivering{lake: lake}
	run := filepath.Join(t.TempDir(), "run")
	job := smoke(t, 20, "time.speedup=10", "time.arrivals=even", "time.span=1200s")
	var wg sync.WaitGroup
	defer wg.Wait()
	pushing, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() {
		if _, err := replay.Push(pushing, job, pushConfig(run, sink, "lake")); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		pushed = time.Now()
	})
	time.Sleep(10 * time.Second)
	if interrupt != nil {
		interrupt(run)
	}
	res, err = replay.Verify(ctx, replay.VerifyConfig{
		Dir: run, Quiet: 15 * time.Second, Max: time.Minute, Follow: true, Observe: func(p replay.Progress) { seen = append(seen, p) },
		Open: func(context.Context, string) (object.Store, io.Closer, error) { return lake, io.NopCloser(nil), nil },
	})
	return res, seen, pushed, err
}

// While a push goes on its stages are seen to fill; the verdict comes when it has
// ended and they have settled, and not before.
func TestFollowWatchesThePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, seen, pushed, err := follow(t.Context(), t, nil)
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
	})
}

// Who stops looking ends nothing but the looking.
func TestFollowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		_, _, _, err := follow(ctx, t, func(string) { time.AfterFunc(20*time.Second, func() { cancel(why) }) })
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

package replay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/local"
	"kreplay/pkg/object/s3"
	"kreplay/pkg/report"
	"kreplay/replay"
)

// workers pushes the shares of n workers with copies in s3://runs/PLACE/worker-i.
// It returns their local run directories.
func (b bench) workers(t *testing.T, place string, n uint64) (dirs []string) {
	t.Helper()
	for i := range n {
		dirs = append(dirs, filepath.Join(t.TempDir(), "run"))
		b.worker(t, place, replay.PushConfig{Dir: dirs[i], Slice: generate.Slice{Index: i + 1, Of: n}})
	}
	return dirs
}

func (b bench) worker(t *testing.T, place string, cfg replay.PushConfig) {
	t.Helper()
	store := b.place(t, fmt.Sprintf("s3://runs/%s/worker-%d", place, cfg.Slice.Index))
	cfg.RunID, cfg.Anchor, cfg.Mirror = place, workersAnchor, store
	cfg.Target, cfg.Stages = replay.Target{Sink: b.sink, Stream: "s"}, map[string]string{"raw": "s3://lake/raw"}
	if _, err := replay.Push(t.Context(), smoke(t, 60), cfg); err != nil {
		t.Fatal(err)
	}
}

func (b bench) place(t *testing.T, at string) *s3.Store {
	t.Helper()
	store, err := s3.New(b.sdk, at, s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // idle connections
	return store
}

// The copies of all workers are fetched from the prefix of their run, and what
// else lies there is left.
func TestWorkersAreFetchedAsOneRun(t *testing.T) {
	b := newBench(t, local.Faults{})
	dirs := b.workers(t, "crew", 3)
	run := b.place(t, "s3://runs/crew")
	if err := replay.Upload(t.Context(), run, dirs[0], ledger.LedgerFile); err != nil { // stands for a report
		t.Fatal(err)
	}
	if err := b.pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := fetched(t, run)
	entries, err := os.ReadDir(got)
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v; want the three workers' folders", entries, err)
	}
	for i, dir := range dirs {
		sameLedger(t, dir, filepath.Join(got, fmt.Sprintf("worker-%d", i+1)))
	}
	if rep := b.verify(t, got, true); rep.Verdict != report.Pass || rep.Push.Acked != 2400 {
		t.Errorf("%s %v, %d acked; want pass", rep.Verdict, rep.Reasons, rep.Push.Acked)
	}
}

// A worker whose machine was lost goes on from its copy, wherever that ends: in
// the end all is there, and what is there twice is the producer's. The copy of
// both attempts says so too.
func TestLostWorkerGoesOnFromItsCopy(t *testing.T) {
	for eighth := range int64(9) {
		t.Run(fmt.Sprint(eighth), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, local.Faults{Seed: uint64(eighth), LostPercent: 10})
			place := fmt.Sprintf("crew-%d", eighth)
			dirs := b.workers(t, place, 2)
			info, err := os.Stat(filepath.Join(dirs[1], ledger.LedgerFile))
			if err != nil {
				t.Fatal(err)
			}
			attempt := filepath.Join(t.TempDir(), "attempt-2")
			fresh := b.place(t, "s3://runs/"+place+"-again/worker-2")
			if err := os.CopyFS(attempt, os.DirFS(dirs[1])); err != nil {
				t.Fatal(err)
			}
			// The first 16 bytes, the header, are there before anything is sent.
			if err := os.Truncate(filepath.Join(attempt, ledger.LedgerFile), max(info.Size()*eighth/8, 16)); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(attempt, replay.StatsFile)); err != nil {
				t.Fatal(err)
			}
			uploadCopy(t, fresh, attempt)
			again := fetched(t, fresh)
			job, m, err := replay.Reopen(again, nil)
			if err != nil {
				t.Fatal(err)
			}
			cfg := replay.PushConfig{Dir: again, Resume: true, Copy: true, Mirror: fresh, Target: replay.Target{Sink: b.sink, Stream: m.Stream}}
			led, err := replay.Push(t.Context(), job, cfg)
			if err != nil || led.Totals().Acked != m.Planned || led.Segments != 2 {
				t.Fatalf("%v: %+v of %d in %d segments", err, led.Totals(), m.Planned, led.Segments)
			}
			if err := b.pipe.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			res, err := replay.Verify(t.Context(), replay.VerifyConfig{
				Dir: t.TempDir(), Runs: []string{dirs[0], fetched(t, fresh)}, Copy: true, Quiet: time.Nanosecond, Max: time.Second, Open: b.open,
			})
			if err != nil {
				t.Fatal(err)
			}
			tally, rep := res.Stages[0].Tally, res.Report()
			if rep.Verdict != report.Pass || tally.Delivered != 2400 || tally.Pipeline != 0 || res.Ledger.Check() != nil {
				t.Errorf("%s %v: %+v, %v; want pass", rep.Verdict, rep.Reasons, tally, res.Ledger.Check())
			}
			if eighth < 5 && tally.Producer == 0 {
				t.Error("nothing is there twice: the copy lacked nothing, which is the point of this test")
			}
		})
	}
}

// uploadCopy leaves a run directory in a store as a push would have.
func uploadCopy(t *testing.T, store *s3.Store, dir string) {
	t.Helper()
	err := os.Mkdir(filepath.Join(dir, ledger.LedgerFile+".d"), 0o755)
	if err == nil {
		err = os.Rename(filepath.Join(dir, ledger.LedgerFile), filepath.Join(dir, ledger.LedgerFile+".d", fmt.Sprintf("%020d", 0)))
	}
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	err = filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, err = filepath.Rel(dir, name)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := replay.Upload(t.Context(), store, dir, names...); err != nil {
		t.Fatal(err)
	}
}

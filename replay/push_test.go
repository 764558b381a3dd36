package replay_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"kreplay/pkg/ledger"
	"kreplay/pkg/local"
	"kreplay/pkg/report"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
	"kreplay/scenarios"
)

// editable returns the smoke scenario in files that a test may change.
func editable(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(scenarios.FS, "smoke", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files[name] = &fstest.MapFile{}
			files[name].Data, err = fs.ReadFile(scenarios.FS, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A manifest never stands without the scenario that verify needs beside it, and
// nothing is sent before both are on disk.
func TestNoManifestWithoutSnapshot(t *testing.T) {
	files := editable(t)
	job, err := replay.Check(files, "smoke", nil)
	if err != nil {
		t.Fatal(err)
	}
	delete(files, "smoke/scenario.yaml")
	run := t.TempDir()
	if _, err := replay.Push(t.Context(), job, pushConfig(run, nil, "lake")); err == nil || !strings.Contains(err.Error(), "scenario.yaml") {
		t.Errorf("%v, want the file that is gone", err)
	}
	if m, err := ledger.ReadManifest(run); err == nil {
		t.Errorf("there is a manifest of run %s", m.Run)
	}
}

// Wherever a start was killed or its disk was full, nothing was sent, and the next
// start goes on in the directory; then it is as if there had been only that one.
func TestKilledStartsLeaveNothingInTheWay(t *testing.T) {
	ledgerHeader := emptyLedger(t)
	whole := map[string]string{} // the snapshot: text by name
	for name, f := range editable(t) {
		whole["scenario/"+strings.TrimPrefix(name, "smoke/")] = string(f.Data)
	}
	some := func(keep func(i int, text string) (string, bool)) map[string]string {
		left := map[string]string{}
		for i, name := range slices.Sorted(maps.Keys(whole)) {
			if text, ok := keep(i, whole[name]); ok {
				left[name] = text
			}
		}
		return left
	}
	with := func(name, text string) map[string]string {
		left := maps.Clone(whole)
		left[name] = text
		return left
	}
	for state, left := range map[string]map[string]string{
		"no directory":                nil,
		"a directory":                 {},
		"a folder without files":      {"scenario/templates/": ""},
		"some files":                  some(func(i int, text string) (string, bool) { return text, i < 2 }),
		"a file cut short":            some(func(i int, text string) (string, bool) { return text[:len(text)/2], i < 1 }),
		"files of a full disk":        some(func(int, string) (string, bool) { return "", true }),
		"the snapshot":                whole,
		"a ledger without its header": with("ledger.bin", ""),
		"half a header":               with("ledger.bin", ledgerHeader[:7]),
		"a ledger":                    with("ledger.bin", ledgerHeader),
		"half a manifest":             {"ledger.bin": ledgerHeader, "manifest.json.123.tmp": "{"},
	} {
		t.Run(state, func(t *testing.T) {
			run := filepath.Join(t.TempDir(), "run")
			leave(t, run, left)
			job := smoke(t, 1)
			if _, err := replay.Push(t.Context(), job, pushConfig(run, sinkFunc(ackAll), "lake")); err != nil {
				t.Fatal(err)
			}
			led, err := ledger.Open(run)
			if err != nil || led.Totals().Acked != 40 || led.Segments != 1 {
				t.Errorf("%v, %+v, want 40 acked in one segment", err, led)
			}
			if _, _, err := replay.Reopen(run, nil); err != nil {
				t.Error(err)
			}
			for name, text := range whole {
				if got, err := os.ReadFile(filepath.Join(run, name)); err != nil || string(got) != text {
					t.Errorf("%s holds %q, %v", name, got, err)
				}
			}
		})
	}
	// What a start that was killed does not leave is another's: it stays as it is.
	for state, left := range map[string]map[string]string{
		"a run":                      with("manifest.json", "{}"),
		"a run without its snapshot": {"manifest.json": "{}"},
		"a ledger with more":         with("ledger.bin", ledgerHeader+"x"),
		"a ledger of something else": with("ledger.bin", "my notes"),
		"a stranger's file":          with("scenario/notes.txt", "mine"),
		"an edited file":             with("scenario/scenario.yaml", "kreplay: 1\n"),
		"a longer file":              with("scenario/scenario.yaml", whole["scenario/scenario.yaml"]+"# mine\n"),
		"a folder for a file":        {"scenario/scenario.yaml/": ""},
		"a file for the folder":      {"scenario": "mine"},
		"a later segment":            {"ledger.002.bin": ""},
	} {
		t.Run(state, func(t *testing.T) {
			run := filepath.Join(t.TempDir(), "run")
			leave(t, run, left)
			before := tree(t, run)
			_, err := replay.Push(t.Context(), smoke(t, 1), pushConfig(run, sinkFunc(ackAll), "lake"))
			if err == nil || !strings.Contains(err.Error(), run) || !strings.Contains(err.Error(), "choose another --run-dir") {
				t.Errorf("%v, want another directory asked for", err)
			}
			if after := tree(t, run); !maps.Equal(before, after) {
				t.Errorf("left %q, was %q", after, before)
			}
		})
	}
}

// Of starts in one directory at a time one goes on, and its ledger is the one that stays.
func TestOneStartAtATime(t *testing.T) {
	for range 20 {
		run, job := filepath.Join(t.TempDir(), "run"), smoke(t, 1)
		var begun atomic.Int64
		var starts sync.WaitGroup
		for range 4 {
			starts.Go(func() {
				if _, err := replay.Push(t.Context(), job, pushConfig(run, sinkFunc(ackAll), "lake")); err == nil {
					begun.Add(1)
				}
			})
		}
		starts.Wait()
		led, err := ledger.Open(run)
		if begun.Load() != 1 || err != nil || led.Totals().Acked != 40 || led.Segments != 1 {
			t.Fatalf("%d began; %v, %+v, want one, and its 40 acked in one segment", begun.Load(), err, led)
		}
	}
}

// emptyLedger is what a ledger holds before there is a manifest.
func emptyLedger(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	w, err := ledger.Create(dir, ledger.Manifest{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, ledger.LedgerFile))
	if err := errors.Join(err, w.Close(ledger.Stopped)); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// leave writes files, and folders where a name ends in a slash.
func leave(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(at, 0o755)
		} else if err == nil {
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tree is the text of all files below a folder, by name; a folder's is a slash.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			files[name] = "/"
			return err
		}
		text, err := os.ReadFile(name)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A push into the directory of another run is refused and leaves that run as it was.
func TestRunDirectoryIsNotSharedByTwoRuns(t *testing.T) {
	dir := t.TempDir()
	run, lake := filepath.Join(dir, "run"), filepath.Join(dir, "lake")
	pipe := start(t, local.Config{Lake: lake, BufferInterval: time.Hour}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{})
	defer client.Close()
	if _, err := replay.Push(t.Context(), smoke(t, 5), pushConfig(run, client, lake)); err != nil {
		t.Fatal(err)
	}
	before := lines(t, run)
	files := editable(t)
	files["smoke/scenario.yaml"].Data = append(files["smoke/scenario.yaml"].Data, "# of another run\n"...)
	other, err := replay.Check(files, "smoke", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Push(t.Context(), other, pushConfig(run, client, lake)); err == nil || !strings.Contains(err.Error(), "choose another --run-dir") {
		t.Errorf("the second push: %v, want another directory asked for", err)
	}
	for line, n := range lines(t, run) {
		if before[line] != n {
			t.Errorf("the second push wrote %q", line)
		}
	}
	if err := pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: run, Quiet: time.Nanosecond, Max: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if rep := res.Report(); rep.Verdict != report.Pass || rep.Push.Planned != 200 {
		t.Errorf("%s of %d, want pass of 200", rep.Verdict, rep.Push.Planned)
	}
}

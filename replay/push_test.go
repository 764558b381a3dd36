package replay_test

import (
	"io/fs"
	"path/filepath"
	"strings"
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

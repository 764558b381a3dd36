package capture

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"kreplay/pkg/lake"
	"kreplay/pkg/object"
)

// The month of a music service that nobody here wrote: user 15 touches 10 of 13
// log types in 495 events, and each line on disk is one of the lake's rows.
func TestActivityLake(t *testing.T) {
	const root = "../../../shared/data/activity-lake"
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no activity-lake beside the project")
	}
	store := open(t, root)
	got, stats := run(t, Options{Store: store, Source: root, User: "15", UserField: "userId", TimeField: "ts", TypeField: "page"})
	if len(got.LogTypes) != 10 || stats.Events != 495 || len(stats.Types) != 13 || stats.Rows != 8056 || stats.Objects != 569 || stats.Damaged != 0 {
		t.Errorf("%d log types, %+v; want 10 with 495 events of 8056 rows in 569 objects", len(got.LogTypes), stats)
	}
	out := filepath.Join(t.TempDir(), "whale")
	if err := WriteScenario(out, "whale", got); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	err := lake.Objects(t.Context(), store, "", 1, func(ctx context.Context, info object.Info) error {
		_, err := lake.Scan(ctx, store, info.Key, func(r lake.Row) error { rows[string(r.Data)]++; return nil }, func(lake.Damage) error { return nil })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(out, "templates", "user", "*.ndjson"))
	if err != nil || len(files) != 10 {
		t.Fatalf("%d files, %v; want 10", len(files), err)
	}
	lines := 0
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			row := string(bytes.TrimSuffix(line, []byte("\n")))
			if rows[row] == 0 {
				t.Errorf("%s: %q is no row of the lake, or there more often", f, row)
			}
			rows[row]--
			lines++
		}
	}
	if lines != 495 {
		t.Errorf("%d lines, want 495", lines)
	}
}

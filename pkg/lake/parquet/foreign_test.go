package parquet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Files that pyarrow wrote come out as testdata/make.py says they have to.
func TestRowsOfAnotherWriter(t *testing.T) {
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			file, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(name, ".parquet") + ".ndjson")
			if err != nil {
				t.Fatal(err)
			}
			f := read(t, file, Options{})
			if len(f.lost) > 0 {
				t.Errorf("lost %s", f.losses())
			}
			var lines []string
			for line := range strings.Lines(string(want)) {
				lines = append(lines, strings.TrimSuffix(line, "\n"))
			}
			if diff := cmp.Diff(lines, f.rows); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

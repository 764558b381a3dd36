package replay

import (
	"os/exec"
	"strings"
	"testing"
)

// layout is the table of the design: a package may import what stands in a row
// below its own. Packages in one row may not import each other, but one below
// a seam, such as pkg/object/dir, may import the seam.
var layout = []string{
	"cmd/kreplay",
	"replay",
	"pkg/report",
	"pkg/capture",
	"pkg/account",
	"pkg/expect pkg/expect/duckdb pkg/expect/expecttest",
	"pkg/lake",
	"pkg/lake/parquet",
	"pkg/ledger",
	"pkg/generate",
	"pkg/batch",
	"pkg/stream pkg/stream/kinesis pkg/stream/streamtest",
	"pkg/template",
	"pkg/scenario",
	"pkg/object pkg/object/dir pkg/object/s3 pkg/object/objecttest",
	"pkg/pace",
	"pkg/fleet",
	"pkg/record",
	"pkg/local scenarios", // import nothing of ours: local has to be honest, scenarios is data
}

// No import points up or sideways, and every package has its place.
func TestImportsPointDown(t *testing.T) {
	const module = "kreplay/"
	row := map[string]int{}
	for i, names := range layout {
		for name := range strings.FieldsSeq(names) {
			row[name] = i
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		from := strings.TrimPrefix(names[0], module)
		at, known := row[from]
		if !known {
			t.Errorf("%s is not in the layout: give it a row", from)
			continue
		}
		for _, to := range names[1:] {
			to, ours := strings.CutPrefix(to, module)
			if ours && row[to] <= at && !strings.HasPrefix(from, to+"/") {
				t.Errorf("%s imports %s, which the layout forbids: imports point down", from, to)
			}
		}
	}
}

// scenarios stands in the design's second row, but nothing of ours above it
// but cmd may rely on what is shipped.
func TestOnlyCommandsKnowShippedScenarios(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "kreplay/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		from, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(" "+imports+" ", " kreplay/scenarios ") && !strings.HasPrefix(from, "kreplay/cmd/") {
			t.Errorf("%s imports scenarios: only cmd may", from)
		}
	}
}

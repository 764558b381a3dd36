package replay_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/replay"
)

// What lies in the folder of a stage within another one's is of the inner stage
// only: for verify, for explain and for the self-test alike.
func TestStageWithinAnotherIsItsOwn(t *testing.T) {
	l := play(t, 3, func(*local.Config) {})
	raw := l.res.Ledger.Manifest.Stages["raw"]
	table := filepath.Join(raw, "curated")
	temp := filepath.Join(t.TempDir(), "curated")
	if err := os.CopyFS(temp, os.DirFS(raw)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, table); err != nil {
		t.Fatal(err)
	}
	stages := map[string]string{"raw": raw, "table": table}
	res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: l.dir, Stages: stages, Quiet: time.Nanosecond, Max: time.Second, Afresh: true})
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]int{}
	for _, s := range res.Stages {
		if objects[s.Name] = s.Objects; s.Tally.Rows != res.Plan.Total() {
			t.Errorf("verify: %s: %d rows, want %d", s.Name, s.Tally.Rows, res.Plan.Total())
		}
	}
	var id string
	for r := range res.Plan.Records(generate.Slice{}) {
		id = r.ID.String()
		break
	}
	life, err := replay.Explain(t.Context(), replay.ExplainConfig{Dir: l.dir, ID: id, Stages: stages})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range life.Stages {
		if len(s.Rows) != 1 || s.Objects != objects[s.Name] {
			t.Errorf("explain: %s: %d rows, %d objects; want one row, %d objects", s.Name, len(s.Rows), s.Objects, objects[s.Name])
		}
	}
	proofs, err := replay.SelfTest(t.Context(), replay.SelfTestConfig{Dir: l.dir, Stages: stages})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range proofs {
		if p.Of != objects[p.Name] || p.Rows != res.Plan.Total() {
			t.Errorf("self-test: %s: %d rows of %d objects; want %d of %d", p.Name, p.Rows, p.Of, res.Plan.Total(), objects[p.Name])
		}
	}
}

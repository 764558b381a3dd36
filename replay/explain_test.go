package replay_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/local"
	"kreplay/pkg/template"
	"kreplay/replay"
	"kreplay/scenarios"
)

func explain(t *testing.T, dir, id string) *replay.Life {
	t.Helper()
	l, err := replay.Explain(t.Context(), replay.ExplainConfig{Dir: dir, ID: id, Quiet: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// alike is smoke with two log types more: three records of each user that nothing
// tells apart, and twenty that a letter does.
func alike(t testing.TB, users int, set ...string) *replay.Job {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "smoke")
	from, err := fs.Sub(scenarios.FS, "smoke")
	if err == nil {
		err = os.CopyFS(dir, from)
	}
	const record = `{"log_type":"%s","user_id":"10004217","ts":1789344025305,"what":"%c"}` + "\n"
	pokes, peeks := strings.Repeat(fmt.Sprintf(record, "poke", 'x'), 3), ""
	for c := 'a'; c <= 't'; c++ {
		peeks += fmt.Sprintf(record, "peek", c)
	}
	folder := filepath.Join(dir, "templates", "player")
	meta, err2 := os.ReadFile(filepath.Join(folder, template.MetaFile))
	err = errors.Join(err, err2)
	meta = append(meta, "  - { name: peek, file: peek.ndjson, events: 20 }\n  - { name: poke, file: poke.ndjson, events: 3 }\n"...)
	for name, text := range map[string]string{"poke.ndjson": pokes, "peek.ndjson": peeks, template.MetaFile: string(meta)} {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	job, err := replay.Check(os.DirFS(filepath.Dir(dir)), "smoke", append(set, fmt.Sprintf("population.users=%d", users)))
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// What explain says of each record is what verify says of it: the same state,
// the same rows at the same places, and none that it does not count.
func TestExplainAgreesWithVerify(t *testing.T) {
	l := playIn(t, "", alike(t, 3, "inject.duplicate=5%"), func(c *local.Config) {
		c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt, c.Delimiter, c.BufferBytes = 9, 9, 9, "\n", 8<<10
	})
	named := map[string][]replay.Named{}
	for _, d := range l.res.Samples {
		named[d.ID.String()] = append(named[d.ID.String()], d)
	}
	seq, shares := uint64(0), 0.0
	rows := map[string]int{} // by the record's text
	for r := range l.res.Plan.Records(generate.Slice{}) {
		life := explain(t, l.dir, r.ID.String())
		s := life.Stages[0]
		shares += float64(len(s.Rows)) / float64(life.Planned.Alike)
		if life.Ledger.Seq != seq || life.Ledger.Fate != "acked" || life.Planned.Data != string(r.Data) || life.Planned.PartitionKey != r.PartitionKey {
			t.Fatalf("%v: %+v %+v; want seq %d acked, %q under %q", r.ID, life.Planned, life.Ledger, seq, r.Data, r.PartitionKey)
		}
		seq++
		if n, ok := rows[life.Planned.Data]; ok && n != len(s.Rows) {
			t.Errorf("%s: %d rows, another of the same text has %d", life.ID, len(s.Rows), n)
		}
		rows[life.Planned.Data] = len(s.Rows)
		if life.Planned.Alike > 1 {
			continue // verify names one of them, and no row tells which
		}
		if want := stateOf(named[life.ID]); s.State != want {
			t.Errorf("%s: state %q, want %q as verify has it: %+v", life.ID, s.State, want, named[life.ID])
		}
		for _, d := range named[life.ID] {
			if d.Object != "" && !slices.ContainsFunc(s.Rows, func(r replay.RowLife) bool { return r.Object == d.Object && r.Offset == d.Offset }) {
				t.Errorf("%s: verify names a row at %s %d, explain has %+v", life.ID, d.Object, d.Offset, s.Rows)
			}
		}
		for _, row := range s.Rows {
			if row.Intact != (len(row.Changes) == 0) {
				t.Errorf("%s: intact %v with changes %+v", life.ID, row.Intact, row.Changes)
			}
		}
	}
	if tally := l.res.Stages[0].Tally; uint64(shares+0.5) != tally.Rows || tally.Missing == 0 || tally.Mutated == 0 || tally.Pipeline == 0 {
		t.Errorf("%.1f rows explained, verify has %+v", shares, tally)
	}
}

// stateOf is a record's state by the differences that name it.
func stateOf(list []replay.Named) string {
	for _, d := range list {
		if d.Kind == account.KindMissing || d.Kind == account.KindMutated {
			return d.Kind
		}
	}
	return "delivered"
}

// As many records are said to lie in the crash window as the ledger counts there.
func TestExplainKnowsTheCrashWindow(t *testing.T) {
	l := play(t, 3, func(*local.Config) {})
	path := filepath.Join(l.dir, ledger.LedgerFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for kept := len(text) - 1; kept > 0 && tried < 2; kept-- {
		if err := os.WriteFile(path, text[:kept], 0o600); err != nil {
			t.Fatal(err)
		}
		led, err := ledger.Open(l.dir)
		if err != nil {
			t.Fatal(err)
		}
		if led.Window == 0 {
			continue
		}
		tried++
		window := uint64(0)
		for r := range l.res.Plan.Records(generate.Slice{}) {
			if explain(t, l.dir, r.ID.String()).Ledger.InWindow {
				window++
			}
		}
		if window != led.Window {
			t.Errorf("%d of %d bytes: %d records in the window, the ledger counts %d", kept, len(text), window, led.Window)
		}
		kept -= 40 // another cut, of another frame
	}
	if tried == 0 {
		t.Error("no cut leaves a record in flight")
	}
}

// An id that names no record of the run says why, and what to do.
func TestExplainRefusesIDs(t *testing.T) {
	l := play(t, 3, func(*local.Config) {})
	tag := uint32(l.res.Plan.Tag)
	for id, want := range map[string]string{
		"nonsense":                     "ids stand in differences.ndjson",
		fmt.Sprintf("%08x/0/0", tag+1): "give the run directory",
		fmt.Sprintf("%08x/3/0", tag):   "the run has users 0 to 2",
		fmt.Sprintf("%08x/0/40", tag):  "has events 0 to 39",
		fmt.Sprintf("%08x/0/0/1", tag): "the record has no copy 1",
	} {
		_, err := replay.Explain(t.Context(), replay.ExplainConfig{Dir: l.dir, ID: id})
		if !errors.Is(err, replay.ErrID) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ErrID with %q", id, err, want)
		}
	}
}

// A record in the error stage is found inside its error record, with the reason,
// and is rejected where it is not delivered; objects that were there before the run
// are not read.
func TestExplainReadsErrorRecords(t *testing.T) {
	l := play(t, 3, func(*local.Config) {})
	errorsDir := t.TempDir()
	var id, raw string
	for r := range l.res.Plan.Records(generate.Slice{}) {
		id, raw = r.ID.String(), base64.StdEncoding.EncodeToString(r.Data)
	}
	text := fmt.Sprintf(`{"attemptsMade":4,"errorCode":"Lambda.FunctionError","errorMessage":"out of memory","rawData":"%s"}`, raw)
	old := filepath.Join(errorsDir, "old")
	for _, name := range []string{old, filepath.Join(errorsDir, "new")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := l.res.Ledger.Manifest.Started.Add(-time.Hour)
	if err := os.Chtimes(old, before, before); err != nil {
		t.Fatal(err)
	}
	life, err := replay.Explain(t.Context(), replay.ExplainConfig{Dir: l.dir, ID: id, Stages: map[string]string{"dlq": errorsDir, "raw": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	s := life.Stages[1]
	if raw := life.Stages[0]; raw.Name != "raw" || raw.State != "rejected" || s.State != "rejected" || s.Objects != 1 || s.Older != 1 || len(s.Rows) != 1 || !s.Rows[0].Intact || s.Rows[0].Reason != "Lambda.FunctionError: out of memory" {
		t.Errorf("want one rejected row, intact, with its reason, of the newer object: %+v", life.Stages)
	}
}

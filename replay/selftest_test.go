package replay_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/local"
	"kreplay/pkg/report"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// partitioned makes the stage one whose objects have a place.
var partitioned = []string{"stages.raw.path=lake", `stages.raw.partition="!{timestamp:yyyy/MM/dd/HH}"`}

// fingerprint is over all files below a folder.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d %s\n", path, len(text), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// Law 6: exactly what is planted is found, whatever the run's own lake holds:
// losses, duplicates, changed rows, broken objects, records alike, copies, answers
// that got lost; plain or gzip, with delimiters and without; of a sample or of all.
func TestSelfTestFindsExactlyWhatItPlants(t *testing.T) {
	planted := map[string]int{}
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var set []string
		if rng.IntN(2) == 0 {
			set = append(set, partitioned...)
		}
		if rng.IntN(2) == 0 {
			set = append(set, "inject.duplicate=5%")
		}
		l := playIn(t, "", alike(t, 5+rng.IntN(20), set...), func(c *local.Config) {
			c.Faults.Seed, c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt = seed, rng.IntN(30), rng.IntN(30), rng.IntN(30)
			c.Faults.Truncate, c.BufferBytes = rng.IntN(3), 4<<10<<rng.IntN(6)
			c.Faults.LostEvery = []int{0, 0, 2}[rng.IntN(3)]
			c.Compression = []string{"none", "gzip"}[rng.IntN(2)]
			if rng.IntN(2) == 0 {
				c.Delimiter = "\n"
			}
		})
		root := filepath.Dir(l.dir)
		before := fingerprint(t, root)
		proofs, err := replay.SelfTest(t.Context(), replay.SelfTestConfig{Dir: l.dir, Seed: seed, Objects: rng.IntN(5), Faults: 1 + rng.IntN(9)})
		if err != nil {
			t.Fatal(err)
		}
		if len(proofs) != 1 || proofs[0].Verdict() != report.Pass {
			t.Errorf("seed %d: %+v", seed, proofs)
		}
		for _, c := range proofs[0].Classes {
			planted[c.Class] += c.Planted
		}
		if after := fingerprint(t, root); after != before {
			t.Errorf("seed %d: the run, its stage, or what lies beside them has changed", seed)
		}
	}
	for _, class := range []string{"drop", "duplicate", "corrupt", "truncate", "move", "foreign", "stranger"} {
		if planted[class] == 0 {
			t.Errorf("%s was never planted", class)
		}
	}
}

// The same in lakes of columns, whose names may have lost their case: faults are
// planted in a copy that is JSON, and is judged as the columns are.
func TestSelfTestOfColumns(t *testing.T) {
	planted := map[string]int{}
	for seed := range uint64(14) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d := drawScenario(rng)
		format, names := pick(rng, local.CSV, local.Parquet), pick(rng, local.LowerNames, local.KeepNames)
		set := []string{"stages.raw.compare=" + pick(rng, "exact", "json", "subset")}
		if format == local.CSV {
			set = append(set, "stages.raw.format=csv")
		}
		job, err := replay.Check(d.files, "drawn", set)
		if err != nil {
			t.Fatal(err)
		}
		l := playIn(t, "", job, func(c *local.Config) {
			c.Format, c.Names, c.Compression, c.BufferBytes = format, names, "", 1<<10<<rng.IntN(6)
			c.Faults.Seed, c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt = seed, rng.IntN(3), rng.IntN(3), rng.IntN(3)
		})
		proofs, err := replay.SelfTest(t.Context(), replay.SelfTestConfig{Dir: l.dir, Seed: seed, Faults: 1 + rng.IntN(4)})
		if err != nil {
			t.Fatal(err)
		}
		if len(proofs) != 1 || proofs[0].Verdict() != report.Pass {
			t.Errorf("seed %d, %s, %s: %+v", seed, format, names, proofs)
		}
		if rows := proofs[0].Classes[0]; rows.Class != "drop" || rows.Planted == 0 && proofs[0].Rows > 9 {
			t.Errorf("seed %d, %s, %s: nothing was planted in a row: %+v", seed, format, names, proofs)
		}
		for _, c := range proofs[0].Classes {
			planted[c.Class] += c.Planted
			planted[fmt.Sprint(c.Class, " in ", names, " ", format)] += c.Planted
		}
	}
	for _, class := range []string{"drop", "duplicate", "corrupt in lower parquet", "corrupt in lower csv", "truncate", "foreign", "stranger"} {
		if planted[class] == 0 {
			t.Errorf("%s was never planted: %v", class, planted)
		}
	}
}

// The share of one of several workers is tried as well, among the rows of the
// others; of records whose fate is not known, too.
func TestSelfTestOfOneWorker(t *testing.T) {
	job := alike(t, 40, "inject.duplicate=5%")
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lake := filepath.Join(dir, "lake")
	pipe := start(t, local.Config{Lake: lake, BufferInterval: time.Hour, BufferBytes: 1 << 20}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 2})
	defer client.Close()
	anchor := time.Now().Add(-time.Hour)
	for i := range uint64(3) {
		cfg := pushConfig(filepath.Join(dir, fmt.Sprint(i)), client, lake)
		cfg.RunID, cfg.Anchor, cfg.Slice = "workers", anchor, generate.Slice{Index: i + 1, Of: 3}
		if _, err := replay.Push(t.Context(), job, cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "0", ledger.LedgerFile)
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()*2/3) // as if that machine had died
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * 4 {
		proofs, err := replay.SelfTest(t.Context(), replay.SelfTestConfig{Dir: filepath.Join(dir, fmt.Sprint(i%3)), Faults: 30, Seed: uint64(i)})
		if err != nil || proofs[0].Verdict() != report.Pass || proofs[0].Rows != plan.Total() {
			t.Errorf("worker %d: %+v, %v; want pass among %d rows", i%3+1, proofs, err, plan.Total())
		}
	}
}

// A verifier that errs by a single row is found out: what was planted and what is
// accounted for are made to differ in each way there is.
func TestSelfTestNoticesOneRow(t *testing.T) {
	l := playIn(t, "", smoke(t, 20, partitioned...), func(c *local.Config) { c.BufferBytes, c.Delimiter = 1<<20, "\n" })
	for name, change := range map[string]func([]string) []string{
		"nothing":     func(rows []string) []string { return rows },
		"a loss":      func(rows []string) []string { return append(rows[:5:5], rows[6:]...) },
		"a duplicate": func(rows []string) []string { return append(rows, rows[2]) },
		"a foreign":   func(rows []string) []string { return append(rows, `{"a":1}`) },
		"a change": func(rows []string) []string {
			rows[4] = strings.Replace(rows[4], `"log_type":"`, `"log_type":"x`, 1)
			return rows
		},
		"damage": func(rows []string) []string { return append([]string{"damage"}, rows...) },
	} {
		t.Run(name, func(t *testing.T) {
			proof, err := replay.Tampered(t.Context(), replay.SelfTestConfig{Dir: l.dir, Faults: 1, Seed: 3}, t.TempDir(), func(dir string) error {
				return editOne(dir, change)
			})
			want := report.Fail
			if name == "nothing" {
				want = report.Pass
			}
			if err != nil || proof.Verdict() != want || (want == report.Fail) != (proof.Unexpected > 0) {
				t.Errorf("%s, %d unexpected: %v; want %s: %+v", proof.Verdict(), proof.Unexpected, err, want, proof)
			}
		})
	}
}

// editOne changes the rows of the largest object below a folder, and keeps its time.
func editOne(dir string, change func([]string) []string) error {
	var path string
	var info fs.FileInfo
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		i, err := e.Info()
		if err == nil && (info == nil || i.Size() > info.Size()) {
			path, info = p, i
		}
		return err
	})
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(zr)
	if err != nil {
		return err
	}
	rows := change(strings.Split(strings.TrimSpace(string(text)), "\n"))
	if err := os.WriteFile(path, []byte(strings.Join(rows, "\n")), 0o600); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// A stage that holds nothing of the run, or cannot be read, proves nothing.
func TestSelfTestOfNothingIsInconclusive(t *testing.T) {
	l := play(t, 3, func(*local.Config) {})
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "a"), []byte(`{"a":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{t.TempDir(), other, filepath.Join(other, "nowhere")} {
		proofs, err := replay.SelfTest(t.Context(), replay.SelfTestConfig{Dir: l.dir, Stages: map[string]string{"raw": path}})
		if err != nil || len(proofs) != 1 || proofs[0].Verdict() != report.Inconclusive {
			t.Errorf("%s: %+v, %v; want inconclusive", path, proofs, err)
		}
	}
}

// The copies carry the times of the objects, by which misplaced rows are told.
func TestSelfTestKeepsTimes(t *testing.T) {
	l := playIn(t, "", smoke(t, 5, partitioned...), func(*local.Config) {})
	later := time.Now().Add(time.Hour).Truncate(time.Second)
	each := func(dir string, visit func(path string, e fs.DirEntry) error) error {
		return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			return visit(path, e)
		})
	}
	err := each(filepath.Join(filepath.Dir(l.dir), "lake"), func(path string, _ fs.DirEntry) error { return os.Chtimes(path, later, later) })
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	_, err = replay.Tampered(t.Context(), replay.SelfTestConfig{Dir: l.dir, Faults: 1}, t.TempDir(), func(dir string) error {
		return each(dir, func(path string, e fs.DirEntry) error {
			objects++
			info, err := e.Info()
			if err == nil && !info.ModTime().Equal(later) {
				t.Errorf("%s: %v, want %v", path, info.ModTime(), later)
			}
			return err
		})
	})
	if err != nil || objects == 0 {
		t.Errorf("%d objects, %v", objects, err)
	}
}

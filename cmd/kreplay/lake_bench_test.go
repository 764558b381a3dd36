//go:build linux && cgo

package main

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the other reader
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"kreplay/pkg/record"
	"kreplay/replay"
	"kreplay/scenarios"
)

var lakeBytes = flag.Int64("lake-bytes", 32<<20, "decompressed bytes that BenchmarkLake reads, about")

var _ = command(lakeBench, lakeBenchMain)

const (
	lakeObjects = 16
	lakeBench   = "lake-bench" // a process of its own, for each way of reading
	lakeUser    = 22_900       // bytes of a user's records, about
)

// lakeSink takes what is pushed and writes it down twice, with newlines and
// without anything between records, each object in turn for a request's records.
type lakeSink struct {
	mu    sync.Mutex
	turn  int
	rows  uint64
	size  int64
	files [2][lakeObjects]*os.File
	zips  [2][lakeObjects]*gzip.Writer
}

var lakeNames = [2]string{"newline", "undelimited"}

func newLakeSink(dir string) (*lakeSink, error) {
	s := &lakeSink{}
	for way, name := range lakeNames {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return nil, err
		}
		for i := range lakeObjects {
			f, err := os.Create(filepath.Join(dir, name, fmt.Sprintf("%03d.json.gz", i)))
			if err != nil {
				return nil, err
			}
			s.files[way][i], s.zips[way][i] = f, gzip.NewWriter(f)
		}
	}
	return s, nil
}

func (s *lakeSink) Put(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.turn % lakeObjects
	s.turn++
	outs := make([]record.Outcome, len(recs))
	var plain bytes.Buffer
	for way, end := range []string{"\n", ""} {
		plain.Reset()
		for k := range recs {
			plain.Write(bytes.TrimSuffix(recs[k].Data, []byte("\n")))
			plain.WriteString(end)
			outs[k] = record.Outcome{ID: recs[k].ID, Fate: record.Acked, Shard: "shardId-000000000000"}
		}
		if _, err := s.zips[way][i].Write(plain.Bytes()); err != nil {
			return nil, err
		}
		s.size = max(s.size, s.size+int64(plain.Len())*int64(1-way))
	}
	s.rows += uint64(len(recs))
	return outs, nil
}

func (s *lakeSink) Close() (err error) {
	for way := range s.zips {
		for i := range s.zips[way] {
			err = errors.Join(err, s.zips[way][i].Close(), s.files[way][i].Close())
		}
	}
	return err
}

// A lake is what a run of a scenario would have left behind if nothing had gone
// wrong: the same rows in two folders, as lakeNames says.
type lake struct {
	name, dir, run string
	rows           uint64
	size           int64 // with newlines, decompressed
	stored         int64 // the same, compressed
}

func makeLake(tb testing.TB, dir, name string, job *replay.Job) lake {
	tb.Helper()
	l := lake{name: name, dir: filepath.Join(dir, name), run: filepath.Join(dir, name, "run")}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	sink, err := newLakeSink(l.dir)
	if err != nil {
		tb.Fatal(err)
	}
	led, err := replay.Push(tb.Context(), job, replay.PushConfig{Dir: l.run, Target: replay.Target{Sink: sink, Stream: "s"}, Stages: map[string]string{"raw": l.dir}})
	if err = errors.Join(err, sink.Close()); err != nil {
		tb.Fatal(led, err)
	}
	l.rows, l.size = sink.rows, sink.size
	for _, f := range sink.files[0] {
		info, err := os.Stat(f.Name())
		if err != nil {
			tb.Fatal(err)
		}
		l.stored += info.Size()
	}
	return l
}

// referenceJob is of records as those of design.md's table: 400 bytes, of which gzip
// leaves a fifth, as in the lake of facts/field.md (227 MB of 1.07 GB); a uuid, the
// user, a time and a session are each user's own.
func referenceJob(tb testing.TB, users int64) *replay.Job {
	tb.Helper()
	dice := rand.New(rand.NewPCG(1, 2))
	actions := [...]string{"login", "purchase", "gacha_draw", "quest_clear", "battle_end", "logout"}
	var lines []byte
	for i := range referenceEvents {
		lines = fmt.Appendf(lines, `{"log_type":"action","event_id":"8f31c2a7-51a4-4c6e-8d21-%012x","user_id":"10004217","session_id":"9d2b7c14-6f3a-4e0b-9b55-%012x","ts":%d,`,
			i, i/25, 1789344025305+int64(i)*7919)
		lines = fmt.Appendf(lines, `"action":"%s","build":"%08x","version":"2.%d.%d","amount":%d,"currency":"gem","level":%d,`+
			`"items":[{"id":%d,"rarity":"SSR"},{"id":%d,"rarity":"R"}],"trace":"%016x%016x%016x%016x","note":"\"hi\""}`+"\n",
			actions[dice.IntN(len(actions))], dice.Uint32(), dice.IntN(30), dice.IntN(10), dice.IntN(10_000), dice.IntN(200), dice.IntN(9000), dice.IntN(9000), dice.Uint64(), dice.Uint64(), dice.Uint64(), dice.Uint64())
	}
	job, err := replay.Check(fstest.MapFS{
		"reference/scenario.yaml":   {Data: []byte("kreplay: 1\nname: reference\ntemplate: t\nrewrite: { event_id: uuid, session_id: uuid per session, user_id: user, ts: time }\n")},
		"reference/t/action.ndjson": {Data: lines},
	}, "reference", []string{fmt.Sprintf("population.users=%d", users)})
	if err != nil {
		tb.Fatal(err)
	}
	return job
}

const referenceEvents = 250

// A lakeJob is whose lake is read.
type lakeJob struct {
	name string
	job  *replay.Job
}

// lakeJobs are of lakes of so many bytes each, about.
func lakeJobs(tb testing.TB, size int64) []lakeJob {
	tb.Helper()
	game, err := replay.Check(scenarios.FS, "social-game", []string{fmt.Sprintf("population.users=%d", max(size/lakeUser, 50))})
	if err != nil {
		tb.Fatal(err)
	}
	return []lakeJob{{"social-game", game}, {"reference", referenceJob(tb, max(size/(referenceEvents*400), 50))}}
}

// A lakeWay is one way to read a lake.
type lakeWay struct {
	name, what, folder string
	base               string // the way whose speed it is measured by
}

func lakeWays() []lakeWay {
	const newline, undelimited = "newline", "undelimited"
	ways := []lakeWay{
		{"gunzip", "gunzip", newline, ""},
		{"verify", "verify", newline, "gunzip"},
		{"gunzip-undelimited", "gunzip", undelimited, ""},
		{"verify-undelimited", "verify", undelimited, "gunzip-undelimited"},
		{"duckdb-1-thread", "duckdb-1", newline, "gunzip"},
		{"duckdb-2-threads", "duckdb-2", newline, "gunzip"},
	}
	if _, err := exec.LookPath("gzip"); err == nil {
		ways = append(ways, lakeWay{"gzip-dc", "gzip", newline, "gunzip"})
	}
	return ways
}

// lakeRead is what a process of its own says of one way to read the objects.
type lakeRead struct {
	Wall, CPU time.Duration
	Peak      float64 // MB
	Rows      uint64
	IDs       uint64 // distinct, by DuckDB
}

// Speeds are of decompressed bytes, with two objects read at a time, on two cores:
// gunzip alone, which is Go's by klauspost; verify, which tells each row's record,
// counts it and settles the account; DuckDB, which counts distinct ids of the same
// objects; and GNU's `gzip -dc`, which reads them one after another. Each is a process of
// its own, and they take turns. -lake-bytes=1000000000 is lakes of 1 GB.
func BenchmarkLake(b *testing.B) {
	for _, of := range lakeJobs(b, *lakeBytes) {
		b.Run(of.name, func(b *testing.B) {
			l := makeLake(b, b.TempDir(), of.name, of.job)
			got := map[string][]lakeRead{}
			for b.Loop() {
				for _, w := range lakeWays() {
					r := readElsewhere(b, w.what, filepath.Join(l.dir, w.folder), l.run)
					if r.Rows != l.rows && !strings.HasPrefix(w.what, "g") {
						b.Fatalf("%s: %d rows of %d", w.name, r.Rows, l.rows)
					}
					got[w.name] = append(got[w.name], r)
				}
			}
			l.table(b, got)
		})
	}
}

func (l lake) table(b *testing.B, got map[string][]lakeRead) {
	b.Helper()
	median := func(name string, of func(lakeRead) float64) float64 {
		list := slices.SortedFunc(slices.Values(got[name]), func(x, y lakeRead) int { return cmp.Compare(of(x), of(y)) })
		return of(list[len(list)/2])
	}
	wall, cpu := func(r lakeRead) float64 { return r.Wall.Seconds() }, func(r lakeRead) float64 { return r.CPU.Seconds() }
	load, _ := os.ReadFile("/proc/loadavg")
	table := fmt.Sprintf("%s: %d rows of %d B, %.0f MB in %d objects of gzip, %.0f MB stored; medians of %d; load %s%-19s %9s %8s %8s %21s %8s\n", l.name, l.rows, l.size/int64(l.rows),
		float64(l.size)/1e6, lakeObjects, float64(l.stored)/1e6, len(got["gunzip"]), load, "", "MB/s", "wall", "CPU", "of gunzip: wall, CPU", "peak")
	for _, w := range lakeWays() {
		of := ""
		if w.base != "" {
			byWall, byCPU := median(w.base, wall)/median(w.name, wall), median(w.base, cpu)/median(w.name, cpu)
			of = fmt.Sprintf("%.2f, %.2f", byWall, byCPU)
			if w.what == "verify" {
				b.ReportMetric(byWall, w.name+"/gunzip-wall")
				b.ReportMetric(byCPU, w.name+"/gunzip-CPU")
			}
		}
		speed := float64(l.size) / 1e6 / median(w.name, wall)
		peak := "-"
		if mb := median(w.name, func(r lakeRead) float64 { return r.Peak }); mb > 0 {
			peak = fmt.Sprintf("%.0f MB", mb)
		}
		table += fmt.Sprintf("%-19s %9.0f %6.2f s %6.2f s %21s %8s\n", w.name, speed, median(w.name, wall), median(w.name, cpu), of, peak)
		b.ReportMetric(speed, w.name+"-MB/s")
	}
	b.Log("\n" + table)
}

func readElsewhere(b *testing.B, args ...string) (r lakeRead) {
	b.Helper()
	c := exec.CommandContext(b.Context(), lakeBench, args...)
	c.Env = append(os.Environ(), "GOMAXPROCS=2")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		b.Fatalf("%v: %v\n%s%s", args, err, out, errs.Bytes())
	}
	return r
}

// lakeBenchMain reads the objects in the way of its first argument.
func lakeBenchMain() {
	r, err := readLake(context.Background(), os.Args[1], os.Args[2], os.Args[3])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readLake(ctx context.Context, what, lake, run string) (r lakeRead, err error) {
	before, began := usedCPU(), time.Now()
	switch what {
	case "gunzip":
		err = gunzipAll(lake)
	case "gzip":
		return gzipAll(ctx, lake)
	case "verify":
		r.Rows, err = verifyAll(ctx, lake, run)
	default:
		err = duckAll(ctx, lake, strings.TrimPrefix(what, "duckdb-"), &r)
	}
	r.Wall, r.CPU, r.Peak = time.Since(began), usedCPU()-before, peakMB()
	return r, err
}

func gunzipAll(lake string) error {
	names, err := filepath.Glob(filepath.Join(lake, "*"))
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(2)
	for _, name := range names {
		g.Go(func() error {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			zr, err := gzip.NewReader(f)
			if err != nil {
				return err
			}
			_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{zr}, make([]byte, 256<<10))
			return err
		})
	}
	return g.Wait()
}

// gzipAll has the command read the objects, as people do who look at them.
func gzipAll(ctx context.Context, lake string) (r lakeRead, err error) {
	names, err := filepath.Glob(filepath.Join(lake, "*"))
	if err != nil {
		return r, err
	}
	began, c := time.Now(), exec.CommandContext(ctx, "gzip", append([]string{"-dc"}, names...)...)
	if err := c.Run(); err != nil { // to no one: what it prints is thrown away
		return r, err
	}
	r.Wall, r.CPU = time.Since(began), c.ProcessState.UserTime()+c.ProcessState.SystemTime()
	return r, nil // its memory is not told apart from that of who starts it
}

func verifyAll(ctx context.Context, lake, run string) (rows uint64, err error) {
	res, err := replay.Verify(ctx, replay.VerifyConfig{
		Dir: run, Stages: map[string]string{"raw": lake}, Quiet: time.Nanosecond, Max: time.Second, Workers: 2, Afresh: true,
	})
	if err != nil {
		return 0, err
	}
	t := res.Stages[0].Tally
	if bad := t.Missing + t.Mutated + t.Pipeline + t.Producer + t.Strangers + t.Foreign + t.Damaged; bad > 0 || res.Stages[0].Err != nil {
		return 0, fmt.Errorf("%+v, %w", t, res.Stages[0].Err)
	}
	return t.Delivered, nil
}

func duckAll(ctx context.Context, lake, threads string, r *lakeRead) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, "set threads = "+threads); err != nil {
		return err
	}
	return db.QueryRowContext(ctx, fmt.Sprintf("select count(*), count(distinct event_id) from read_json('%s/*.gz', format = 'newline_delimited', columns = {event_id: 'VARCHAR'})", lake)).
		Scan(&r.Rows, &r.IDs)
}

func usedCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMB is the most memory that the process has had so far.
func peakMB() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseFloat(strings.Fields(kb)[0], 64)
			return n / 1000
		}
	}
	return 0
}

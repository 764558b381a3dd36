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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
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

// lakeRead is what a process of its own says of one way to read the objects.
type lakeRead struct {
	Wall, CPU time.Duration
	Peak      float64 // MB
	Rows      uint64
	IDs       uint64 // distinct, by DuckDB
}

// Speeds are of decompressed bytes, with two objects read at a time, on two cores:
// gunzip alone; verify, which tells each row's record, counts it and settles the
// account; and DuckDB, which counts distinct ids of the same objects. Each is a
// process of its own, and they take turns. -lake-bytes=1000000000 is a
// lake of 1 GB.
func BenchmarkLake(b *testing.B) {
	dir := b.TempDir()
	sink, err := newLakeSink(dir)
	if err != nil {
		b.Fatal(err)
	}
	job, err := replay.Check(scenarios.FS, "social-game", []string{fmt.Sprintf("population.users=%d", max(*lakeBytes/lakeUser, 50))})
	if err != nil {
		b.Fatal(err)
	}
	run := filepath.Join(dir, "run")
	led, err := replay.Push(b.Context(), job, replay.PushConfig{Dir: run, Target: replay.Target{Sink: sink, Stream: "s"}, Stages: map[string]string{"raw": dir}})
	if err = errors.Join(err, sink.Close()); err != nil {
		b.Fatal(led, err)
	}
	ways := []struct{ name, what, lake string }{
		{"gunzip", "gunzip", "newline"},
		{"verify-newline", "verify", "newline"},
		{"gunzip-undelimited", "gunzip", "undelimited"},
		{"verify-undelimited", "verify", "undelimited"},
		{"duckdb-1", "duckdb-1", "newline"},
		{"duckdb-2", "duckdb-2", "newline"},
	}
	got := map[string][]lakeRead{}
	for b.Loop() {
		for _, w := range ways {
			r := readElsewhere(b, w.what, filepath.Join(dir, w.lake), run)
			if w.what != "gunzip" && r.Rows != sink.rows {
				b.Fatalf("%s: %d rows of %d", w.name, r.Rows, sink.rows)
			}
			got[w.name] = append(got[w.name], r)
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	table := fmt.Sprintf("%d rows, %.0f MB in %d objects; medians of %d; load %s", sink.rows, float64(sink.size)/1e6, lakeObjects, len(got["gunzip"]), load)
	median := func(name string, of func(lakeRead) float64) float64 {
		list := slices.SortedFunc(slices.Values(got[name]), func(x, y lakeRead) int { return cmp.Compare(of(x), of(y)) })
		return of(list[len(list)/2])
	}
	for _, w := range ways {
		wall := median(w.name, func(r lakeRead) float64 { return r.Wall.Seconds() })
		cpu := median(w.name, func(r lakeRead) float64 { return r.CPU.Seconds() })
		peak := median(w.name, func(r lakeRead) float64 { return r.Peak })
		base := "gunzip" + strings.TrimPrefix(strings.TrimPrefix(w.name, "verify"), "-newline")
		if w.what != "verify" {
			base = "gunzip"
		}
		ofWall := median(base, func(r lakeRead) float64 { return r.Wall.Seconds() }) / wall
		ofCPU := median(base, func(r lakeRead) float64 { return r.CPU.Seconds() }) / cpu
		table += fmt.Sprintf("%-19s %6.0f MB/s %6.2f s %6.2f s CPU  %4.2f of gunzip's speed, %4.2f by CPU  %5.0f MB peak\n",
			w.name, float64(sink.size)/1e6/wall, wall, cpu, ofWall, ofCPU, peak)
		b.ReportMetric(float64(sink.size)/1e6/wall, w.name+"-MB/s")
		if w.what == "verify" {
			b.ReportMetric(ofCPU, w.name+"/gunzip-CPU")
		}
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

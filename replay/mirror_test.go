package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kreplay/pkg/ledger"
	"kreplay/pkg/local"
	"kreplay/pkg/object"
	"kreplay/pkg/object/s3"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
	"kreplay/scenarios"
)

// bench is an embedded pipeline that delivers to s3://lake/raw, with a bucket
// for run directories beside it.
type bench struct {
	pipe *local.Pipeline
	sdk  aws.Config
	sink *kinesis.Client
	runs *s3.Store // s3://runs/one
}

func newBench(t *testing.T, f local.Faults) bench {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := local.Start(t.Context(), ln, local.Config{
		Streams: []local.StreamSpec{{Name: "s", Shards: 3}}, Lake: "s3://lake/raw", Buckets: []string{"runs"},
		BufferInterval: time.Hour, BufferBytes: 1 << 18, Compression: "gzip", Faults: f,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := bench{pipe: pipe, sdk: aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(pipe.URL()), Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}}
	b.sink = kinesis.New(b.sdk, "s", kinesis.Options{Requests: 4})
	if b.runs, err = s3.New(b.sdk, "s3://runs/one", s3.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.sink.Close()
		if err := errors.Join(b.runs.Close(), pipe.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b bench) open(_ context.Context, path string) (object.Store, io.Closer, error) {
	s, err := s3.New(b.sdk, path, s3.Options{})
	return s, s, err
}

// push sends 2,000 records through sink, with a copy of the run directory in S3.
func (b bench) push(ctx context.Context, t *testing.T, sink stream.Sink) (dir string, err error) {
	t.Helper()
	job, err := replay.Check(scenarios.FS, "smoke", []string{"population.users=50", "stream.limits.requests=1"}) // so that a push can be cut in the middle
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "run")
	_, err = replay.Push(ctx, job, replay.PushConfig{
		Dir: dir, Target: replay.Target{Sink: sink, Stream: "s"}, Stages: map[string]string{"raw": "s3://lake/raw"}, Mirror: b.runs,
	})
	return dir, errors.Join(err, b.pipe.Flush(context.WithoutCancel(ctx)))
}

func (b bench) verify(t *testing.T, dir string, isCopy bool) report.Report {
	t.Helper()
	res, err := replay.Verify(t.Context(), replay.VerifyConfig{
		Dir: dir, Copy: isCopy, Quiet: time.Nanosecond, Max: time.Second, Open: b.open,
	})
	if err != nil {
		t.Fatal(err)
	}
	return res.Report()
}

func fetched(t *testing.T, store object.Store) string {
	t.Helper()
	dir := t.TempDir()
	if err := replay.Fetch(t.Context(), store, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func sameLedger(t *testing.T, a, b string) {
	t.Helper()
	x, err1 := os.ReadFile(filepath.Join(a, ledger.LedgerFile))
	y, err2 := os.ReadFile(filepath.Join(b, ledger.LedgerFile))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("ledger: %d bytes, but %d in the copy, or others", len(x), len(y))
	}
}

// Pushed, delivered and verified in S3: a run directory that was fetched gives
// the same report as the one on disk, faults and all; its own report goes back.
func TestRunDirectoryInS3(t *testing.T) {
	b := newBench(t, local.Faults{Seed: 1, Of: 2000, Drop: 3, Duplicate: 2}) // no lost answers: a resend would make up for a loss
	dir, err := b.push(t.Context(), t, b.sink)
	if err != nil {
		t.Fatal(err)
	}
	from := fetched(t, b.runs)
	sameLedger(t, dir, from)
	want, got := b.verify(t, dir, false), b.verify(t, from, true)
	// Which of two rows was read first, and so which is the duplicate, may differ.
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(report.Sample{}, "Object", "Place")); diff != "" {
		t.Errorf("on disk (-), fetched (+):\n%s", diff)
	}
	// A record that was sent twice because its answer was lost survives the loss of one row.
	if s := got.Stages[0]; s.Missing < 1 || s.Missing > 3 || s.Duplicates.Pipeline != 2 || got.Verdict != report.Fail {
		t.Errorf("%s, %+v; want fail with up to 3 missing, 2 duplicates by the pipeline", got.Verdict, s)
	}
	if err := replay.Upload(t.Context(), b.runs, from, "differences.ndjson", "report.json"); err != nil {
		t.Fatal(err)
	}
	r, err := b.runs.Open(t.Context(), "differences.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(r)
	if lines := strings.Count(string(text), "\n"); err != nil || uint64(lines) != got.Differences.Total {
		t.Errorf("%d differences in S3, %v, want %d", lines, err, got.Differences.Total)
	}
}

// stopping is a sink that stops the run in the middle.
type stopping struct {
	stream.Sink
	left atomic.Int64
	stop func()
}

func (s *stopping) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	if s.left.Add(-1) == 0 {
		s.stop()
	}
	return s.Sink.Put(ctx, recs)
}

// A push that is cut in the middle leaves its whole ledger in S3.
func TestCutPushLeavesItsLedger(t *testing.T) {
	b := newBench(t, local.Faults{})
	ctx, cancel := context.WithCancel(t.Context())
	sink := &stopping{Sink: b.sink, stop: cancel}
	sink.left.Store(2)
	dir, err := b.push(ctx, t, sink)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it cancelled", err)
	}
	from := fetched(t, b.runs)
	sameLedger(t, dir, from)
	if rep := b.verify(t, from, true); rep.Verdict != report.Inconclusive {
		t.Errorf("%s %q, want inconclusive", rep.Verdict, rep.Reasons)
	}
}

// A run that is resumed goes on in its copy too, which is then worth as much as
// the original; a copy of another run is not touched.
func TestResumedRunGoesOnInItsCopy(t *testing.T) {
	b := newBench(t, local.Faults{})
	ctx, cancel := context.WithCancel(t.Context())
	sink := &stopping{Sink: b.sink, stop: cancel}
	sink.left.Store(2)
	dir, err := b.push(ctx, t, sink)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it cancelled", err)
	}
	job, _, err := replay.Reopen(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := replay.PushConfig{Dir: dir, Resume: true, Target: replay.Target{Sink: b.sink, Stream: "s"}, Mirror: b.runs}
	if _, err := replay.Push(t.Context(), job, cfg); err != nil {
		t.Fatal(err)
	}
	if err := b.pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	from := fetched(t, b.runs)
	want, got := b.verify(t, dir, false), b.verify(t, from, true)
	if diff := cmp.Diff(want, got); diff != "" || got.Verdict != report.Pass {
		t.Errorf("%s; on disk (-), fetched (+):\n%s", got.Verdict, diff)
	}
	if got := want.Push; got.Bytes == nil || len(got.Shards) == 0 {
		t.Errorf("the copy lacks what the push measured: %+v", got)
	}
	if err := os.WriteFile(filepath.Join(from, ledger.ManifestFile), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replay.Upload(t.Context(), b.runs, from, ledger.ManifestFile); err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Push(t.Context(), job, cfg); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("into the copy of another run: %v", err)
	}
}

// When the machine is lost, the copy ends anywhere. What it does not know of
// is never held against the pipeline, and never passes: the records are there,
// some several times because answers were lost, and the pipeline is without fault.
func TestLostMachineProvesNothing(t *testing.T) {
	b := newBench(t, local.Faults{Seed: 3, LostPercent: 40})
	dir, err := b.push(t.Context(), t, b.sink)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, ledger.LedgerFile))
	if err != nil {
		t.Fatal(err)
	}
	if rep := b.verify(t, fetched(t, b.runs), true); rep.Verdict != report.Pass || rep.Stages[0].Duplicates.Producer == 0 {
		t.Fatalf("whole copy: %s, %+v; want pass, with some duplicates by the producer", rep.Verdict, rep.Stages[0])
	}
	for i := range 12 {
		from, n := fetched(t, b.runs), len(whole)*i/12
		if err := os.WriteFile(filepath.Join(from, ledger.LedgerFile), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		rep := b.verify(t, from, true)
		if rep.Verdict != report.Inconclusive || rep.Stages[0].Duplicates.Pipeline != 0 || rep.Stages[0].Missing != 0 {
			t.Errorf("cut at %d of %d bytes: %s %q, want inconclusive with nothing held against the pipeline", n, len(whole), rep.Verdict, rep.Reasons)
		}
	}
}

// A place without a run, or with a hole in its ledger, is refused.
func TestFetchRefuses(t *testing.T) {
	b := newBench(t, local.Faults{})
	if err := replay.Fetch(t.Context(), b.runs, t.TempDir()); !errors.Is(err, object.ErrNotExist) {
		t.Errorf("an empty place: got %v, want ErrNotExist", err)
	}
	if _, err := b.push(t.Context(), t, b.sink); err != nil {
		t.Fatal(err)
	}
	w, err := b.runs.Create(t.Context(), fmt.Sprintf("ledger.bin.d/%020d", 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := replay.Fetch(t.Context(), b.runs, t.TempDir()); err == nil || !strings.Contains(err.Error(), "are missing") {
		t.Errorf("a hole: got %v", err)
	}
	if _, err := b.push(t.Context(), t, b.sink); err == nil || !strings.Contains(err.Error(), "a run already") {
		t.Errorf("a second run in the same place: got %v, want a refusal", err)
	}
}

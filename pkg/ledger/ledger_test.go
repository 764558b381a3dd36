package ledger_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

func manifest(planned uint64) ledger.Manifest {
	return ledger.Manifest{
		Run: "r1", Tag: 0xabc, Scenario: "demo", ScenarioFile: "scenario.yaml", Digest: "00ff", Seed: 1<<64 - 1, Users: 10,
		Anchor: time.Date(2026, 9, 14, 1, 2, 3, 4, time.UTC), Stream: "s", Endpoint: "http://127.0.0.1:4566",
		Worker: ledger.Worker{Index: 2, Of: 3}, FirstUser: 3, EndUser: 6, Planned: planned,
		Started: time.Date(2026, 9, 15, 0, 0, 0, 0, time.UTC), Stages: map[string]string{"raw": "lake/raw"},
		Set: []string{"population.users=10"}, Version: "v0",
	}
}

func create(t testing.TB, planned uint64) (string, *ledger.Writer) {
	t.Helper()
	dir := t.TempDir()
	w, err := ledger.Create(dir, manifest(planned))
	if err != nil {
		t.Fatal(err)
	}
	return dir, w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *ledger.Account {
	t.Helper()
	a, err := ledger.Open(dir)
	must(t, err)
	must(t, a.Check())
	return a
}

// attempt sends one request and answers it.
func attempt(w *ledger.Writer) func([]record.Record, []record.Outcome) error {
	return func(recs []record.Record, outs []record.Outcome) error {
		request, err := w.Begin(recs)
		if err != nil {
			return err
		}
		return w.Answer(request, outs)
	}
}

// request makes n records from seq first with one outcome.
func request(first, n uint64, o record.Outcome) (recs []record.Record, outs []record.Outcome) {
	for seq := first; seq < first+n; seq++ {
		recs, outs = append(recs, record.Record{Seq: seq}), append(outs, o)
	}
	return recs, outs
}

// The manifest comes back as it went in, and nothing half-written stays.
func TestManifestKept(t *testing.T) {
	dir, w := create(t, 7)
	must(t, w.Close(ledger.Stopped))
	want := manifest(7)
	want.Format = 2
	if got := open(t, dir).Manifest; !reflect.DeepEqual(got, want) {
		t.Errorf("manifest %+v, want %+v", got, want)
	}
	names, err := os.ReadDir(dir)
	must(t, err)
	if len(names) != 2 {
		t.Errorf("files %v, want %s and %s", names, ledger.LedgerFile, ledger.ManifestFile)
	}
	text, err := os.ReadFile(filepath.Join(dir, ledger.ManifestFile))
	must(t, err)
	for _, s := range []string{`"format": 2`, `"tag": "00000abc"`, `"anchor": "2026-09-14T01:02:03.000000004Z"`, `"first_user": 3`, `"seed": 18446744073709551615`} {
		if !strings.Contains(string(text), s) {
			t.Errorf("%s lacks %s", text, s)
		}
	}
}

func TestManifestHoldsNoCredentials(t *testing.T) {
	m := manifest(1)
	m.Endpoint, m.Worker, m.Started = "https://me:secret@host:1/path?token=secret", ledger.Worker{}, time.Time{}
	dir := t.TempDir()
	w, err := ledger.Create(dir, m)
	must(t, err)
	must(t, w.Close(ledger.Stopped))
	got := open(t, dir).Manifest
	if got.Endpoint != "https://host:1/path" || got.Worker != (ledger.Worker{Index: 1, Of: 1}) || got.Started.IsZero() {
		t.Errorf("endpoint %q, worker %v, started %v", got.Endpoint, got.Worker, got.Started)
	}
	m.Endpoint = "https://me:secret@host:x y/"
	if _, err := ledger.Create(t.TempDir(), m); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("Create with a broken endpoint: %v", err)
	}
}

// A run directory holds one run.
func TestCreateRefuses(t *testing.T) {
	dir, w := create(t, 1)
	must(t, w.Close(ledger.Stopped))
	_, err := ledger.Create(dir, manifest(1))
	if err == nil || !strings.Contains(err.Error(), "--run-dir") {
		t.Errorf("Create in a used directory: %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, ledger.ManifestFile)))
	if _, err := ledger.Create(dir, manifest(1)); err == nil || !strings.Contains(err.Error(), "--run-dir") {
		t.Errorf("Create beside a ledger without manifest: %v", err)
	}
	if _, err := ledger.Create(filepath.Join(dir, "none"), manifest(1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create in no directory: %v", err)
	}
	m := manifest(1)
	m.Worker = ledger.Worker{Index: 4, Of: 3}
	if _, err := ledger.Create(t.TempDir(), m); err == nil {
		t.Error("Create took worker 4/3")
	}
}

// A run in order: the totals are those of its attempts.
func TestCleanRun(t *testing.T) {
	dir, w := create(t, 10)
	must(t, attempt(w)(request(0, 4, record.Outcome{Fate: record.Refused, Code: "ProvisionedThroughputExceededException"})))
	must(t, attempt(w)(request(0, 3, record.Outcome{Fate: record.Unknown, Code: "timeout"})))
	must(t, attempt(w)(request(0, 1, record.Outcome{Fate: record.Acked, Code: "ignored"})))
	must(t, w.Sync())
	must(t, w.Close(ledger.Stopped))
	a := open(t, dir)
	var got []ledger.Span
	for s := range a.Fates() {
		got = append(got, s)
	}
	want := []ledger.Span{
		{First: 0, Count: 1, Fate: record.Acked, Unknowns: 1},
		{First: 1, Count: 2, Fate: record.Unknown, Unknowns: 1, Code: "timeout"},
		{First: 3, Count: 1, Fate: record.Refused, Code: "ProvisionedThroughputExceededException"},
		{First: 4, Count: 6, Fate: record.Unsent},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("fates %+v, want %+v", got, want)
	}
	if want := (ledger.Totals{Acked: 1, Unknown: 2, Refused: 1, Unsent: 6}); a.Totals() != want {
		t.Errorf("totals %+v, want %+v", a.Totals(), want)
	}
	if want := (ledger.Attempts{Requests: 3, Acked: 1, Refused: 4, Unknown: 3}); a.Attempts != want || a.Attempts.Records() != 8 {
		t.Errorf("attempts %+v, want %+v", a.Attempts, want)
	}
	if a.Throttled() != 4 || !a.Clean || a.Reason != ledger.Stopped || a.Next != 4 || a.Window != 0 || !a.Ended.After(a.Manifest.Started) {
		t.Errorf("account %+v", a)
	}
	for range a.Fates() {
		break // a reader may stop
	}
}

// Calls that break the protocol are refused and leave the ledger as it was.
func TestWriterRefuses(t *testing.T) {
	dir, w := create(t, 10)
	recs, outs := request(0, 5, record.Outcome{Fate: record.Acked})
	number, err := w.Begin(recs)
	must(t, err)
	begin := func(recs []record.Record) error {
		_, err := w.Begin(recs)
		return err
	}
	over, _ := request(9, 2, record.Outcome{})
	for name, err := range map[string]error{
		"above planned":   begin(over),
		"no records":      begin(nil),
		"attempt unsent":  w.Answer(number, []record.Outcome{{Fate: record.Unsent}, {}, {}, {}, {}}),
		"lengths":         w.Answer(number, outs[:4]),
		"another request": w.Answer(number+1, outs),
		"reason":          func() error { _, w := create(t, 1); return w.Close("bored") }(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	must(t, w.Answer(number, outs))
	if w.Answer(number, outs) == nil {
		t.Error("a request was answered twice")
	}
	must(t, w.Close(ledger.Complete))
	for name, err := range map[string]error{"Begin": begin(recs), "Answer": w.Answer(number, outs), "Sync": w.Sync(), "Close": w.Close(ledger.Complete)} {
		if err == nil {
			t.Errorf("%s after Close: no error", name)
		}
	}
	if got, want := open(t, dir).Totals(), (ledger.Totals{Acked: 5, Unsent: 5}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

// A ledger with a request that was not answered does not close in order.
func TestCloseWithoutAnswer(t *testing.T) {
	dir, w := create(t, 10)
	recs, _ := request(2, 3, record.Outcome{})
	_, err := w.Begin(recs)
	must(t, err)
	if w.Close(ledger.Stopped) == nil {
		t.Error("closed")
	}
	a := open(t, dir)
	if want := (ledger.Totals{Unknown: 3, Unsent: 7}); a.Clean || a.Window != 3 || a.Totals() != want {
		t.Errorf("clean %v, window %d, totals %+v; want not clean, 3, %+v", a.Clean, a.Window, a.Totals(), want)
	}
}

// A resumed run has a segment more; what was in flight at each crash stays
// unknown, whatever comes after.
func TestResume(t *testing.T) {
	dir, w := create(t, 10)
	must(t, attempt(w)(request(0, 4, record.Outcome{Fate: record.Acked})))
	lost, _ := request(4, 3, record.Outcome{})
	_, err := w.Begin(lost)
	must(t, err)
	before, err := os.ReadFile(filepath.Join(dir, ledger.SegmentFile(1)))
	must(t, err)
	for range 2 { // the first of them crashes at once
		w, err = ledger.Resume(dir)
		must(t, err)
	}
	must(t, attempt(w)(request(4, 2, record.Outcome{Fate: record.Acked})))
	must(t, attempt(w)(request(7, 1, record.Outcome{Fate: record.Refused, Code: "x"})))
	must(t, w.Close(ledger.Stopped))
	a := open(t, dir)
	var got []ledger.Span
	for s := range a.Fates() {
		got = append(got, s)
	}
	want := []ledger.Span{
		{First: 0, Count: 4, Fate: record.Acked},
		{First: 4, Count: 2, Fate: record.Acked, Unknowns: 1},
		{First: 6, Count: 1, Fate: record.Unknown, Unknowns: 1, Code: ledger.CodeCrash},
		{First: 7, Count: 1, Fate: record.Refused, Code: "x"},
		{First: 8, Count: 2, Fate: record.Unsent},
	}
	if !reflect.DeepEqual(got, want) || !a.Clean || a.Segments != 3 || a.Window != 3 || a.Next != 8 {
		t.Errorf("%+v, clean %v, %d segments, window %d, next %d; want %+v, clean, 3, 3, 8", got, a.Clean, a.Segments, a.Window, a.Next, want)
	}
	after, err := os.ReadFile(filepath.Join(dir, ledger.SegmentFile(1)))
	must(t, err)
	if string(before) != string(after) {
		t.Error("the first segment was changed")
	}
}

// Users interleaved over shards that go each at their own pace: a byte or two a record up to a hundred shards.
func TestSizeOfInterleavedRun(t *testing.T) {
	for shards, most := range map[int]float64{4: 1.2, 60: 2, 1000: 3} {
		const planned, size = 200_000, 500
		rng := rand.New(rand.NewPCG(uint64(shards), 0))
		dir, w := create(t, planned)
		queues := make([][]record.Record, shards)
		for seq := range uint64(planned) {
			i := rng.IntN(shards)
			queues[i] = append(queues[i], record.Record{Seq: seq})
		}
		outs := slices.Repeat([]record.Outcome{{Fate: record.Acked}}, size)
		for left, turn := planned, 0; left > 0; {
			var recs []record.Record
			for len(recs) < min(size, left) {
				q := &queues[turn%shards]
				n := min(max(size/shards, 1)*(1+turn%2), len(*q), size-len(recs)) // every other shard is ahead
				recs, *q = append(recs, (*q)[:n]...), (*q)[n:]
				turn++
			}
			left -= len(recs)
			must(t, attempt(w)(recs, outs[:len(recs)]))
		}
		must(t, w.Close(ledger.Complete))
		info, err := os.Stat(filepath.Join(dir, ledger.LedgerFile))
		must(t, err)
		per := float64(info.Size()) / planned
		t.Logf("%d shards: %.3f bytes/record", shards, per)
		if per > most {
			t.Errorf("%d shards: %.3f bytes/record, want at most %.1f", shards, per, most)
		}
		if a := open(t, dir); a.Totals().Acked != planned {
			t.Errorf("%d shards: %+v", shards, a.Totals())
		}
	}
}

// Many senders share a Writer; nothing is lost.
func TestConcurrentSenders(t *testing.T) {
	const senders, each, size = 8, 50, 10
	dir, w := create(t, senders*each*size)
	var wg sync.WaitGroup
	for s := range uint64(senders) {
		wg.Go(func() {
			for i := range uint64(each) {
				first := (i*senders + s) * size
				o := record.Outcome{Fate: record.Acked}
				if i%10 == 9 {
					o = record.Outcome{Fate: record.Unknown, Code: fmt.Sprint("code ", s)}
				}
				if err := attempt(w)(request(first, size, o)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, w.Close(ledger.Complete))
	a := open(t, dir)
	if want := (ledger.Totals{Acked: senders * each * size * 9 / 10, Unknown: senders * each * size / 10}); a.Totals() != want {
		t.Errorf("totals %+v, want %+v", a.Totals(), want)
	}
	if len(a.Codes) != senders {
		t.Errorf("codes %v, want one of each sender", a.Codes)
	}
}

// Codes come from the other side: neither their length nor their number hurts.
func TestCodesBounded(t *testing.T) {
	dir, w := create(t, 3000)
	for i := range uint64(3000) {
		must(t, attempt(w)(request(i, 1, record.Outcome{Fate: record.Refused, Code: fmt.Sprint(i, strings.Repeat("x", 200))})))
	}
	must(t, w.Close(ledger.Complete))
	a := open(t, dir)
	if len(a.Codes) != 1001 || a.Codes["other"] != 2000 {
		t.Errorf("%d codes, %d other", len(a.Codes), a.Codes["other"])
	}
	for code := range a.Codes {
		if len(code) != 128 && code != "other" {
			t.Fatalf("a code of 200 bytes and more is kept to %d, want 128: %s", len(code), code)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := ledger.Open(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	for name, c := range map[string]struct{ file, text string }{
		"manifest is no JSON":  {ledger.ManifestFile, "{"},
		"future manifest":      {ledger.ManifestFile, `{"format": 3}`},
		"past manifest":        {ledger.ManifestFile, `{"format": 1}`},
		"foreign ledger":       {ledger.LedgerFile, "PAR1"},
		"future ledger":        {ledger.LedgerFile, "kreplay ledger\n\x03"},
		"no kind, checksum ok": {ledger.LedgerFile, "kreplay ledger\n\x02\x00\x51\x53\x7d\x52"},
	} {
		dir, w := create(t, 1)
		must(t, w.Close(ledger.Stopped))
		must(t, os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600))
		if a, err := ledger.Open(dir); err == nil {
			t.Errorf("%s: opened, cut %d", name, a.Cut)
		}
	}
	dir, w := create(t, 1)
	must(t, w.Close(ledger.Stopped))
	must(t, os.Remove(filepath.Join(dir, ledger.LedgerFile)))
	if _, err := ledger.Open(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a ledger: %v", err)
	}
}

// What stands behind the end is not the ledger's.
func TestBytesBehindTheEnd(t *testing.T) {
	dir, w := create(t, 1)
	must(t, w.Close(ledger.Stopped))
	path := filepath.Join(dir, ledger.LedgerFile)
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(b, b[16:]...), 0o600))
	if a := open(t, dir); !a.Clean || a.Cut != int64(len(b)-16) {
		t.Errorf("clean %v, cut %d; want %d", a.Clean, a.Cut, len(b)-16)
	}
}

// A clean run costs at most a fifth of a byte a record.
func TestSizeOfCleanRun(t *testing.T) {
	const requests, size = 2000, 500
	dir, w := create(t, requests*size)
	for i := range uint64(requests) {
		must(t, attempt(w)(request(i*size, size, record.Outcome{Fate: record.Acked})))
	}
	must(t, w.Close(ledger.Complete))
	info, err := os.Stat(filepath.Join(dir, ledger.LedgerFile))
	must(t, err)
	per := float64(info.Size()) / (requests * size)
	t.Logf("%d bytes for %d records: %.4f bytes/record", info.Size(), requests*size, per)
	if per > 0.2 {
		t.Errorf("%.3f bytes/record, want at most 0.2", per)
	}
	if got := open(t, dir).Totals().Acked; got != requests*size {
		t.Errorf("%d acked", got)
	}
}

func FuzzOpen(f *testing.F) {
	dir, w := create(f, 100)
	must(f, attempt(w)(request(0, 10, record.Outcome{Fate: record.Acked})))
	must(f, attempt(w)(request(10, 10, record.Outcome{Fate: record.Refused, Code: "x"})))
	must(f, w.Close(ledger.Stopped))
	path := filepath.Join(dir, ledger.LedgerFile)
	b, err := os.ReadFile(path)
	must(f, err)
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		must(t, os.WriteFile(path, b, 0o600))
		a, err := ledger.Open(dir)
		if err != nil {
			return
		}
		seq := uint64(0)
		for s := range a.Fates() {
			if s.First != seq {
				t.Fatalf("span %+v, want one from %d", s, seq)
			}
			seq += s.Count
		}
		if seq != 100 || a.Next > 100 {
			t.Fatalf("fates of %d records, next %d, want 100", seq, a.Next)
		}
	})
}

func BenchmarkAttempt(b *testing.B) {
	for name, refused := range map[string]int{"clean": 0, "tenth refused": 10} {
		b.Run(name, func(b *testing.B) {
			_, w := create(b, 1<<60)
			recs, outs := request(0, 500, record.Outcome{Fate: record.Acked})
			for i := range outs {
				if refused > 0 && i%refused == 0 {
					outs[i] = record.Outcome{Fate: record.Refused, Code: "ProvisionedThroughputExceededException"}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := attempt(w)(recs, outs); err != nil {
					b.Fatal(err)
				}
				for i := range recs {
					recs[i].Seq += 500
				}
			}
			b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrecords/s")
			must(b, w.Close(ledger.Complete))
		})
	}
}

// 20,000 requests, of whose records a tenth was refused and sent again.
func BenchmarkOpen(b *testing.B) {
	const requests = 20_000
	dir, w := create(b, requests*500)
	for i := range uint64(requests) {
		recs, outs := request(i*500, 500, record.Outcome{Fate: record.Acked})
		var again []record.Record
		for j := range outs {
			if j%10 == int(i%10) {
				outs[j] = record.Outcome{Fate: record.Refused, Code: "ProvisionedThroughputExceededException"}
				again = append(again, recs[j])
			}
		}
		must(b, attempt(w)(recs, outs))
		_, acks := request(0, uint64(len(again)), record.Outcome{Fate: record.Acked})
		must(b, attempt(w)(again, acks))
	}
	must(b, w.Close(ledger.Complete))
	b.ReportAllocs()
	for b.Loop() {
		if open(b, dir).Totals().Acked != requests*500 {
			b.Fatal("not all acked")
		}
	}
	b.ReportMetric(requests*500*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrecords/s")
}

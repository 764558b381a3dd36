package replay_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/ledger"
	"kreplay/pkg/local"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// dated is a run whose objects were given times.
type dated struct {
	t    *testing.T
	dir  string
	lake string
	keys []string        // of the objects
	took []time.Duration // of each record, sorted, by a scan of our own
}

// after is how long after the run's start the i-th object is dated.
func after(i int) time.Duration {
	return 10*time.Minute + time.Duration(7*i)*time.Second + 123*time.Millisecond
}

// newDated runs the shipped scenario and dates the objects.
func newDated(t *testing.T, set ...string) *dated {
	t.Helper()
	tmp := t.TempDir()
	d := &dated{t: t, dir: filepath.Join(tmp, "run"), lake: filepath.Join(tmp, "lake")}
	pipe := start(t, local.Config{Lake: d.lake, BufferInterval: time.Hour, BufferBytes: 16 << 10}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	push := pushConfig(d.dir, client, d.lake)
	push.Target.Offset = client.Offset
	if _, err := replay.Push(t.Context(), smoke(t, 30, set...), push); err != nil {
		t.Fatal(err)
	}
	if err := pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.date()
	return d
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// date dates the objects, and finds out what each record took from the ledger's
// times of all records and the rows of each object.
func (d *dated) date() {
	d.t.Helper()
	led := must[*ledger.Account](d.t)(ledger.Open(d.dir))
	list := make([]ledger.Sent, led.Manifest.Planned)
	for i := range list {
		list[i].Seq = uint64(i)
	}
	if err := led.Times(list); err != nil {
		d.t.Fatal(err)
	}
	job := smoke(d.t, 30)
	plan := must[*generate.Plan](d.t)(job.Plan(generate.Run{ID: led.Manifest.Run, Anchor: led.Manifest.Anchor}))
	seqs := map[string]uint64{}
	for r := range plan.Records(generate.Slice{}) {
		seqs[r.ID.String()] = r.Seq
	}
	store := must[*dir.Store](d.t)(dir.Open(d.lake))
	defer func() { _ = store.Close() }()
	for info, err := range store.List(d.t.Context(), "") {
		if err != nil {
			d.t.Fatal(err)
		}
		at := led.Manifest.Started.Add(after(len(d.keys)))
		d.keys = append(d.keys, info.Key)
		if err := os.Chtimes(filepath.Join(d.lake, info.Key), at, at); err != nil {
			d.t.Fatal(err)
		}
		_, err := lake.Scan(d.t.Context(), store, info.Key, func(r lake.Row) error {
			m := plan.Identify(r.Data, new(generate.Scratch))
			sent := led.Manifest.Started.UnixMilli() + int64(list[seqs[plan.ID(m.User, m.Event).String()]].At) - 1
			d.took = append(d.took, time.Duration(at.UnixMilli()-sent)*time.Millisecond)
			return nil
		}, nil)
		if err != nil {
			d.t.Fatal(err)
		}
	}
	slices.Sort(d.took)
}

// verify accounts for the run; a quiet time of an hour is one that is not over.
func (d *dated) verify(quiet time.Duration) *replay.Result {
	d.t.Helper()
	return must[*replay.Result](d.t)(replay.Verify(d.t.Context(), replay.VerifyConfig{Dir: d.dir, Quiet: quiet, Max: time.Nanosecond, Afresh: true}))
}

// again is a verify that goes on from what the one before has read.
func (d *dated) again() *replay.Result {
	d.t.Helper()
	return must[*replay.Result](d.t)(replay.Verify(d.t.Context(), replay.VerifyConfig{Dir: d.dir, Quiet: time.Nanosecond, Max: time.Nanosecond}))
}

// says holds a verdict and a reason; an empty one is none about lag.
func says(t *testing.T, rep report.Report, verdict report.Verdict, reason string) {
	t.Helper()
	text := strings.Join(rep.Reasons, "\n")
	if rep.Verdict != verdict || !strings.Contains(text, reason) || reason == "" && strings.Contains(text, "lag") {
		t.Errorf("%s because of\n%s\nwant %s because of %q", rep.Verdict, text, verdict, reason)
	}
}

// The lag is what the ledger and the objects' times say, record by record.
func TestLagIsFromTheLedgerToTheObject(t *testing.T) {
	d := newDated(t, "expect.delivery.lag_p99=11m")
	if len(d.keys) < 10 || len(d.took) != 1200 {
		t.Fatalf("%d objects with %d rows", len(d.keys), len(d.took))
	}
	l := d.verify(time.Nanosecond).Stages[0].Lag
	at := func(percent int) time.Duration { return d.took[(len(d.took)*percent+99)/100-1] }
	if l.All.Count != 1200 || l.All.P50 != at(50) || l.All.P90 != at(90) || l.All.P99 != at(99) || l.All.Max != at(100) || l.Early+l.Unsaid+l.Waiting > 0 || l.Seconds {
		t.Errorf("%+v, want p50 %v, p90 %v, p99 %v, at most %v", l, at(50), at(90), at(99), at(100))
	}
	rep := d.verify(time.Nanosecond).Report()
	s := rep.Stages[0]
	if s.Lag.P99 != float64(at(99).Milliseconds()) || s.LagDetail.Records != 1200 || len(s.LagDetail.LogTypes) == 0 || len(s.LagDetail.Sent) == 0 || s.LagDetail.Clock == nil || s.LagDetail.Clock.Corrected {
		t.Errorf("%+v, %+v", s.Lag, s.LagDetail)
	}
	says(t, rep, report.Fail, fmt.Sprintf("raw: 99 %% of the records took up to %v from being sent to their object, 11m0s allowed", at(99)))
}

// The bound holds, is broken for sure, or is open as long as records may come.
func TestLagOfAStageThatHasNotSettled(t *testing.T) {
	d := newDated(t, "expect.delivery.lag_p99=1h")
	says(t, d.verify(time.Nanosecond).Report(), report.Pass, "")
	for _, key := range d.keys[:len(d.keys)/2] {
		if err := os.Remove(filepath.Join(d.lake, key)); err != nil {
			t.Fatal(err)
		}
	}
	res := d.verify(time.Hour)
	if l := res.Stages[0].Lag; l.Waiting == 0 || l.Waiting+l.All.Count != 1200 {
		t.Errorf("%+v, want those without a row waited for", l)
	}
	says(t, res.Report(), report.Inconclusive, "they may take too long yet")

	d = newDated(t, "expect.delivery.lag_p99=1ms") // what is not there yet is late already
	for _, key := range d.keys {
		if err := os.Remove(filepath.Join(d.lake, key)); err != nil {
			t.Fatal(err)
		}
	}
	d.clocked(stream.Offset{})
	rep := d.verify(time.Hour).Report()
	says(t, rep, report.Fail, "those on their way counted as if they came now")
	if rep.Stages[0].Lag != nil || rep.Stages[0].LagDetail.Waiting != 1200 {
		t.Errorf("%+v, want no lag and 1200 waited for", rep.Stages[0].LagDetail)
	}
}

// clocked is verify where the push had read the stream's clock otherwise.
func (d *dated) clocked(o stream.Offset) *replay.Result {
	d.t.Helper()
	s := must[*replay.Stats](d.t)(replay.ReadStats(d.dir))
	s.Clock = o
	text := must[[]byte](d.t)(json.Marshal(s))
	if err := os.WriteFile(filepath.Join(d.dir, replay.StatsFile), text, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.verify(time.Nanosecond)
}

// A clock that is surely off is corrected for. What it may be off by beside that
// decides nothing.
func TestLagOfClocksThatDiffer(t *testing.T) {
	d := newDated(t, "expect.delivery.lag_p99=11m")
	s := must[*replay.Stats](t)(replay.ReadStats(d.dir))
	if !s.Clock.Known() || s.Clock.Correction() != 0 {
		t.Errorf("%+v: want a clock that may be this machine's own", s.Clock)
	}
	p99 := d.took[len(d.took)*99/100-1]
	near := p99 - 11*time.Minute // that it is too much
	for _, c := range []struct {
		clock   stream.Offset
		p99     time.Duration
		verdict report.Verdict
		reason  string
		notes   int
	}{
		{stream.Offset{}, p99, report.Fail, "11m0s allowed", 0},
		{stream.Offset{Low: -time.Millisecond, High: time.Second, Answers: 1}, p99, report.Fail, "11m0s allowed", 0},
		{stream.Offset{Low: -time.Second, High: 2 * near, Answers: 1}, p99, report.Inconclusive, "clocks may be off by", 0},
		{stream.Offset{Low: near + 59*time.Second, High: near + 61*time.Second, Answers: 1}, p99 - near - time.Minute, report.Pass, "", 1},
		{stream.Offset{Low: near - time.Second, High: near + 2*time.Second, Answers: 1}, p99 - near - time.Second/2, report.Inconclusive, "clocks may be off by", 1},
		{stream.Offset{Low: -61 * time.Second, High: -59 * time.Second, Answers: 1}, p99 + time.Minute, report.Fail, "11m0s allowed", 1},
	} {
		res := d.clocked(c.clock)
		rep := res.Report()
		if got := res.Stages[0].Lag.All.P99; got != c.p99 || len(rep.Notes) != c.notes {
			t.Errorf("%v: p99 %v, notes %q; want %v and %d", c.clock, got, rep.Notes, c.p99, c.notes)
		}
		if got := d.again().Stages[0].Lag; !cmp.Equal(got, res.Stages[0].Lag) {
			t.Errorf("gone on from what was read: %+v, want %+v", got, res.Stages[0].Lag)
		}
		says(t, rep, c.verdict, c.reason)
	}
}

// Objects from before they were sent, by the clocks, count as 0 and are told.
func TestLagIsNeverNegative(t *testing.T) {
	d := newDated(t)
	began := must[*ledger.Account](t)(ledger.Open(d.dir)).Manifest.Started.Add(-3 * time.Second).Truncate(time.Second)
	for _, key := range d.keys {
		if err := os.Chtimes(filepath.Join(d.lake, key), began, began); err != nil {
			t.Fatal(err)
		}
	}
	l := d.verify(time.Nanosecond).Stages[0].Lag
	if l.All.Max != 0 || l.Early != 1200 || !l.Seconds {
		t.Errorf("%+v, want all 0, early, and in whole seconds", l)
	}
}

// What explain says of a record is what verify counts: when it was sent, by the
// stream's clock, and what it took from then on.
func TestExplainTellsTheLag(t *testing.T) {
	d := newDated(t)
	p := must[*ledger.Account](t)(ledger.Open(d.dir))
	for _, behind := range []time.Duration{0, time.Minute} {
		d.clocked(stream.Offset{Low: behind, High: behind + time.Second, Answers: 1})
		shift := behind
		if behind > 0 {
			shift += time.Second / 2
		}
		for user := range 3 {
			life := must[*replay.Life](t)(replay.Explain(t.Context(), replay.ExplainConfig{Dir: d.dir, ID: fmt.Sprintf("%08x/%d/%d", uint32(p.Manifest.Tag), user, 7*user)}))
			sent, row := life.Ledger.Sent, life.Stages[0].Rows[0]
			if sent == nil || row.LagMS == nil || life.Ledger.SenderBehindMS != shift.Milliseconds() {
				t.Fatalf("%+v, %+v; want times", life.Ledger, row)
			}
			took := time.Duration(*row.LagMS) * time.Millisecond
			if !slices.Contains(d.took, took+shift) || row.Modified.UnixMilli()-sent.UnixMilli() != *row.LagMS {
				t.Errorf("%s took %v from %v on, want one of what the records took", life.ID, took, sent)
			}
		}
	}
}

// Stages that compare rows differently have other classes of records, and each is
// told when its own were sent.
func TestLagOfStagesThatCompareDifferently(t *testing.T) {
	l := playIn(t, "", alike(t, 3, "stages.raw.path=x", "stages.raw.compare=json", "stages.raw.ignore=[what]", "stages.table.path=x"), func(*local.Config) {})
	lake := filepath.Join(filepath.Dir(l.dir), "lake")
	res := must[*replay.Result](t)(replay.Verify(t.Context(), replay.VerifyConfig{
		Dir: l.dir, Quiet: time.Nanosecond, Max: time.Nanosecond, Stages: map[string]string{"raw": lake, "table": lake},
	}))
	raw, table := res.Stages[0].Lag, res.Stages[1].Lag
	if raw.Unsaid+table.Unsaid > 0 || table.All.Count != raw.All.Count+3*19 { // of twenty, one class
		t.Errorf("raw %+v, table %+v; want times of all classes, of which raw has 57 fewer", raw, table)
	}
}

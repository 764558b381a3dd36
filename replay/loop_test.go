package replay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/report"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// loop is one run of a shipped scenario over the embedded pipeline.
type loop struct {
	dir  string // run directory
	job  *replay.Job
	pipe *local.Pipeline
	res  *replay.Result
	rep  report.Report
}

// play runs the whole loop; change adjusts the pipeline before it starts.
func play(t testing.TB, users int, change func(*local.Config)) loop {
	t.Helper()
	return playIn(t, "", smoke(t, users), change)
}

// playIn runs the whole loop of a job over a lake whose objects are then in
// another format; "" leaves them as they were delivered.
func playIn(t testing.TB, format string, job *replay.Job, change func(*local.Config)) loop {
	t.Helper()
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := local.Config{
		Lake:           filepath.Join(dir, "lake"),
		BufferInterval: time.Hour, BufferBytes: 1 << 20, Compression: "gzip", Faults: local.Faults{Seed: 1, Of: int(plan.Total())},
		Streams: specs(t, job, nameOf(job)),
	}
	change(&cfg)
	pipe := start(t, cfg, nil)
	run := filepath.Join(dir, "run")
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	push := pushConfig(run, client, cfg.Lake)
	if push.Target, err = aim(job, client, nameOf(job)); err != nil {
		t.Fatal(err)
	}
	push.Stages["dlq"] = filepath.Join(cfg.Lake, "errors") // within the lake, as Firehose has it
	if err := os.MkdirAll(push.Stages["dlq"], 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Push(t.Context(), job, push); err != nil {
		t.Fatal(err)
	}
	if err := pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if format != "" {
		repack(t, cfg.Lake, pipe.Planted(), formats[format])
	}
	res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: run, Quiet: time.Nanosecond, Max: time.Second, Samples: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return loop{run, job, pipe, res, res.Report()}
}

func TestCleanRunPasses(t *testing.T) {
	l := play(t, 50, func(*local.Config) {})
	tally := l.res.Stages[0].Tally
	if l.rep.Verdict != report.Pass || tally.Delivered != 2000 || tally.Rows != 2000 {
		t.Errorf("%s, %+v; want pass with 2000 delivered in 2000 rows", l.rep.Verdict, tally)
	}
}

// What was planted is what is reported, record by record, for any mix of
// faults, with and without delimiters, in every format.
func TestPlantedIsReported(t *testing.T) {
	for seed := range uint64(120) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // the producer waits before it sends again
			rng := rand.New(rand.NewPCG(seed, 1))
			format := []string{"", "", "zstd", "snappy", "hadoop", "zstd in gzip"}[rng.IntN(6)]
			l := playIn(t, format, smoke(t, 5+rng.IntN(20)), func(c *local.Config) {
				c.Faults.Seed, c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt = seed, rng.IntN(8), rng.IntN(8), rng.IntN(8)
				c.Faults.Reject = rng.IntN(8)
				c.Faults.Truncate, c.BufferBytes = rng.IntN(3), 8<<10<<rng.IntN(6)
				c.Faults.LostEvery = []int{0, 2, 3}[rng.IntN(3)]
				c.Compression = []string{"none", "gzip"}[rng.IntN(2)]
				if rng.IntN(2) == 0 {
					c.Delimiter = "\n"
				}
			})
			if diff := cmp.Diff(planted(t, l), reported(l)); diff != "" {
				t.Errorf("planted (-), reported (+):\n%s", diff)
			}
		})
	}
}

// The numbers of the issue: each fault by itself, all in one run.
func TestMixedFaultsAreNamedExactly(t *testing.T) {
	l := play(t, 50, func(c *local.Config) {
		c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt, c.Faults.Truncate, c.BufferBytes = 7, 5, 3, 1, 64<<10
	})
	if diff := cmp.Diff(planted(t, l), reported(l)); diff != "" {
		t.Errorf("planted (-), reported (+):\n%s", diff)
	}
	kinds := map[string]uint64{}
	for _, p := range l.pipe.Planted() {
		kinds[p.Kind]++
	}
	tally := l.res.Stages[0].Tally
	got := []uint64{tally.Missing - kinds[local.Cut], tally.Pipeline, tally.Mutated, kinds[local.Truncated]}
	if want := []uint64{7, 5, 3, 1}; kinds[local.Cut] == 0 || l.rep.Verdict != report.Fail || !slices.Equal(got, want) {
		t.Errorf("%s, dropped, duplicate, mutated, truncated %d, %d cut; want fail, %d, some", l.rep.Verdict, got, kinds[local.Cut], want)
	}
}

// rows is what became of one record: its rows in the lake, its error
// records, and how often its store was not answered.
type rows struct{ intact, mutated, rejected, lost int }

// planted lists what has to be found, from what the pipeline really did: a
// record whose answer was lost has a second row, which may hide the loss of one.
func planted(t *testing.T, l loop) []string {
	t.Helper()
	list := []string{}
	ids, all := map[string]string{}, map[string]*rows{}
	for r := range l.res.Plan.Records(generate.Slice{}) {
		data := string(bytes.TrimSpace(r.Data))
		ids[data], all[data] = fmt.Sprintf("%d/%d", r.ID.User, r.ID.Event), &rows{intact: 1}
	}
	for object, x := range halves(t, filepath.Join(filepath.Dir(l.dir), "lake"), l.pipe.Planted()) {
		ours := isOurs(x.text, l.res.Plan)
		if x.broken || ours {
			list = append(list, "damaged "+object)
		}
		if !ours && x.text != "" {
			list = append(list, "foreign "+object)
		}
	}
	for _, p := range l.pipe.Planted() {
		if p.Kind == local.Truncated && p.Data == nil {
			continue
		}
		r := all[data(p)]
		if r == nil {
			t.Fatalf("planted %q in a record that was not planned: %s", p.Kind, p.Data)
		}
		switch p.Kind {
		case local.Dropped, local.Cut:
			r.intact--
		case local.Duplicated:
			r.intact++
		case local.Corrupted:
			r.intact, r.mutated = r.intact-1, r.mutated+1
		case local.Rejected, local.Truncated: // a record that broke off was not converted
			r.intact, r.rejected = r.intact-1, r.rejected+1
			list = append(list, account.KindRejected+" "+ids[data(p)]+" "+p.Object)
		case local.AnswerLost:
			r.intact, r.lost = r.intact+1, r.lost+1
		default:
			t.Fatalf("planted %q, which is not expected here", p.Kind)
		}
	}
	for data, r := range all {
		switch {
		case r.intact+r.mutated == 0 && r.rejected > 0: // named above
		case r.intact+r.mutated == 0:
			list = append(list, account.KindMissing+" "+ids[data])
		case r.intact == 0:
			list = append(list, account.KindMutated+" "+ids[data])
		}
		for extra := range r.intact + r.mutated - 1 {
			charge := " pipeline"
			if extra < r.lost {
				charge = " producer"
			}
			list = append(list, account.KindDuplicate+" "+ids[data]+charge)
		}
	}
	slices.Sort(list)
	return list
}

func data(p local.Planted) string { return string(bytes.TrimSpace(p.Data)) }

// reported lists what verify found, in the words of planted.
func reported(l loop) []string {
	list, named := []string{}, map[string]bool{}
	for _, s := range l.res.Stages[0].ForeignSpans.Samples {
		list = append(list, "foreign "+s.Object)
	}
	for _, d := range l.res.Samples {
		switch d.Kind {
		case account.KindDamaged:
			if !named[d.Object] { // compressed, it has two spans: half a row, and the broken end
				named[d.Object] = true
				list = append(list, d.Kind+" "+d.Object)
			}
		case account.KindRejected:
			list = append(list, fmt.Sprintf("%s %d/%d errors/%s", d.Kind, d.ID.User, d.ID.Event, d.Object))
		case account.KindDuplicate:
			list = append(list, fmt.Sprintf("%s %d/%d %s", d.Kind, d.ID.User, d.ID.Event, d.Charge))
		default:
			list = append(list, fmt.Sprintf("%s %d/%d", d.Kind, d.ID.User, d.ID.Event))
		}
	}
	slices.Sort(list)
	return list
}

// Seven losses and seven duplicates are fourteen findings.
func TestLossesAndDuplicatesDoNotCancel(t *testing.T) {
	l := play(t, 50, func(c *local.Config) { c.Faults.Drop, c.Faults.Duplicate = 7, 7 })
	tally := l.res.Stages[0].Tally
	if tally.Rows != 2000 || tally.Missing != 7 || tally.Pipeline != 7 || l.rep.Verdict != report.Fail {
		t.Errorf("%s: %d rows, %d missing, %d pipeline duplicates; want fail with 2000, 7, 7", l.rep.Verdict, tally.Rows, tally.Missing, tally.Pipeline)
	}
}

// An answer lost after the store makes duplicates; they are all ours.
func TestLostAnswersAreChargedToTheProducer(t *testing.T) {
	l := play(t, 500, func(c *local.Config) { c.Faults.LostPercent = 20 })
	tally := l.res.Stages[0].Tally
	if tally.Producer == 0 || tally.Pipeline != 0 || tally.Missing != 0 || l.rep.Verdict != report.Pass {
		t.Errorf("%s: %d producer, %d pipeline duplicates, %d missing; want pass, some, 0, 0", l.rep.Verdict, tally.Producer, tally.Pipeline, tally.Missing)
	}
}

// An object cut short costs the records in its lost part, each named, and one unreadable span.
func TestTruncatedObject(t *testing.T) {
	l := play(t, 50, func(c *local.Config) { c.Faults.Truncate, c.BufferBytes = 1, 64<<10 })
	tally := l.res.Stages[0].Tally
	if tally.Missing == 0 || tally.Damaged == 0 || tally.Missing+tally.Delivered != 2000 || l.rep.Verdict != report.Fail {
		t.Errorf("%s: %+v; want fail, some missing, a damaged span", l.rep.Verdict, tally)
	}
}

// What goes to the error prefix is rejected, each record named with its reason;
// the error records are no rows of the lake that they lie in, and the books balance.
func TestRejectedRecordsAreNamed(t *testing.T) {
	l := play(t, 50, func(c *local.Config) { c.Faults.Reject, c.Faults.Drop, c.BufferBytes = 9, 4, 64<<10 })
	raw, dlq := l.res.Stages[0], l.res.Stages[1]
	if raw.Name != "raw" || dlq.Name != "dlq" || raw.Err != nil || dlq.Err != nil {
		t.Fatalf("stages %s (%v), %s (%v), want raw, dlq", raw.Name, raw.Err, dlq.Name, dlq.Err)
	}
	if s := raw.Tally; s.Rejected != 9 || s.Missing != 4 || s.Delivered != 1987 || s.Foreign != 0 || l.rep.Verdict != report.Fail {
		t.Errorf("raw: %s, %+v; want fail, 9 rejected, 4 missing, 1987 delivered, no foreign row", l.rep.Verdict, s.States)
	}
	if dlq.Tally.Rejected != 9 || dlq.Tally.Rows != 9 || dlq.Errors == 0 {
		t.Errorf("dlq: %d rejected of %d rows in %d objects, want 9 of 9 in some", dlq.Tally.Rejected, dlq.Tally.Rows, dlq.Errors)
	}
	named := 0
	for _, d := range l.res.Samples {
		if d.Kind == account.KindRejected {
			named++
			if d.Stage != "dlq" || d.LogType == "" || d.Object == "" || !strings.Contains(d.Detail, local.RejectedCode+": planted") {
				t.Errorf("rejected: %+v, want it of the dlq, with log type, object and reason", d)
			}
		}
	}
	if diff := cmp.Diff(planted(t, l), reported(l)); named != 9 || diff != "" {
		t.Errorf("%d named, planted (-), reported (+):\n%s", named, diff)
	}
	if want := "13 missing or rejected (9 are in the error records), 0 allowed"; !strings.Contains(strings.Join(l.rep.Reasons, "\n"), want) {
		t.Errorf("reasons %q, want %q", l.rep.Reasons, want)
	}
}

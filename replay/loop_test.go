package replay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
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
	return playJob(t, smoke(t, users), change)
}

func playJob(t testing.TB, job *replay.Job, change func(*local.Config)) loop {
	t.Helper()
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := local.Config{
		Lake:           filepath.Join(dir, "lake"),
		BufferInterval: time.Hour, BufferBytes: 1 << 20, Gzip: true, Faults: local.Faults{Seed: 1, Of: int(plan.Total())},
	}
	change(&cfg)
	pipe := start(t, cfg, nil)
	run := filepath.Join(dir, "run")
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	if _, err := replay.Push(t.Context(), job, pushConfig(run, client, cfg.Lake)); err != nil {
		t.Fatal(err)
	}
	if err := pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
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
// faults, with and without delimiters, plain and gzip.
func TestPlantedIsReported(t *testing.T) {
	for seed := range uint64(120) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // the producer waits before it sends again
			rng := rand.New(rand.NewPCG(seed, 1))
			l := play(t, 5+rng.IntN(20), func(c *local.Config) {
				c.Faults.Seed, c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt = seed, rng.IntN(8), rng.IntN(8), rng.IntN(8)
				c.Faults.Truncate, c.BufferBytes = rng.IntN(3), 8<<10<<rng.IntN(6)
				c.Faults.LostEvery = []int{0, 2, 3}[rng.IntN(3)]
				c.Gzip = rng.IntN(2) == 0
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

// rows is what became of one record: its rows in the lake, and how often its
// store was not answered.
type rows struct{ intact, mutated, lost int }

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
	for _, p := range l.pipe.Planted() {
		if p.Kind == local.Truncated {
			list = append(list, "damaged "+p.Object)
			continue
		}
		r := all[string(bytes.TrimSpace(p.Data))]
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
		case local.AnswerLost:
			r.intact, r.lost = r.intact+1, r.lost+1
		default:
			t.Fatalf("planted %q, which is not expected here", p.Kind)
		}
	}
	for data, r := range all {
		switch {
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

// reported lists what verify found, in the words of planted.
func reported(l loop) []string {
	list, named := []string{}, map[string]bool{}
	for _, d := range l.res.Samples {
		switch d.Kind {
		case account.KindDamaged:
			if !named[d.Object] { // compressed, it has two spans: half a row, and the broken end
				named[d.Object] = true
				list = append(list, d.Kind+" "+d.Object)
			}
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

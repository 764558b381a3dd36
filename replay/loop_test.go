package replay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/report"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
	"kreplay/scenarios"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loop is one run of a shipped scenario over the embedded pipeline.
type loop struct {
	job  *replay.Job
	pipe *local.Pipeline
	res  *replay.Result
	rep  report.Report
}

// play runs the whole loop; change adjusts the pipeline before it starts.
func play(t *testing.T, users int, change func(*local.Config)) loop {
	t.Helper()
	job, err := replay.Check(scenarios.FS, "smoke", []string{fmt.Sprintf("population.users=%d", users)})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := local.Config{
		Streams: []local.StreamSpec{{Name: "s", Shards: 3}}, Lake: filepath.Join(dir, "lake"),
		BufferInterval: time.Hour, BufferBytes: 1 << 20, Gzip: true, Faults: local.Faults{Seed: 1, Of: int(plan.Total())},
	}
	change(&cfg)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := local.Start(t.Context(), ln, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pipe.Close(); err != nil {
			t.Error(err)
		}
	}()
	sdk := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(pipe.URL()), Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
	run := filepath.Join(dir, "run")
	client := kinesis.New(sdk, "s", kinesis.Options{Requests: 4})
	defer client.Close()
	_, err = replay.Push(t.Context(), job, replay.PushConfig{
		Dir: run, Target: replay.Target{Sink: client, Stream: "s"}, Stages: map[string]string{"raw": cfg.Lake},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: run, Quiet: time.Nanosecond, Max: time.Second, Samples: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return loop{job, pipe, res, res.Report()}
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
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			l := play(t, 5+rng.IntN(20), func(c *local.Config) {
				c.Faults.Seed, c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt = seed, rng.IntN(8), rng.IntN(8), rng.IntN(8)
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

// planted lists what the pipeline really did, as "kind user/event".
func planted(t *testing.T, l loop) []string {
	t.Helper()
	ids := map[string]string{}
	for r := range l.res.Plan.Records(generate.Slice{}) {
		ids[string(bytes.TrimSpace(r.Data))] = fmt.Sprintf("%d/%d", r.ID.User, r.ID.Event)
	}
	kinds := map[string]string{"drop": account.KindMissing, "duplicate": account.KindDuplicate, "corrupt": account.KindMutated}
	list := []string{}
	for _, p := range l.pipe.Planted() {
		id, ok := ids[string(bytes.TrimSpace(p.Data))]
		if !ok || kinds[p.Kind] == "" {
			t.Fatalf("planted %q in a record that was not planned: %s", p.Kind, p.Data)
		}
		list = append(list, kinds[p.Kind]+" "+id)
	}
	slices.Sort(list)
	return list
}

func reported(l loop) []string {
	list := []string{}
	for _, d := range l.res.Samples {
		list = append(list, fmt.Sprintf("%s %d/%d", d.Kind, d.ID.User, d.ID.Event))
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

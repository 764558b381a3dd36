package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/batch"
	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
	"kreplay/scenarios"
)

// perLogType is a stream for each of the twelve log types of the smoke scenario.
const perLogType = "s-{log_type}"

// nameOf is the stream of most tests, or the scenario's where it stands for several.
func nameOf(job *replay.Job) string {
	if name := job.Scenario.Stream.Name; scenario.PerLogType(name) {
		return name
	}
	return streamName
}

// specs are the streams that name stands for.
func specs(t testing.TB, job *replay.Job, name string) (list []local.StreamSpec) {
	t.Helper()
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		t.Fatal(err)
	}
	names, _, err := replay.Streams(plan, name)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range names {
		list = append(list, local.StreamSpec{Name: n, Shards: 3 - i%3})
	}
	return list
}

// What was planted is what is reported, record by record, where each log type
// has its stream, with the faults spread over all of them.
func TestPlantedInSeveralStreamsIsReported(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 6))
			job := smoke(t, 10+rng.IntN(20), "stream.name="+perLogType)
			l := playIn(t, "", job, func(c *local.Config) {
				c.Faults.Seed, c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt, c.Faults.Reject = seed, 7, 6, 5, 4
				c.Faults.Truncate, c.BufferBytes = rng.IntN(3), 4<<10<<rng.IntN(4)
				c.Faults.LostEvery = []int{0, 3}[rng.IntN(2)]
				c.Compression = []string{"none", "gzip"}[rng.IntN(2)]
			})
			if diff := cmp.Diff(planted(t, l), reported(l)); diff != "" {
				t.Errorf("planted (-), reported (+):\n%s", diff)
			}
			if err := errors.Join(l.res.Ledger.Check(), l.res.Stages[0].Tally.Check()); err != nil || l.rep.Verdict != report.Fail {
				t.Errorf("%s: %v", l.rep.Verdict, err)
			}
		})
	}
}

// rowsOf are the lines of a lake's files, in order, by the stream they came from.
func rowsOf(t *testing.T, lake string) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	err := fs.WalkDir(os.DirFS(lake), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		from, _, _ := strings.Cut(e.Name(), "-1-20") // stream-version-year…
		text, err := os.ReadFile(filepath.Join(lake, name))
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				rows[from] = append(rows[from], string(line))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// outOfOrder finds a row of a user in one stream that comes after a later one.
// planned are the records of a text, in order.
func outOfOrder(rows []string, planned map[string][]record.Record) (r record.Record, found bool) {
	last := map[uint32]uint64{}
	for _, text := range rows {
		of := planned[text]
		i := slices.IndexFunc(of, func(r record.Record) bool { return r.Seq >= last[r.ID.User] })
		if i < 0 {
			return of[0], true
		}
		last[of[i].ID.User] = of[i].Seq
	}
	return r, false
}

// Each record goes to the stream of its log type and to no other, and all
// together they are the records that one stream gets; lost answers, refusals and
// the order of a user change nothing of that, and the books balance by stream too.
func TestEachRecordGoesToTheStreamOfItsLogType(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			name := []string{perLogType, "{log_type}.x", "a.{log_type}.{log_type}_b"}[seed%3]
			ordered := seed%2 > 0
			job := smoke(t, 40, fmt.Sprintf("stream.name=%q", name), "stream.order="+map[bool]string{false: "none", true: "user"}[ordered], "inject.duplicate=2%")
			lake := t.TempDir()
			run := generate.Run{ID: "each", Anchor: time.Unix(1_700_000_000, 0)}
			p := push(t, job, local.Config{
				Lake: lake, BufferInterval: time.Hour, Delimiter: "\n", Streams: specs(t, job, name), Limits: seed > 3,
				Faults: local.Faults{Seed: seed, LostPercent: 5, FailPercent: 2, FailStoredPercent: 1, Throttle: 100, Of: 1600},
			}, func(to *replay.PushConfig, _ *local.Pipeline, c *kinesis.Client) {
				target, err := aim(job, c, name)
				if err != nil {
					t.Fatal(err)
				}
				for l, one := range target.LogTypes {
					one.Shards = c.Of(one.Stream).Shards
					target.LogTypes[l] = one
				}
				to.Target, to.RunID, to.Anchor = target, run.ID, run.Anchor
			})
			if p.err != nil {
				t.Fatal(p.err)
			}
			if err := errors.Join(p.pipe.Flush(t.Context()), p.led.Check()); err != nil {
				t.Fatal(err)
			}
			plan, err := job.Plan(run)
			if err != nil {
				t.Fatal(err)
			}
			got, planned := map[string]int{}, map[string][]record.Record{}
			rows := rowsOf(t, lake)
			extra := -int(plan.Total())
			for from, lines := range rows {
				extra += len(lines)
				for _, line := range lines {
					got[from+" "+line]++
				}
			}
			for r := range plan.Records(generate.Slice{}) {
				of, err := scenario.StreamOf(name, plan.LogType(r.ID))
				text := strings.TrimSpace(string(r.Data))
				planned[text] = append(planned[text], r)
				if err != nil || got[of+" "+text] < len(planned[text]) {
					t.Fatalf("%v of stream %s: %d rows, %v", r.ID, of, got[of+" "+text], err)
				}
			}
			for from, lines := range rows {
				for _, line := range lines {
					if recs := planned[line]; len(recs) == 0 || !strings.Contains(from, plan.LogType(recs[0].ID)) {
						t.Fatalf("stream %s has a row that nobody planned for it: %s", from, line)
					}
				}
				if r, found := outOfOrder(lines, planned); found && ordered {
					t.Errorf("stream %s: %v comes after a later record of its user", from, r.ID)
				}
			}
			if extra < 0 || extra > int(p.led.Attempts.Unknown) || len(rows) != 12 {
				t.Errorf("%d rows more than planned in %d streams after %d attempts of unknown fate", extra, len(rows), p.led.Attempts.Unknown)
			}
			statsBalance(t, p)
		})
	}
}

// statsBalance holds what the push measured by stream and shard against the
// ledger and against what the pipeline counted.
func statsBalance(t *testing.T, p pushed) {
	t.Helper()
	s, err := replay.ReadStats(p.run)
	if err != nil {
		t.Fatal(err)
	}
	var acked, unknown, throttled, bytes uint64
	byStream, inShards := map[string]uint64{}, map[string]uint64{}
	for _, one := range s.Streams {
		acked, unknown, throttled, bytes = acked+one.Records, unknown+one.Unknown, throttled+one.Throttled, bytes+one.Bytes
		byStream[one.Stream] = one.Records
	}
	for _, one := range s.Shards {
		inShards[one.Stream] += one.Records
	}
	if acked != p.led.Attempts.Acked || unknown != p.led.Attempts.Unknown || throttled != p.led.Throttled() || bytes != s.Bytes {
		t.Errorf("streams sum up to %d acked, %d unknown, %d throttled, %d bytes; the ledger has %+v, %d throttled, the push %d bytes",
			acked, unknown, throttled, bytes, p.led.Attempts, p.led.Throttled(), s.Bytes)
	}
	if diff := cmp.Diff(byStream, inShards); diff != "" || len(byStream) != 12 {
		t.Errorf("acked by stream (-), in the shards of each (+):\n%s", diff)
	}
}

// A log type of which no stream's name can be made is a fault of the scenario,
// with the place of stream.name, also when nobody plays it; all at once.
func TestLogTypesThatMakeNoStream(t *testing.T) {
	files := editable(t)
	meta := files["smoke/templates/player/template.yaml"]
	meta.Data = bytes.ReplaceAll(meta.Data, []byte("name: login,"), []byte("name: log/in,"))
	meta.Data = bytes.ReplaceAll(meta.Data, []byte("name: logout,"), []byte("name: log out,"))
	yaml := files["smoke/scenario.yaml"]
	yaml.Data = append(yaml.Data, "  name: a-{log_type}\n"...)
	_, err := replay.Check(files, "smoke", nil)
	var faults scenario.Faults
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Fatalf("got %v, want two faults", err)
	}
	for i, name := range []string{`"a-log/in"`, `"a-log out"`} {
		if f := faults[i]; f.Pos.File != "smoke/scenario.yaml" || f.Pos.Col != 9 || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s at the name", err, name)
		}
	}
	if _, err := replay.Check(files, "smoke", []string{"stream.name=one"}); err != nil {
		t.Errorf("one stream for all: %v", err)
	}
}

// A record above the limit of its own stream is refused before anything is sent;
// the limits of other streams do not count.
func TestEachStreamHasItsRecordLimit(t *testing.T) {
	job := smoke(t, 5, "stream.name="+perLogType)
	run := filepath.Join(t.TempDir(), "run")
	cfg := pushConfig(run, acks, "")
	cfg.Target = replay.Target{Stream: perLogType, LogTypes: map[string]replay.Target{}}
	for _, s := range specs(t, job, perLogType) {
		logType := strings.TrimPrefix(s.Name, "s-")
		cfg.Target.LogTypes[logType] = replay.Target{Stream: s.Name, Sink: acks, RecordBytes: map[bool]int{true: batch.MaxKeyBytes}[logType == "purchase"]}
	}
	_, err := replay.Push(t.Context(), job, cfg)
	var faults scenario.Faults
	if !errors.As(err, &faults) || len(faults) != 2 || !strings.Contains(err.Error(), "stream s-purchase, 1024") {
		t.Errorf("got %v, want the two events of purchase", err)
	}
	if _, err := os.Stat(run); !errors.Is(err, fs.ErrNotExist) {
		t.Error("there is a run directory")
	}
	delete(cfg.Target.LogTypes, "login")
	if _, err := replay.Push(t.Context(), job, cfg); err == nil || !strings.Contains(err.Error(), "log type login has no stream") {
		t.Errorf("a log type without a stream: %v", err)
	}
}

// A rehearsal names a first record for each stream that a worker sends to.
func TestRehearsalOfEachStream(t *testing.T) {
	job := smoke(t, 9, "stream.name="+perLogType)
	cfg := pushConfig("none", acks, "")
	var err error
	if cfg.Target, err = aim(job, kinesis.New(sdkConfig("http://127.0.0.1:1"), "s", kinesis.Options{}), perLogType); err != nil {
		t.Fatal(err)
	}
	cfg.Slice, cfg.RunID, cfg.Anchor = generate.Slice{Index: 2, Of: 3}, "r", time.Unix(1_700_000_000, 0)
	first, m, err := replay.Rehearse(job, cfg)
	if err != nil || len(first) != 12 || m.Stream != perLogType {
		t.Fatalf("%d records, stream %s, %v", len(first), m.Stream, err)
	}
	plan, err := job.Plan(generate.Run{ID: "r", Anchor: cfg.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	planned := map[record.ID]record.Record{}
	for r := range plan.Records(cfg.Slice) {
		r.Seq, r.Chunk = 0, nil
		planned[r.ID] = r
	}
	for _, name := range slices.Sorted(maps.Keys(first)) {
		r := first[name]
		if diff := cmp.Diff(planned[r.ID], r); diff != "" || "s-"+plan.LogType(r.ID) != name {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The streams' slip is told by stream, and the worst is named when it is too much.
func TestSlipIsToldByStream(t *testing.T) {
	job, err := replay.Check(scenarios.FS, "smoke", []string{"population.users=20", "time.speedup=1000000", "stream.max_slip=1ms", "stream.limits.rate=1500/s", "stream.name=" + perLogType})
	if err != nil {
		t.Fatal(err)
	}
	l := playIn(t, "", job, func(*local.Config) {})
	worst := report.Stream{}
	for _, s := range l.rep.Push.Streams {
		if s.Slip == nil {
			t.Fatalf("stream %s has no slip", s.Name)
		}
		if worst.Slip == nil || s.Slip.P99 > worst.Slip.P99 {
			worst = s
		}
	}
	if why := strings.Join(l.rep.Reasons, "\n"); l.rep.Verdict != report.Inconclusive || !strings.Contains(why, "most into stream "+worst.Name+": ") {
		t.Errorf("%s: %s; want inconclusive because of %s", l.rep.Verdict, why, worst.Name)
	}
}

// Shards of two streams have the same ids, and are added up each for itself.
func TestStatsOfStreamsAreAddedUpApart(t *testing.T) {
	one := replay.Stats{
		Shards:  []replay.ShardStats{{Stream: "a", ID: "0", Records: 1}, {Stream: "b", ID: "0", Records: 2}},
		Streams: []replay.StreamStats{{Stream: "a", Records: 1}, {Stream: "b", Records: 2, Unknown: 5}},
	}
	sum := one
	err := sum.Merge(&replay.Stats{
		Shards:  []replay.ShardStats{{Stream: "b", ID: "0", Records: 10, Bytes: 7}, {Stream: "c", ID: "0", Records: 20}},
		Streams: []replay.StreamStats{{Stream: "b", Records: 10, Unknown: 1}, {Stream: "c", Records: 20}},
	})
	want := replay.Stats{
		Shards:  []replay.ShardStats{{Stream: "a", ID: "0", Records: 1}, {Stream: "b", ID: "0", Records: 12, Bytes: 7}, {Stream: "c", ID: "0", Records: 20}},
		Streams: []replay.StreamStats{{Stream: "a", Records: 1}, {Stream: "b", Records: 12, Unknown: 6}, {Stream: "c", Records: 20}},
	}
	if diff := cmp.Diff(want, sum); diff != "" || err != nil {
		t.Errorf("%v, want (-), got (+):\n%s", err, diff)
	}
}

// The schedule begins when the maps of all shards are read: what that takes with
// many streams makes no record late.
func TestScheduleBeginsWhenAllShardsAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := smoke(t, 5, "stream.name="+perLogType, "time.speedup=1000")
		even, err := stream.EvenMap(1)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		cfg := pushConfig(filepath.Join(t.TempDir(), "run"), nil, "")
		cfg.Target = replay.Target{Stream: perLogType, LogTypes: map[string]replay.Target{}}
		for _, s := range specs(t, job, perLogType) {
			cfg.Target.LogTypes[strings.TrimPrefix(s.Name, "s-")] = replay.Target{Stream: s.Name, Sink: acks, Shards: func(context.Context) ([]stream.Shard, error) {
				asked++
				<-time.After(time.Second)
				return []stream.Shard{even.Shard(0)}, nil
			}}
		}
		led, err := replay.Push(t.Context(), job, cfg)
		if err != nil || led.Totals().Acked != 200 || asked < 12 {
			t.Fatalf("%+v, %v, %d streams asked", led, err, asked)
		}
		if s, err := replay.ReadStats(cfg.Dir); err != nil || s.Slip.Max > 100 || s.Unpaced != "" {
			t.Errorf("%v, slip %+v, unpaced %q", err, s.Slip, s.Unpaced)
		}
	})
}

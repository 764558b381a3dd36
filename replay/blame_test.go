package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
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
	"kreplay/pkg/lake"
	"kreplay/pkg/local"
	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// openTail reads back from a pipeline as the command does.
func openTail(pipe *local.Pipeline) func(context.Context, replay.Tailing) (stream.Tail, io.Closer, error) {
	return func(_ context.Context, t replay.Tailing) (stream.Tail, io.Closer, error) {
		var all stream.Tails
		var open []*kinesis.Client
		for _, name := range t.Streams {
			c := kinesis.New(sdkConfig(pipe.URL()), name, kinesis.Options{})
			open = append(open, c)
			all = append(all, c.Tail(t.Since, kinesis.TailOptions{Share: math.Inf(1), Patience: 5 * time.Second}))
		}
		return all, closer(func() {
			for _, c := range open {
				c.Close()
			}
		}), nil
	}
}

type closer func()

func (c closer) Close() error { c(); return nil }

// long is a run whose records pass through stream, raw and table.
type long struct {
	dir    string
	pipe   *local.Pipeline
	cfg    replay.VerifyConfig
	table  string
	faults []local.Planted // on the way to the table
}

// playLong pushes a job through the pipeline, and copies what is in raw into a
// table with faults of its own.
func playLong(t *testing.T, users int, rng *rand.Rand, change func(*local.Config)) long {
	t.Helper()
	job := smoke(t, users)
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	cfg := local.Config{
		Lake: filepath.Join(temp, "lake"), BufferInterval: time.Hour, BufferBytes: 1 << 20, Compression: "gzip", Delimiter: "\n", Retain: 1 << 40,
		Faults: local.Faults{Seed: 1, Of: int(plan.Total())},
	}
	change(&cfg)
	pipe := start(t, cfg, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	l := long{dir: filepath.Join(temp, "run"), pipe: pipe, table: filepath.Join(temp, "table")}
	push := pushConfig(l.dir, client, cfg.Lake)
	push.Stages["dlq"], push.Stages["stream"], push.Stages["table"] = filepath.Join(cfg.Lake, "errors"), "", l.table
	if err := errors.Join(os.MkdirAll(push.Stages["dlq"], 0o755), os.MkdirAll(l.table, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Push(t.Context(), job, push); err != nil {
		t.Fatal(err)
	}
	if err := pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.cfg = replay.VerifyConfig{Dir: l.dir, Quiet: time.Nanosecond, Max: time.Second, Samples: 1 << 20, Tail: openTail(pipe)}
	l.transform(t, cfg.Lake, rng)
	return l
}

// transform writes the rows of raw to the table, some of them not, some twice,
// some with another letter.
func (l *long) transform(t *testing.T, raw string, rng *rand.Rand) {
	t.Helper()
	store, err := dir.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	var rows []string
	err = lake.Objects(t.Context(), store, "", 1, func(ctx context.Context, info object.Info) error {
		if strings.HasPrefix(info.Key, "errors/") {
			return nil
		}
		_, err := lake.Scan(ctx, store, info.Key, func(r lake.Row) error { rows = append(rows, string(r.Data)); return nil }, func(lake.Damage) error { return nil })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	plant := func(kind, row string) { l.faults = append(l.faults, local.Planted{Kind: kind, Data: []byte(row)}) }
	for _, row := range rows {
		turn := -1
		if rng != nil {
			turn = rng.IntN(30)
		}
		switch turn {
		case 0:
			plant(local.Dropped, row)
		case 1:
			plant(local.Duplicated, row)
			out = append(out, row, row)
		case 2:
			if other := local.CorruptLetter(rng, []byte(row)); other != nil && string(other) != row {
				plant(local.Corrupted, row)
				row = string(other)
			}
			out = append(out, row)
		default:
			out = append(out, row)
		}
	}
	if err := os.WriteFile(filepath.Join(l.table, "part-0"), []byte(strings.Join(out, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (l long) verify(t *testing.T) *replay.Result {
	t.Helper()
	res, err := replay.Verify(t.Context(), l.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// rowsAt is what a stage has of a record: intact and mutated rows, and error records.
type rowsAt struct{ intact, mutated, rejected int }

func (r *rowsAt) all() int { return r.intact + r.mutated }

// fault does to r what was planted in one of its rows.
func (r *rowsAt) fault(kind string, intact bool) {
	n := &r.intact
	if !intact {
		n = &r.mutated
	}
	switch kind {
	case local.StreamDropped, local.Dropped:
		*n--
	case local.StreamDuplicated, local.Duplicated, local.AnswerLost:
		*n++
	case local.StreamCorrupted, local.Corrupted:
		*n--
		r.mutated++
	case local.Rejected:
		*n--
		r.rejected++
	}
}

// lives is what each stage has of each record, from what was planted: first what was pushed.
func (l long) lives(t *testing.T, plan *generate.Plan) map[string]*[4]rowsAt {
	t.Helper()
	all := map[string]*[4]rowsAt{}
	for r := range plan.Records(generate.Slice{}) {
		all[fmt.Sprintf("%d/%d", r.ID.User, r.ID.Event)] = &[4]rowsAt{{intact: 1}, {intact: 1}, {intact: 1}, {intact: 1}}
	}
	fault := func(p local.Planted, at int) { // the first stage that shows it
		m := plan.Identify(bytes.TrimSpace(p.Data), new(generate.Scratch))
		x := all[fmt.Sprintf("%d/%d", m.User, m.Event)]
		if m.Kind != generate.Planned || x == nil {
			t.Fatalf("planted %q in what was not planned: %s", p.Kind, p.Data)
		}
		for i := at; i < len(x); i++ {
			x[i].fault(p.Kind, m.Intact)
		}
	}
	for _, p := range l.pipe.Planted() {
		at := 2
		if strings.HasPrefix(p.Kind, "stream-") || p.Kind == local.AnswerLost {
			at = 1
		}
		fault(p, at)
	}
	for _, p := range l.faults {
		fault(p, 3)
	}
	return all
}

// gaps are where faults are planted.
var gaps = []account.Gap{{From: "push", To: "stream"}, {From: "stream", To: "raw"}, {From: "raw", To: "table"}}

// blames lists what has to be named with the gap that ends at each stage, and the
// report's table of gaps.
func (l long) blames(t *testing.T, plan *generate.Plan) (named map[string]int, table map[string]report.Arose) {
	t.Helper()
	named, table = map[string]int{}, map[string]report.Arose{}
	for i, gap := range gaps {
		sum := report.Arose{Since: gap.From}
		for id, x := range l.lives(t, plan) {
			before, now := x[i], x[i+1]
			name := func(kind string, count *uint64, n int) {
				if n > 0 {
					named[fmt.Sprintf("%s %s: %s", kind, gap, id)] += n
					*count += uint64(n)
				}
			}
			switch {
			case now.all() > 0 && now.intact == 0 && before.intact > 0:
				name(account.KindMutated, &sum.Mutated, 1)
			case now.all() > 0 || before.all() == 0:
			case i == 1 && now.rejected > 0:
				sum.Rejected++
			default:
				name(account.KindMissing, &sum.Missing, 1)
			}
			name(account.KindDuplicate, &sum.Duplicates, max(0, now.all()-1)-max(0, before.all()-1))
		}
		table[gap.To] = sum
	}
	return named, table
}

// What is planted before the stream, between stream and raw, and between raw and
// table is blamed on that gap, record by record, and in the table of gaps.
func TestPlantedOnTheWayIsBlamed(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // the producer waits before it sends again
			rng := rand.New(rand.NewPCG(seed, 4))
			l := playLong(t, 3+rng.IntN(6), rng, func(c *local.Config) {
				f := &c.Faults
				f.Seed = seed
				f.StreamDrop, f.StreamDuplicate, f.StreamCorrupt = rng.IntN(4), rng.IntN(4), rng.IntN(4)
				f.Drop, f.Duplicate, f.Corrupt, f.Reject = rng.IntN(4), rng.IntN(4), rng.IntN(4), rng.IntN(4)
				f.LostEvery = []int{0, 0, 3}[rng.IntN(3)]
				c.BufferBytes = 8 << 10 << rng.IntN(4)
			})
			res := l.verify(t)
			want, table := l.blames(t, res.Plan)
			got, shown := map[string]int{}, map[string]report.Arose{}
			for _, d := range res.Samples {
				if d.Gap != (account.Gap{}) && d.Gap.To == d.Stage { // else it has been told of an earlier stage
					got[fmt.Sprintf("%s %s: %d/%d", d.Kind, d.Gap, d.ID.User, d.ID.Event)]++
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("planted (-), blamed (+):\n%s", diff)
			}
			for _, s := range res.Report().Stages {
				if s.Arose != nil {
					shown[s.Name] = *s.Arose
				}
			}
			if diff := cmp.Diff(table, shown); diff != "" {
				t.Errorf("table of gaps, planted (-), shown (+):\n%s", diff)
			}
		})
	}
}

// A clean way passes, and nothing arose on it; a reader sees so.
func TestCleanWayPasses(t *testing.T) {
	l := playLong(t, 5, nil, func(c *local.Config) { c.BufferBytes = 16 << 10 })
	res := l.verify(t)
	rep := res.Report()
	var names []string
	for _, s := range res.Stages {
		names = append(names, s.Name)
		if s.Name != "dlq" && (s.Tally.Delivered != res.Plan.Total() || s.Tally.Rows != res.Plan.Total() || s.Objects == 0 || s.Bytes == 0) {
			t.Errorf("%s: %+v; want %d rows delivered", s.Name, s, res.Plan.Total())
		}
	}
	var text bytes.Buffer
	if err := report.Text(&text, rep); err != nil {
		t.Fatal(err)
	}
	if want := []string{"stream", "raw", "table", "dlq"}; rep.Verdict != report.Pass || !slices.Equal(names, want) || !strings.Contains(text.String(), "arose between\n") {
		t.Errorf("%s, stages %v; want pass, %v:\n%s", rep.Verdict, names, want, text.String())
	}
}

// A stream that does not hold the run any more, and one that nobody can read,
// prove nothing: not the loss of a record, not where one was lost.
func TestStreamThatCannotBeReadBlamesNobody(t *testing.T) {
	for name, change := range map[string]func(*local.Config, *replay.VerifyConfig){
		"forgotten": func(c *local.Config, _ *replay.VerifyConfig) { c.Retain = 1000 },
		"unread":    func(_ *local.Config, v *replay.VerifyConfig) { v.Tail = nil },
	} {
		t.Run(name, func(t *testing.T) {
			var v replay.VerifyConfig
			l := playLong(t, 5, nil, func(c *local.Config) {
				change(c, &v)
				c.Faults.Drop = 3
			})
			change(new(local.Config), &l.cfg)
			res := l.verify(t)
			rep := res.Report()
			s, raw := res.Stages[0], res.Stages[1]
			if s.Err == nil || (name == "forgotten") != errors.Is(s.Err, stream.ErrTrimmed) || s.Tally.Missing != 0 || rep.Stages[0].Arose != nil {
				t.Errorf("stream: %v, %+v; want an error and no loss", s.Err, s.Tally.States)
			}
			if raw.Tally.Missing != 3 || rep.Stages[1].Arose.Since != "push" || rep.Stages[2].Arose.Since != "raw" || rep.Verdict != report.Fail {
				t.Errorf("raw: %+v, arose %+v; want 3 lost since the push", raw.Tally.States, rep.Stages[1].Arose)
			}
			if want := "stream could not be read: what arose between push and raw cannot be told to be before it or after it"; !slices.Contains(rep.Notes, want) {
				t.Errorf("notes %q, want %q", rep.Notes, want)
			}
		})
	}
}

// One record's life tells where it stood in the stream.
func TestExplainReadsTheStream(t *testing.T) {
	l := playLong(t, 3, nil, func(c *local.Config) { c.Faults.StreamDrop, c.Faults.Reject = 1, 1 })
	res := l.verify(t)
	told := 0
	for _, d := range res.Samples {
		want := map[string][]string{
			account.KindMissing:  {"missing", "missing", "missing", ""},
			account.KindRejected: {"delivered", "rejected", "rejected", "rejected"},
		}[d.Kind]
		life, err := replay.Explain(t.Context(), replay.ExplainConfig{Dir: l.dir, ID: d.ID.String(), Quiet: time.Nanosecond, Tail: l.cfg.Tail})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range life.Stages {
			if got = append(got, s.State); s.Err != "" {
				t.Errorf("%s: %s", s.Name, s.Err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s %s: states %q, want %q", d.Kind, d.ID, got, want)
		}
		if rows := life.Stages[0].Rows; d.Kind == account.KindRejected && (len(rows) != 1 || len(rows[0].Sequence) != 56 || !rows[0].Intact || life.Stages[0].Objects != 3) {
			t.Errorf("rows of the stream %+v, want one with its sequence number", rows)
		}
		told++
	}
	if told < 2 {
		t.Errorf("%d differences, want one lost and one rejected", told)
	}
}

// Several streams make one stage, be they named one by one or by log type.
func TestSeveralStreamsAreOneStage(t *testing.T) {
	l := playLong(t, 3, nil, func(c *local.Config) {
		c.Streams = []local.StreamSpec{{Name: streamName, Shards: 3}, {Name: "other", Shards: 2}}
		for _, logType := range smokeTypes(t) {
			c.Streams = append(c.Streams, local.StreamSpec{Name: "by-" + logType, Shards: 1})
		}
	})
	for path, shards := range map[string]int{streamName + ",other": 5, streamName + ",by-{log_type}": 3 + len(smokeTypes(t)), "other": 2} {
		l.cfg.Stages = map[string]string{"stream": path}
		res := l.verify(t)
		s := res.Stages[0]
		want := res.Plan.Total()
		if path == "other" {
			want = 0
		}
		if s.Err != nil || s.Objects != shards || s.Tally.Delivered != want || s.Tally.Missing != res.Plan.Total()-want {
			t.Errorf("%s: %d shards, %+v, %v; want %d shards, %d delivered, the rest missing", path, s.Objects, s.Tally.States, s.Err, shards, want)
		}
	}
}

func smokeTypes(t *testing.T) []string {
	t.Helper()
	plan, err := smoke(t, 1).Plan(generate.Run{})
	if err != nil {
		t.Fatal(err)
	}
	return plan.LogTypes()
}

// What others write into the stream, packed or not, is foreign, and keeps nobody waiting.
func TestOthersInTheStreamAreForeign(t *testing.T) {
	l := playLong(t, 3, nil, func(*local.Config) {})
	client := kinesis.New(sdkConfig(l.pipe.URL()), streamName, kinesis.Options{})
	t.Cleanup(client.Close)
	packed := append([]byte{0xF3, 0x89, 0x9A, 0xC2}, firstRecord(t, l)...) // a record of ours, taken up by another producer
	for _, data := range [][]byte{packed, []byte("not JSON"), {}} {
		if out, err := client.Put(t.Context(), []record.Record{{Data: data, PartitionKey: "other"}}); err != nil || out[0].Fate != record.Acked {
			t.Fatal(out, err)
		}
	}
	l.cfg.Stages = map[string]string{"stream": streamName}
	res := l.verify(t)
	if s := res.Stages[0]; !s.Settled || s.Tally.Foreign != 3 || s.Tally.Delivered != res.Plan.Total() || res.Report().Verdict != report.Pass {
		t.Errorf("settled %v, %+v, want 3 foreign rows and a pass", s.Settled, s.Tally)
	}
}

func firstRecord(t *testing.T, l long) []byte {
	t.Helper()
	for r := range l.verify(t).Plan.Records(generate.Slice{}) {
		return r.Data
	}
	t.Fatal("no record")
	return nil
}

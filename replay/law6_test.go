package replay_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/local"
	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

var (
	law6Scenarios = flag.Uint64("law6.scenarios", 40, "how many random scenarios TestLaw6 plays")
	law6First     = flag.Uint64("law6.first", 0, "the seed of the first one")
)

// Law 6: whatever is sent, through whatever pipeline, into whatever lake: what is
// planted is what is reported, record by record, with kinds, charges and objects,
// the books balance, and the verdict is what it must be.
func TestLaw6(t *testing.T) {
	var mu sync.Mutex
	met, played := map[string]int{}, uint64(0)
	for seed := *law6First; seed < *law6First+*law6Scenarios; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // the producer waits before it sends again
			x := playLaw6(t, rand.New(rand.NewPCG(seed, 66)))
			x.judge(t)
			mu.Lock()
			defer mu.Unlock()
			played++
			x.meets(met)
		})
	}
	t.Cleanup(func() { // behind all of them
		for what, n := range met {
			t.Logf("%4d scenarios with %s", n, what)
		}
		for _, what := range law6Classes {
			if met[what] == 0 && played >= 40 {
				t.Errorf("no scenario with %s among %d", what, played)
			}
		}
	})
}

// law6Classes are what chance has to bring about in 40 scenarios.
var law6Classes = []string{
	local.Dropped, local.Duplicated, local.Corrupted, local.Rejected, local.Truncated, local.Cut, local.Delayed, local.Misplaced, local.Throttled, local.Failed,
	local.AnswerLost, local.StreamDropped, local.StreamDuplicated, local.StreamCorrupted, "no fault", "a table", "a stream read back", "another run", "others' text", "json", "csv", "parquet",
	"columns that lost their case",
}

// meets counts what the scenario is made of.
func (x *trial) meets(met map[string]int) {
	lost := x.format != local.JSON && x.names != local.KeepNames && (x.names != "" || x.format == local.Parquet) && strings.Contains(x.text(), "userId")
	all := map[string]bool{"columns that lost their case": lost, "a table": x.table, "a stream read back": x.stream, "another run": x.shared, cmp.Or(x.format, "json"): true}
	for _, half := range x.halves {
		all["half a record that names nobody"] = all["half a record that names nobody"] || half.text != "" && !isOurs(half.text, x.plans...)
	}
	for _, s := range x.res.Stages {
		all["others' text"] = all["others' text"] || x.texts > 0 && s.ForeignSpans.Spans > 0
	}
	planted := x.pipe.Planted()
	for _, p := range planted {
		all[p.Kind] = true
		if p.Kind == local.AnswerLost {
			all[p.Kind+" "+p.Way] = true
		}
	}
	all["no fault"] = len(planted) == 0
	for what, is := range all {
		if is {
			met[what]++
		}
	}
}

// trial is a drawn scenario that was played.
type trial struct {
	drawn
	pipe   *local.Pipeline
	lake   string           // its folder
	format string           // of raw
	names  string           // of its columns
	plans  []*generate.Plan // this run's, and the other's if there is one
	texts  int              // that others sent into the lake
	halves map[string]half
	res    *replay.Result
	faults []local.Planted // on the way to the table
	plan   *generate.Plan
	named  map[string]string // the name of a class, which is that of its first record, by what its records say
	of     map[string]string // the same by a record's name
	lives  map[string]*life  // by the name of a class
}

// life is what became of records that are alike: what was sent, and what is in the
// stream, in raw and in the table.
type life struct {
	planned, unknowns int
	at                [3]rowsAt
	changed           []string // objects of raw with changed rows of them
}

func playLaw6(t *testing.T, rng *rand.Rand) *trial {
	t.Helper()
	x := &trial{drawn: drawScenario(rng)}
	temp := t.TempDir()
	cfg := local.Config{Lake: filepath.Join(temp, "lake"), BufferInterval: time.Hour, Retain: 1 << 40}
	drawPipeline(rng, &x.drawn, &cfg)
	job, err := replay.Check(x.files, "drawn", x.set)
	if err != nil {
		t.Fatalf("%v\n%s", err, x.text())
	}
	run := generate.Run{ID: "law6", Anchor: time.Unix(1_790_000_000, 0)}
	if x.plan, err = job.Plan(run); err != nil {
		t.Fatal(err)
	}
	x.expect()
	cfg.Faults, cfg.Streams = drawFaults(rng, int(x.plan.Total())), specs(t, job, nameOf(job))
	cfg.Faults.Mutate = x.unmistakable(rng.Uint64())
	x.pipe, x.lake, x.format, x.names = start(t, cfg, nil), cfg.Lake, cfg.Format, cfg.Names
	x.plans = []*generate.Plan{x.plan}
	client := kinesis.New(sdkConfig(x.pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	push := pushConfig(filepath.Join(temp, "run"), client, cfg.Lake)
	if push.Target, err = aim(job, client, nameOf(job)); err != nil {
		t.Fatal(err)
	}
	push.RunID, push.Anchor = run.ID, run.Anchor
	push.Stages["dlq"] = filepath.Join(cfg.Lake, "errors")
	if x.stream {
		push.Stages["stream"] = ""
	}
	if x.table {
		push.Stages["table"] = filepath.Join(temp, "table")
	}
	if err := os.MkdirAll(push.Stages["dlq"], 0o755); err != nil {
		t.Fatal(err)
	}
	if x.shared {
		x.other(t, rng, job, push.Target, cfg)
	}
	if _, err := replay.Push(t.Context(), job, push); err != nil {
		t.Fatal(err)
	}
	verify := replay.VerifyConfig{
		Dir: push.Dir, Quiet: time.Nanosecond, Max: time.Second, Samples: 1 << 20, Tail: openTail(x.pipe), Everywhere: cfg.Faults.Misplace > 0,
	}
	if err := x.pipe.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if early := rng.IntN(2) == 0; early && x.pack == "" && !x.table { // what is late is missing; the other verify goes on from this one
		x.verify(t, verify)
		x.judge(t)
		x.expect()
	}
	if err := x.pipe.Flush(t.Context()); err != nil { // brings what is late
		t.Fatal(err)
	}
	if x.pack != "" {
		repack(t, cfg.Lake, x.pipe.Planted(), packers(x.pack))
	}
	if x.table {
		x.transform(t, rng, cfg.Lake, push.Stages["table"])
	}
	x.verify(t, verify)
	return x
}

func (x *trial) verify(t *testing.T, cfg replay.VerifyConfig) {
	t.Helper()
	var err error
	if x.res, err = replay.Verify(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	x.halves = halves(t, x.lake, x.pipe.Planted())
}

// noRows is what others may write that is no JSON object.
var noRows = []string{"[]", `"text"`, "42", "null", "INFO server started", "id,name,score", `7,"a ""b""",3.5`, `{"log_type":`, `{"user_id":"10004217","ts":`, "]}", "\x08\x96\x01\x12\x07testing"}

// other pushes another run of the scenario, as far as the pipeline takes it, and
// text that is no row where lines keep that apart from rows.
func (x *trial) other(t *testing.T, rng *rand.Rand, job *replay.Job, to replay.Target, cfg local.Config) {
	t.Helper()
	plan, err := job.Plan(generate.Run{ID: "other", Anchor: time.Unix(1_790_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	x.plans = append(x.plans, plan)
	for r := range plan.Records(generate.Slice{}) {
		sink := to.Sink
		if one, ok := to.LogTypes[plan.LogType(r.ID)]; ok {
			sink = one.Sink
		}
		_, _ = sink.Put(t.Context(), []record.Record{r}) // what was planted is its fate
		if lines := cfg.Delimiter == "\n" || bytes.HasSuffix(r.Data, []byte("\n")); lines && cfg.Faults.Truncate == 0 && rng.IntN(2) == 0 {
			r.Data = []byte(pick(rng, noRows...) + "\n")
			_, _ = sink.Put(t.Context(), []record.Record{r})
			x.texts++
		}
	}
}

func packers(name string) func(testing.TB, []byte) []byte {
	if name != "gzip members" {
		return formats[name]
	}
	return func(t testing.TB, plain []byte) (out []byte) {
		for part := range slices.Chunk(plain, max(1, len(plain)/3)) {
			var one bytes.Buffer
			w := gzip.NewWriter(&one)
			_, err := w.Write(part)
			if err = errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			out = append(out, one.Bytes()...)
		}
		return out
	}
}

// text is the scenario, for a failure to tell.
func (x *trial) text() string {
	data, err := fs.ReadFile(x.files, "drawn/scenario.yaml")
	return fmt.Sprintf("%s%v %v", data, x.set, err)
}

// expect lists what is planned, class by class.
func (x *trial) expect() {
	x.named, x.of, x.lives = map[string]string{}, map[string]string{}, map[string]*life{}
	for r := range x.plan.Records(generate.Slice{}) {
		says, id := canonical(r.Data), nameOfRecord(r.ID)
		if x.named[says] == "" {
			x.named[says], x.lives[id] = id, new(life)
		}
		l := x.lives[x.named[says]]
		x.of[id] = x.named[says]
		l.planned++
		for i := range l.at {
			l.at[i].intact++
		}
	}
}

func nameOfRecord(id record.ID) string { return fmt.Sprintf("%d/%d", id.User, id.Event) }

// classOf is the class of a row, and whether that is intact; "" is another run's.
func (x *trial) classOf(t *testing.T, row []byte) (class string, intact bool) {
	t.Helper()
	if class := x.named[canonical(row)]; class != "" {
		return class, true
	}
	m := x.plan.Identify(bytes.TrimSpace(row), new(generate.Scratch))
	if x.shared && m.Kind == generate.Foreign {
		return "", true
	}
	if class = x.of[fmt.Sprintf("%d/%d", m.User, m.Event)]; class == "" || m.Kind != generate.Planned {
		t.Fatalf("planted in what was not planned: %s", row)
	}
	return class, false
}

// unmistakable changes a letter so that no record becomes another one.
func (x *trial) unmistakable(seed uint64) func([]byte) []byte {
	dice := rand.New(rand.NewPCG(seed, 1))
	return func(data []byte) []byte {
		other := local.CorruptLetter(dice, data)
		if other == nil || x.named[canonical(other)] != "" {
			return nil
		}
		return other
	}
}

// transform writes the rows of raw anew: as they are compared, wrapped or not,
// some of them not, some twice, some with another letter.
func (x *trial) transform(t *testing.T, rng *rand.Rand, raw, table string) {
	t.Helper()
	store, err := dir.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	change := x.unmistakable(rng.Uint64())
	var out []byte
	err = lake.Objects(t.Context(), store, "", 1, func(ctx context.Context, info object.Info) error {
		if strings.HasPrefix(info.Key, "errors/") {
			return nil
		}
		_, err := lake.Scan(ctx, store, info.Key, func(r lake.Row) error {
			data, times := bytes.Clone(r.Data), 1
			plant := func(kind string) { x.faults = append(x.faults, local.Planted{Kind: kind, Data: bytes.Clone(r.Data)}) }
			switch rng.IntN(24) {
			case 0:
				plant(local.Dropped)
				times = 0
			case 1:
				plant(local.Duplicated)
				times = 2
			case 2:
				if other := change(data); other != nil {
					plant(local.Corrupted)
					data = other
				}
			}
			for range times {
				out = append(append(out, x.anew(t, rng, data)...), '\n')
			}
			return nil
		}, func(lake.Damage) error { return nil })
		return err
	})
	if err := errors.Join(err, os.MkdirAll(table, 0o755), os.WriteFile(filepath.Join(table, "part-0"), out, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// anew is a row of the table.
func (x *trial) anew(t *testing.T, rng *rand.Rand, row []byte) []byte {
	t.Helper()
	if x.mode != "exact" {
		d := json.NewDecoder(bytes.NewReader(row))
		d.UseNumber()
		var v map[string]any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v: %s", err, row)
		}
		if x.mode == "subset" {
			v["_loaded"] = rng.IntN(100)
		}
		row, _ = json.Marshal(respelled(rng, v)) // what was read can be written
	}
	switch x.wrap {
	case "base64":
		row, _ = json.Marshal(base64.StdEncoding.EncodeToString(row))
	case "text":
		if rng.IntN(2) == 0 {
			row, _ = json.Marshal(string(row))
		}
	default:
		return row
	}
	return fmt.Appendf(nil, `{"meta":{"user_id":1,"part":%d},"data":{"record":%s}}`, rng.IntN(9), row)
}

// respelled is v with some of its numbers written otherwise.
func respelled(rng *rand.Rand, v any) any {
	switch v := v.(type) {
	case json.Number:
		if rng.IntN(3) == 0 && !strings.ContainsAny(string(v), "eE") {
			return v + "e0"
		}
	case []any:
		for i := range v {
			v[i] = respelled(rng, v[i])
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			v[name] = respelled(rng, v[name])
		}
	}
	return v
}

// fault does to a class what was planted in a row of it, in the stage that is
// first to show it and in those behind it.
func (x *trial) fault(t *testing.T, p local.Planted, first int) {
	t.Helper()
	class, intact := x.classOf(t, p.Data)
	l := x.lives[class]
	if l == nil {
		return
	}
	for i := first; i < len(l.at); i++ {
		l.at[i].fault(p.Kind, intact)
	}
}

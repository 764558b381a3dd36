package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// full is a report with something in every list that this version fills.
func full() Report {
	day := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	return Report{
		Format: 1, Verdict: Pass,
		Run:  Run{ID: "20261123-090000-abcdef", Scenario: "smoke", Digest: "d1", Seed: 7, Users: 30, Anchor: day, Started: day, Finished: day.Add(90 * time.Second)},
		Push: Push{Planned: 1200, Acked: 1200, Attempts: 1260, Amplification: 1.05, Throttled: 60, Requests: 3, Seconds: 1.5, RecordsPerSecond: 800},
		Stages: []Stage{{
			Name: "raw", Objects: 2, Bytes: 34567, Rows: 1200, States: States{Delivered: 1200},
			Lag: &Lag{P50: 850, P90: 1900.4, P99: 61_234, Max: 3_600_000},
			LagDetail: &LagDetail{
				OneIn: 16, Records: 75, Early: 3, WholeSeconds: true, Clock: &Clock{Ahead: 1.5, Off: 4, Answers: 3},
				LogTypes: []LogTypeLag{{"login", LagPart{75, 850, 61_234, 3_600_000}}}, StepSeconds: 60,
				Sent: []StepLag{{day, LagPart{75, 850, 61_234, 3_600_000}}},
				Visible: &Visible{
					Records: 70, MS: Lag{P50: 2100, P90: 3900, P99: 62_234, Max: 3_600_500}, ListedEvery: 2050, Within: 4100, Listings: 31, Calls: 62,
				},
			},
		}},
		LogTypes: []LogType{
			{Name: "login", Stage: "raw", Planned: 1000, States: States{Delivered: 1000}},
			{Name: "purchase", Stage: "raw", Planned: 200, States: States{Delivered: 200}},
		},
	}
}

func failed() Report {
	r := full()
	r.Verdict = Fail
	r.Reasons = []string{"raw: 7 missing, 0 allowed", "raw: 1 mutated, 0 allowed", "raw: 2 undecided: no answer came for them, and no row"}
	r.Push.Acked, r.Push.Unknown = 1198, 2
	r.Stages[0].Rows, r.Stages[0].States = 1203, States{Delivered: 1190, Mutated: 1, Missing: 7, Undecided: 2}
	r.Stages[0].Duplicates, r.Stages[0].Strangers, r.Stages[0].Foreign = Duplicates{Producer: 2, Pipeline: 7}, 1, 2
	r.LogTypes[0].States = States{Delivered: 990, Mutated: 1, Missing: 7, Undecided: 2}
	r.LogTypes[0].Duplicates = 9
	r.Differences = Differences{Total: 25, Samples: []Sample{
		{ID: "00000001/3/4", LogType: "login", Kind: "mutated", Object: "2026/11/23/a.gz", Place: "at byte 4711", Detail: `byte 9 of 80: want "a", got "b"`},
		{Kind: "stranger", Object: "2026/11/23/a.gz", Place: "at byte 0"},
	}}
	for i := range 22 {
		r.Differences.Samples = append(r.Differences.Samples, Sample{ID: fmt.Sprintf("00000001/%d/0", i), LogType: "login", Kind: "missing", Detail: "acked, and in no object"})
	}
	return r
}

func inconclusive() Report {
	r := full()
	r.Verdict = Inconclusive
	r.Reasons = []string{"raw: 200 in flight: the stage had not settled"}
	r.Stages[0].LagDetail = &LagDetail{OneIn: 1, Records: 1000, Waiting: 200, Early: 1234, Visible: &Visible{Records: 1000, ListedEvery: 2000, Within: 2000}}
	r.Stages[0].Rows, r.Stages[0].States = 1000, States{Delivered: 1000, InFlight: 200}
	r.LogTypes[1].States = States{InFlight: 200}
	return r
}

// What people read changes only on purpose.
func TestTextIsAsShown(t *testing.T) {
	for name, r := range map[string]Report{"pass": full(), "fail": failed(), "inconclusive": inconclusive()} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := (Output{Format: "text"}).Write(&got, r); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("golden (-), got (+):\n%s", diff)
			}
		})
	}
}

// The verdict is the first word, what failed stands below it in the order
// given, then what to do, and only then the account.
func TestTextBeginsWithWhatMatters(t *testing.T) {
	r := failed()
	var b strings.Builder
	if err := Text(&b, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	want := append([]string{"FAIL smoke: "}, r.Reasons[0], r.Reasons[1], r.Reasons[2], "next: ", "", "push ")
	for i, part := range want {
		if !strings.Contains(lines[i], part) {
			t.Errorf("line %d: %q, want %q in it", i+1, lines[i], part)
		}
	}
	if n := strings.Count(b.String(), "\n  missing "); n != shown-2 {
		t.Errorf("%d differences of kind missing shown, want %d", n, shown-2)
	}
}

// What does not pass says what to do next; what to do fits the reason.
func TestNextStepFitsTheVerdict(t *testing.T) {
	undecided, named := inconclusive(), failed()
	undecided.Stages[0].States = States{Undecided: 200}
	nobody := failed()
	nobody.Differences = Differences{}
	aborted := full()
	aborted.Verdict = Aborted
	for _, c := range []struct {
		name, want string
		r          Report
	}{
		{"pass", "", full()},
		{"fail", "differences.ndjson", named},
		{"fail without a record", "no record to blame", nobody},
		{"in flight", "kreplay verify", inconclusive()},
		{"undecided", "run again", undecided},
		{"aborted", "run again", aborted},
	} {
		got := next(c.r)
		if !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: next %q, want %q in it", c.name, got, c.want)
		}
	}
}

// Two stages have the same log types; a report without stage has no table.
func TestTextOfTwoStagesAndOfNone(t *testing.T) {
	r := full()
	r.Stages = append(r.Stages, Stage{Name: "table"})
	r.LogTypes = append(r.LogTypes, LogType{Name: "login", Stage: "table"})
	var two, none strings.Builder
	if err := Text(&two, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" raw login\n", " table login\n", "\ntable  empty"} {
		if !strings.Contains(two.String(), want) {
			t.Errorf("two stages: %q is missing in\n%s", want, two.String())
		}
	}
	if err := Text(&none, Report{Verdict: Aborted}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(none.String(), "log type") || !strings.Contains(none.String(), "no stage verified") {
		t.Errorf("no stage: got\n%s", none.String())
	}
}

func TestCountPutsCommas(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 12: "12", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567", 1<<64 - 1: "18,446,744,073,709,551,615",
	} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

// No list of any report is null, not even of an empty one.
func TestJSONListsAreNeverNull(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, Report{}); err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	lists := 0
	keysOf(t, "", contract(t), b.Bytes(), func(path string, list json.RawMessage) {
		lists++
		if string(list) != "[]" {
			t.Errorf("%s: %s, want []", path, list)
		}
	})
	if lists != 7 {
		t.Errorf("%d lists seen, want 7", lists)
	}
}

func TestJSONLeavesTextReadable(t *testing.T) {
	r := full()
	r.Reasons = []string{"a < b & c"}
	var b bytes.Buffer
	if err := JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `"a < b & c"`) {
		t.Errorf("got %s, want the reason as it is", b.String())
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Run != r.Run || !reflect.DeepEqual(back.Stages[0], r.Stages[0]) {
		t.Errorf("read back: %v, %+v", err, back)
	}
}

// Of a way with several stages the text shows where things arose, and its
// headline is that of the last stage; of one stage there is nothing to divide.
func TestTextShowsWhereThingsArose(t *testing.T) {
	r := failed()
	text := func() string {
		var b strings.Builder
		if err := Text(&b, r); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	raw := r.Stages[0]
	raw.Arose = &Arose{Since: "push", Missing: 7}
	r.Stages[0] = raw
	if got := text(); strings.Contains(got, "arose") {
		t.Errorf("one stage, and a table of gaps:\n%s", got)
	}
	stream := raw
	stream.Name, stream.States, stream.Arose = "stream", States{Delivered: 1200}, &Arose{Since: "push", Duplicates: 1234}
	raw.Arose = &Arose{Since: "stream", Missing: 7, Rejected: 1, Mutated: 2, Strangers: 3}
	r.Stages = []Stage{stream, raw, {Name: "dlq"}}
	want := `
  missing  rejected  mutated  duplicates  strangers  arose between
        0         0        0       1,234          0  push and stream
        7         1        2           0          3  stream and raw
`
	got := text()
	if !strings.Contains(got, want) || !strings.Contains(got, " shards, ") {
		t.Errorf("%s\nwant in it:\n%s", got, want)
	}
	if first, _, _ := strings.Cut(got, "\n"); !strings.Contains(first, "7 missing") {
		t.Errorf("headline %q is not that of the last stage", first)
	}
}

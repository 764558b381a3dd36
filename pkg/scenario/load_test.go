package scenario

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load loads text as launch/scenario.yaml.
func load(text string, set ...string) (*Scenario, error) {
	return loadWith(map[string]string{}, text, set...)
}

// loadWith loads text as launch/scenario.yaml with files beside it.
func loadWith(files map[string]string, text string, set ...string) (*Scenario, error) {
	fsys := fstest.MapFS{"launch/scenario.yaml": {Data: []byte(text)}}
	for name, content := range files {
		fsys["launch/"+name] = &fstest.MapFile{Data: []byte(content)}
	}
	return Load(fsys, "launch", set)
}

const full = `kreplay: 1
name: launch-day
seed: 20260914
templates:
  whale:  templates/whale
  newbie: ./templates/newbie/
rewrite:
  user_id: user U%010d
  "{event_id,*_uuid}": uuid
  "{ts,*_at}": time
  purchase.order_id: counter KR%016d
  level: keep
keep: [price, version]
population:
  users: 50000
  cohorts:
    whales:   { template: whale,  share: 2% }
    newbies:  { template: newbie, share: 97.9999999% }
    quitters: { template: newbie, share: 0.0000001% }
stream:
  name: actions-staging
  partition_key: user_id
  newline: true
  limits: { rate: 1.5k/s, bytes: 40MiB/s, requests: 64 }
  on_unknown: hold
  wire: cbor
stages:
  raw: { path: "/lake/raw" }
settle: { quiet: 1m30s, max: 2h }
expect:
  delivery: { missing: 1, pipeline_duplicates: 2, mutated: 3, strangers: 4, damaged: 5, misplaced: 6, lag_p99: 90s }
`

func at(line, col int) Pos { return Pos{"launch/scenario.yaml", line, col} }

func TestEveryKeyIsRead(t *testing.T) {
	got, err := load(full, "population.cohorts.quitters.share=0.0000001%", "population.cohorts.whales.share=2.0%")
	if err != nil {
		t.Fatal(err)
	}
	want := &Scenario{
		Name: "launch-day", Seed: 20260914, File: "scenario.yaml",
		Templates: []TemplateRef{{"whale", "templates/whale", at(5, 11)}, {"newbie", "templates/newbie", at(6, 11)}},
		Rewrite: []Rule{
			{"user_id", Role{Kind: User, Pattern: "U%010d"}, at(8, 3)},
			{"{event_id,*_uuid}", Role{Kind: UUID, Pattern: ""}, at(9, 3)},
			{"{ts,*_at}", Role{Kind: Time, Pattern: ""}, at(10, 3)},
			{"purchase.order_id", Role{Kind: Counter, Pattern: "KR%016d"}, at(11, 3)},
			{"level", Role{Kind: Keep, Pattern: ""}, at(12, 3)},
		},
		Keep: []Pattern{{"price", at(13, 8)}, {"version", at(13, 15)}},
		Population: Population{50000, []Cohort{
			{Name: "whales", Template: "whale", Share: 20_000_000, Pos: at(17, 5)},
			{Name: "newbies", Template: "newbie", Share: 979_999_999, Pos: at(18, 5)},
			{Name: "quitters", Template: "newbie", Share: 1, Pos: at(19, 5)},
		}},
		Stream: Stream{Name: "actions-staging", PartitionKey: "user_id", KeyPos: at(22, 18), Newline: NewlineAdd, Limits: Limits{Rate: 1500, Bytes: 40 << 20, Requests: 64}, OnUnknown: Hold, Wire: WireCBOR, MaxSlip: time.Second},
		Stages: []Stage{{Name: "raw", Path: "/lake/raw", Pos: at(28, 3)}},
		Settle: Settle{90 * time.Second, 2 * time.Hour, true},
		Expect: Expect{Delivery: Delivery{Missing: 1, PipelineDuplicates: 2, Mutated: 3, Strangers: 4, Damaged: 5, Misplaced: 6, LagP99: 90 * time.Second}},
	}
	got.FS = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	got, err := load("kreplay: 1\ntemplate: ./t\n")
	if err != nil {
		t.Fatal(err)
	}
	want := &Scenario{
		Name: "launch", Seed: 1, File: "scenario.yaml",
		Templates:  []TemplateRef{{"t", "t", at(2, 11)}},
		Population: Population{100, []Cohort{{Name: "all", Template: "t", Share: Whole, Pos: at(2, 11)}}},
		Stream:     Stream{Name: "kreplay", Limits: Limits{Requests: 32}, MaxSlip: time.Second},
		Settle:     Settle{10 * time.Minute, time.Hour, false},
	}
	got.FS = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A scenario is a directory or a file; its FS is its folder.
func TestWhereAScenarioIs(t *testing.T) {
	fsys := fstest.MapFS{
		"scenario.yaml":     {Data: []byte("kreplay: 1\ntemplate: .\n")},
		"a b/scenario.yaml": {Data: []byte("\ufeffkreplay: 1\r\ntemplate: t\r\n")},
		"x/y/other.yaml":    {Data: []byte("kreplay: 1\ntemplates: {w: t}\n")},
		"x/y/t/template":    {},
		"empty/t/template":  {},
	}
	for _, c := range []struct{ name, wantName, wantFile, wantTemplate string }{
		{".", "scenario", "scenario.yaml", "template"},
		{"scenario.yaml", "scenario", "scenario.yaml", "template"},
		{"a b", "scenario", "scenario.yaml", "t"},
		{"x/y/other.yaml", "y", "other.yaml", "w"},
	} {
		s, err := Load(fsys, c.name, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s.Name != c.wantName || s.File != c.wantFile || s.Population.Cohorts[0].Template != c.wantTemplate {
			t.Errorf("%s: got %q, %q, %q, want %+v", c.name, s.Name, s.File, s.Population.Cohorts[0].Template, c)
		}
		if _, err := fs.Stat(s.FS, s.File); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, name := range []string{"gone", "empty", "../x", "x/y/gone.yaml"} {
		_, err := Load(fsys, name, nil)
		var faults Faults
		if err == nil || errors.As(err, &faults) || !strings.HasPrefix(err.Error(), "scenario: ") {
			t.Errorf("%s: got %v, want an error of the file system", name, err)
		}
	}
}

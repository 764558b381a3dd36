package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Quotas sum to the users, and each differs from the exact share by less than one user.
func TestQuotas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := rapid.Uint64().Draw(t, "users")
		shares := rapid.SliceOfN(rapid.Uint64Range(0, uint64(Whole)), 1, 20).Draw(t, "shares")
		var in []Share
		var total uint64
		for _, s := range shares {
			in, total = append(in, Share(s)), total+s
		}
		quotas := Quotas(users, in)
		var sum uint64
		for i, q := range quotas {
			sum += q
			if total == 0 {
				continue
			}
			exact := new(big.Rat).SetFrac(new(big.Int).Mul(new(big.Int).SetUint64(users), new(big.Int).SetUint64(shares[i])), new(big.Int).SetUint64(total))
			apart := exact.Sub(exact, new(big.Rat).SetInt(new(big.Int).SetUint64(q)))
			if apart.Abs(apart).Cmp(big.NewRat(1, 1)) >= 0 {
				t.Fatalf("quota %d: got %d, a user or more from the exact share", i, q)
			}
		}
		if total > 0 && sum != users || total == 0 && sum != 0 {
			t.Fatalf("got %d users in %v, want %d", sum, quotas, users)
		}
	})
}

// The schema explains each of its keys, and names a role by its word.
func TestSchemaIsExplained(t *testing.T) {
	var walk func(f *field)
	walk = func(f *field) {
		for i := range f.fields {
			if c := &f.fields[i]; c.doc == "" || c.key == "" || c.kind == scalar && (c.form == "" || c.take == nil) {
				t.Errorf("%s: %+v", f.key, c)
			}
			walk(&f.fields[i])
		}
		if f.each != nil {
			walk(f.each)
		}
	}
	walk(&schema)
	if got := fmt.Sprint(Keep, User, UUID, Time, Counter, RoleKind(99)); got != "keep user uuid time counter unknown" {
		t.Errorf("got %s", got)
	}
}

func TestShareString(t *testing.T) {
	for share, want := range map[Share]string{0: "0%", 1: "0.0000001%", 20_000_000: "2%", 125_000_000: "12.5%", Whole: "100%"} {
		if got := share.String(); got != want {
			t.Errorf("%d: got %s, want %s", share, got, want)
		}
	}
}

// A valid scenario written out and loaded is the same scenario.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawScenario(t)
		got, err := load(write(want))
		if err != nil {
			t.Fatalf("%s\n%v", write(want), err)
		}
		strip(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n-want +got\n%s", write(want), diff)
		}
	})
}

func drawScenario(t *rapid.T) *Scenario {
	word := rapid.StringMatching(`[a-z][a-z0-9_-]{0,8}`)
	number, rate := rapid.Uint64Range(0, 1<<40), rapid.Uint64Range(0, maxRecords)
	s := &Scenario{
		Name: word.Draw(t, "name"), Seed: rapid.Uint64().Draw(t, "seed"), File: "scenario.yaml",
		Stream: Stream{
			Name: word.Draw(t, "stream"), PartitionKey: word.Draw(t, "key"),
			Newline: Newline(rapid.IntRange(0, 2).Draw(t, "newline")), OnUnknown: Policy(rapid.IntRange(0, 1).Draw(t, "policy")),
			Limits: Limits{Rate: rate.Draw(t, "rate"), Bytes: rate.Draw(t, "bytes"), Requests: rapid.IntRange(1, 1000).Draw(t, "requests")}, MaxSlip: time.Second,
		},
		Stages: []Stage{{Name: "raw", Path: word.Draw(t, "path")}},
		Settle: Settle{1, 1, true},
		Expect: Expect{Delivery: Delivery{number.Draw(t, "a"), number.Draw(t, "b"), number.Draw(t, "c"), number.Draw(t, "d"), number.Draw(t, "e")}},
	}
	pattern := rapid.OneOf(word, rapid.StringMatching(`[*][a-z]{1,3}`), rapid.StringMatching(`\{[a-z]{1,3},[a-z*.]*[a-z]\}x`).Filter(func(p string) bool { return !strings.Contains(p, "..") }))
	for _, p := range rapid.SliceOfNDistinct(pattern, 0, 5, rapid.ID).Draw(t, "rewrite") {
		role := Role{Kind: RoleKind(rapid.IntRange(0, 4).Draw(t, "role"))}
		if role.Kind == User || role.Kind == Counter {
			role.Pattern = rapid.SampledFrom([]string{"", "%d", "U%010d", "a b%01d'c", "#%d: x"}).Draw(t, "pattern")
		}
		s.Rewrite = append(s.Rewrite, Rule{Field: p, Role: role})
	}
	for _, p := range rapid.SliceOfN(pattern, 0, 3).Draw(t, "keep") {
		s.Keep = append(s.Keep, Pattern{Field: p})
	}
	for _, name := range rapid.SliceOfNDistinct(word, 1, 3, rapid.ID).Draw(t, "templates") {
		s.Templates = append(s.Templates, TemplateRef{Name: name, Dir: "d/" + name})
	}
	s.Population.Users = rapid.Uint64Range(1, 1<<32-1).Draw(t, "users")
	left := Whole
	names := rapid.SliceOfNDistinct(word, 1, 4, rapid.ID).Draw(t, "cohorts")
	for i, name := range names {
		share := left
		if i < len(names)-1 {
			share = Share(rapid.Uint64Range(0, uint64(left)).Draw(t, "share"))
		}
		left -= share
		template := rapid.SampledFrom(s.Templates).Draw(t, "template").Name
		s.Population.Cohorts = append(s.Population.Cohorts, Cohort{Name: name, Template: template, Share: share})
	}
	return s
}

// write writes s as a file: every text quoted.
func write(s *Scenario) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("kreplay: 1\nname: %q\nseed: %d\ntemplates:\n", s.Name, s.Seed)
	for _, t := range s.Templates {
		p("  %q: %q\n", t.Name, t.Dir)
	}
	p("rewrite: {")
	for _, r := range s.Rewrite {
		p("%q: %q, ", r.Field, r.Role)
	}
	p("}\nkeep: [")
	for _, k := range s.Keep {
		p("%q, ", k.Field)
	}
	p("]\npopulation:\n  users: %d\n  cohorts:\n", s.Population.Users)
	for _, c := range s.Population.Cohorts {
		p("    %q: { template: %q, share: %v }\n", c.Name, c.Template, c.Share)
	}
	rate := func(v uint64, unit string) string {
		if v == 0 {
			return "max"
		}
		return fmt.Sprint(v, unit)
	}
	p("stream:\n  name: %q\n  partition_key: %q\n  newline: %s\n  on_unknown: %s\n", s.Stream.Name, s.Stream.PartitionKey,
		[]string{"auto", "true", "false"}[s.Stream.Newline], []string{"resend", "hold"}[s.Stream.OnUnknown])
	p("  limits: { rate: %s, bytes: %s, requests: %d }\n", rate(s.Stream.Limits.Rate, "/s"), rate(s.Stream.Limits.Bytes, "B/s"), s.Stream.Limits.Requests)
	p("stages:\n  raw: { path: %q }\nsettle: { quiet: %v, max: %v }\n", s.Stages[0].Path, s.Settle.Quiet, s.Settle.Max)
	d := s.Expect.Delivery
	p("expect: { delivery: { missing: %d, pipeline_duplicates: %d, mutated: %d, strangers: %d, damaged: %d } }\n",
		d.Missing, d.PipelineDuplicates, d.Mutated, d.Strangers, d.Damaged)
	return b.String()
}

// strip takes away what a written scenario does not have: places and the folder.
func strip(s *Scenario) {
	s.FS = nil
	for i := range s.Templates {
		s.Templates[i].Pos = Pos{}
	}
	for i := range s.Rewrite {
		s.Rewrite[i].Pos = Pos{}
	}
	for i := range s.Keep {
		s.Keep[i].Pos = Pos{}
	}
	for i := range s.Population.Cohorts {
		s.Population.Cohorts[i].Pos = Pos{}
	}
	for i := range s.Stages {
		s.Stages[i].Pos = Pos{}
	}
}

// Content changes with what decides the records and with nothing else.
func TestContent(t *testing.T) {
	content := func(set ...string) string {
		s, err := load(full, set...)
		if err != nil {
			t.Fatal(err)
		}
		return string(s.Content())
	}
	for _, set := range []string{"name=x", "seed=2", "stream.name=x", "stream.limits={}", "stream.on_unknown=resend", "stages={}", "settle={}", "expect={}",
		"templates.whale=elsewhere"} {
		if content(set) != content() {
			t.Errorf("%s changes the content", set)
		}
	}
	for _, set := range []string{"rewrite.user_id=uuid", "rewrite.x=keep", "keep=[price]", "population.users=3", "population.cohorts.whales.template=newbie",
		"population.cohorts={all: {share: 100%, template: whale}}", "stream.newline=auto", "stream.partition_key=x"} {
		if content(set) == content() {
			t.Errorf("%s does not change the content", set)
		}
	}
}

// Whatever a file or an override holds, Load returns a scenario or Faults with places in them.
func FuzzLoad(f *testing.F) {
	f.Add(full, "seed=1")
	for _, c := range faulty {
		f.Add(c.text, "stream.name=x")
	}
	for _, c := range faultyOverrides {
		f.Add(minimal, c.set)
	}
	f.Fuzz(func(t *testing.T, text, set string) {
		defer time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("hangs on %q, %q", text, set)) }).Stop()
		fsys := fstest.MapFS{"scenario.yaml": {Data: []byte(text)}}
		s, err := Load(fsys, ".", []string{set})
		var faults Faults
		switch {
		case err == nil:
			var sum Share
			for _, c := range s.Population.Cohorts {
				sum += c.Share
			}
			if sum != Whole || !fs.ValidPath(s.Templates[0].Dir) || s.Population.Users == 0 {
				t.Fatalf("accepted %+v", s)
			}
		case !errors.As(err, &faults) || s != nil:
			t.Fatalf("got %v, %T, want Faults", s, err)
		}
		for _, f := range faults {
			if f.Pos.Line < 1 || f.Pos.Col < 1 || f.Pos.File != "scenario.yaml" && f.Pos.File != "--set" || f.Msg == "" {
				t.Fatalf("got %+v", f)
			}
		}
	})
}

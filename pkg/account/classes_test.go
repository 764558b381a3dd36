package account

import (
	"bytes"
	"fmt"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// nearlyAlike are records at one time that bytes tell apart and other ways of
// comparing do not.
const nearlyAlike = `{"user_id":"7","ts":1600000000000,"n":1.10,"v":1}
{"user_id":"7","ts":1600000000000,"n":1.1,"v":1}
{"user_id":"7","ts":1600000000000,"n":1.1,"v":2}
{"ts":1600000000000,"user_id":"7","n":1.1,"v":2}
{"user_id":"7","ts":1600000000000,"n":2,"a":1}
{"user_id":"7","ts":1600000000000,"n":2,"b":2}
{"user_id":"7","ts":1600000000001,"n":2}
`

func nearPlan(t fatal) *generate.Plan {
	t.Helper()
	sc, err := scenario.Load(fstest.MapFS{"scenario.yaml": {Data: []byte("kreplay: 1\ntemplate: t\nrewrite: {user_id: user, ts: time}\npopulation: {users: 3}\ninject: {duplicate: 20%}\n")}}, "scenario.yaml", nil)
	if err != nil {
		t.Fatalf("scenario: %v", err)
	}
	tpl, err := template.Read(fstest.MapFS{"t/x.ndjson": {Data: []byte(nearlyAlike)}}, "t")
	if err != nil {
		t.Fatalf("template: %v", err)
	}
	program, err := template.Compile(tpl, sc.Rewrite, nil)
	if err != nil {
		t.Fatalf("template: %v", err)
	}
	plan, err := generate.New(sc, map[string]*template.Program{"t": program}, generate.Run{ID: "test"})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	return plan
}

// Whatever a stage lets happen to rows, records that are alike in it are counted
// by multiplicity: no class misses a row and has one too many, and an error record
// stands for a record of its class.
func TestClassesOfAStageBalance(t *testing.T) {
	plan := nearPlan(t)
	transforms := map[scenario.Compare][]func([]byte) []byte{
		scenario.CompareExact: {bytes.Clone},
		scenario.CompareJSON:  {bytes.Clone, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("1.10"), []byte("1.1")) }},
		scenario.CompareSubset: {
			bytes.Clone,
			func(b []byte) []byte { return bytes.Replace(b, []byte("}"), []byte(`,"b":2}`), 1) },
			func(b []byte) []byte { return bytes.Replace(b, []byte("}"), []byte(`,"a":1}`), 1) },
		},
	}
	rapid.Check(t, func(t *rapid.T) {
		o := generate.Options{Compare: rapid.SampledFrom([]scenario.Compare{scenario.CompareExact, scenario.CompareJSON, scenario.CompareSubset}).Draw(t, "compare")}
		if rapid.Bool().Draw(t, "ignore") {
			o.Ignore = []scenario.Pattern{{Field: "v"}}
		}
		rules, scratch := plan.Comparer(o), &generate.Scratch{}
		acc, rejects := NewOf(rules), NewRejects(plan)
		acc.Rejects = rejects
		defer func() { _, _ = acc.Close(), rejects.Close() }()
		rows, rejected, planned := map[class]int{}, map[class]int{}, map[class]int{}
		var want Tally
		for r := range plan.Records(generate.Slice{}) {
			k := class{r.ID.User, rules.Class(r.ID.User, r.ID.Event)}
			planned[k]++
			sent := bytes.TrimSuffix(r.Data, []byte("\n"))
			for range rapid.IntRange(0, 2).Draw(t, "rows") {
				text := rapid.SampledFrom(transforms[o.Compare]).Draw(t, "transform")(sent)
				if bytes.Count(text, []byte(`"a"`)) > 1 || bytes.Count(text, []byte(`"b"`)) > 1 {
					text = sent
				}
				acc.See(rules.Identify(text, generate.AsSent, scratch), Place{Object: "o"})
				rows[k]++
				want.Rows++
			}
			if rapid.IntRange(0, 9).Draw(t, "rejected") == 0 {
				rejects.See(plan.Identify(sent, scratch))
				rejected[k]++
			}
		}
		for k, n := range planned {
			want.Planned += uint64(n)
			delivered := min(n, rows[k])
			out := min(n-delivered, rejected[k])
			want.Delivered += uint64(delivered)
			want.Rejected += uint64(out)
			want.Missing += uint64(n - delivered - out)
			want.Pipeline += uint64(rows[k] - delivered)
		}
		got, err := acc.Settle(alone(allAcked(plan)), true, func(Difference) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		say := func(t Tally) string {
			return fmt.Sprintf("%+v, %d rows, %d duplicates", t.States, t.Rows, t.Duplicates())
		}
		if say(got) != say(want) {
			t.Fatalf("compare: %s, ignore: %v: %s, want %s", o.Compare, o.Ignore, say(got), say(want))
		}
	})
}

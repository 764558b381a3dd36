package template

import (
	"strings"
	"testing"
	"testing/fstest"

	"kreplay/pkg/scenario"
)

// What tells records apart cannot be left out, by name, by glob or with what it
// lies in; a slip of the pen is told from a field that the pipeline adds.
func TestIgnored(t *testing.T) {
	folder := fstest.MapFS{
		"t/login.ndjson": {Data: []byte(`{"id":"04b48064-7ee4-4a23-a74e-6cf210177212","who":{"user_id":"7","nick":"Lily","userAgent":"x"},"ts":1600000000000,"seen_at":1600000000001,"version":1,"items":[{"n":1}]}`)},
		"t/bonus.ndjson": {Data: []byte(`{"who":{"user_id":"7"},"seen_at":1600000000001}`)},
	}
	tpl, err := Read(folder, "t")
	if err != nil {
		t.Fatal(err)
	}
	rules := []scenario.Rule{{Field: "id", Role: scenario.Role{Kind: scenario.UUID}}, {Field: "user_id", Role: scenario.Role{Kind: scenario.User}},
		{Field: "ts", Role: scenario.Role{Kind: scenario.Time}}, {Field: "seen_at", Role: scenario.Role{Kind: scenario.Time}}}
	for _, c := range []struct {
		pattern string
		mode    scenario.Compare
		want    string // in the fault; empty: none
	}{
		{"version", scenario.CompareExact, ""},
		{"items", scenario.CompareJSON, ""},
		{"n", scenario.CompareJSON, ""},
		{"login.who.nick", scenario.CompareSubset, ""},
		{"ingested_at", scenario.CompareJSON, ""},
		{"ingested_at", scenario.CompareExact, ""},
		{"{versions}", scenario.CompareExact, ""},
		{"login.seen_at", scenario.CompareJSON, ""}, // a time, but not by which it is told apart there
		{"seen_at", scenario.CompareJSON, "bonus.seen_at (the event time)"},
		{"ts", scenario.CompareSubset, "login.ts (the event time)"},
		{"id", scenario.CompareJSON, "login.id (uuid)"},
		{"{user,opponent}_id", scenario.CompareJSON, "bonus.who.user_id (user)"},
		{"who", scenario.CompareJSON, "bonus.who.user_id (user)"},
		{"*", scenario.CompareJSON, "bonus.who.user_id (user)"},
		{"versions", scenario.CompareExact, `did you mean "version"?`},
		{"login.who.nik", scenario.CompareJSON, `did you mean "login.who.nick"?`},
		{"ingested_at", scenario.CompareSubset, "may be added anyway"},
		{"useragent", scenario.CompareSubset, `write "userAgent"`},
		{"useragent", scenario.CompareExact, `write "userAgent"`},
		{"login.who.useragent", scenario.CompareExact, `write "login.who.userAgent"`},
		{"{useragent}", scenario.CompareExact, ""},
	} {
		pos := scenario.Pos{File: "s", Line: 3, Col: 4}
		faults := Ignored(scenario.Stage{Compare: c.mode, Ignore: []scenario.Pattern{{Field: c.pattern, Pos: pos}}}, rules, tpl)
		switch {
		case c.want == "" && len(faults) == 0:
		case c.want == "" || len(faults) != 1 || faults[0].Pos != pos || !strings.Contains(faults[0].Msg, c.want):
			t.Errorf("%s, compare: %s: %v, want %q", c.pattern, c.mode, faults, c.want)
		}
	}
}

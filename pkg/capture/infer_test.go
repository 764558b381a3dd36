package capture

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

func captured(user string, lines map[string][]string) *template.Template {
	t := &template.Template{Dir: "t"}
	t.User, t.Fields = user, template.Fields{User: "user_id", Time: "ts", Type: "type"}
	t.Range = template.Range{From: "2026-09-14T00:00:00Z", To: "2026-09-14T01:00:00Z"}
	for _, name := range []string{"login", "match", "shop"} {
		l := template.LogType{Name: name, File: name}
		for _, line := range lines[name] {
			l.Lines = append(l.Lines, []byte(line))
		}
		t.LogTypes = append(t.LogTypes, l)
	}
	return t
}

func inferred(t *template.Template) (list []string) {
	for _, i := range Infer(t) {
		list = append(list, i.Field+": "+i.Role)
	}
	return list
}

// A bare name stands for all fields that are alike; where they are not, each has a line of its own, and what fits no role is kept.
func TestInfer(t *testing.T) {
	const a, b, c = "8c47be83-c79b-4545-a901-e9c730fa276e", "04b48064-7ee4-4a23-a74e-6cf210177212", "7f89832f-e250-41fb-a07a-48a95482d883"
	got := captured("15", map[string][]string{
		"login": {`{"user_id":"15","ts":1789344000,"event_id":"` + a + `","id":"` + a + `","day":"2026-09-14","local":"2026-09-13","email":"a@b.cc","level":3}`},
		"match": {`{"user_id":"15","ts":1789344001,"event_id":"` + b + `","id":"q1","opponent_id":"22","rival":{"user_id":"33"},"ts2":{"ts":"soon"}}`},
		"shop":  {`{"user_id":"15","ts":1789344002,"event_id":"` + c + `","order_id":"A-17","item_id":5}`},
	})
	want := []string{
		"match.rival.user_id: peer", "match.ts2.ts: keep", "user_id: user", "ts: time", "event_id: uuid", "login.id: uuid", "match.id: keep", "day: date of ts", "local: keep",
		"email: fake", "opponent_id: peer", "order_id: hash", "item_id: keep",
	}
	if diff := cmp.Diff(want, inferred(got)); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
	text := scenarioText("x", got)
	for _, line := range []string{
		`  "event_id": uuid   # 3 of 3 values are uuids or ULIDs, all different`, `  "match.ts2.ts": keep   # holds "soon", which is no time`,
		`  - "item_id"   # 1 of 1 values in a field of that name, always the same`,
		"  - \"local\"   # 1 of 1 values are dates near the capture's, always the same; `date of ts` does not fit in UTC, perhaps in the zone under time",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the scenario has no line %s:\n%s", line, text)
		}
	}
}

// An id that is neither number nor uuid gets a pattern like itself.
func TestUserRole(t *testing.T) {
	for id, want := range map[string]string{
		"15": "user", "0015": "user", "8c47be83-c79b-4545-a901-e9c730fa276e": "user", "01ARZ3NDEKTSV4RRFFQ69G5FAV": "user",
		"U0000000000015": "user U%013d", "KR-7": "user KR-%010d", "lily": "user U%010d", "a%5": "user U%010d", `a"5`: "user U%010d", "1\n5": "user U%010d", "日本5": "user U%010d",
		"x1y2": "user x1y%010d", "-15": "user -%010d", "99999999999999999999": "user U%010d", "11111111111111111111111111": "user U%010d", "15.0": "user 15.%010d",
	} {
		if got := userRole(id); got != want {
			t.Errorf("userRole(%q) = %q, want %q", id, got, want)
		}
	}
}

// Names from the lake may hold what a pattern gives a meaning to.
func TestNamesMayHoldMarksOfPatterns(t *testing.T) {
	for _, name := range []string{"GET /users/{id}", "game.{x}", "a{b", "a}b", "{}", "*", "a*b", "v1.0/{a,b}/c", "${id}", "$${", "${", "a: b # c", `q"\`, "", ".", "a..b", "login."} {
		for _, key := range []string{"order_id", "a{b_id", "b}_id", "x*_id", "{p}_id", "${x}_id", "se#: _id"} {
			got := captured("15", nil)
			got.LogTypes = []template.LogType{{Name: name, File: "a"}, {Name: "login", File: "b"}}
			got.LogTypes[0].Lines = [][]byte{[]byte(`{"user_id":15,"ts":1789344000,"` + key + `":"8c47be83-c79b-4545-a901-e9c730fa276e","by":{"user_id":16},"n":{"session_id":"s1"}}`)}
			got.LogTypes[1].Lines = [][]byte{[]byte(`{"user_id":15,"ts":1789344001,"` + key + `":"q1","n":{"session_id":17}}`)}
			out := t.TempDir() + "/s"
			if err := WriteScenario(out, "s", got); err != nil {
				t.Fatal(err)
			}
			sc, err := scenario.Load(os.DirFS(out), ".", nil)
			if err != nil {
				t.Errorf("%q, %q: %v", name, key, err)
				continue
			}
			if _, err := template.Compile(got, sc.Rewrite, nil); err != nil {
				t.Errorf("%q, %q: the inferred rules do not fit: %v", name, key, err)
			}
			if faults := template.Unmatched(sc.Rewrite, got); len(faults) > 0 {
				t.Errorf("%q, %q: %v", name, key, faults)
			}
			if left := template.Suspects(got, sc.Rewrite, sc.Keep); len(left) > 0 {
				t.Errorf("%q, %q: check would ask about %v", name, key, left)
			}
		}
	}
}

// The user's own id is rewritten wherever it stands, and other users' ids of the
// same form become peers: the copies hold no trace of either.
func TestUsersOfAnyFormAreRewrittenEverywhere(t *testing.T) {
	for _, c := range []struct{ id, other, role string }{
		{`a@b.com`, ``, "user U%010d"}, {`player-0042`, `player-0077`, "user player-%010d"},
		{`us-east-1:8c47be83-c79b-4545-a901-e9c730fa276e`, `us-east-1:04b48064-7ee4-4a23-a74e-6cf210177212`, "user U%010d"},
		{`507f1f77bcf86cd799439011`, `507f191e810c19729de860ea`, "user 507f1f77bcf86cd%010d"}, {`日本5の長い名前`, ``, "user U%010d"}, {`x\"12345`, ``, "user U%010d"},
	} {
		line := `{"user_id":"` + c.id + `","ts":1789344000,"owner_id":"` + c.id + `","by":{"sender":"` + c.id + `"},"opponent_id":"` + c.other + `","rival":{"user_id":"` + c.other + `"},"item_id":"player-1","target_id":"boss-7"}`
		got := captured(text([]byte(`"`+c.id+`"`)), map[string][]string{"login": {line}})
		want := []string{"user_id: " + c.role, "ts: time", "owner_id: " + c.role, "sender: " + c.role, "item_id: keep", "target_id: keep"}
		if c.other != "" {
			want = slices.Insert(slices.Insert(want, 4, "opponent_id: peer"), 0, "login.rival.user_id: peer")
		}
		if diff := cmp.Diff(want, inferred(got)); diff != "" {
			t.Errorf("%s: want (-), got (+)\n%s", c.id, diff)
		}
		out := t.TempDir() + "/s"
		if err := WriteScenario(out, "s", got); err != nil {
			t.Fatal(err)
		}
		if _, err := template.Compile(got, loaded(t, out).Rewrite, nil); err != nil {
			t.Errorf("%s: the inferred rules do not fit: %v", c.id, err)
		}
	}
}

// A field that holds another user once and something else another time is kept:
// no rule is proposed that does not fit every value.
func TestAnotherUserHasToBeOneEveryTime(t *testing.T) {
	got := captured("15", map[string][]string{"login": {
		`{"user_id":15,"ts":1789344000,"rival":{"user_id":33},"host":{"user_id":34}}`, `{"user_id":15,"ts":1789344001,"rival":{"user_id":"npc"},"host":{"user_id":"35"}}`,
	}})
	if diff := cmp.Diff([]string{"login.rival.user_id: keep", "login.host.user_id: peer", "user_id: user", "ts: time"}, inferred(got)); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
}

// After capture nothing is left that check would ask about, and every rule fits.
func TestInferredScenarioIsClean(t *testing.T) {
	got := captured("U0000000042", map[string][]string{
		"login": {`{"user_id":"U0000000042","ts":"2026-09-14T00:00:01Z","sid":"01ARZ3NDEKTSV4RRFFQ69G5FAV","ip":"10.0.0.1","day":"2026-09-14","device_id":"x9","uuid":["` + strings.Repeat("ab", 16) + `"]}`},
		"match": {`{"user_id":"U0000000042","ts":"2026-09-14T00:00:02Z","owner":{"user_id":"U0000000043"},"tel":"090-1234-5678"}`},
	})
	out := t.TempDir() + "/s"
	if err := WriteScenario(out, "s", got); err != nil {
		t.Fatal(err)
	}
	sc := loaded(t, out)
	if _, err := template.Compile(got, sc.Rewrite, nil); err != nil {
		t.Errorf("the inferred rules do not fit: %v", err)
	}
	if left := template.Suspects(got, sc.Rewrite, sc.Keep); len(left) > 0 {
		t.Errorf("check would ask about %v", fmt.Sprint(left))
	}
}

package capture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// Objects are plain, gzip, of several members, with and without anything
// between the records; one user's records come out of all of them, in order of
// time and byte for byte.
func TestOneUsersRecordsComeOutOfEveryForm(t *testing.T) {
	store := newLake(t, map[string]string{
		"a/plain.json":   `{"type":"b","user_id":"15","ts":1700000003000}` + "\n\n\n" + `{"type":"b","user_id":"16","ts":1700000003000}` + "\n",
		"a/members.gz":   zip(`{"type":"a","user_id":15,"ts":1700000001000,"x":{"y":[1, 2.50]}}{"type":"a","us`, `er_id":"150","ts":1700000001000}`, "\n"),
		"a/together.gz":  zip(`{"type":"a","user_id":"15","ts":1700000002000,"s":"ü\/}{"}{"type":"a","user_id":"15","ts":1700000000000}{"type":"c","user_id":"1","ts":1}`),
		"b/windows.json": "\r\n" + `{"type":"b","user_id":"15","ts":1700000004000}` + "\r\n",
		"b/empty.json":   "",
		"b/blank.gz":     zip("\n \n"),
	})
	got, stats := run(t, of(store))
	want := `a:
  {"type":"a","user_id":"15","ts":1700000000000}
  {"type":"a","user_id":15,"ts":1700000001000,"x":{"y":[1, 2.50]}}
  {"type":"a","user_id":"15","ts":1700000002000,"s":"ü\/}{"}
b:
  {"type":"b","user_id":"15","ts":1700000003000}
  {"type":"b","user_id":"15","ts":1700000004000}
`
	if diff := cmp.Diff(want, show(got)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	types := []TypeStats{{"a", 4, 3}, {"b", 3, 2}, {"c", 1, 0}}
	if diff := cmp.Diff(types, stats.Types); diff != "" || stats.Objects != 6 || stats.Rows != 8 || stats.Events != 5 || stats.Damaged != 0 {
		t.Errorf("stats %+v; types want (-), got (+):\n%s", stats, diff)
	}
	if got.Range != (template.Range{From: "2023-11-14T22:13:20Z", To: "2023-11-14T22:13:24Z"}) || got.User != "15" || got.Newline {
		t.Errorf("template.yaml says %+v", got.Meta)
	}
}

// A field is found by name at any depth, by its path, or not at all; the least
// deep one is the record's own.
func TestFieldsAreFoundByNameAndByPath(t *testing.T) {
	const own, friend = `{"type":"a","who":{"user_id":"15"},"ts":1700000000}`, `{"friend":{"user_id":"15","ts":1,"type":"z"},"ts":1700000000,"who":{"id":7},"user_id":"7","type":"a"}`
	deep := `{"list":[{"meta":{"user_id":"7"}}],"who":{"user_id":"15"},"type":"a","ts":1700000001}`
	store := newLake(t, map[string]string{"o": own + friend + deep})
	for field, want := range map[string][]string{
		"user_id": {own, deep}, "who.user_id": {own, deep}, "friend.user_id": {friend},
	} {
		o := of(store)
		o.UserField = field
		got, _ := run(t, o)
		list := []string{}
		for _, l := range got.LogTypes {
			if l.Name != "a" {
				t.Errorf("%s: log type %q, want a", field, l.Name)
			}
			for _, line := range l.Lines {
				list = append(list, string(line))
			}
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", field, diff)
		}
	}
}

// Of several fields the first that a row has counts, wherever it stands, and
// each that the user's records have gets a rule.
func TestFieldsThatDifferBetweenTeams(t *testing.T) {
	a, b := `{"type":"a","at":1700000009,"user_id":"15","ts":1700000000}`, `{"kind":"b","uid":"15","at":1700000001}`
	other := `{"type":"a","user_id":"7","uid":"15","ts":1700000002}`
	o := of(newLake(t, map[string]string{"o": b + other + a}))
	o.UserField, o.TimeField, o.TypeField = "user_id,uid", "ts,at,when", "type,kind"
	got, _ := run(t, o)
	if want := "a:\n  " + a + "\nb:\n  " + b + "\n"; show(got) != want {
		t.Errorf("got %s, want %s", show(got), want)
	}
	if got.Range.From != "2023-11-14T22:13:20Z" {
		t.Errorf("range from %s, want by ts where there is one", got.Range.From)
	}
	rules := []string{}
	for _, i := range Infer(got) {
		rules = append(rules, i.Field+": "+i.Role)
	}
	if diff := cmp.Diff([]string{"user_id: user", "uid: user", "ts: time", "at: time"}, rules); diff != "" {
		t.Errorf("rules, want (-), got (+):\n%s", diff)
	}
}

// 15 and "15" are one user; 150, 1.5 and null are others.
func TestUserIDsAreComparedAsText(t *testing.T) {
	for value, taken := range map[string]bool{
		`15`: true, `"15"`: true, `"1\u0035"`: true, `150`: false, `"\"15\""`: false, `15.0`: false, `" 15"`: false, `null`: false, `""`: false, `true`: false, `"015"`: false,
	} {
		store := newLake(t, map[string]string{"o": `{"type":"a","ts":1700000000,"user_id":` + value + `}`})
		_, stats, err := Run(t.Context(), of(store))
		if (err == nil) != taken || stats.Rows != 1 {
			t.Errorf("user_id %s: taken %v, %v; want %v", value, err == nil, err, taken)
		}
	}
}

// A bare id that is no whole number has no form that other users could have: it
// is refused with the place, before anything is written. As text it is fine.
func TestBareUserIDsAreWholeNumbers(t *testing.T) {
	for _, c := range []struct {
		value, user string
		fine        bool
	}{
		{`-15`, "-15", false}, {`15.0`, "15.0", false}, {`1e3`, "1e3", false}, {`99999999999999999999`, "99999999999999999999", false}, {`true`, "true", false},
		{`11111111111111111111111111`, "11111111111111111111111111", false}, {`11111111111111111111111111111111`, "11111111111111111111111111111111", false},
		{`18446744073709551615`, "18446744073709551615", true}, {`0`, "0", true},
		{`"-15"`, "-15", true}, {`"15.0"`, "15.0", true}, {`"1e3"`, "1e3", true}, {`"99999999999999999999"`, "99999999999999999999", true}, {`"true"`, "true", true},
		{`"11111111111111111111111111"`, "11111111111111111111111111", true}, {`"11111111111111111111111111111111"`, "11111111111111111111111111111111", true},
	} {
		o := of(newLake(t, map[string]string{"dir/o": `{"type":"a","ts":1700000000,"user_id":` + c.value + `}`}))
		o.User = c.user
		got, _, err := Run(t.Context(), o)
		if !c.fine {
			if want := `dir/o at byte 0: field "user_id" holds ` + c.value + `, and only text or a whole number`; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", c.value, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.value, err)
			continue
		}
		out := filepath.Join(t.TempDir(), "s")
		if err := WriteScenario(out, "s", got); err != nil {
			t.Fatal(err)
		}
		if _, err := template.Compile(got, loaded(t, out).Rewrite, nil); err != nil {
			t.Errorf("%s: the inferred rules do not fit: %v", c.value, err)
		}
	}
}

// null is nobody, also beside a user of that name.
func TestNullIsNobody(t *testing.T) {
	o := of(newLake(t, map[string]string{"o": `{"type":"a","user_id":null,"ts":1700000000}{"type":"a","user_id":"null","ts":1700000001}`}))
	o.User = "null"
	if got, stats := run(t, o); stats.Events != 1 || !strings.Contains(show(got), `"null"`) {
		t.Errorf("%d events, want the one whose user is called null: %s", stats.Events, show(got))
	}
}

// Nobody has the empty id; a record without the field is not even nobody's.
func TestNobodyIsNotARecordWithoutUser(t *testing.T) {
	o := of(newLake(t, map[string]string{"o": `{"type":"a","user_id":"","ts":1700000000}{"type":"a","ts":1700000001}`}))
	o.User = ""
	if got, stats := run(t, o); stats.Events != 1 {
		t.Errorf("%d events, want the one whose user is empty: %s", stats.Events, show(got))
	}
}

// The log type stands in a field of any form, or in the path.
func TestLogTypeByFieldAndByPath(t *testing.T) {
	store := newLake(t, map[string]string{
		"raw/login/2026/x":    `{"type":"L/1","user_id":"15","ts":1700000000}`,
		"raw/purchase/2026/x": `{"type":7,"user_id":"15","ts":1700000001}`,
	})
	got, _ := run(t, of(store))
	if len(got.LogTypes) != 2 || got.LogTypes[0].Name != "7" || got.LogTypes[1].Name != "L/1" {
		t.Errorf("by field: %s", show(got))
	}
	o := of(store)
	o.TypeSegment = 2
	if got, _ = run(t, o); len(got.LogTypes) != 2 || got.LogTypes[0].Name != "login" || got.LogTypes[1].Name != "purchase" {
		t.Errorf("by path: %s", show(got))
	}
	o.TypeSegment = 9
	if _, _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no segment 9") {
		t.Errorf("segment 9: %v, want that there is none", err)
	}
}

// From is in, To is out; both at once may be open.
func TestTimeRangeIsHalfOpen(t *testing.T) {
	var rows strings.Builder
	for i := range 5 {
		fmt.Fprintf(&rows, `{"type":"a","user_id":"15","ts":"2026-09-14T09:00:0%d.500+09:00"}`, i)
	}
	store := newLake(t, map[string]string{"o": rows.String()})
	at := func(s float64) time.Time {
		return time.Date(2026, 9, 14, 0, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
	}
	for _, c := range []struct {
		name     string
		from, to time.Time
		want     int
	}{
		{"open", time.Time{}, time.Time{}, 5},
		{"from is in", at(1.5), time.Time{}, 4},
		{"just behind from", at(1.5).Add(1), time.Time{}, 3},
		{"to is out", time.Time{}, at(3.5), 3},
		{"just behind to", time.Time{}, at(3.5).Add(1), 4},
		{"both", at(1.5), at(3.5), 2},
	} {
		o := of(store)
		o.From, o.To = c.from, c.to
		got, stats := run(t, o)
		if stats.Events != c.want || len(got.LogTypes[0].Lines) != c.want || stats.Rows != 5 || stats.Types[0] != (TypeStats{"a", 5, uint64(c.want)}) {
			t.Errorf("%s: %d events, %+v; want %d of 5 rows", c.name, stats.Events, stats, c.want)
		}
	}
}

// How many objects are read at a time decides nothing, though times are tied.
func TestParallelIsAsSequential(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	objects := map[string]string{}
	for i := range 40 {
		var b strings.Builder
		for j := range 30 {
			fmt.Fprintf(&b, `{"type":"t%d","user_id":"%d","ts":%d,"n":"%d/%d"}`, rng.IntN(4), 14+rng.IntN(3), 1700000000+rng.IntN(5), i, j)
		}
		objects[fmt.Sprintf("d%d/o%02d", i%3, i)] = zip(b.String())
	}
	store := newLake(t, objects)
	o := of(store)
	o.Workers = 1
	want, wantStats := run(t, o)
	if n := store.most.Load(); n != 1 {
		t.Errorf("1 worker: %d objects open at once", n)
	}
	for _, workers := range []int{0, 2, 8, 64} {
		o.Workers = workers
		got, stats := run(t, o)
		if diff := cmp.Diff(show(want), show(got)); diff != "" {
			t.Errorf("%d workers: another template:\n%s", workers, diff)
		}
		if diff := cmp.Diff(wantStats, stats); diff != "" {
			t.Errorf("%d workers: other stats:\n%s", workers, diff)
		}
	}
	if wantStats.Rows != 1200 || wantStats.Events < 300 {
		t.Errorf("%+v: want 1200 rows and about a third of them of the user", wantStats)
	}
}

// What is unreadable is counted; the rest is taken.
func TestDamageIsReportedNotFatal(t *testing.T) {
	good := `{"type":"a","user_id":"15","ts":1700000000}` + "\n"
	whole := zip(strings.Repeat(good, 200))
	store := newLake(t, map[string]string{
		"cut.gz": whole[:len(whole)-12], "middle": good + "{\"type\":\"a\", oops\n" + good, "sound": good,
	})
	_, stats := run(t, of(store))
	if stats.Damaged < 2 || stats.Events < 3 || stats.Objects != 3 {
		t.Errorf("%+v; want two unreadable spans or more, and the sound records", stats)
	}
}

// A dry run opens nothing.
func TestDryRunReadsNothing(t *testing.T) {
	store := newLake(t, map[string]string{"a/1": "12345", "a/2": "1234567", "b": ""})
	got, err := DryRun(t.Context(), Options{Store: store})
	if err != nil || got != (Extent{Objects: 3, Bytes: 12}) || store.opens.Load() != 0 {
		t.Errorf("%+v, %v, %d opened; want 3 objects of 12 bytes, none opened", got, err, store.opens.Load())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	cancel(reason)
	if _, err := DryRun(ctx, Options{Store: store}); !errors.Is(err, reason) {
		t.Errorf("cancelled: %v, want the cause", err)
	}
	if _, _, err := Run(ctx, of(store)); !errors.Is(err, reason) {
		t.Errorf("cancelled: %v, want the cause", err)
	}
}

// An output that holds something is refused before anything is read, and by
// the writer too.
func TestOutputThatHoldsSomethingIsRefusedFirst(t *testing.T) {
	store := newLake(t, map[string]string{"o": `{"type":"a","user_id":"15","ts":1700000000}`})
	o := of(store)
	o.Out = t.TempDir()
	got, _ := run(t, o) // empty is fine
	before := store.opens.Load()
	file := filepath.Join(o.Out, "notes.txt")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{o.Out, file} {
		o.Out = out
		if _, _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "choose another --out") || !strings.Contains(err.Error(), out) {
			t.Errorf("%s: %v, want it refused", out, err)
		}
		if err := WriteScenario(out, "x", got); err == nil {
			t.Errorf("%s: written over", out)
		}
	}
	if n := store.opens.Load() - before; n != 0 {
		t.Errorf("%d objects opened before the refusal, want 0", n)
	}
}

// Names from the lake do not lead out of the folder, and are kept as they are.
func TestNamesFromTheLakeStayInTheFolder(t *testing.T) {
	names := []string{"../x", "a/b", "/etc/passwd", "..", ".", "", `c:\d`, "A", "a", "nül\x00"}
	var b strings.Builder
	for i, n := range names {
		fmt.Fprintf(&b, "{\"type\":%s,\"user_id\":\"15\",\"ts\":%d}\n", quoted(n), 1700000000+i)
	}
	got, stats := run(t, of(newLake(t, map[string]string{"o": b.String()})))
	if stats.Events != len(names) || len(got.LogTypes) != len(names) {
		t.Fatalf("%+v, want %d log types", stats, len(names))
	}
	root := t.TempDir()
	if err := WriteScenario(filepath.Join(root, "in", "out"), "../evil: [name", got); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		if err == nil && !e.IsDir() && filepath.Dir(rel) != filepath.Join("in", "out", "templates", "user") && rel != filepath.Join("in", "out", "scenario.yaml") {
			t.Errorf("%s lies where it should not", rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	back, err := template.Read(os.DirFS(filepath.Join(root, "in", "out")), "templates/user")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(show(got), show(back)); diff != "" {
		t.Errorf("written (-), read back (+):\n%s", diff)
	}
	if _, err := scenario.Load(os.DirFS(root), "in/out", nil); err != nil {
		t.Errorf("the scenario does not load: %v", err)
	}
}

// quoted is a JSON string.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\x00", `\u0000`).Replace(s) + `"`
}

// Whatever the name of the directory, the user and the source, the first scenario loads.
func TestFirstScenarioLoadsWhateverTheNames(t *testing.T) {
	for _, name := range []string{"whale", "-", "123", "true", "null", "日本", ".", "a b"} {
		o := of(newLake(t, map[string]string{"o": `{"type":"a","who":{"user_id":"1\n5"},"ts":1700000000}`}))
		o.User, o.UserField, o.Source = "1\n5", "who.user_id", "/mnt/a\n: b"
		got, _ := run(t, o)
		root := t.TempDir()
		if err := WriteScenario(filepath.Join(root, "s"), name, got); err != nil {
			t.Fatal(err)
		}
		sc, err := scenario.Load(os.DirFS(root), "s", nil)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if sc.Name != scenarioName(name) || len(sc.Rewrite) != 2 || sc.Population.Users != 100 {
			t.Errorf("%q: loaded as %q with %d rules and %d users", name, sc.Name, len(sc.Rewrite), sc.Population.Users)
		}
	}
}

// Who finds nothing is told what there is.
func TestNothingCapturedSaysWhatThereIs(t *testing.T) {
	var many strings.Builder
	for i := range 50 {
		fmt.Fprintf(&many, `{"type":"a","user_id":"%02d","ts":1700000000,"who":{"id":%d}}`, 99-i, i)
	}
	store := newLake(t, map[string]string{"o": many.String(), "p": `{"type":"a","user_id":"15x","ts":1700000000}`})
	mine := newLake(t, map[string]string{"o": `{"type":"a","user_id":"15","ts":1700000000}{"type":"a","user_id":"15","ts":1700000009}`})
	empty := newLake(t, map[string]string{"o": "\n"})
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   []string
	}{
		{"other users", func(*Options) {}, []string{`user "15" in 51 rows`, `"15x", "50", "51", "52", "53";`, "--user"}},
		{"no such field", func(o *Options) { o.UserField = "uid" }, []string{`no row of 51 has a field "uid"`, "ts, type, user_id, who.id", "--user-field"}},
		{"other times", func(o *Options) { o.Store, o.From = mine, time.Unix(1700000010, 0) }, []string{"there are 2", "2023-11-14T22:13:20Z to 2023-11-14T22:13:29Z", "--since"}},
		{"no rows", func(o *Options) { o.Store = empty }, []string{"no row in 1 objects of lake"}},
	} {
		o := of(store)
		c.change(&o)
		_, stats, err := Run(t.Context(), o)
		if err == nil {
			t.Errorf("%s: %+v and no error", c.name, stats)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q in it", c.name, err, want)
			}
		}
	}
}

// A record of the user that lacks what its place in the template needs ends
// the capture, with where it lies. Other users' records may lack what they like.
func TestRecordsThatCannotBePlacedAreNamed(t *testing.T) {
	const sound = `{"type":"a","user_id":"15","ts":1700000000}{"user_id":"7"}{}`
	for row, want := range map[string]string{
		`{"type":"a","user_id":"15"}`:                    `dir/o at byte 60: no field "ts"; check --time-field`,
		`{"type":"a","user_id":"15","ts":null}`:          `dir/o at byte 60: field "ts" holds no time (null); check --time-field`,
		`{"user_id":"15","ts":1700000000}`:               `dir/o at byte 60: no field "type"; check --type-field`,
		`{"type":"a","user_id":"15","ts":"about three"}`: `holds no time ("about three")`,
	} {
		_, _, err := Run(t.Context(), of(newLake(t, map[string]string{"dir/o": sound + row})))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", row, err, want)
		}
	}
}

// A record over several lines becomes one line; nothing but its breaks goes.
func TestLineBreaksBetweenTokensAreTakenOut(t *testing.T) {
	store := newLake(t, map[string]string{"o": "{\n  \"type\": \"a\",\r\n  \"user_id\": \"15\", \"s\": \"\xff\\n\",\n  \"ts\": 1700000000\n}\n"})
	got, stats := run(t, of(store))
	want := "a:\n  {  \"type\": \"a\",  \"user_id\": \"15\", \"s\": \"\xff\\n\",  \"ts\": 1700000000}\n"
	if show(got) != want || stats.Folded != 1 || !got.Newline {
		t.Errorf("%d folded, newline %v, got\n%q, want\n%q", stats.Folded, got.Newline, show(got), want)
	}
}

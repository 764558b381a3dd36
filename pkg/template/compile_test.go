package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

func pattern(field string, kind scenario.RoleKind, p string) scenario.Rule {
	return scenario.Rule{Field: field, Role: scenario.Role{Kind: kind, Pattern: p}}
}

// faultsOf compiles lines and returns what is wrong with them, as text.
func faultsOf(t *testing.T, rules []scenario.Rule, lines ...string) (list []string) {
	t.Helper()
	l := LogType{Name: "login", File: "login.ndjson"}
	for _, line := range lines {
		l.Lines = append(l.Lines, []byte(line))
	}
	p, err := Compile(&Template{Dir: "t", LogTypes: []LogType{l}}, rules, nil)
	var faults scenario.Faults
	if err != nil && !errors.As(err, &faults) {
		t.Fatalf("Compile = %v, want scenario.Faults", err)
	}
	if (p == nil) != (err != nil) {
		t.Fatalf("Compile = %v, %v; want one of the two", p, err)
	}
	for _, f := range faults {
		list = append(list, f.Error())
	}
	return list
}

// Each fault says where it is, what stands there and why it does not do.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []scenario.Rule
		lines []string
		want  []string
	}{
		{"no object", nil, []string{`{"a":1}`, `[1]`, ``, `{"a":1`},
			[]string{
				"t/login.ndjson:2:1: not a JSON object; a template has one captured record a line",
				"t/login.ndjson:3:1: not a JSON object; a template has one captured record a line",
				"t/login.ndjson:4:1: not a JSON object; a template has one captured record a line"}},
		{"no time", []scenario.Rule{rule("ts", scenario.Time)}, []string{`{"a":1,"b":{"ts":true}}`},
			[]string{"t/login.ndjson:1:18: b.ts: role time does not fit: true is no time in a known form"}},
		{"no uuid", []scenario.Rule{rule("id", scenario.UUID)}, []string{`{"id":"7"}`, `{"id":7}`, `{"id":12345678901234567890123456789012}`, `{"id":12345678901234568890123456789012}`},
			[]string{
				`t/login.ndjson:1:7: id: role uuid does not fit: "7" is no uuid and no ULID`,
				"t/login.ndjson:2:7: id: role uuid does not fit: 7 is no uuid and no ULID",
				"t/login.ndjson:3:7: id: role uuid does not fit: 12345678901234567890123456789012 is no uuid and no ULID",
				"t/login.ndjson:4:7: id: role uuid does not fit: 12345678901234568890123456789012 is no uuid and no ULID"}},
		{"no user", []scenario.Rule{rule("u", scenario.User)}, []string{`{"u":"x15"}`},
			[]string{"t/login.ndjson:1:6: u: role user does not fit: \"x15\" is neither a whole number nor a uuid; give it a form, as in `user X%010d`"}},
		{"two users", []scenario.Rule{rule("u", scenario.User)}, []string{`{"u":15}`, `{"u":"15"}`, `{"u":"0000000015"}`, `{"u":16}`},
			[]string{"t/login.ndjson:4:6: u: role user does not fit: 16 is another user than 15; a template holds one user"}},
		{"two users by pattern", []scenario.Rule{pattern("u", scenario.User, "U%d")}, []string{`{"u":"15"}`, `{"u":"0015"}`, `{"u":"U15"}`},
			[]string{`t/login.ndjson:3:6: u: role user U%d does not fit: "U15" is another user than 15; a template holds one user`}},
		{"two users by uuid", []scenario.Rule{rule("u", scenario.User), rule("o", scenario.Peer)},
			[]string{`{"u":"8c47be83-c79b-4545-a901-e9c730fa276e"}`, `{"u":"8C47BE83C79B4545A901E9C730FA276E","o":"04b48064-7ee4-4a23-a74e-6cf210177212"}`, `{"u":"04b48064-7ee4-4a23-a74e-6cf210177212"}`},
			[]string{`t/login.ndjson:3:6: u: role user does not fit: "04b48064-7ee4-4a23-a74e-6cf210177212" is another user than 8c47be83-c79b-4545-a901-e9c730fa276e; a template holds one user`}},
		{"no counter", []scenario.Rule{rule("n", scenario.Counter)}, []string{`{"n":-1}`},
			[]string{"t/login.ndjson:1:6: n: role counter does not fit: -1 is neither a whole number nor a uuid; give it a form, as in `counter X%010d`"}},
		{"text for a number", []scenario.Rule{pattern("u", scenario.User, "U%d"), pattern("n", scenario.Counter, "%05d")}, []string{`{"u":15,"n":7}`},
			[]string{
				"t/login.ndjson:1:6: u: role user U%d does not fit: 15 is no string, and U%d is written as one",
				"t/login.ndjson:1:13: n: role counter %05d does not fit: 7 is no string, and %05d is written as one"}},
		{"patterns", []scenario.Rule{pattern("a", scenario.User, "U"), pattern("b", scenario.Counter, "U%xd"), pattern("c", scenario.Counter, "U%5")}, []string{`{"a":"1","b":"1","c":"1"}`},
			[]string{
				`t/login.ndjson:1:6: a: role user U does not fit: pattern "U": want one %d or %0Nd`,
				`t/login.ndjson:1:14: b: role counter U%xd does not fit: pattern "U%xd": want one %d or %0Nd`,
				`t/login.ndjson:1:22: c: role counter U%5 does not fit: pattern "U%5": want one %d or %0Nd`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, faultsOf(t, c.rules, c.lines...)); diff != "" {
				t.Errorf("want (-), got (+)\n%s", diff)
			}
		})
	}
}

// A template with more distinct uuids than an id can number is refused.
func TestTooManySlots(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"id":[`)
	for i := range record.MaxSlot + 1 {
		fmt.Fprintf(&b, `"00000000-0000-4000-8000-%012x",`, i)
	}
	line := strings.TrimSuffix(b.String(), ",") + "]}"
	got := faultsOf(t, []scenario.Rule{rule("id", scenario.UUID)}, line)
	want := []string{"t:1:1: 262144 distinct uuids; a template can have at most 262143: leave out some fields of role uuid"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
}

// Each form of an id is written as found: quotes, width, pattern, version, case and hyphens.
func TestFormsOfIDs(t *testing.T) {
	const u = "8C47BE83C79B1545A901E9C730FA276E"
	v := &Values{Tag: 1, User: 2, UserID: 77, CounterBase: 10}
	id := func(form record.UUIDForm) string {
		return string(record.AppendUUID(nil, record.EncodeUUID(1, 2, 0), form))
	}
	_, compact, _ := record.ParseUUID([]byte(u))
	for _, c := range []struct {
		role       scenario.Rule
		line, want string
	}{
		{rule("u", scenario.User), `{"u":15}`, `{"u":77}`},
		{rule("u", scenario.User), `{"u":"15"}`, `{"u":"77"}`},
		{rule("u", scenario.User), `{"u":"0015"}`, `{"u":"0077"}`},
		{rule("u", scenario.User), `{"u":"015"}`, `{"u":"077"}`},
		{rule("u", scenario.User), `{"u":"0"}`, `{"u":"77"}`},
		{pattern("u", scenario.User, "U%010d@x"), `{"u":"me"}`, `{"u":"U0000000077@x"}`},
		{pattern("u", scenario.User, "%d"), `{"u":15}`, `{"u":77}`},
		{pattern("u", scenario.User, "%d"), `{"u":"` + u + `"}`, `{"u":"77"}`},
		{rule("u", scenario.User), `{"u":["` + u + `"]}`, `{"u":["` + id(compact) + `"]}`},
		{rule("u", scenario.UUID), `{"u":"` + u + `"}`, `{"u":"` + id(compact) + `"}`},
		{rule("u", scenario.Counter), `{"u":["9","8","9"]}`, `{"u":["11","12","11"]}`},
		{pattern("u", scenario.Counter, "KR%04d"), `{"u":["a","b"]}`, `{"u":["KR0011","KR0012"]}`},
		{pattern("u", scenario.Counter, "%0100d"), `{"u":"a"}`, `{"u":"` + strings.Repeat("0", 98) + `11"}`},
		{rule("u", scenario.Keep), `{"u":"15"}`, `{"u":"15"}`},
		{rule("u", scenario.User), `{"u":null}`, `{"u":null}`},
		{rule("u", scenario.User), `{"u":""}`, `{"u":""}`},
	} {
		p := compile(t, []scenario.Rule{c.role}, c.line)
		if got := string(p.Append(nil, 0, v)); got != c.want {
			t.Errorf("%v of %s: %s, want %s", c.role.Role, c.line, got, c.want)
		}
	}
}

// The id of nobody stays, in each form: as all zeros or all ones.
func TestNobodyStays(t *testing.T) {
	const u = `"8c47be83-c79b-4545-a901-e9c730fa276e"`
	for _, nobody := range []string{
		`"00000000-0000-0000-0000-000000000000"`, `"00000000000000000000000000000000"`, `"00000000000000000000000000"`,
		`"ffffffff-ffff-ffff-ffff-ffffffffffff"`, `"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"`, `"ffffffffffffffffffffffffffffffff"`,
		`"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"`, `"7zzzzzzzzzzzzzzzzzzzzzzzzz"`, `"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"`,
	} {
		for _, kind := range []scenario.RoleKind{scenario.UUID, scenario.User, scenario.Peer} {
			line := `{"a":[` + nobody + `,` + u + `]}`
			p := compile(t, []scenario.Rule{rule("a", kind)}, line)
			got := string(p.Append(nil, 0, &Values{Tag: 1, User: 2, Users: 9}))
			if !strings.HasPrefix(got, `{"a":[`+nobody+`,"`) || strings.Contains(got, u) {
				t.Errorf("%v: %s became %s", kind, line, got)
			}
		}
		if diff := cmp.Diff([]string{"x uuid uuid"}, suspects([]string{`{"user_id":"10004217","x":` + u + `}`, `{"x":` + nobody + `}`})); diff != "" {
			t.Errorf("%s: want (-), got (+)\n%s", nobody, diff)
		}
	}
	for _, text := range []string{`"00000000-0000-0000-0000-000000000001"`, `"8ZZZZZZZZZZZZZZZZZZZZZZZZZ"`, `"0"`} {
		if got := faultsOf(t, []scenario.Rule{rule("a", scenario.UUID)}, `{"a":`+text+`}`); len(got) != 1 {
			t.Errorf("%s: %v, want one fault", text, got)
		}
	}
}

// A user id that is written as a uuid and 32 bare digits are two things.
func TestBareDigitsAreNoUUID(t *testing.T) {
	got := faultsOf(t, []scenario.Rule{rule("u", scenario.User)}, `{"u":12345678901234568890123456789012}`)
	if len(got) != 1 || !strings.Contains(got[0], "neither a whole number nor a uuid") {
		t.Errorf("%v, want one fault: neither a whole number nor a uuid", got)
	}
}

// Whatever stands outside the slots stays byte for byte, and the order of rules decides.
func TestAppendTouchesOnlySlots(t *testing.T) {
	const head = `{"length":655.77751,"path":"a\/b","big":9007199254740993,"e":1E+5,"u":"\u00e9\ud83d\ude00","u":1,"u":1, "s" : [ ] ,"z":-0.0,"ko":"こ",`
	p := compile(t, []scenario.Rule{rule("login.x.id", scenario.Keep), rule("id", scenario.Counter)}, head+`"x":{"id":"4"},"y":{"id":"4"}}`)
	want := head + `"x":{"id":"4"},"y":{"id":"6"}}`
	if got := string(p.Append(nil, 0, &Values{CounterBase: 5})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Events go by the time of the earliest rule, ties by log type, then line; one without time follows the line before it.
func TestOrderOfEvents(t *testing.T) {
	in := &Template{Dir: "t", LogTypes: []LogType{
		{Name: "b", Lines: [][]byte{[]byte(`{"n":"b1","ts":30,"at":200}`), []byte(`{"n":"b2"}`), []byte(`{"n":"b3","at":1,"ts":10}`)}},
		{Name: "a", Lines: [][]byte{[]byte(`{"n":"a1"}`), []byte(`{"n":"a2","at":30}`), []byte(`{"n":"a3","ts":30}`)}},
	}}
	p, err := Compile(in, []scenario.Rule{rule("ts", scenario.Time), rule("at", scenario.Time)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, e := range p.Events {
		key := p.Key(nil, i, "n", &Values{})
		got = append(got, fmt.Sprintf("%s %s %d %v", p.LogTypes[e.LogType], key, e.Time/1e9, e.HasTime))
	}
	want := []string{"a a1 0 false", "b b3 10 true", "a a2 30 true", "a a3 30 true", "b b1 30 true", "b b2 30 false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
}

// Templates of one digest are one program, however template.yaml lists the log
// types: slots, counters and ties go by name (law 1).
func TestOrderOfLogTypes(t *testing.T) {
	types := []LogType{
		{Name: "b", File: "1", Lines: [][]byte{[]byte(`{"id":"8c47be83-c79b-4545-a901-e9c730fa276e","n":5,"f":"Ann","p":"7","ts":10}`)}},
		{Name: "a", File: "2", Lines: [][]byte{[]byte(`{"id":"04b48064-7ee4-4a23-a74e-6cf210177212","n":4,"f":"Bob","p":"8","ts":10}`), []byte(`{"id":null}`)}},
		{Name: "c", File: "3", Lines: [][]byte{[]byte(`{"n":3,"f":"Eve","p":"9","ts":10}`)}},
	}
	var digests, texts []string
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		in := &Template{Dir: "t"}
		for _, i := range order {
			in.LogTypes = append(in.LogTypes, types[i])
		}
		p, err := Compile(in, every, nil)
		if err != nil {
			t.Fatal(err)
		}
		var text []byte
		for i := range p.Events {
			text = append(p.Append(text, i, &Values{Tag: 1, User: 2, Users: 9, CounterBase: 8, Fakes: p.Fakes}), '\n')
		}
		digests, texts = append(digests, fmt.Sprintf("%x", p.Digest)), append(texts, string(text))
	}
	for i := range texts {
		if digests[i] != digests[0] || texts[i] != texts[0] {
			t.Errorf("one order has digest %s and renders\n%sanother %s and\n%s", digests[0], texts[0], digests[i], texts[i])
		}
	}
}

// Events with the same bytes are one class, and a uuid that stands in two events names none.
func TestClasses(t *testing.T) {
	const a = `{"id":"8c47be83-c79b-4545-a901-e9c730fa276e"}`
	p := compile(t, []scenario.Rule{rule("id", scenario.UUID)}, a, `{"id":null}`, a, `{"id":null}`, `{"id":null} `)
	if diff := cmp.Diff([]int32{0, 1, 0, 1, 4}, p.Class); diff != "" {
		t.Errorf("Class: want (-), got (+)\n%s", diff)
	}
	if diff := cmp.Diff([]int32{-1}, p.SlotEvent); diff != "" {
		t.Errorf("SlotEvent: want (-), got (+)\n%s", diff)
	}
}

// The key is the first value of the field that is there, else the user's id, and never empty.
func TestKey(t *testing.T) {
	v := &Values{UserID: 77, Shift: 10}
	for _, c := range []struct{ line, field, want string }{
		{`{"u":"15","r":"eu"}`, "r", "eu"},
		{`{"u":"15","r":[null,"eu","us"]}`, "r", "eu"},
		{`{"u":"15","r":{"x":7}}`, "x", "7"},
		{`{"u":"15","ts":100}`, "ts", "110"},
		{`{"u":"15","r":""}`, "r", "77"},
		{`{"u":"15","r":null}`, "r", "77"},
		{`{"u":"15"}`, "r", "77"},
		{`{"u":"0015"}`, "", "0077"},
		{`{"u":15}`, "u", "77"},
		{`{"u":""}`, "", "77"},
		{`{"":"x","u":"15"}`, "", "77"},
	} {
		rules := []scenario.Rule{rule("u", scenario.User)}
		if strings.Contains(c.line, "ts") {
			rules = append(rules, rule("ts", scenario.Time))
		}
		if got := string(compile(t, rules, c.line).Key(nil, 0, c.field, v)); got != c.want {
			t.Errorf("key %q of %s is %q, want %q", c.field, c.line, got, c.want)
		}
	}
}

// No user's rendering is longer than MaxSize.
func TestMaxSize(t *testing.T) {
	long := strings.Repeat("x", 126)
	for _, form := range []string{long + "%d", "%d" + long, "%099d"} {
		p := compile(t, []scenario.Rule{pattern("u", scenario.User, form)}, `{"u":"1"}`)
		if got := p.Append(nil, 0, &Values{UserID: 1<<64 - 1}); len(got) > p.MaxSize(0) {
			t.Errorf("%d bytes, MaxSize is %d: %s", len(got), p.MaxSize(0), got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		form := func(name string) string {
			text := rapid.StringMatching(`[a-z]{0,120}`)
			width := rapid.IntRange(1, 99).Draw(t, name+" width")
			return fmt.Sprintf("%s%%%03dd%s", text.Draw(t, name+" before"), width, text.Draw(t, name+" after"))
		}
		p := compile(t, []scenario.Rule{pattern("u", scenario.User, form("user")), pattern("n", scenario.Counter, form("counter")),
			rule("id", scenario.UUID), rule("ts", scenario.Time)},
			`{"u":"1"}`, `{"n":"1"}`, `{"ts":`+drawTime(t)+`,"id":"8c47be83c79b1545a901e9c730fa276e"}`)
		v := &Values{Tag: 1<<32 - 1, User: 1<<32 - 1, UserID: rapid.Uint64().Draw(t, "user"), CounterBase: 1<<64 - 9, Shift: rapid.Int64Range(-1e9, 1e9).Draw(t, "shift")}
		for i := range p.Events {
			if got := p.Append(nil, i, v); len(got) > p.MaxSize(i) {
				t.Errorf("%d bytes, MaxSize is %d: %s", len(got), p.MaxSize(i), got)
			}
		}
	})
}

// Append allocates nothing once dst is large enough.
func TestAppendDoesNotAllocate(t *testing.T) {
	p := compile(t, []scenario.Rule{rule("id", scenario.UUID), rule("u", scenario.User), rule("{ts,at}", scenario.Time), rule("n", scenario.Counter)},
		`{"id":"8c47be83-c79b-4545-a901-e9c730fa276e","u":"0000000015","n":"0001","ts":1541207073796,"at":"2018-11-03T01:04:33.796+09:00"}`)
	v := &Values{Tag: 1, User: 2, UserID: 3, Shift: 86400}
	buf := make([]byte, 0, p.MaxSize(0))
	if n := testing.AllocsPerRun(100, func() { buf = p.Append(buf[:0], 0, v) }); n != 0 {
		t.Errorf("%v allocations a record, want none", n)
	}
}

// every is a rule of each role, on names of its own.
var every = []scenario.Rule{
	rule("k", scenario.Keep), rule("u", scenario.User), rule("id", scenario.UUID), rule("ts", scenario.Time), rule("n", scenario.Counter),
	of("d", scenario.Date, "ts"), rule("p", scenario.Peer), of("s", scenario.Scale, "x"), rule("h", scenario.Hash), rule("f", scenario.Fake),
}

// Arbitrary lines compile or have faults. What compiles renders to one JSON
// value, and user 0 moved by nothing keeps every byte outside the slots.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`{"u":"15","id":"8c47be83-c79b-4545-a901-e9c730fa276e","ts":"2018-11-03T01:04:33.796+09:00","n":7,"k":[1]}`,
		`{"u":15,"ts":[1541207073796,-1],"n":"007","a":{"u":"15"},"u":12345678901234568890123456789012}`,
		`{"ts":"2018-11-03T01:04:33Z","d":"2018-11-03","p":"16","s":"4.99","h":"a\u20ac\n\"9","f":["a@b.cc","x","10.0.0.1"]}`,
		`{"p":["8c47be83-c79b-4545-a901-e9c730fa276e",7],"s":[-0,12.5],"h":[9223372036854775806,-12.50e3,"DEADBEEF01","\\"],"f":[90123,"+81 90 1234 5678"]}`,
		`{"ts":"+1541207073","id":"12345678901234568890123456789012"}`, `{"h":[0e000000,"0e000000"],"f":[12E45678]}`, `{`, `{"u":"\""}`, "{\"u\":\"1\"}\n{\"u\":\"1\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := &Template{Dir: "t", LogTypes: []LogType{{Name: "x", File: "x", Lines: bytes.Split(data, []byte("\n"))}}}
		p, err := Compile(in, used(in), nil)
		if err != nil {
			var faults scenario.Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Errorf("Compile = %v, want scenario.Faults", err)
			}
			return
		}
		for i := range p.Events {
			checkRendering(t, p, i)
		}
	})
}

// used returns those of every that match a field of a template.
func used(in *Template) (rules []scenario.Rule) {
	for _, r := range every {
		found := false
		for _, line := range in.LogTypes[0].Lines {
			_ = Walk(line, func(f Field) error { found = found || r.Match("x", f.Path()); return nil })
		}
		if found {
			rules = append(rules, r)
		}
	}
	return rules
}

func checkRendering(t *testing.T, p *Program, event int) {
	t.Helper()
	line := p.Events[event].Line
	got := p.Append(nil, event, &Values{Users: 9, Numbers: []scenario.Decimal{{Digits: 1<<64 - 1, Scale: 3}}})
	other := &Values{Seed: 1, Tag: 1<<32 - 1, User: 8, Users: 9, UserID: 1<<64 - 1, CounterBase: 1 << 60, Numbers: []scenario.Decimal{{Digits: 7, Scale: 2}}}
	for _, text := range [][]byte{got, p.Append(nil, event, other)} {
		if !json.Valid(text) {
			t.Fatalf("%s became %s, which is no JSON", line, text)
		}
		if len(text) > p.MaxSize(event) {
			t.Errorf("%d bytes, MaxSize is %d: %s", len(text), p.MaxSize(event), text)
		}
	}
	rest := line // rendered and captured agree but for what stands in a slot
	for _, s := range p.Events[event].parts {
		if !bytes.HasPrefix(rest, s.literal) || !bytes.HasPrefix(got, s.literal) {
			t.Fatalf("%s became %s: want %q before a slot", line, got, s.literal)
		}
		rest, got = rest[len(s.literal):], got[len(s.literal):]
		was, is := slotText(s, rest), slotText(s, got)
		if s.kind == slotTime && !bytes.Equal(was, is) {
			t.Fatalf("%s: time %s moved by nothing is %s", line, was, is)
		}
		rest, got = rest[len(was):], got[len(is):]
	}
	if !bytes.Equal(rest, got) || !bytes.Equal(rest, p.Events[event].tail) {
		t.Fatalf("%s ends in %q, its rendering in %q", line, rest, got)
	}
}

// slotText is the slot's text at the start of b: a string with its quotes, what
// stands in quotes that belong to the literal, or a number.
func slotText(s part, b []byte) []byte {
	switch {
	case b[0] == '"' && !bytes.HasSuffix(s.literal, []byte(`"`)):
		return b[:2+bytes.IndexByte(b[1:], '"')]
	case bytes.HasSuffix(s.literal, []byte(`"`)):
		end := 0
		for escaped := false; escaped || b[end] != '"'; end++ {
			escaped = b[end] == '\\' && !escaped
		}
		return b[:end]
	}
	return b[:bytes.IndexAny(b, ",]} \t\r")]
}

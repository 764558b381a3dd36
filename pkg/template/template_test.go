package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"kreplay/pkg/scenario"
)

// fataler is what *testing.T, *testing.B and *rapid.T share.
type fataler interface {
	Helper()
	Fatal(...any)
}

func compile(t fataler, rules []scenario.Rule, lines ...string) *Program {
	t.Helper()
	l := LogType{Name: "login", File: "login.ndjson"}
	for _, line := range lines {
		l.Lines = append(l.Lines, []byte(line))
	}
	p, err := Compile(&Template{Dir: "t", LogTypes: []LogType{l}}, rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rule(field string, kind scenario.RoleKind) scenario.Rule {
	return scenario.Rule{Field: field, Role: scenario.Role{Kind: kind}}
}

// Outside the slots every byte is as captured.
func TestEverythingElseIsByteForByte(t *testing.T) {
	line := `{"user_id":"15","length":655.77751,"path":"a\/b","big":9007199254740993,"e":1e5,"u":"\u00e9","u":1,"ts":1541207073796}`
	p := compile(t, []scenario.Rule{rule("user_id", scenario.User), rule("ts", scenario.Time)}, line)
	got := p.Append(nil, 0, &Values{UserID: 77, Shift: 10})
	want := `{"user_id":"77","length":655.77751,"path":"a\/b","big":9007199254740993,"e":1e5,"u":"\u00e9","u":1,"ts":1541207083796}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Every form of time moves by the same number of seconds and keeps its form.
func TestEveryFormOfTimeMoves(t *testing.T) {
	for captured, want := range map[string]string{
		`1541207073`:                      `1541210673`,
		`1541207073796`:                   `1541210673796`,
		`1541207073796.0`:                 `1541210673796.0`,
		`1541207073796123`:                `1541210673796123`,
		`"1541207073"`:                    `"1541210673"`,
		`"2018-11-03T01:04:33Z"`:          `"2018-11-03T02:04:33Z"`,
		`"2018-11-03T01:04:33.796+09:00"`: `"2018-11-03T02:04:33.796+09:00"`,
		`"2018-11-03 23:04:33"`:           `"2018-11-04 00:04:33"`,
		`"2018/11/03 01:04:33"`:           `"2018/11/03 02:04:33"`,
		`"20181103010433"`:                `"20181103020433"`,
		`"Sat, 03 Nov 2018 01:04:33 GMT"`: `"Sat, 03 Nov 2018 02:04:33 GMT"`,
		`"03/Nov/2018:01:04:33 -0700"`:    `"03/Nov/2018:02:04:33 -0700"`,
	} {
		p := compile(t, []scenario.Rule{rule("ts", scenario.Time)}, `{"ts":`+captured+`}`)
		got := p.Append(nil, 0, &Values{Shift: 3600})
		if string(got) != `{"ts":`+want+`}` {
			t.Errorf("%s moved by an hour is %s, want %s", captured, got, want)
		}
	}
}

// Equal uuids stay equal, distinct ones distinct, and the event that alone holds one is known by it.
func TestUUIDSlots(t *testing.T) {
	const a, b, s = "8c47be83-c79b-4545-a901-e9c730fa276e", "04b48064-7ee4-4a23-a74e-6cf210177212", "7f89832f-e250-41fb-a07a-48a95482d883"
	p := compile(t, []scenario.Rule{rule("*_id", scenario.UUID)},
		`{"event_id":"`+a+`","session_id":"`+s+`"}`, `{"event_id":"`+b+`","session_id":"`+s+`"}`)
	if len(p.SlotEvent) != 3 || p.SlotEvent[0] != 0 || p.SlotEvent[1] != -1 || p.SlotEvent[2] != 1 {
		t.Errorf("SlotEvent = %v, want [0 -1 1]", p.SlotEvent)
	}
	var one, two map[string]string
	for i, to := range []*map[string]string{&one, &two} {
		if err := json.Unmarshal(p.Append(nil, i, &Values{Tag: 1, User: 2}), to); err != nil {
			t.Fatal(err)
		}
	}
	if one["session_id"] != two["session_id"] || one["event_id"] == two["event_id"] || one["event_id"] == a {
		t.Errorf("%v and %v: want one new session, two new events", one, two)
	}
}

// All faults come back at once, with line and column.
func TestCompileNamesEveryFault(t *testing.T) {
	l := LogType{Name: "login", File: "login.ndjson", Lines: [][]byte{
		[]byte(`{"user_id":"15","ts":"soon"}`), []byte(`{"user_id":"16"}`), []byte(`{"event_id":"x"}`), []byte(`{`),
	}}
	_, err := Compile(&Template{Dir: "t", LogTypes: []LogType{l}}, []scenario.Rule{
		rule("user_id", scenario.User), rule("ts", scenario.Time), rule("event_id", scenario.UUID)}, nil)
	var faults scenario.Faults
	if !errors.As(err, &faults) || len(faults) != 4 {
		t.Fatalf("%d faults, want 4: %v", len(faults), err)
	}
	if p := faults[0].Pos; p.File != "t/login.ndjson" || p.Line != 1 || p.Col != 22 {
		t.Errorf("the first fault is at %v, want t/login.ndjson:1:22", p)
	}
}

// Walk accepts what json.Valid accepts, and never panics.
func FuzzWalk(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}],"c":"\\\""}`, `{}`, `[`, `{"a":tru}`, `{"a":"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := Walk(data, func(fl Field) error {
			if fl.Start < 0 || fl.End > len(data) || fl.Start >= fl.End {
				t.Errorf("field %d:%d of %d bytes", fl.Start, fl.End, len(data))
			}
			return nil
		})
		if err != nil && json.Valid(data) && !bytes.Contains(data, bytes.Repeat([]byte("["), maxDepth/2)) && !bytes.Contains(data, bytes.Repeat([]byte("{"), 100)) {
			t.Errorf("Walk(%q) = %v, but it is valid JSON", data, err)
		}
	})
}

func BenchmarkAppend400B4Slots(b *testing.B) {
	pad := bytes.Repeat([]byte("x"), 247)
	line := `{"event_id":"8c47be83-c79b-4545-a901-e9c730fa276e","user_id":"15","occurred_at":"2018-11-03T01:04:33.796+09:00","no":"0000000042","pad":"` + string(pad) + `"}`
	l := LogType{Name: "login", File: "login.ndjson", Lines: [][]byte{[]byte(line)}}
	p, err := Compile(&Template{Dir: "t", LogTypes: []LogType{l}}, []scenario.Rule{
		rule("event_id", scenario.UUID), rule("user_id", scenario.User), rule("occurred_at", scenario.Time), rule("no", scenario.Counter)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	v := &Values{Tag: 1, User: 2, UserID: 1e15, Shift: 86400}
	buf = p.Append(buf, 0, v)
	if n := testing.AllocsPerRun(100, func() { buf = p.Append(buf[:0], 0, v) }); n != 0 {
		b.Fatalf("%v allocations a record, want none", n)
	}
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = p.Append(buf[:0], 0, v)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkAppendEveryRole(b *testing.B) {
	p := compile(b, []scenario.Rule{rule("id", scenario.UUID), rule("u", scenario.User), rule("ts", scenario.Time), rule("n", scenario.Counter),
		of("d", scenario.Date, "ts"), rule("p", scenario.Peer), of("s", scenario.Scale, "x"), rule("h", scenario.Hash), rule("f*", scenario.Fake)},
		`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","u":"15","ts":1541207073796,"n":"0001","d":"2018-11-03","p":"16","s":"4.99","h":"deadbeef01deadbeef01","f1":"a@b.cc","f2":"Lily","f3":"10.0.0.1"}`)
	v := &Values{Tag: 1, User: 2, UserID: 1e15, Shift: 86400, Users: 1e6, Seed: 3, Fakes: p.Fakes, Numbers: []scenario.Decimal{{Digits: 25, Scale: 1}}}
	buf := p.Append(nil, 0, v)
	if n := testing.AllocsPerRun(100, func() { buf = p.Append(buf[:0], 0, v) }); n != 0 {
		b.Fatalf("%v allocations a record, want none", n)
	}
	b.ReportAllocs()
	for b.Loop() {
		buf = p.Append(buf[:0], 0, v)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

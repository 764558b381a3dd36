package generate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

// traceOf is what a Tracer finds in parts.
func traceOf(p *Plan, o Traces, parts ...[]byte) (Trace, bool) {
	t := p.Tracer(o)
	for _, part := range parts {
		part = bytes.Clone(part)
		t.Look(part)
		clear(part) // it is not kept
	}
	return t.End()
}

// cutUp cuts data into parts.
func cutUp(t *rapid.T, data []byte) [][]byte {
	return slices.Collect(slices.Chunk(data, rapid.SampledFrom([]int{1, 7, 300, 1 << 20}).Draw(t, "part")))
}

// Of bytes that a row was, cut off anywhere and with any byte spoiled, a Tracer says
// that they are the run's where Identify does, whatever stands around them
// and however they come.
func TestTraceIsWhatIdentifyTakesForOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		user := rapid.Uint32Range(0, uint32(p.Users)-1).Draw(t, "user")
		line := row(p, user, rapid.Uint32Range(0, uint32(p.Cohort(user).Events)-1).Draw(t, "event"))
		if at := rapid.IntRange(0, 2*len(line)).Draw(t, "at"); at < len(line) {
			line[at] = rapid.SampledFrom([]byte("x0\"{}[],:\\-A\n\xff")).Draw(t, "byte")
		}
		line = line[:rapid.IntRange(0, len(line)).Draw(t, "cut")]
		m := p.Identify(line, &Scratch{})
		if m.Kind == Foreign {
			return
		}
		pad := bytes.Repeat([]byte(rapid.SampledFrom([]string{"x, ", "0", "{\"a\":", "\x00", "abcdef0123"}).Draw(t, "pad")), rapid.SampledFrom([]int{0, 1, 20, 4000}).Draw(t, "pads"))
		text := append(append(append(pad, '\n'), line...), append([]byte("\n"), pad...)...)
		got, ok := traceOf(p, Traces{Cells: rapid.Bool().Draw(t, "cells"), Base64: rapid.Bool().Draw(t, "base64")}, cutUp(t, text)...)
		if !ok || got.User != m.User && got.User >= uint32(p.Users) {
			t.Fatalf("%q\nis %+v, its trace %+v, %v", text, m, got, ok)
		}
	})
}

var uuids = regexp.MustCompile(`"(event|session)_id":`)

// A record leaves its trace in whatever it is wrapped, and a uuid names it.
func TestTraceInOtherText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		user := rapid.Uint32Range(0, uint32(p.Users)-1).Draw(t, "user")
		event := rapid.Uint32Range(0, uint32(p.Cohort(user).Events)-1).Draw(t, "event")
		line := row(p, user, event)
		escaped, err := json.Marshal(string(line))
		if err != nil {
			t.Fatal(err)
		}
		var cells []byte // the record as a line of CSV, without names
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		for _, v := range fields {
			cells = fmt.Appendf(cells, `"%v",`, v)
		}
		lost := rapid.IntRange(0, 3).Draw(t, "lost") // of base64, whose beginning and end may be lost
		coded := base64.StdEncoding.AppendEncode(nil, append([]byte("12345"), append(line, "67890"...)...))
		for name, text := range map[string][]byte{
			"text": escaped[:len(escaped)-2], "CSV": cells, "in upper case": bytes.ReplaceAll(line, []byte("user_id"), []byte("USER_ID")),
			"binary": append(append([]byte("\x0a\x1a2"), bytes.ReplaceAll(line, []byte("\""), []byte("\x12"))...), '2'), "base64": append(append([]byte(`{"data":"`), coded[lost:]...), '"'),
		} {
			got, ok := traceOf(p, Traces{Cells: name == "CSV", Base64: name == "base64"}, cutUp(t, text)...)
			if !ok && name == "binary" && !uuids.Match(line) { // no name stands before the id
				continue
			}
			if !ok || got.Named && p.Cohort(got.User).Program.Class[got.ID.Event] != p.Cohort(user).Program.Class[event] {
				t.Fatalf("%s: %q\nof %s: %+v, %v", name, text, p.ID(user, event), got, ok)
			}
		}
	})
}

// Another run of the scenario, the player who was captured, numbers in between
// and noise leave no trace.
func TestOthersLeaveNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"smoke", "mixed"}).Draw(t, "scenario")
		users := rapid.Uint64Range(1, 60).Draw(t, "users")
		ours, theirs := sized(t, name, users, Run{ID: "ours"}), sized(t, name, users, Run{ID: "theirs"})
		var text []byte
		for r := range theirs.Records(Slice{}) {
			text = append(text, r.Data...)
			if len(text) > 20_000 {
				break
			}
		}
		base := ours.Values(0).UserID
		text = fmt.Appendf(text, "[1,%d,%d] %d%d 1,%d0,\n%x %s\n", base-1, base+users, base, base, base, ours.Digest, strings.Repeat("7", 99))
		text = append(text, rapid.SliceOf(rapid.Byte()).Draw(t, "noise")...)
		o := Traces{Cells: rapid.Bool().Draw(t, "cells"), Base64: rapid.Bool().Draw(t, "base64")}
		if got, ok := traceOf(ours, o, cutUp(t, text)...); ok {
			t.Fatalf("%+v in %q", got, text[max(0, int(got.At)-80):min(int(got.At)+10, len(text))])
		}
	})
}

// A short id is met by chance: it counts as the value of a field that holds users'
// ids, or in CSV as a cell. One of the wide range counts anywhere. Of ids that
// say more, that which names a record is told.
func TestTraceOfUserIDs(t *testing.T) {
	folder := func(id string) *Plan {
		files := fstest.MapFS{
			"s/scenario.yaml": {Data: []byte("kreplay: 1\nname: s\ntemplate: t\nrewrite: { user_id: user, rival_id: peer, event_id: uuid }\npopulation: { users: 50 }\n")},
			"s/t/a.ndjson":    {Data: []byte(`{"user_id":` + id + `,"rival_id":` + strings.Replace(id, "1", "2", 1) + `,"event_id":"04b48064-7ee4-4a23-a74e-6cf210177212"}` + "\n")},
		}
		return newPlan(t, Run{ID: "a run"}, files, "s")
	}
	short, wide := folder("15"), folder(`"15"`)
	a, b := short.Values(3).UserID, wide.Values(3).UserID
	uuid := string(record.AppendUUID(nil, record.EncodeUUID(wide.Tag, 9, 1), record.UUIDForm(4)))
	_, form, _ := record.ParseUUID([]byte("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
	ulid := string(record.AppendUUID(nil, record.EncodeUUID(wide.Tag, 9, 1), form))
	for _, c := range []struct {
		plan  *Plan
		text  string
		cells bool
		want  string
	}{
		{wide, "x" + ulid + "z%d", false, "an id of record " + wide.ID(9, 0).String()},
		{wide, strings.Repeat("A", 5000) + strings.ToLower(ulid) + strings.Repeat("0", 5000) + "%d", false, "an id of record " + wide.ID(9, 0).String()},
		{wide, strings.Repeat("f", 5000) + strings.ReplaceAll(uuid, "-", "") + "%d", false, "an id of record " + wide.ID(9, 0).String()},
		{wide, strings.Repeat("0", 5000) + "%d", false, ""},
		{wide, strings.Repeat("x", longest-8) + "%d", false, "an id of user 3"},
		{short, `{"user_id":%d,`, false, "an id of user 3"},
		{short, `{\"USER_ID\" : \"%d\"`, false, "an id of user 3"},
		{short, `{"rival_id":%d`, false, "an id of user 3"},
		{short, `{"my_user_id":%d`, false, ""},
		{short, `{"user_id2":%d`, false, ""},
		{short, `{"user_id",%d`, false, ""},
		{short, `{"user_id":-%d`, false, ""},
		{short, `{"user_id":1%d`, false, ""},
		{short, `at=%d, it is now`, false, ""},
		{short, `1,%d,now`, false, ""},
		{short, `1,%d,now`, true, "an id of user 3"},
		{short, `%d`, true, "an id of user 3"},
		{short, "x\n\"%d\"\n", true, "an id of user 3"},
		{short, `1,x%d,now`, true, ""},
		{short, `1,%d now`, true, ""},
		{wide, `it is %d now`, false, "an id of user 3"},
		{wide, `it is 1%d now`, false, ""},
		{wide, `%d and ` + uuid, false, "an id of record " + wide.ID(9, 0).String()},
		{wide, uuid + ` and %d`, false, "an id of record " + wide.ID(9, 0).String()},
	} {
		id := a
		if c.plan == wide {
			id = b
		}
		text, got := fmt.Sprintf(c.text, id), ""
		if x, ok := traceOf(c.plan, Traces{Cells: c.cells}, []byte(text)); ok {
			got = x.String()
		}
		if got != c.want {
			t.Errorf("%s, cells %v: %q, want %q", text, c.cells, got, c.want)
		}
	}
}

// Where the bytes are cut, for memory's sake, makes no difference.
func TestTraceAcrossCuts(t *testing.T) {
	files := fstest.MapFS{
		"s/scenario.yaml": {Data: []byte("kreplay: 1\nname: s\ntemplate: t\nrewrite: { the_id_of_our_user: user U%08d@some.where, event_id: uuid }\npopulation: { users: 50 }\n")},
		"s/t/a.ndjson":    {Data: []byte(`{"the_id_of_our_user":"U00000015@some.where","event_id":"04b48064-7ee4-4a23-a74e-6cf210177212"}` + "\n")},
	}
	p := newPlan(t, Run{ID: "a run"}, files, "s")
	wide := smoke(t, 50, Run{ID: "a run"})
	wide.ids.base = wideFirst
	line := row(p, 3, 0)
	end := bytes.IndexByte(line, ',') - 1
	uuid := line[bytes.LastIndexByte(line, ':')+2 : len(line)-2]
	for k := range 768 {
		pad := bytes.Repeat([]byte("x "), (2*traceSize-512+k)/2)
		pad = pad[:len(pad)-k%2]
		for name, c := range map[string]struct {
			plan *Plan
			pad  []byte
			text string
			want bool
		}{
			"name and id": {p, pad, string(line[:end]), true}, "uuid": {p, pad, string(uuid), true}, "suffix": {p, pad, strings.Replace(string(line[:end]), "where", "wherever", 1), true},
			"no suffix":   {p, pad, string(line[:end-2]) + "x", false},
			"long word":   {wide, bytes.Repeat([]byte("x"), k+longest-256), "1000000000000007x" + strings.Repeat("y", overlap), true},
			"long number": {wide, bytes.Repeat([]byte("x"), k+longest-256), "999991000000000000007x" + strings.Repeat("y", overlap), false},
		} {
			if x, ok := traceOf(c.plan, Traces{}, slices.Concat(c.pad, []byte(c.text+" "), c.pad)); ok != c.want {
				t.Fatalf("%s behind %d bytes: %+v, %v, want %v", name, len(c.pad), x, ok, c.want)
			}
		}
		coded := base64.StdEncoding.EncodeToString(append(pad[:k%7:k%7], line[:end]...)) // at its very end
		if _, ok := traceOf(p, Traces{Base64: true}, []byte(`"`+strings.Trim(coded, "=")+`"`)); !ok {
			t.Fatalf("%s leaves no trace", coded)
		}
	}
}

// What it holds is bounded, and it begins anew after each span.
func TestTracerHoldsLittle(t *testing.T) {
	p := smoke(t, 10, Run{ID: "a"})
	tr := p.Tracer(Traces{Base64: true})
	for range 3 {
		for range 200 {
			tr.Look(bytes.Repeat([]byte("0123456789abcdef"), 1000))
		}
		if size := cap(tr.buf) + cap(tr.inner[0].buf)*4; size > 20*traceSize {
			t.Errorf("it holds %d bytes", size)
		}
		if x, ok := tr.End(); ok {
			t.Errorf("%+v", x)
		}
		tr.Look(row(p, 3, 0))
		if x, ok := tr.End(); !ok || x.User != 3 || x.At > 400 {
			t.Errorf("%+v, %v, want user 3 near the beginning", x, ok)
		}
	}
}

func BenchmarkTracer(b *testing.B) {
	p := smoke(b, 1000, Run{ID: "a"})
	for name, text := range map[string]string{"log lines": "2026-11-28 03:04:05.123 INFO server started on port 8080 in 123 ms\n", "hex": "0123456789abcdef", "csv": "123,login,1790000000,eu,\"a b\",3.5\n"} {
		for _, coded := range []bool{false, true} {
			b.Run(fmt.Sprint(name, ", base64 ", coded), func(b *testing.B) {
				data := []byte(strings.Repeat(text, 1<<16/len(text)))
				tr := p.Tracer(Traces{Base64: coded})
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					tr.Look(data)
					if _, ok := tr.End(); ok {
						b.Fatal("a trace")
					}
				}
			})
		}
	}
}

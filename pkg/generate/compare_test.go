package generate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// varied has records of all shapes: named by a uuid, by user and time, by the user
// alone; with others at the same time that differ in order, notation, nulls,
// types, or in what a transform may add.
var varied = fstest.MapFS{
	"varied/scenario.yaml": {Data: []byte(`
kreplay: 1
name: varied
template: t
rewrite: { user_id: user, event_id: uuid, ts: time }
population: { users: 30 }
`)},
	"varied/t/order.ndjson": {Data: []byte(`{"event_id":"04b48064-7ee4-4a23-a74e-6cf210177212","user_id":15,"ts":"2018-11-03T01:04:33Z","price":19.90,"ratio":1e3,"big":12345678901234567890,"note":"café </&> \"q\" \\ 😀","meta":{"a":{"b":[1,2.50,{"c":null,"d":"x"}]},"tags":["p","q"]},"none":null,"empty":{},"yes":true,"version":3}
`)},
	"varied/t/play.ndjson": {Data: []byte(`{"user_id":15,"ts":"2018-11-03T01:04:40Z","level":1.10,"x":null,"version":1}
{"user_id":15,"ts":"2018-11-03T01:04:40Z","level":1.1,"version":1}
{"user_id":15,"ts":"2018-11-03T01:04:40Z","level":1.1,"version":2}
{"user_id":15,"ts":"2018-11-03T01:04:40Z","level":"1.1","version":2}
{"user_id":15,"ts":"2018-11-03T01:04:40Z","level":2,"left":1}
{"user_id":15,"ts":"2018-11-03T01:04:40Z","level":2,"right":{"a":1}}
{"user_id":15,"ts":"2018-11-03T01:04:40Z","level":3,"version":9}
{"user_id":15,"ts":"2018-11-03T01:04:40Z","level":3,"version":9}
{"user_id":15,"ts":"2018-11-03T01:04:41Z","level":2}
{"user_id":15,"hello":"a","version":1}
{"version":1,"user_id":15,"hello":"a"}
`)},
}

func variedPlan(t fataler) *Plan { return newPlan(t, Run{ID: "r"}, varied, "varied") }

var modes = []scenario.Compare{scenario.CompareExact, scenario.CompareJSON, scenario.CompareSubset}

func drawRecord(t *rapid.T, p *Plan) (user, event uint32) {
	user = rapid.Uint32Range(0, uint32(p.Users)-1).Draw(t, "user")
	return user, rapid.Uint32Range(0, uint32(p.Cohort(user).Events)-1).Draw(t, "event")
}

// made is a row with the record that it was made of.
type made struct {
	user, event uint32
	text        string
	form        Form
}

// is checks that the row is found to be of its record's class.
func (r made) is(t *rapid.T, c *Comparer, intact bool) Match {
	t.Helper()
	m := c.Identify([]byte(r.text), r.form, &Scratch{})
	if m.Kind != Planned || m.User != r.user || m.Event != c.Class(r.user, r.event) || m.Intact != intact || intact == (m.Detail != "") {
		t.Fatalf("compare: %s: %s\nmade of %s\nis %+v, want user %d, class %d, intact: %v", c.mode, r.text, row(c.plan, r.user, r.event), m, r.user, c.Class(r.user, r.event), intact)
	}
	return m
}

// However a record is written anew, it is what it was by json and subset; and by
// exact only if it is written as it was sent.
func TestSerializedAnewIsIntact(t *testing.T) {
	p := variedPlan(t)
	exact, asJSON, subset := p.Comparer(Options{}), p.Comparer(Options{Compare: scenario.CompareJSON}), p.Comparer(Options{Compare: scenario.CompareSubset})
	rapid.Check(t, func(t *rapid.T) {
		user, event := drawRecord(t, p)
		sent := row(p, user, event)
		text := serial{t: t}.write(read(sent))
		made{user, event, text, AsSent}.is(t, asJSON, true)
		made{user, event, text, AsSent}.is(t, subset, true)
		if m := exact.Identify([]byte(text), AsSent, &Scratch{}); m.Intact != renders(p, user, []byte(text)) {
			t.Fatalf("exact: %s\nsent as %s\nis %+v", text, sent, m)
		}
	})
}

// renders says whether any record of a user has these bytes.
func renders(p *Plan, user uint32, text []byte) bool {
	return slices.ContainsFunc(p.Cohort(user).single, func(event uint32) bool { return bytes.Equal(row(p, user, event), text) })
}

// add adds members somewhere in a document, such as other records have, too.
func add(t *rapid.T, v any) (path string, ok bool) {
	o, isObject := v.(*object)
	if !isObject {
		return "", false
	}
	if inner := rapid.IntRange(0, len(o.members)).Draw(t, "where"); inner < len(o.members) {
		if path, ok := add(t, o.members[inner].value); ok {
			return o.members[inner].name + "." + path, true
		}
	}
	more := rapid.SampledFrom([]property{{"version", json.Number("2")}, {"left", json.Number("1")}, {"added", "x"}, {"hello", "a"}, {"right", &object{[]property{{"a", json.Number("1")}}}}}).Draw(t, "more")
	if slices.ContainsFunc(o.members, func(p property) bool { return p.name == more.name }) {
		more.name += "_2"
	}
	o.members = slices.Insert(o.members, rapid.IntRange(0, len(o.members)).Draw(t, "at"), more)
	return more.name, true
}

// Fields that were added, at any depth, leave a record what it is by subset; by
// json they are named, unless they make it another record.
func TestAddedFields(t *testing.T) {
	p := variedPlan(t)
	asJSON, subset := p.Comparer(Options{Compare: scenario.CompareJSON}), p.Comparer(Options{Compare: scenario.CompareSubset})
	rapid.Check(t, func(t *rapid.T) {
		user, event := drawRecord(t, p)
		doc := read(row(p, user, event))
		path, _ := add(t, doc)
		text := serial{t: t}.write(doc)
		made{user, event, text, AsSent}.is(t, subset, true)
		m := asJSON.Identify([]byte(text), AsSent, &Scratch{})
		if m.Intact != slices.ContainsFunc(p.Cohort(user).single, func(e uint32) bool { return sameValue(read(row(p, user, e)), doc) }) {
			t.Fatalf("json: %s is %+v", text, m)
		}
		if list := asJSON.Changes(user, event, []byte(text), AsSent, &Scratch{}); len(list) != 1 || list[0].Path != path || list[0].Cause != CauseAdded {
			t.Fatalf("%s added to %s: %+v", path, text, list)
		}
	})
}

// One scalar that is no identity is changed: mutated by every mode, at its path,
// however the rest is written; and intact where it is ignored.
func TestChangedScalar(t *testing.T) {
	p := variedPlan(t)
	// Of the event that its uuid names: others may become another record.
	paths := map[string]string{
		"price": `19.91`, "ratio": `1001`, "big": `12345678901234567891`, "note": `"cafe"`, "yes": `false`, "none": `0`, "version": `4`,
		"meta.a.b.0": `2`, "meta.a.b.1": `2.5000001`, "meta.a.b.2.c": `1`, "meta.a.b.2.d": `"y"`, "meta.tags.1": `"r"`,
	}
	names := sortedKeys(paths)
	rapid.Check(t, func(t *rapid.T) {
		user, path := rapid.Uint32Range(0, 29).Draw(t, "user"), rapid.SampledFrom(names).Draw(t, "path")
		sent := row(p, user, 0)
		for _, mode := range modes {
			doc := read(sent)
			set(doc, strings.Split(path, "."), read([]byte(paths[path])))
			text := serial{t: t, plain: mode == scenario.CompareExact}.write(doc)
			c := p.Comparer(Options{Compare: mode})
			m := made{user, 0, text, AsSent}.is(t, c, false)
			list := c.Changes(user, 0, []byte(text), AsSent, &Scratch{})
			if len(list) != 1 || list[0].Path != path || m.Detail != list[0].String() {
				t.Fatalf("%s: %s changed in %s: %+v, %q", mode, path, text, list, m.Detail)
			}
			last := path[strings.LastIndexByte(path, '.')+1:]
			for _, pattern := range []string{last, "order." + strings.NewReplacer(".0", "", ".1", "", ".2", "").Replace(path), strings.SplitN(path, ".", 2)[0]} {
				if pattern == "0" || pattern == "1" {
					continue // an element has no name
				}
				c := p.Comparer(Options{Compare: mode, Ignore: []scenario.Pattern{{Field: pattern}}})
				made{user, 0, text, AsSent}.is(t, c, true)
				if !c.Ignores("order", strings.NewReplacer(".0", "", ".1", "", ".2", "").Replace(path)) {
					t.Fatalf("%s is not ignored by %s", path, pattern)
				}
			}
		}
	})
}

func set(v any, path []string, to any) {
	switch v := v.(type) {
	case *object:
		i := slices.IndexFunc(v.members, func(p property) bool { return p.name == path[0] })
		if len(path) == 1 {
			v.members[i].value = to
			return
		}
		set(v.members[i].value, path[1:], to)
	case []any:
		i := int(path[0][0] - '0')
		if len(path) == 1 {
			v[i] = to
			return
		}
		set(v[i], path[1:], to)
	}
}

// Whatever a mode lets happen to a row, and whatever is ignored, the row is of the
// class of the record that it was: so no class can miss a row that another has
// too many of.
func TestNoRowGoesToAnotherClass(t *testing.T) {
	plans := []*Plan{variedPlan(t), newPlan(t, Run{ID: "r"}, cased, "cased")}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(plans).Draw(t, "plan")
		o := Options{Compare: rapid.SampledFrom(modes).Draw(t, "mode"), Cells: rapid.Bool().Draw(t, "cells")}
		if rapid.Bool().Draw(t, "ignore") {
			o.Ignore = []scenario.Pattern{{Field: rapid.SampledFrom([]string{"version", "level", "{x,left,right}", "play.level", "{itemCount,Note}", "Play.meta"}).Draw(t, "pattern")}}
		}
		c := p.Comparer(o)
		user, event := drawRecord(t, p)
		doc := read(row(p, user, event)).(*object)
		logType := p.LogType(p.ID(user, event))
		for i, m := range doc.members {
			if c.Ignores(logType, m.name) {
				doc.members[i].value = drawValue(t, 1)
			}
		}
		form := AsSent
		if o.Compare != scenario.CompareExact || rapid.Bool().Draw(t, "converted") {
			form = rapid.SampledFrom([]Form{AsSent, Typed, Cells}[:map[bool]int{false: 2, true: 3}[o.Cells]]).Draw(t, "form")
		}
		if o.Compare == scenario.CompareSubset {
			for range rapid.IntRange(0, 3).Draw(t, "fields") {
				add(t, doc)
			}
		}
		convert(t, doc, form)
		text := serial{t: t, plain: form == AsSent && o.Compare == scenario.CompareExact}.write(doc)
		made{user, event, text, form}.is(t, c, true)
	})
}

// convert makes of a record what a format that does not keep its JSON gives back.
func convert(t *rapid.T, doc *object, form Form) {
	if form == AsSent {
		return
	}
	var members []property
	for _, m := range doc.members {
		nothing := m.value == nil || form == Cells && m.value == ""
		if nothing && rapid.Bool().Draw(t, "left out") {
			continue
		}
		if m.name == "ts" || m.name == "eventTime" {
			m.value = strings.NewReplacer("T", " ", "Z", rapid.SampledFrom([]string{"", ".000", ".000000"}).Draw(t, "fraction")).Replace(m.value.(string))
		}
		if form == Cells {
			m.value = cellOf(t, m.value)
		}
		members = append(members, m)
	}
	for _, name := range []string{"column", "another"} { // of other rows of the table
		if rapid.Bool().Draw(t, "column") {
			members = append(members, property{name, map[Form]any{Typed: nil, Cells: ""}[form]})
		}
	}
	doc.members = members
	if lower, ok := lowered(doc); ok && rapid.Bool().Draw(t, "lower case") {
		*doc = *lower.(*object)
	}
}

func cellOf(t *rapid.T, v any) any {
	switch v := v.(type) {
	case nil:
		return rapid.SampledFrom([]any{nil, ""}).Draw(t, "nothing")
	case string:
		return v
	case json.Number:
		return serial{t: t}.number(string(v))
	case bool:
		return fmt.Sprint(v)
	}
	return serial{t: t}.write(v)
}

// What is alike by json is so by a plainer reading too, and exactly then no change
// is named, by any mode and in any form; what is alike is so by the wider modes.
func TestAlikeIsWhatHasNoChange(t *testing.T) {
	p := variedPlan(t)
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawValue(t, 3), drawValue(t, 3)
		if rapid.Bool().Draw(t, "same") {
			b = a
		}
		want, got := []byte(serial{t: t}.write(a)), []byte(serial{t: t}.write(b))
		alike := map[scenario.Compare]bool{}
		for _, mode := range modes {
			for _, form := range []Form{AsSent, Typed, Cells} {
				c := p.Comparer(Options{Compare: mode})
				d := new(Scratch).differ(c, form, "play")
				if !d.got.parse(got) {
					t.Fatalf("%s is no JSON", got)
				}
				is := d.intact(want)
				if list := c.changes(want, got, form, "play", &Scratch{}); is != (len(list) == 0) {
					t.Fatalf("%s, form %d: %s and %s are alike: %v, and %+v", mode, form, want, got, is, list)
				}
				if form == AsSent {
					alike[mode] = is
				}
			}
		}
		if same := sameValue(read(want), read(got)); alike[scenario.CompareJSON] != same {
			t.Fatalf("json: %s and %s: %v, want %v", want, got, !same, same)
		}
		if alike[scenario.CompareExact] && !alike[scenario.CompareJSON] || alike[scenario.CompareJSON] && !alike[scenario.CompareSubset] {
			t.Fatalf("%s and %s: %v", want, got, alike)
		}
	})
}

// A name that stands twice is two fields, the nth one with the nth.
func TestNamesThatStandTwice(t *testing.T) {
	p := variedPlan(t)
	for _, c := range []struct {
		want, got    string
		json, subset bool
	}{
		{`{"a":1,"a":2}`, `{"a":1,"a":2}`, true, true},
		{`{"a":1,"b":0,"a":2}`, `{"b":0,"a":1.0,"a":2}`, true, true},
		{`{"a":1,"a":2}`, `{"a":2,"a":1}`, false, false},
		{`{"a":1,"a":2}`, `{"a":2}`, false, false},
		{`{"a":1}`, `{"a":1,"a":1}`, false, false},
		{`{"a":1}`, `{"b":1,"a":1,"b":1}`, false, true},
		{`{"a":{"b":1}}`, `{"a":{"b":1,"c":[]}}`, false, true},
		{`{"a":[1,{"b":1}]}`, `{"a":[1,{"c":0,"b":1}]}`, false, true},
		{`{"a":[1]}`, `{"a":[1,2]}`, false, false},
		{`{"a":"\ud800"}`, `{"a":"\ud801"}`, false, false},
		{`{"a":"\ud83d\ude00"}`, `{"a":"😀"}`, true, true},
	} {
		for mode, want := range map[scenario.Compare]bool{scenario.CompareJSON: c.json, scenario.CompareSubset: c.subset} {
			d := new(Scratch).differ(p.Comparer(Options{Compare: mode}), AsSent, "")
			if !d.got.parse([]byte(c.got)) || d.intact([]byte(c.want)) != want {
				t.Errorf("%s: %s became %s: alike %v, want %v", mode, c.want, c.got, !want, want)
			}
		}
	}
}

// The candidate with the most fields left is the one that was changed, whatever
// the order of its row.
func TestMostAlikeOfReorderedRows(t *testing.T) {
	p := variedPlan(t)
	for _, mode := range modes {
		c := p.Comparer(Options{Compare: mode})
		text := ""
		for event := range p.Cohort(3).single {
			if rest, ok := strings.CutSuffix(string(row(p, 3, uint32(event))), `,"level":2,"right":{"a":1}}`); ok {
				text = `{"right":{"a":7},"level":2,` + rest[1:] + "}"
			}
		}
		m := c.Identify([]byte(text), AsSent, &Scratch{})
		if m.Kind != Planned || m.Intact || !strings.Contains(m.Detail, "right.a: want 1, got 7") {
			t.Errorf("%s: %s is %+v", mode, text, m)
		}
	}
}

// transformed are smoke's rows as a transform writes them: keys sorted, and one
// field more.
func transformed(t fataler, p *Plan) (rows [][]byte, size int64) {
	for r := range p.Records(Slice{}) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(r.Data, &fields); err != nil {
			t.Fatal(err)
		}
		fields["ingested_at"] = json.RawMessage(`"2026-01-01T00:00:00Z"`)
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		rows, size = append(rows, data), size+int64(len(data))
	}
	return rows, size
}

// A row that has to be compared field by field costs no memory either.
func TestComparingAllocatesNothing(t *testing.T) {
	p, upper := smoke(t, 20, Run{ID: "x"}), newPlan(t, Run{ID: "x"}, cased, "cased")
	rows, _ := transformed(t, p)
	var columns [][]byte
	for r := range upper.Records(Slice{}) {
		if doc, ok := lowered(read(r.Data)); ok && !bytes.Contains(r.Data, []byte("Ä")) {
			columns = append(columns, []byte(serial{plain: true}.write(doc)))
		}
	}
	for _, tc := range []struct {
		c    *Comparer
		form Form
		rows [][]byte
	}{
		{p.Comparer(Options{Compare: scenario.CompareSubset}), AsSent, rows},
		{p.Comparer(Options{Compare: scenario.CompareJSON, Ignore: []scenario.Pattern{{Field: "ingested_at"}}}), AsSent, rows},
		{upper.Comparer(Options{}), Typed, columns},
		{upper.Comparer(Options{Ignore: []scenario.Pattern{{Field: "itemCount"}}}), Typed, columns},
	} {
		s := &Scratch{}
		pass := func() {
			for _, r := range tc.rows {
				if !tc.c.Identify(r, tc.form, s).Intact {
					t.Fatalf("%s is not intact", r)
				}
			}
		}
		pass()
		walk := testing.AllocsPerRun(3, func() {
			for _, r := range tc.rows {
				_ = template.Walk(r, func(template.Field) error { return nil })
			}
		})
		// Walk's come from a pool, which the race detector makes forget some by chance.
		if n := testing.AllocsPerRun(3, pass); n > walk+float64(len(tc.rows))/4 {
			t.Errorf("%s: %v allocations for %d rows, want none beside the %v of Walk", tc.c.mode, n, len(tc.rows), walk)
		}
	}
}

// FuzzAlike: whatever two texts are, they are alike exactly if no change is named.
func FuzzAlike(f *testing.F) {
	f.Add(`{"a":1.10,"b":"\u00e9"}`, `{"b":"é","a":11e-1}`)
	f.Add(`{"a":{"b":[1,null]},"ts":1541207073}`, `{"a":"{\"b\":[1.0,null]}","ts":"2018-11-03 01:04:33"}`)
	p := variedPlan(f)
	var rules []*Comparer
	for _, mode := range modes {
		rules = append(rules, p.Comparer(Options{Compare: mode}))
	}
	f.Fuzz(func(t *testing.T, want, got string) {
		for _, c := range rules {
			for _, form := range []Form{AsSent, Typed, Cells} {
				d := new(Scratch).differ(c, form, "play")
				if d.got.parse([]byte(got)) != json.Valid([]byte(got)) && strings.Count(got, "[")+strings.Count(got, "{") < maxDepth {
					t.Fatalf("%q: is it JSON?", got)
				}
				if !d.got.parse([]byte(got)) || !d.want.parse([]byte(want)) {
					continue
				}
				is := d.intact([]byte(want))
				if list := c.changes([]byte(want), []byte(got), form, "play", &Scratch{}); is != (len(list) == 0) {
					t.Fatalf("%s, form %d: %q and %q: alike %v, and %+v", c.mode, form, want, got, is, list)
				}
			}
		}
	})
}

// BenchmarkIdentifyTransformed compares rows whose keys were sorted and that have one field more.
func BenchmarkIdentifyTransformed(b *testing.B) {
	p := smoke(b, 200, Run{ID: "x"})
	rows, size := transformed(b, p)
	for name, o := range map[string]Options{
		"subset": {Compare: scenario.CompareSubset}, "json,ignore": {Compare: scenario.CompareJSON, Ignore: []scenario.Pattern{{Field: "ingested_at"}}},
		"json,mutated": {Compare: scenario.CompareJSON},
	} {
		b.Run(name, func(b *testing.B) {
			c, s := p.Comparer(o), &Scratch{}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				for _, r := range rows {
					if c.Identify(r, AsSent, s).Intact == (name == "json,mutated") {
						b.Fatalf("%s", r)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(rows)), "µs/row")
		})
	}
}

// By exact, what is not ignored stands in the order and notation that it was sent in.
func TestExactBesideIgnoredFields(t *testing.T) {
	p := variedPlan(t)
	c, s := p.Comparer(Options{Ignore: []scenario.Pattern{{Field: "play.b"}}}), &Scratch{}
	for got, want := range map[string]bool{
		`{"a":1,"b":2,"c":{"b":3}}`: true, `{"a":1,"c":{"b":5},"b":2}`: false, `{"a":1,"b":9,"c":{"b":3}}`: true, `{"b":9,"a":1,"c":{"b":3}}`: true,
		`{"a":1,"c":{"b":3}}`: true, `{"c":{"b":3},"a":1}`: false, `{"a":1.0,"b":2,"c":{"b":3}}`: false, `{"a":1,"b":2,"c":{"b":3},"d":0}`: false,
	} {
		d := s.differ(c, AsSent, "play")
		if !d.got.parse([]byte(got)) || d.intact([]byte(`{"a":1,"b":2,"c":{"b":3}}`)) != want {
			t.Errorf("%s: alike %v, want %v", got, !want, want)
		}
	}
	if d := s.differ(c, AsSent, "order"); !d.got.parse([]byte(`{"b":1}`)) || d.intact([]byte(`{"b":2}`)) {
		t.Error("a pattern of one log type left out a field of another")
	}
}

// Where fields may be added, records at two times may become alike.
func TestRecordsOfTwoTimesInOneClass(t *testing.T) {
	p := newPlan(t, Run{}, fstest.MapFS{
		"s/scenario.yaml": {Data: []byte("kreplay: 1\ntemplate: t\nrewrite: { user_id: user, \"{a,b}_at\": time }\n")},
		"s/t/x.ndjson":    {Data: []byte(`{"user_id":"7","a_at":1600000000000}` + "\n" + `{"user_id":"7","b_at":1600000005000}` + "\n")},
	}, "s")
	for mode, want := range map[scenario.Compare]uint32{scenario.CompareJSON: 1, scenario.CompareSubset: 0} {
		if got := p.Comparer(Options{Compare: mode}).Class(0, 1); got != want {
			t.Errorf("%s: class %d, want %d", mode, got, want)
		}
	}
}

func TestEqualNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1", "11", false}, {"1.1", "1.10", true}, {"11e-1", "1.1", true}, {"0", "-0.0e5", true}, {"100", "1E+2", true}, {"1", "-1", false}, {"0.001", "1e-3", true},
		{"12.5", "125e-1", true}, {"12.5", "1.25", false}, {"1e99999999999999999999", "1e99999999999999999999", true}, {"1e99999999999999999999", "2e99999999999999999999", false},
		{"0e99999999999999999999", "0", true}, {"9007199254740993", "9007199254740992", false},
	} {
		if got := equalNumbers([]byte(c.a), []byte(c.b)); got != c.want || equalNumbers([]byte(c.b), []byte(c.a)) != c.want {
			t.Errorf("%s and %s: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// An empty object that is still there says as much as a scalar: the row is of the
// record of whose fields one was changed, not of the one that differs in three.
func TestMostAlikeCountsEmptyObjects(t *testing.T) {
	p := newPlan(t, Run{ID: "r"}, fstest.MapFS{
		"e/scenario.yaml": {Data: []byte("kreplay: 1\nname: e\ntemplate: t\nrewrite: { user_id: user }\npopulation: { users: 3 }\n")},
		"e/t/play.ndjson": {Data: []byte(`{"user_id":15,"note":{},"x":"one","f":"same"}
{"user_id":15,"x":"two","note":"","f":"same"}
`)},
	}, "e")
	c := p.Comparer(Options{Compare: scenario.CompareJSON})
	row := bytes.Replace(p.Append(nil, 1, 1), []byte(`"two","note":"","f":"same"`), []byte(`"one","note":{},"f":"other"`), 1)
	if m := c.Identify(row, AsSent, new(Scratch)); m.Event != 0 || m.Intact {
		t.Errorf("%s is said to be of event %d, want 0", row, m.Event)
	}
}

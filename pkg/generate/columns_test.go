package generate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
)

// cased has records whose keys have case, at every depth, and some of which only
// that case tells apart.
var cased = fstest.MapFS{
	"cased/scenario.yaml": {Data: []byte(`
kreplay: 1
name: cased
template: t
rewrite: { userId: user, eventId: uuid, eventTime: time, rivalId: peer }
population: { users: 30 }
`)},
	"cased/t/Play.ndjson": {Data: []byte(`{"eventId":"04b48064-7ee4-4a23-a74e-6cf210177212","userId":15,"eventTime":"2018-11-03T01:04:33Z","itemCount":19.90,"Note":"a \" b","yesNo":true,"sessionInfo":{"deviceId":"x","list":[{"tagName":"p"},{"tagName":"q","Ä":1}]}}
{"userId":15,"eventTime":"2018-11-03T01:04:40Z","rivalId":16,"itemCount":1,"levelName":"one"}
{"userId":15,"eventTime":"2018-11-03T01:04:50Z","itemCount":1,"meta":{"itemCount":7}}
{"userId":15,"eventTime":"2018-11-03T01:04:50Z","itemcount":1,"meta":{"ItemCount":7}}
{"userId":15,"eventTime":"2018-11-03T01:04:50Z","ITEMCOUNT":1,"meta":{"ITEMCount":7.0}}
{"userId":15,"eventTime":"2018-11-03T01:04:52Z","one":{"aB":1},"two":{"cd":1}}
{"userId":15,"eventTime":"2018-11-03T01:04:52Z","one":{"ab":1},"two":{"cD":1}}
{"userId":15,"eventTime":"2018-11-03T01:04:55Z","ID":1,"id":2}
{"userId":15,"eventTime":"2018-11-03T01:04:56Z","ID":1,"id":null}
`)},
}

// lowered has the names of a document in lower case; false: two of them are one then.
func lowered(v any) (any, bool) {
	ok := true
	switch v := v.(type) {
	case *object:
		o, seen := &object{}, map[string]bool{}
		for _, p := range v.members {
			name := strings.ToLower(p.name)
			value, fine := lowered(p.value)
			ok, seen[name] = ok && fine && !seen[name], true
			o.members = append(o.members, property{name, value})
		}
		return o, ok
	case []any:
		list := []any{}
		for _, e := range v {
			value, fine := lowered(e)
			list, ok = append(list, value), ok && fine
		}
		return list, ok
	}
	return v, true
}

// nothingLeft takes members of null away, which columns do not keep.
func nothingLeft(v any) any {
	if o, ok := v.(*object); ok {
		for i := range o.members {
			o.members[i].value = nothingLeft(o.members[i].value)
		}
		o.members = slices.DeleteFunc(o.members, func(p property) bool { return p.value == nil })
	}
	return v
}

// A row of columns is the record of whose names it has lost the case, whatever else
// is written otherwise; JSON is not.
func TestColumnsLoseTheCaseOfNames(t *testing.T) {
	p := newPlan(t, Run{ID: "r"}, cased, "cased")
	rapid.Check(t, func(t *rapid.T) {
		user, event := drawRecord(t, p)
		doc, ok := lowered(nothingLeft(read(row(p, user, event))))
		if !ok {
			return // no table of such names holds it
		}
		for _, mode := range modes {
			c := p.Comparer(Options{Compare: mode})
			text := serial{t: t}.write(doc)
			made{user, event, text, Typed}.is(t, c, true)
			if m := c.Identify([]byte(text), AsSent, new(Scratch)); m.Intact {
				t.Fatalf("%s: JSON with other names is intact: %s", mode, text)
			}
			cells := doc.(*object)
			texts := &object{}
			for _, m := range cells.members {
				texts.members = append(texts.members, property{m.name, cellOf(t, m.value)})
			}
			made{user, event, serial{t: t}.write(texts), Cells}.is(t, p.Comparer(Options{Compare: mode, Cells: true}), true)
		}
	})
}

// What differs is named by the record's own key, and can be left out by it.
func TestChangedColumnsAreNamedByTheirKeys(t *testing.T) {
	p := newPlan(t, Run{ID: "r"}, cased, "cased")
	doc, _ := lowered(read(row(p, 3, 0)))
	plain := serial{plain: true}.write(doc)
	for _, tc := range []struct{ old, new, path, ignore string }{
		{"19.90", "20", "itemCount", "itemCount"},
		{"true", "false", "yesNo", "Play.yesNo"},
		{`"x"`, `"y"`, "sessionInfo.deviceId", "device*"},
		{`"q"`, `"r"`, "sessionInfo.list.1.tagName", "sessionInfo"},
		{`"ä":1`, `"ä":2`, "sessionInfo.list.1.Ä", "Ä"},
		{`"yesno":true,`, ``, "yesNo", "yesNo"},
		{`"yesno":true`, `"yesno":true,"loadedat":1`, "loadedat", "loadedAt"},
	} {
		text := []byte(strings.Replace(plain, tc.old, tc.new, 1))
		for _, mode := range modes {
			c := p.Comparer(Options{Compare: mode})
			list, s := c.Changes(3, 0, text, Typed, new(Scratch)), new(Scratch)
			if mode == scenario.CompareSubset && tc.path == "loadedat" {
				continue
			}
			if len(list) != 1 || list[0].Path != tc.path {
				t.Errorf("%s: %s for %s: %+v, want one change, of %s", mode, tc.new, tc.old, list, tc.path)
			}
			if m := c.Identify(text, Typed, s); m.Intact || m.Event != 0 || !strings.HasPrefix(m.Detail, tc.path+": ") {
				t.Errorf("%s: %s: %+v", mode, tc.path, m)
			}
			c = p.Comparer(Options{Compare: mode, Ignore: []scenario.Pattern{{Field: tc.ignore}}})
			if m := c.Identify(text, Typed, s); !m.Intact {
				t.Errorf("%s without %s: %+v", mode, tc.ignore, m)
			}
		}
	}
}

// A field is left out by its own name: another one of that name in lower case is not.
func TestIgnoredFieldsHaveCase(t *testing.T) {
	c := newPlan(t, Run{ID: "r"}, cased, "cased").Comparer(Options{Ignore: []scenario.Pattern{{Field: "ID"}}})
	for got, want := range map[string]bool{`{"id":2}`: true, `{"ID":7,"id":2}`: true, `{"id":3}`: false, `{"ID":1}`: false} {
		if list := c.changes([]byte(`{"ID":1,"id":2}`), []byte(got), Typed, "Play", new(Scratch)); (list == nil) != want {
			t.Errorf("%s: %+v", got, list)
		}
	}
}

// A column belongs to the key of its name before it belongs to one in lower case, and
// to one that says something before it belongs to one that does not.
func TestKeysThatAreOneInLowerCase(t *testing.T) {
	p := newPlan(t, Run{ID: "r"}, cased, "cased")
	for _, tc := range []struct {
		want, got string
		changes   []string
	}{
		{`{"ID":1,"id":2}`, `{"ID":1,"id":2}`, nil},
		{`{"ID":1,"id":2}`, `{"id":2,"ID":1}`, nil},
		{`{"ID":1,"id":2}`, `{"id":1,"ID":2}`, []string{"ID", "id"}},
		{`{"ID":1,"id":2}`, `{"id":2}`, []string{"ID"}},
		{`{"ID":1,"id":2}`, `{"id":1}`, []string{"ID", "id"}},
		{`{"ID":1,"id":null}`, `{"id":1}`, nil},
		{`{"ID":null,"id":1}`, `{"id":1}`, nil},
		{`{"Id":null,"iD":1}`, `{"id":1}`, nil},
		{`{"Id":2,"iD":null}`, `{"id":2}`, nil},
		{`{"Id":null,"iD":null}`, `{}`, nil},
		{`{"Id":null,"iD":null}`, `{"id":1}`, []string{"Id"}},
		{`{"ID":1}`, `{"Id":1}`, []string{"ID", "Id"}}, // another case, but not lower
		{`{"id":1}`, `{"ID":1}`, []string{"id", "ID"}},
		{`{"A":{"B":[{"C":1}]}}`, `{"a":{"b":[{"c":1}]}}`, nil},
		{`{"A":{"B":[{"C":1}]}}`, `{"a":{"B":[{"c":2}]}}`, []string{"A.B.0.C"}},
		{`{"ÄÖ":1}`, `{"äö":1}`, nil},
		{`{"AÖ":1}`, `{"aö":1}`, nil},
		{`{"a":[{"B":1},{"B":2},{"B":3}]}`, `{"a":[{"b":1},{"b":9}]}`, []string{"a.1.B", "a.2"}},
		{`{"AB":1}`, `{"a":1}`, []string{"AB", "a"}},
		{`{"A":1}`, `{"ab":1}`, []string{"A", "ab"}},
	} {
		c := p.Comparer(Options{Compare: scenario.CompareJSON})
		var names []string
		for _, change := range c.changes([]byte(tc.want), []byte(tc.got), Typed, "Play", new(Scratch)) {
			names = append(names, change.Path)
		}
		if !slices.Equal(names, tc.changes) {
			t.Errorf("%s as %s: changes of %q, want %q", tc.want, tc.got, names, tc.changes)
		}
		d := new(Scratch).differ(c, Typed, "Play")
		if !d.got.parse([]byte(tc.got)) {
			t.Fatal(tc.got)
		}
		before := slices.Clone(d.got.nodes)
		for range 2 { // asked again, the row is as it was
			if d.intact([]byte(tc.want)) != (tc.changes == nil) {
				t.Errorf("%s as %s: alike: %v", tc.want, tc.got, tc.changes != nil)
			}
		}
		if !slices.EqualFunc(before, d.got.nodes, func(a, b node) bool { return bytes.Equal(a.name, b.name) && b.column == nil }) {
			t.Errorf("%s as %s: the row keeps the record's names", tc.want, tc.got)
		}
	}
}

// Who is named in a column of another user's id is not the row's user; unless it is the
// column of a user's id, too.
func TestColumnsOfPeers(t *testing.T) {
	p := newPlan(t, Run{ID: "r"}, cased, "cased")
	var peer, ours string
	for _, m := range read(row(p, 3, 1)).(*object).members {
		switch m.name {
		case "rivalId":
			peer = fmt.Sprint(m.value)
		case "userId":
			ours = fmt.Sprint(m.value)
		}
	}
	for text, want := range map[string]Kind{`{"rivalid":%s}`: Foreign, `{"userid":%s}`: Stranger} {
		for _, id := range []string{peer, ours} {
			if m := p.Bytes().Identify(fmt.Appendf(nil, text, id), Typed, new(Scratch)); m.Kind != want {
				t.Errorf(text+" is %+v, want kind %d", id, m, want)
			}
		}
	}
	l := lookup{userKeys: map[string]bool{"userId": true}, peerKeys: map[string]bool{"UserID": true, "Rival": true}}.columns()
	if l.peerKeys["userid"] || !l.peerKeys["rival"] || !l.peerKeys["Rival"] || !l.userKeys["userid"] || !l.userKeys["userId"] {
		t.Errorf("%+v", l)
	}
}

func TestTwins(t *testing.T) {
	want := []string{"Play: ID and id"}
	if got := newPlan(t, Run{ID: "r"}, cased, "cased").Twins(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := variedPlan(t).Twins(); got != nil {
		t.Errorf("%q, want none", got)
	}
}

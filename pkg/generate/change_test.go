package generate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// plants are ways to change a value, by the cause that has to be named. Each
// draws a value as sent and the same as it may arrive.
var plants = map[Cause]func(t *rapid.T) (want, got string){
	CauseFloat: func(t *rapid.T) (string, string) {
		n := rapid.Uint64Range(1<<53+1, 1<<63).Filter(func(n uint64) bool {
			return strconv.FormatFloat(float64(n), 'f', -1, 64) != fmt.Sprint(n) // the shortest text may be the same though the number is not
		}).Draw(t, "id")
		return fmt.Sprint(n), strconv.FormatFloat(float64(n), rapid.SampledFrom([]byte("feg")).Draw(t, "form"), -1, 64)
	},
	CauseTruncate: func(t *rapid.T) (string, string) {
		s := rapid.StringMatching(`[a-z]{3}[a-zäöü日本 ]{2,40}`).Draw(t, "text")
		cut := rapid.IntRange(1, utf8.RuneCountInString(s)-1).Draw(t, "cut")
		return quote(s), quote(string([]rune(s)[:cut]) + rapid.SampledFrom([]string{"", "...", "…"}).Filter(func(e string) bool { return cut+len(e) < len([]rune(s)) }).Draw(t, "ellipsis"))
	},
	CauseZone: func(t *rapid.T) (string, string) {
		at := time.Unix(rapid.Int64Range(1_100_000_000, 4_000_000_000).Draw(t, "at"), 123_000_000).UTC()
		zone := time.FixedZone("", rapid.IntRange(-48, 56).Filter(func(n int) bool { return n != 0 }).Draw(t, "quarters")*900)
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0: // same instant
			return quote(at.Format(time.RFC3339Nano)), quote(at.In(zone).Format(time.RFC3339Nano))
		case 1: // the offset is lost
			return quote(at.In(zone).Format(time.RFC3339Nano)), quote(at.Format("2006-01-02 15:04:05.999999999"))
		case 2: // local time taken for UTC
			_, offset := at.In(zone).Zone()
			return fmt.Sprint(at.UnixMilli()), fmt.Sprint(at.UnixMilli() + int64(offset)*1000)
		default:
			return quote(at.Format("2006-01-02 15:04:05")), quote(at.In(zone).Format("2006-01-02 15:04:05"))
		}
	},
	CauseEncoding: func(t *rapid.T) (string, string) {
		s := rapid.StringMatching(`[a-z]{0,5}[äöüé]{1,3}[a-z &<"/]{1,8}`).Draw(t, "text")
		switch rapid.IntRange(0, 4).Draw(t, "how") {
		case 0:
			return quote(s), strconv.QuoteToASCII(s)
		case 1: // UTF-8 read as Latin-1
			var wide []rune
			for _, b := range []byte(s) {
				wide = append(wide, rune(b))
			}
			return quote(s), quote(string(wide))
		case 2:
			return quote(s), quote(strings.Map(func(r rune) rune {
				if r >= utf8.RuneSelf {
					return '?'
				}
				return r
			}, s))
		case 3:
			return quote(s + "&"), quote(html.EscapeString(s + "&"))
		default:
			n := rapid.IntRange(1, 1<<40).Draw(t, "number")
			return fmt.Sprint(n), fmt.Sprint(n) + rapid.SampledFrom([]string{".0", ".00", "e0"}).Draw(t, "form")
		}
	},
	CauseNull: func(t *rapid.T) (string, string) {
		v := rapid.SampledFrom([]string{`"a"`, `1`, `true`, `{"a":1}`, `[1]`}).Draw(t, "value")
		return v, "null"
	},
	CauseText: func(t *rapid.T) (string, string) {
		n := strconv.FormatFloat(rapid.Float64Range(1e-6, 1e6).Draw(t, "number"), 'f', -1, 64)
		if rapid.Bool().Draw(t, "back") {
			return quote(n), n
		}
		return n, quote(n)
	},
	CauseArray: func(t *rapid.T) (string, string) {
		list := rapid.SliceOfNDistinct(rapid.IntRange(0, 99), 2, 6, rapid.ID[int]).Draw(t, "list")
		other := rapid.Permutation(list).Filter(func(p []int) bool { return !slices.Equal(p, list) }).Draw(t, "order")
		return asJSON(list), asJSON(other)
	},
	CauseUnknown: func(t *rapid.T) (string, string) {
		return quote(rapid.StringMatching(`[a-m]{3,9}`).Draw(t, "want")), quote(rapid.StringMatching(`[n-z]{3,9}`).Draw(t, "got"))
	},
}

func quote(s string) string { return asJSON(s) }

func asJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// A planted change is found at its path, alone, under its cause, wherever in a
// row the value stands.
func TestPlantedCausesAreNamed(t *testing.T) {
	for cause, plant := range plants {
		t.Run(string(cause), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want, got := plant(t)
				frame := rapid.SampledFrom([]struct{ before, after, path string }{
					{`{"v":`, `}`, "v"},
					{`{"a":1,"b":{"c":[{"x":null},{"v":`, `,"w":"é"}]},"d":[]}`, "b.c.1.v"},
					{`{"v":[`, `]}`, "v.0"},
				}).Draw(t, "frame")
				list := Changes([]byte(frame.before+want+frame.after), []byte(frame.before+got+frame.after))
				if len(list) != 1 || list[0].Path != frame.path || list[0].Cause != cause || list[0].Want != want || list[0].Got != got {
					t.Fatalf("%s became %s at %s: want one change by %q, got %+v", want, got, frame.path, cause, list)
				}
			})
		})
	}
}

// Members in another order are one change; a member lost or added is one each.
func TestMembersAreToldApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 3, 8, rapid.ID[string]).Draw(t, "names")
		text := func(names []string) []byte {
			var parts []string
			for _, n := range names {
				parts = append(parts, quote(n)+":1")
			}
			return []byte("{" + strings.Join(parts, ",") + "}")
		}
		order := rapid.Permutation(names).Draw(t, "order")
		check := func(got []string, want ...Change) {
			list := Changes(text(names), text(got))
			if !slices.Equal(list, want) {
				t.Fatalf("%s became %s: want %+v, got %+v", text(names), text(got), want, list)
			}
		}
		if slices.Equal(order, names) {
			check(order)
		} else {
			check(order, Change{"", fmt.Sprintf("%q", names), fmt.Sprintf("%q", order), CauseKeys})
		}
		check(names[1:], Change{names[0], "1", "", CauseLost})
		check(append(slices.Clone(names), "added"), Change{"added", "", "1", CauseAdded})
	})
}

// What two texts say of each other is bounded, and never a panic, whatever they are.
func TestChangesOfAnything(t *testing.T) {
	for _, c := range []struct {
		want, got string
		list      []Change
	}{
		{`{"a":1}`, `{ "a" : 1 }`, nil},
		{`{"a":1}`, `{"a":1`, []Change{{Want: `"{\"a\":1}"`, Got: `"{\"a\":1"`, Cause: CauseUnknown}}},
		{`{"a":1,"a":2}`, `{"a":1,"a":3}`, []Change{{"a", "2", "3", CauseUnknown}}},
		{`{"a":"東京"}`, `{"a":"大阪"}`, []Change{{"a", `"東京"`, `"大阪"`, CauseUnknown}}},
		{`{"a":"né"}`, "{\"a\":\"n\xe9\"}", []Change{{"a", `"né"`, "\"n\xe9\"", CauseEncoding}}},
		{`{"a":"日本語"}`, "{\"a\":\"日\xe6\"}", []Change{{"a", `"日本語"`, "\"日\xe6\"", CauseTruncate}}},
		{`{"a":12.345}`, `{"a":12.34}`, []Change{{"a", "12.345", "12.34", CauseTruncate}}},
		{`{"a":12.345}`, `{"a":12.35}`, []Change{{"a", "12.345", "12.35", CauseUnknown}}},
		{`{"a":[1,2,3]}`, `{"a":[1,2]}`, []Change{{"a", "[1,2,3]", "[1,2]", CauseTruncate}}},
		{`{"a":1}`, `{"a":1e999999999}`, []Change{{"a", "1", "1e999999999", CauseUnknown}}},
		{`{"a":"w?t"}`, `{"a":"wt"}`, []Change{{"a", `"w?t"`, `"wt"`, CauseUnknown}}},
		{`{"a":"x"}`, `{"a":""}`, []Change{{"a", `"x"`, `""`, CauseNull}}},
		{`{"day":"2026-09-14"}`, `{"day":"2026-09-13"}`, []Change{{"day", `"2026-09-14"`, `"2026-09-13"`, CauseZone}}},
	} {
		if list := Changes([]byte(c.want), []byte(c.got)); !slices.Equal(list, c.list) {
			t.Errorf("%s became %s: want %+v, got %+v", c.want, c.got, c.list, list)
		}
	}
	nested := func(n int, s string) []byte { return []byte(strings.Repeat("[", n) + s + strings.Repeat("]", n)) }
	for depth, want := range map[int]string{maxDepth - 1: "2", maxDepth: window(nested(maxDepth, "[2]"), nested(maxDepth, "[1]"))} {
		list := Changes(nested(depth, "[1]"), nested(depth, "[2]"))
		if len(list) != 1 || list[0].Got != want {
			t.Errorf("%d deep: want one change to %s, got %+v", depth, want, list)
		}
	}
	rows := strings.Repeat(`1,`, 500) + "1"
	if list := Changes([]byte("["+rows+"]"), []byte("["+strings.ReplaceAll(rows, "1", "2")+"]")); len(list) != maxChanges {
		t.Errorf("500 changes: want %d listed, got %d", maxChanges, len(list))
	}
}

func FuzzChanges(f *testing.F) {
	f.Add(`{"a":[1,"x",null]}`, `{"a":[2,"y",true]}`)
	f.Add(`{"a":"2026-01-02T03:04:05Z"}`, `{"a":"2026-01-02T12:04:05+09:00"}`)
	f.Fuzz(func(t *testing.T, want, got string) {
		list := Changes([]byte(want), []byte(got))
		if len(list) > maxChanges {
			t.Fatalf("%d changes", len(list))
		}
		if want == got && list != nil {
			t.Fatalf("%q differs from itself: %+v", want, list)
		}
		if len(list) > 0 || !json.Valid([]byte(want)) || !json.Valid([]byte(got)) {
			return
		}
		if a, b := decoded(t, want), decoded(t, got); !reflect.DeepEqual(a, b) {
			t.Fatalf("%s and %s are not alike, and no change is named", want, got)
		}
	})
}

// Numbers are the same exactly when their decimals are, however long.
func TestSameNumberIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringMatching(`-?[1-9][0-9]{0,20}(\.[0-9]{1,20})?(e-?[0-9]{1,2})?`).Draw(t, "a")
		b := rapid.StringMatching(`-?[1-9][0-9]{0,20}(\.[0-9]{1,20})?(e-?[0-9]{1,2})?`).Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got := sameNumber(a, b); got != (x.Cmp(y) == 0) {
			t.Fatalf("sameNumber(%s, %s) = %v", a, b, got)
		}
		if !sameNumber(a, a) {
			t.Fatalf("%s is not itself", a)
		}
	})
}

func decoded(t *testing.T, text string) (v any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// What pipelines are known to do to values, and what it is called.
func TestCausesAsTheyHappen(t *testing.T) {
	for _, c := range []struct {
		what, want, got string
		cause           Cause
	}{
		{"an id through JavaScript or a DOUBLE column", `12345678901234567`, `12345678901234568`, CauseFloat},
		{"the same, as Jackson writes doubles", `12345678901234567`, `1.2345678901234568E16`, CauseFloat},
		{"a price through a DOUBLE column", `0.1234567890123456789`, `0.12345678901234568`, CauseFloat},
		{"a text of a number through a double", `"12345678901234567"`, `"12345678901234568"`, CauseFloat},
		{"beyond a double", `1e400`, `"Infinity"`, CauseFloat},
		{"beyond a double, in Python", `-1e400`, `"-inf"`, CauseFloat},
		{"beyond a double, null in its place", `1e400`, `null`, CauseNull},
		{"DECIMAL(10,2)", `19.999`, `19.99`, CauseTruncate},
		{"to a whole number", `19.75`, `19`, CauseTruncate},
		{"varchar(5)", `"Alexander"`, `"Alexa"`, CauseTruncate},
		{"a limit in bytes within a character", `"naïve"`, `"na` + "\xc3" + `"`, CauseTruncate},
		{"Athena's timestamp", `"2026-09-14T09:00:00Z"`, `"2026-09-14 09:00:00.000"`, CauseZone},
		{"Z as an offset", `"2026-09-14T09:00:00Z"`, `"2026-09-14T09:00:00+00:00"`, CauseZone},
		{"no T", `"2026-09-14T09:00:00Z"`, `"2026-09-14 09:00:00Z"`, CauseEncoding},
		{"a fraction of nothing", `"2026-09-14T09:00:00+09:00"`, `"2026-09-14T09:00:00.000+09:00"`, CauseEncoding},
		{"local time as UTC", `"2026-09-14T09:00:00+09:00"`, `"2026-09-14T09:00:00Z"`, CauseZone},
		{"to UTC", `"2026-09-14T09:00:00+09:00"`, `"2026-09-14T00:00:00Z"`, CauseZone},
		{"epoch ms in local time", `1789344000000`, `1789376400000`, CauseZone},
		{"UTF-8 as Latin-1", `"café"`, `"cafÃ©"`, CauseEncoding},
		{"UTF-8 as Windows-1252", `"日本"`, `"æ—¥æœ¬"`, CauseEncoding},
		{"to ASCII", `"café"`, `"caf?"`, CauseEncoding},
		{"Latin-1 as UTF-8", `"café"`, `"caf` + "\ufffd" + `"`, CauseEncoding},
		{"Go's encoding/json", `"<a & b>"`, `"\u003ca \u0026 b\u003e"`, CauseEncoding},
		{"HTML", `"<a & b>"`, `"&lt;a &amp; b&gt;"`, CauseEncoding},
		{"Python's json.dumps", `"café"`, `"caf\u00e9"`, CauseEncoding},
		{"escaped twice", `"say \"hi\""`, `"say \\\"hi\\\""`, CauseEncoding},
		{"a URL", `"a b&c"`, `"a+b%26c"`, CauseEncoding},
		{"a whole double", `7`, `7.0`, CauseEncoding},
		{"a decimal's zeros", `19.90`, `19.9`, CauseEncoding},
		{"null", `"x"`, `null`, CauseNull},
		{"an empty text", `"x"`, `""`, CauseNull},
		{"an empty text for a number", `7`, `""`, CauseNull},
		{"null as an empty text", `null`, `""`, CauseNull},
		{"a quoted number", `7.50`, `"7.50"`, CauseText},
		{"a quoted number, shorter", `7.50`, `"7.5"`, CauseText},
		{"a text of digits as a number", `"0.5"`, `0.5`, CauseText},
		{"a quoted number through a double", `12345678901234567`, `"12345678901234568"`, CauseFloat},
		{"a set", `["a","b","c"]`, `["c","a","b"]`, CauseArray},
		{"the first of a list", `[1,2,3]`, `[1]`, CauseTruncate},
		{"another value", `"gold"`, `"silver"`, CauseUnknown},
		{"another number", `7`, `8`, CauseUnknown},
		{"another type", `true`, `1`, CauseUnknown},
		{"an object as text", `{"a":1}`, `"{\"a\":1}"`, CauseUnknown},
	} {
		list := Changes([]byte(`{"a":{"v":`+c.want+`}}`), []byte(`{"a":{"v":`+c.got+`}}`))
		if want := (Change{"a.v", c.want, c.got, c.cause}); len(list) != 1 || list[0] != want {
			t.Errorf("%s: got %+v, want %+v", c.what, list, want)
		}
	}
}

// A cell of CSV has no type, so that its text is read as what was sent.
func TestCausesInCells(t *testing.T) {
	c := newPlan(t, Run{}, mixed, "mixed").Comparer(Options{Compare: 1})
	for _, x := range []struct {
		want, got string
		cause     Cause // empty: alike
	}{
		{`19.90`, `"19.9"`, ""},
		{`12345678901234567`, `"12345678901234568"`, CauseFloat},
		{`19.99`, `"19"`, CauseTruncate},
		{`7`, `""`, CauseNull},
		{`{"b":[1.0,"x"]}`, `"{\"b\": [1, \"x\"]}"`, ""},
		{`true`, `"true"`, ""},
		{`"2026-09-14T09:00:00Z"`, `"2026-09-14 09:00:00"`, CauseZone}, // no rule makes it a time
	} {
		list := plainly(c.changes([]byte(`{"v":`+x.want+`}`), []byte(`{"v":`+x.got+`}`), Cells, "", &Scratch{}))
		switch {
		case x.cause == "" && len(list) == 0:
		case len(list) != 1 || list[0] != Change{"v", x.want, x.got, x.cause}:
			t.Errorf("%s in a cell as %s: got %+v, want %q", x.want, x.got, list, x.cause)
		}
	}
	list := plainly(c.changes([]byte(`{"v":{"b":[1,{"c":2}]}}`), []byte(`{"v":"{\"b\":[1,{\"c\":3}]}"}`), Cells, "", &Scratch{}))
	if want := (Change{"v.b.1.c", "2", "3", CauseUnknown}); len(list) != 1 || list[0] != want {
		t.Errorf("got %+v, want %+v", list, want)
	}
}

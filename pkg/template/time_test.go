package template

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
)

// moved compiles a template whose one field is a time and renders it.
func moved(t fataler, captured string, shift int64) (p *Program, value string) {
	t.Helper()
	p = compile(t, []scenario.Rule{rule("ts", scenario.Time)}, `{"ts":`+captured+`}`)
	line := string(p.Append(nil, 0, &Values{Shift: shift}))
	return p, strings.TrimSuffix(strings.TrimPrefix(line, `{"ts":`), "}")
}

// Every form is read as the instant it names.
func TestFormsNameTheSameInstant(t *testing.T) {
	const s = 1541207073
	for text, want := range map[string]int64{
		`1541207073`:                         s * 1e9,
		`1541207073.25`:                      s*1e9 + 25e7,
		`"1541207073"`:                       s * 1e9,
		`"1541207073.000000001"`:             s*1e9 + 1,
		`1541207073796`:                      s*1e9 + 796e6,
		`1541207073796.5`:                    s*1e9 + 796.5e6,
		`"1541207073796"`:                    s*1e9 + 796e6,
		`1541207073796123`:                   s*1e9 + 796123e3,
		`"1541207073796123"`:                 s*1e9 + 796123e3,
		`1541207073796123456`:                s*1e9 + 796123456,
		`"1541207073796123456"`:              s*1e9 + 796123456,
		`"2018-11-03T01:04:33Z"`:             s * 1e9,
		`"2018-11-03T01:04:33.7Z"`:           s*1e9 + 7e8,
		`"2018-11-03T10:04:33.796123+09:00"`: s*1e9 + 796123e3,
		`"2018-11-02T21:34:33-03:30"`:        s * 1e9,
		`"2018-11-03T01:04:33+00:00"`:        s * 1e9,
		`"2018-11-03T10:04:33+0900"`:         s * 1e9,
		`"2018-11-03T01:04:33"`:              s * 1e9,
		`"2018-11-03T01:04:33.123456789"`:    s*1e9 + 123456789,
		`"2018-11-03 01:04:33Z"`:             s * 1e9,
		`"2018-11-03 10:04:33+09:00"`:        s * 1e9,
		`"2018-11-03 10:04:33 +0900"`:        s * 1e9,
		`"2018-11-03 01:04:33 UTC"`:          s * 1e9,
		`"2018-11-03 01:04:33.796 UTC"`:      s*1e9 + 796e6,
		`"2018-11-03 01:04:33"`:              s * 1e9,
		`"2018/11/03 01:04:33"`:              s * 1e9,
		`"2018\/11\/03 01:04:33.796"`:        s*1e9 + 796e6,
		`"Sat Nov  3 01:04:33 2018"`:         s * 1e9,
		`"20181103T010433Z"`:                 s * 1e9,
		`"20181103T100433+09:00"`:            s * 1e9,
		`"20181103010433"`:                   s * 1e9,
		`20181103010433`:                     s * 1e9,
		`"1541207073123"`:                    s*1e9 + 123e6,
		`"Sat, 03 Nov 2018 01:04:33 GMT"`:    s * 1e9,
		`"Sat, 03 Nov 2018 10:04:33 +0900"`:  s * 1e9,
		`"03/Nov/2018:10:04:33 +0900"`:       s * 1e9,
	} {
		f, ns, ok := FormOf([]byte(text))
		if !ok || ns != want {
			t.Errorf("FormOf(%s) = %d, %v; want %d", text, ns, ok, want)
			continue
		}
		if ns, ok := f.Parse([]byte(text)); !ok || ns != want {
			t.Errorf("the form of %s reads it as %d, %v; want %d", text, ns, ok, want)
		}
		if _, same := moved(t, text, 0); same != text {
			t.Errorf("%s moved by nothing is %s", text, same)
		}
	}
}

// The unit goes by magnitude, as far as its last count.
func TestUnits(t *testing.T) {
	for n, want := range map[int64]int64{
		0: 1e9, 1e11 - 1: 1e9, -1e11 + 1: 1e9, 1e11: 1e6, -1e11: 1e6, 1e14 - 1: 1e6, 1e14: 1e3, 1e17 - 1: 1e3, 1e17: 1, 1<<63 - 1: 1,
	} {
		if got := unitOf(n); got != want {
			t.Errorf("unitOf(%d) = %d ns, want %d", n, got, want)
		}
	}
}

// A time of 0 says never: it stays, says nothing of when its event was, and does
// not make other small numbers times near the capture's.
func TestNeverStays(t *testing.T) {
	for _, never := range []string{`0`, `"0"`, `0.0`, `"0.000"`, `null`, `""`} {
		line := `{"last":{"ts":` + never + `},"ts":1793577600,"score":1500}`
		p := compile(t, []scenario.Rule{rule("ts", scenario.Time)}, line)
		want := strings.Replace(line, "1793577600", "1793577607", 1)
		if got := string(p.Append(nil, 0, &Values{Shift: 7})); got != want || p.Events[0].Time != 1793577600e9 {
			t.Errorf("%s at %d became %s", line, p.Events[0].Time, got)
		}
		if list := suspects([]string{line}); list != nil {
			t.Errorf("%s: suspects %v, want none", line, list)
		}
	}
	for _, time := range []string{`1`, `-1`, `0.5`, `10`} {
		if _, got := moved(t, time, 7); got == time {
			t.Errorf("%s stays", time)
		}
	}
}

// What is no time, or could not be written again as it was, is refused.
func TestNoTime(t *testing.T) {
	for _, text := range []string{
		`20261101`, `202611011230`, `"202611011230"`, `20261101123045123`, `"20261101123045123"`, // no counts, but calendar times
		`20261301123045`, `"19691231235959123"`, `20261101123045.5`,
		`92233720370`, `99999999999`, `9223372036855`, `9223372036854776`, `9223372036854775807`, `-9223372036854775808`, // beyond int64 ns
		`true`, `"soon"`, `""`, `"20181103"`, `"2018-11-03"`, `1e9`, `1541207073.5e3`, `"1541207073.x"`,
		`-92233720369`, `"9223372036854.775808"`,
		`"+1541207073"`, `"0001541207073"`, `-0.5`, `-5.25`, `99999999999999999999`,
		`"2018-11-03T01:04:33,796Z"`,                       // a comma would come back as a dot, or not at all
		`"2018-02-30T01:04:33Z"`,                           // no such day
		`"Mon, 03 Nov 2018 01:04:33 GMT"`,                  // a Saturday
		`"9999-12-31T23:59:59Z"`, `"0001-01-01T00:00:00Z"`, // never, and unset: they do not fit ns
	} {
		if _, ns, ok := FormOf([]byte(text)); ok {
			t.Errorf("FormOf(%s) = %d, want a refusal", text, ns)
		}
	}
}

// What reads as a calendar time and not as a count names the roles that fit it.
func TestCalendarDigits(t *testing.T) {
	for text, refused := range map[string]bool{
		`20261101`: true, `202611011230`: true, `"202611011230"`: true, `20261101123045123`: true, `"20261101123045123"`: true,
		`20261301`: false, `202611011260`: false, `1793577600`: false, `2026110112`: false, `20261101123045`: false, `197001010000`: true,
		`196912312359`: false, `"202611011230.5"`: false, `202611011230.5`: false, `21010101`: false, `-1793577600123`: false,
	} {
		faults := faultsOf(t, []scenario.Rule{rule("ts", scenario.Time)}, `{"ts":`+text+`}`)
		want := []string{"t/login.ndjson:1:7: ts: role time does not fit: " + text + " reads as a calendar time, and not as a count since 1970: give it the role `date of` a time, or keep"}
		if !refused {
			want = nil
		}
		if diff := cmp.Diff(want, faults); diff != "" {
			t.Errorf("%s: want (-), got (+)\n%s", text, diff)
		}
	}
}

// A form reads only what is written in it.
func TestFormRefusesOtherForms(t *testing.T) {
	for _, c := range []struct{ form, value string }{
		{`1541207073`, `1541207073796`}, // other unit: same name, another log type
		{`1541207073796`, `1541207073`},
		{`1541207073`, `"soon"`},
		{`1541207073`, `1541207073.x`},
		{`"1541207073"`, `1541207073`},
		{`"1541207073"`, `"`},
		{`"2018-11-03T01:04:33Z"`, `"2018-11-03 01:04:33"`},
		{`"2018-11-03T01:04:33Z"`, `5`},
	} {
		f, _, ok := FormOf([]byte(c.form))
		if !ok {
			t.Fatalf("FormOf(%s) failed", c.form)
		}
		if ns, ok := f.Parse([]byte(c.value)); ok {
			t.Errorf("the form of %s reads %s as %d, want a refusal", c.form, c.value, ns)
		}
	}
}

// Two units under one name, in two log types: each value is read in its own.
func TestUnitsUnderOneName(t *testing.T) {
	p := compile(t, []scenario.Rule{rule("ts", scenario.Time)}, `{"ts":1541207073}`, `{"ts":1541207074796}`)
	for text, want := range map[string]int64{`1541207073`: 1541207073e9, `1541207074796`: 1541207074796e6} {
		if ns, ok := p.ParseTime([]byte("ts"), []byte(text)); !ok || ns != want {
			t.Errorf("ParseTime(%s) = %d, %v; want %d", text, ns, ok, want)
		}
	}
	if ns, ok := p.ParseTime([]byte("at"), []byte(`1541207073`)); ok {
		t.Errorf("ParseTime of a field that no rule names = %d, want a refusal", ns)
	}
}

// The zone of the machine decides nothing (law 1): not what is read, not what is written.
func TestZoneOfTheMachine(t *testing.T) {
	old := time.Local
	t.Cleanup(func() { time.Local = old })
	london := time.FixedZone("GMT", 0) // as Europe/London in winter: its zero offset is not UTC's
	for _, text := range []string{
		`"2018-11-03T01:04:33+00:00"`, `"2018-11-03T10:04:33+09:00"`, `"2018-11-03 10:04:33 JST"`,
		`"Sat, 03 Nov 2018 01:04:33 GMT"`, `"2018-11-03 01:04:33"`,
	} {
		time.Local = time.UTC
		_, wantNS, ok := FormOf([]byte(text))
		_, want := moved(t, text, 1)
		if !ok {
			t.Fatalf("FormOf(%s) failed", text)
		}
		for _, zone := range []*time.Location{london, time.FixedZone("JST", 9*3600), time.FixedZone("NYC", -5*3600)} {
			time.Local = zone
			f, ns, ok := FormOf([]byte(text))
			if !ok || ns != wantNS || f.zone == zone {
				t.Errorf("on a machine in %v, FormOf(%s) = %d, %v in the machine's zone: %v; want %d", zone, text, ns, ok, f.zone == zone, wantNS)
				continue
			}
			if _, got := moved(t, text, 1); got != want {
				t.Errorf("on a machine in %v, %s becomes %s, want %s", zone, text, got, want)
			}
		}
	}
}

var fraction = regexp.MustCompile(`\.\d+`)

// Parse(render(shift)) = captured + shift; width, fraction, offset and quotes stay.
func TestTimeMovesExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		captured, shift := drawTime(t), rapid.Int64Range(-9e7, 9e7).Draw(t, "shift")
		_, before, ok := FormOf([]byte(captured))
		if !ok {
			t.Fatalf("FormOf(%s) failed", captured)
		}
		p, after := moved(t, captured, shift)
		ns, ok := p.ParseTime([]byte("ts"), []byte(after))
		if !ok || ns != before+shift*1e9 {
			t.Errorf("%s moved by %d s is %s: %d ns (%v), want %d", captured, shift, after, ns, ok, before+shift*1e9)
		}
		if len(after) != len(captured) || fraction.FindString(after) != fraction.FindString(captured) {
			t.Errorf("%s became %s: want the same width and fraction", captured, after)
		}
		if i := strings.LastIndexAny(captured, "+Z"); i > 0 && after[i:] != captured[i:] {
			t.Errorf("%s became %s: want the same offset", captured, after)
		}
		if _, back := moved(t, after, -shift); back != captured {
			t.Errorf("%s moved by %d s and back is %s", captured, shift, back)
		}
	})
}

// drawTime draws a time in any form, between 2004 and 2064.
func drawTime(t *rapid.T) string {
	s := rapid.Int64Range(11e8, 29e8).Draw(t, "s")
	ns := rapid.Int64Range(0, 1e9-1).Draw(t, "ns")
	digits := rapid.IntRange(0, 9).Draw(t, "digits")
	form := rapid.IntRange(0, len(layouts)).Draw(t, "form")
	decimals := ""
	if digits > 0 {
		decimals = "." + fmt.Sprintf("%09d", ns)[:digits]
	}
	if form == len(layouts) {
		count := []string{fmt.Sprint(s), fmt.Sprintf("%d%03d", s, ns/1e6), fmt.Sprintf("%d%06d", s, ns/1e3), fmt.Sprintf("%d%09d", s, ns)}
		text := rapid.SampledFrom(count).Draw(t, "count") + decimals
		if rapid.Bool().Draw(t, "quoted") {
			return `"` + text + `"`
		}
		return text
	}
	layout := layouts[form]
	if strings.HasPrefix(layout, "20060102") {
		decimals = ""
	}
	zone := time.UTC
	if strings.Contains(layout, "07") {
		zone = time.FixedZone("", rapid.IntRange(-14*4, 14*4).Draw(t, "quarters")*900)
	}
	text := time.Unix(s, 0).In(zone).Format(layout)
	if i := strings.Index(layout, "05"); decimals != "" {
		text = text[:i+2] + decimals + text[i+2:]
	}
	if layout == "20060102150405" && rapid.Bool().Draw(t, "bare") {
		return text
	}
	return `"` + text + `"`
}

// Whatever the bytes, FormOf ends. What it accepts it reads as its own form does
// and writes back byte for byte; moved to another time since 1970 that the form
// still reads, it is exactly that much later.
func FuzzFormOf(f *testing.F) {
	for _, s := range []string{
		`1541207073`, `"1541207073796.5"`, `"2018-11-03T10:04:33.796123+09:00"`, `"Sat, 03 Nov 2018 10:04:33 +0900"`,
		`"20181103010433"`, `"02/Jan/2006:15:04:05 -0700"`, `"`, `-1`, `9223372036854775807`,
	} {
		f.Add([]byte(s), int32(86400))
	}
	f.Fuzz(func(t *testing.T, value []byte, shift int32) {
		form, ns, ok := FormOf(value)
		if !ok {
			return
		}
		if got, ok := form.Parse(value); !ok || got != ns {
			t.Fatalf("FormOf(%q) = %d, its form reads %d, %v", value, ns, got, ok)
		}
		text := value
		if form.quoted {
			text = value[1 : len(value)-1]
		}
		slot := part{kind: slotTime, form: form, ns: ns}
		slot.take(text)
		if got := slot.appendTime(nil, 0); string(got) != string(text) {
			t.Errorf("%q moved by nothing is %q", text, got)
		}
		want := ns/1e9 + int64(shift) // whole seconds: no overflow
		if ns < 0 || want < 0 || want > 9e9 {
			return
		}
		moved := slot.appendTime(nil, int64(shift))
		if form.quoted {
			moved = fmt.Appendf(nil, `"%s"`, moved)
		}
		if got, ok := form.Parse(moved); ok && got != ns+int64(shift)*1e9 {
			t.Errorf("%q moved by %d s is %q: %d ns, want %d", value, shift, moved, got, ns+int64(shift)*1e9)
		}
	})
}

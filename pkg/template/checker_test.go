package template

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
)

// zones are whose offset is always the same, and whose is not.
var zones = []string{"UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"}

// drawStamped draws a slot that is a time or a date in a layout.
func drawStamped(t *rapid.T) part {
	if captured := drawTime(t); rapid.Bool().Draw(t, "time") {
		if form, ns, ok := FormOf([]byte(captured)); ok && form.unit == 0 {
			return part{kind: slotTime, form: form, ns: ns}
		}
	}
	zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	eachDateLayout(func(layout string) bool { all = append(all, layout); return false })
	return part{
		kind: slotDate, ns: rapid.Int64Range(11e17, 29e17).Draw(t, "ns"),
		form: Form{quoted: true, layout: rapid.SampledFrom(all).Draw(t, "layout"), zone: zone},
	}
}

// A stamp is found where package time writes it and nowhere else, in any year, whatever day it was asked for
// before; and all forms but one are stamps.
func TestStampSaysWhatTimeDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStamped(t)
		x, memo := stampOf(&s), new(calendar)
		if x == nil {
			if !strings.Contains(s.form.layout, "Jan 2,") {
				t.Fatalf("%s is no stamp", s.form.layout)
			}
			return
		}
		shifts := rapid.OneOf(rapid.Int64Range(-9e4, 9e4), rapid.Int64Range(-9e7, 9e7), rapid.Int64Range(-3e10, 0), rapid.Int64Range(-5e11, 5e11))
		for _, shift := range rapid.SliceOfN(shifts, 1, 5).Draw(t, "shifts") {
			at := unixNano(s.ns, shift).In(s.form.zone)
			want := at.AppendFormat(nil, s.form.layout)
			b := append(bytes.Clone(want), `"},{"a"`...)
			if ok, year := x.begins(b, memo, shift), at.Year(); ok && len(want) != len(x.captured) || !ok && year >= 1000 && year <= 9999 {
				t.Fatalf("%s: %q is found: %v", s.form.layout, want, ok)
			}
			for i := range want {
				was := b[i]
				b[i] = rapid.SampledFrom([]byte("0123456789 TZ-J")).Draw(t, "byte")
				if b[i] != was && x.begins(b, memo, shift) {
					t.Fatalf("%s: %q is found, and is %q", s.form.layout, b, want)
				}
				b[i] = was
			}
		}
	})
}

// Of each layout there are times that are stamps: else they would all cost what
// package time does.
func TestLayoutsAreStamps(t *testing.T) {
	at := time.Date(2026, 11, 8, 9, 5, 7, 123_456_789, time.UTC)
	for _, layout := range slices.Concat(layouts, []string{"2006-01-02T15:04:05.000000Z07:00", `02\/Jan\/2006:15:04:05 -0700`}) {
		form, ns, ok := FormOf([]byte(`"` + at.Format(layout) + `"`))
		if s := (part{kind: slotTime, form: form, ns: ns}); !ok || form.unit == 0 && stampOf(&s) == nil {
			t.Errorf("%s (%v) is no stamp", layout, ok)
		}
	}
}

// A Checker finds what Append renders, whatever follows, and nothing that differs in
// a byte or is cut short, also when it knows texts of the user already, or of another.
func TestCheckerFindsWhatIsRendered(t *testing.T) {
	rules := []scenario.Rule{
		rule("id", scenario.UUID), rule("session", scenario.UUID), rule("u", scenario.User), rule("{ts,at,day_at}", scenario.Time), rule("n", scenario.Counter),
		of("d", scenario.Date, "ts"), rule("p", scenario.Peer), of("s", scenario.Scale, "x"), rule("h", scenario.Hash), rule("f*", scenario.Fake),
	}
	p := compile(t, rules,
		`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","u":"15","ts":1541207073796,"n":"0001","d":"2018-11-03","p":"16","s":"4.99","h":"deadbeef01deadbeef01","f1":"a@b.cc","f2":"Lily","f3":"10.0.0.1"}`,
		`{"session":"6da6afe8-83ef-49d5-916b-259e211a4073","u":"15","at":"2018-11-03T01:04:33.796Z","ts":1541207073.5,"h":"deadbeef01deadbeef01","f2":"Lily","p":"16"}`,
		`{"session":"6da6afe8-83ef-49d5-916b-259e211a4073","u":"15","day_at":"03/Nov/2018:01:04:33 +0000","ts":1541207074000,"f1":"a@b.cc"}`)
	c := NewChecker(p)
	rapid.Check(t, func(t *rapid.T) {
		var texts Texts
		for range 2 { // users, one after another
			user := rapid.Uint32Range(0, 1e6-1).Draw(t, "user")
			v := &Values{
				Tag: 1, User: user, UserID: 1e15 + uint64(user), Shift: rapid.Int64Range(-1e9, 1e9).Draw(t, "shift"), Users: 1e6, Seed: 3, Fakes: p.Fakes,
				Numbers: []scenario.Decimal{{Digits: 25, Scale: 1}},
			}
			texts.Reset()
			for _, event := range rapid.Permutation([]int{0, 1, 2}).Draw(t, "events") {
				text := p.Append(nil, event, v)
				if n := c.Begins(append(text, rapid.SampledFrom([]string{"", "\n", "{}", "1"}).Draw(t, "behind")...), event, v, Untold, &texts); n != len(text) {
					t.Fatalf("%d bytes of %s, want %d", n, text, len(text))
				}
				at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
				if n := c.Begins(text[:at], event, v, Untold, &texts); n != 0 {
					t.Fatalf("%d bytes of %s, cut at %d", n, text, at)
				}
				text[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				if n := c.Begins(text, event, v, Untold, &texts); n != 0 {
					t.Fatalf("%d bytes of %s, spoiled at %d", n, text, at)
				}
			}
		}
	})
}

// A Lead leads to the uuid that names the event, else to the user's id.
func TestLeadLeadsToIdentity(t *testing.T) {
	p := compile(t, []scenario.Rule{rule("id", scenario.UUID), rule("u", scenario.User), rule("ts", scenario.Time)},
		`{"ts":1541207073796,"id":"6da6afe8-83ef-49d5-916b-259e211a4073","u":"15"}`, `{"ts":1541207073797,"u":"15"}`, `{"ts":1541207073798}`)
	v := &Values{Tag: 1, User: 2, UserID: 1e15 + 2, Users: 1e6}
	for event := range p.Events {
		lead, ok := p.Lead(event)
		if want := event < 2; ok != want {
			t.Fatalf("event %d: %v", event, ok)
		}
		if !ok {
			continue
		}
		text := p.Append(nil, event, v)
		got, ok := lead.Text(text)
		if name := map[int]string{0: "id", 1: "u"}[event]; !ok || !bytes.Contains(text, []byte(`"`+name+`":"`+string(got)+`"`)) {
			t.Errorf("%q of %s, want %s", got, text, name)
		}
		if _, ok := lead.Text(text[:bytes.Index(text, got)]); ok {
			t.Errorf("an id in the first bytes of %s", text)
		}
	}
}

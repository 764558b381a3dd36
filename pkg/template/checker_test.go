package template

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
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

// A stamp says what package time does, in any year, whatever day it was asked for
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
		shifts := rapid.OneOf(rapid.Int64Range(-9e4, 9e4), rapid.Int64Range(-9e7, 9e7), rapid.Int64Range(-5e11, 5e11))
		for _, shift := range rapid.SliceOfN(shifts, 1, 5).Draw(t, "shifts") {
			want := unixNano(s.ns, shift).In(s.form.zone).Format(s.form.layout)
			if text, ok := x.text(memo, shift); ok && string(text[:len(x.captured)]) != want {
				t.Fatalf("%s: %q, want %q", s.form.layout, text[:len(x.captured)], want)
			} else if year := unixNano(s.ns, shift).In(s.form.zone).Year(); !ok && year >= 1000 && year <= 9999 {
				t.Fatalf("%s of the year %d is not written", s.form.layout, year)
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

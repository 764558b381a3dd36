package template

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A number is at the beginning of a text if and only if it is what would be written.
func TestDigitsAreWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 1<<20), rapid.Map(rapid.IntRange(0, 19), powerOfTen),
			rapid.Map(rapid.IntRange(0, 19), func(i int) uint64 { return powerOfTen(i) - 1 })).Draw(t, "n")
		width := rapid.IntRange(0, 24).Draw(t, "width")
		want := fmt.Sprintf("%0*d", width, n)
		b := []byte(want + rapid.SampledFrom([]string{"", "0", ",", "x9"}).Draw(t, "tail"))
		if rapid.Bool().Draw(t, "spoiled") {
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			b[at] = rapid.SampledFrom([]byte("0123456789/:.-aA\x00\xff \x10p")).Draw(t, "byte")
		}
		b = b[:rapid.IntRange(max(len(b)-2, 0), len(b)).Draw(t, "cut")]
		if got := appendDigits([]byte("x"), n, width); string(got) != "x"+want {
			t.Fatalf("%d in %d digits: %s", n, width, got)
		}
		length, ok := digits(b, n, width)
		if is := bytes.HasPrefix(b, []byte(want)); ok != is || ok && length != len(want) {
			t.Errorf("%q begins with %s: got %v, %d digits", b, want, ok, length)
		}
	})
}

// Every number of up to so many digits has as many as it is written with.
func TestDigitsOfEveryLength(t *testing.T) {
	for i := range 20 {
		for _, n := range []uint64{powerOfTen(i) - 1, powerOfTen(i), powerOfTen(i) + 1, 1<<63 + powerOfTen(i)} {
			text := strconv.FormatUint(n, 10)
			if length, ok := digits([]byte(text+strings.Repeat("0", 8)), n, 0); !ok || length != len(text) {
				t.Errorf("%d: got %d digits, %v", n, length, ok)
			}
		}
	}
}

// A stamp is written as package time writes it, in any year.
func TestStampsAreWhatTimeWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		captured := drawTime(t)
		form, ns, ok := FormOf([]byte(captured))
		if !ok || form.unit != 0 {
			return
		}
		shift := rapid.OneOf(rapid.Int64Range(-9e7, 9e7), rapid.Int64Range(-5e11, 5e11)).Draw(t, "shift")
		s := part{kind: slotTime, form: form, ns: ns}
		s.take([]byte(strings.Trim(captured, `"`)))
		want := unixNano(ns, shift).In(form.zone).Format(form.layout)
		if got := s.appendTime(nil, shift); string(got) != want {
			t.Errorf("%s moved by %d s is %s, want %s", captured, shift, got, want)
		}
	})
}

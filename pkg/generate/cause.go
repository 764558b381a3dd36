package generate

import (
	"encoding/base64"
	"errors"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// causeOf explains how one value may have become another. A cell's text says
// nothing of the type that its value had.
func causeOf(want, got *node, cell bool) Cause {
	a, b := string(want.text), string(got.text)
	numbers := isNumber(want.text) && isNumber(got.text)
	switch {
	case want.kind == nullNode || got.kind == nullNode:
		return CauseNull
	case want.kind == numberNode && isOverflow(a, b):
		return CauseFloat
	case want.kind == numberNode && (got.kind == numberNode || cell && numbers):
		return numberCause(a, b)
	case want.kind == stringNode && got.kind == stringNode:
		return textCause(a, b)
	case want.kind < arrayNode && got.kind == stringNode && len(got.text) == 0:
		return CauseNull
	case want.kind == numberNode && got.kind == stringNode && numbers, want.kind == stringNode && got.kind == numberNode && numbers:
		if sameNumber(a, b) {
			return CauseText
		}
		return numberCause(a, b)
	}
	return CauseUnknown
}

// isOverflow says whether a number beyond float64 became its infinity.
func isOverflow(want, got string) bool {
	_, err := strconv.ParseFloat(want, 64)
	return errors.Is(err, strconv.ErrRange) && slices.Contains([]string{"inf", "infinity"}, strings.ToLower(strings.TrimLeft(got, "+-")))
}

// sameNumber says whether two texts are the same number, exactly.
func sameNumber(a, b string) bool {
	return isDecimal(a) && isDecimal(b) && equalNumbers([]byte(a), []byte(b))
}

func isDecimal(s string) bool { return isNumber([]byte(s)) }

func numberCause(want, got string) Cause {
	switch {
	case sameNumber(want, got):
		return CauseEncoding
	case isEpochShift(want, got):
		return CauseZone
	case sameFloat(want, got):
		return CauseFloat
	case cutFraction(want, got):
		return CauseTruncate
	}
	return CauseUnknown
}

func sameFloat(want, got string) bool {
	a, err := strconv.ParseFloat(want, 64)
	b, err2 := strconv.ParseFloat(got, 64)
	return err == nil && err2 == nil && a == b
}

// cutFraction says whether digits behind the point are gone.
func cutFraction(want, got string) bool {
	whole, fraction, ok := strings.Cut(want, ".")
	if !ok || strings.ContainsAny(want, "eE") {
		return false
	}
	gotWhole, gotFraction, _ := strings.Cut(got, ".")
	return gotWhole == whole && len(gotFraction) < len(fraction) && strings.HasPrefix(fraction, strings.TrimRight(gotFraction, "0"))
}

// Offsets between two time zones are whole quarters of an hour, and at most 26 hours.
const (
	quarter   = 15 * time.Minute
	maxOffset = 26 * time.Hour
)

func isOffset(d time.Duration) bool { return d != 0 && d%quarter == 0 && d.Abs() <= maxOffset }

// isEpochShift says whether two numbers are times since 1970, of 2001 to 2100, an
// offset apart.
func isEpochShift(want, got string) bool {
	a, err := strconv.ParseInt(want, 10, 64)
	b, err2 := strconv.ParseInt(got, 10, 64)
	if err != nil || err2 != nil {
		return false
	}
	for unit := time.Second; unit > 0; unit /= 1000 {
		scale := int64(time.Second / unit)
		if first, end := 1_000_000_000*scale, 4_102_444_800*scale; a >= first && a < end && b >= first && b < end {
			return isOffset(time.Duration(b-a) * unit)
		}
	}
	return false
}

func textCause(want, got string) Cause {
	switch {
	case want == got: // written otherwise, with escapes or without
		return CauseEncoding
	case want == "" || got == "":
		return CauseNull
	case isCut(want, got):
		return CauseTruncate
	case isZone(want, got):
		return CauseZone
	case isRecoded(want, got), isInstant(want, got):
		return CauseEncoding
	case sameFloat(want, got):
		return floatText(want, got)
	}
	return CauseUnknown
}

// floatText is about two numbers in quotes that are one float64.
func floatText(want, got string) Cause {
	if sameNumber(want, got) {
		return CauseEncoding
	}
	return CauseFloat
}

// isCut says whether got is a beginning of want: perhaps with an ellipsis, or
// with what is left of a character that was cut through.
func isCut(want, got string) bool {
	if rest := strings.TrimRight(strings.ToValidUTF8(got, ""), "\ufffd"); rest != got {
		return strings.HasPrefix(want, rest) && utf8.RuneCountInString(got) < utf8.RuneCountInString(want)
	}
	for _, ellipsis := range []string{"", "...", "…"} {
		if rest, ok := strings.CutSuffix(got, ellipsis); ok && len(rest) < len(want) && strings.HasPrefix(want, rest) {
			return rest != ""
		}
	}
	return false
}

// timeLayouts are read by isZone; RFC 3339 comes with and without its T.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 Z07:00", "2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006/01/02 15:04:05",
	time.RFC1123, time.RFC1123Z, time.ANSIC, "02/Jan/2006:15:04:05 -0700", "20060102T150405Z", "2006-01-02", "20060102", "2006-01-02 15", "2006-01-02-15", "15:04:05",
}

// isZone says whether two texts are the same time in two zones, or with another
// zone behind it.
func isZone(want, got string) bool {
	a, ok := parseTime(want)
	b, ok2 := parseTime(got)
	if !ok || !ok2 {
		return isDecimal(want) && isDecimal(got) && isEpochShift(want, got)
	}
	return a.Equal(b) && (a.Format("-0700 MST") != b.Format("-0700 MST") || zone(want) != zone(got)) || // the same instant
		isOffset(wall(b).Sub(wall(a))) && a.Nanosecond() == b.Nanosecond() || // the clock on the wall moved
		wall(a).Equal(wall(b)) && want != got && !a.Equal(b) || // the offset behind it did
		wall(a).Equal(wall(b)) && (zone(want) == "") != (zone(got) == "")
}

// wall is the clock on the wall, as if it hung in Greenwich.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// zone is the zone that a time ends in, Z or an offset.
func zone(s string) string {
	if strings.HasSuffix(s, "Z") {
		return "Z"
	}
	const clock = len("2006-01-02T15:04:05")
	if len(s) < clock {
		return ""
	}
	if i := strings.IndexAny(s[clock:], "+-"); i >= 0 {
		return s[clock+i:]
	}
	return ""
}

// isInstant says whether two texts are the same time in the same zone.
func isInstant(want, got string) bool {
	a, ok := parseTime(want)
	b, ok2 := parseTime(got)
	return ok && ok2 && a.Equal(b)
}

func parseTime(s string) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// isRecoded says whether got is want in another notation, or through a charset
// that does not hold its characters.
func isRecoded(want, got string) bool {
	if html.UnescapeString(got) == want || html.UnescapeString(want) == got {
		return true
	}
	for _, s := range [][2]string{{want, got}, {got, want}} {
		if plain, err := url.QueryUnescape(s[1]); err == nil && plain == s[0] {
			return true
		}
		if plain, err := base64.StdEncoding.DecodeString(s[1]); err == nil && string(plain) == s[0] {
			return true
		}
		if plain, err := strconv.Unquote(`"` + s[1] + `"`); err == nil && plain == s[0] { // escaped twice
			return true
		}
	}
	return isSpoiled(want, got)
}

// isSpoiled says whether nothing but characters beyond ASCII changed: to question
// marks, to nothing, or to what their bytes mean in a charset of one byte.
func isSpoiled(want, got string) bool {
	ascii := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= utf8.RuneSelf || r == '?' {
				return -1
			}
			return r
		}, s)
	}
	beyond := func(s string, known rune) bool {
		return strings.ContainsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return r >= utf8.RuneSelf && r != known })
	}
	lossy := beyond(want, -1) && !beyond(got, '\ufffd') && ascii(want) == ascii(got)
	return lossy || oneByte(got) == want || oneByte(want) == got
}

// highs are the characters of Windows-1252 from 0x80 to 0x9f; those it does not
// have are the control characters of Latin-1.
var highs = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

// oneByte writes a text in Windows-1252 or Latin-1; empty: it holds other characters.
func oneByte(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		i := slices.Index(highs, r)
		switch {
		case r < 256:
			b = append(b, byte(r))
		case i >= 0:
			b = append(b, byte(0x80+i))
		default:
			return ""
		}
	}
	return string(b)
}

package template

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Form is how a time is written: as a count since 1970 or in a layout.
type Form struct {
	quoted bool
	unit   int64  // ns a count; 0: layout
	layout string // of package time
	zone   *time.Location
}

// layouts are the written forms that are known, without fraction.
var layouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05-07:00", "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05-07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05",
	"2006/01/02 15:04:05", "20060102T150405Z07:00", "20060102150405", time.RFC1123, time.RFC1123Z, "02/Jan/2006:15:04:05 -0700",
	time.ANSIC,
}

// FormOf finds the form of a value as it stands in JSON, quotes included. A
// layout counts only if it gives the same bytes back.
func FormOf(value []byte) (f Form, ns int64, ok bool) {
	text := value
	if len(text) >= 2 && text[0] == '"' {
		f.quoted, text = true, text[1:len(text)-1]
	}
	whole, _, _ := bytes.Cut(text, []byte("."))
	calendar := len(whole) == 14 && allDigits(whole) // to the second; as many ms do not fit ns
	if !calendar && (len(whole) >= 9 || !f.quoted) {
		if n, err := strconv.ParseInt(string(whole), 10, 64); err == nil {
			f.unit = unitOf(n)
			ns, ok = f.Parse(value)
			// Refused: what the number would not give back (+1, 007), and a fraction
			// below zero, which counts the other way.
			ok = ok && !calendarDigits(text) && string(strconv.AppendInt(nil, n, 10)) == string(whole) && (n >= 0 || len(whole) == len(text))
			return f, ns, ok
		}
	}
	if !f.quoted && !calendar {
		return f, 0, false
	}
	escaped := bytes.Contains(text, []byte(`\/`))
	for _, layout := range layouts {
		if escaped { // the slash of JSON writers that escape it
			layout = strings.ReplaceAll(layout, "/", `\/`)
		}
		f.layout = withFraction(layout, string(text))
		// Not time.Parse: it would bring in the zone of the machine.
		t, err := time.ParseInLocation(f.layout, string(text), time.UTC)
		if err != nil {
			continue
		}
		f.zone = t.Location()
		// Through ns, which hold the years 1678 to 2261 only.
		if ns = t.UnixNano(); unixNano(ns, 0).In(f.zone).Format(f.layout) == string(text) {
			return f, ns, true
		}
	}
	return f, 0, false
}

// calendarDigits says that a text is digits to the day, to the minute or to the
// millisecond, which would be a count of a time that no capture is near.
func calendarDigits(text []byte) bool {
	layout := "200601021504"
	switch len(text) {
	case 8:
		layout = "20060102"
	case 17:
		layout, text = "20060102150405", text[:14]
	case 12:
	default:
		return false
	}
	at, err := time.Parse(layout, string(text))
	return err == nil && at.Year() >= 1970 && at.Year() <= 2100
}

// isNever says that a count is 0, which says that something has not been yet, or is not known.
func isNever(value []byte) bool {
	text := bytes.Trim(value, `"`)
	return bytes.HasPrefix(text, []byte("0")) && len(bytes.Trim(text, "0.")) == 0
}

// unitOf judges by magnitude: seconds until the year 5138, then ms, µs, ns.
func unitOf(n int64) int64 {
	if n < 0 {
		n = -n
	}
	switch {
	case n < 1e11:
		return 1e9
	case n < 1e14:
		return 1e6
	case n < 1e17:
		return 1e3
	}
	return 1
}

// withFraction puts as many zeros behind the seconds as text has digits there.
func withFraction(layout, text string) string {
	i := strings.Index(layout, "05")
	if strings.HasPrefix(layout, "20060102") || i < 0 || i+2 >= len(text) || text[min(i+2, len(text)-1)] != '.' {
		return layout
	}
	digits := 0
	for _, c := range text[i+3:] {
		if c < '0' || c > '9' {
			break
		}
		digits++
	}
	return layout[:i+2] + "." + strings.Repeat("0", digits) + layout[i+2:]
}

// Parse reads a value of this form as ns since 1970. A count in another unit is
// of another form, even where both stand in fields of one name.
func (f Form) Parse(value []byte) (ns int64, ok bool) {
	if f.quoted {
		if len(value) < 2 || value[0] != '"' {
			return 0, false
		}
		value = value[1 : len(value)-1]
	}
	if f.unit == 0 {
		t, err := time.ParseInLocation(f.layout, string(value), f.zone)
		return t.UnixNano(), err == nil
	}
	whole, fraction, _ := bytes.Cut(value, []byte("."))
	n, err := strconv.ParseInt(string(whole), 10, 64)
	if most := math.MaxInt64 / f.unit; err != nil || unitOf(n) != f.unit || n >= most || n <= -most {
		return 0, false
	}
	ns = n * f.unit
	scale := f.unit
	for _, c := range fraction {
		scale /= 10
		if c < '0' || c > '9' {
			return 0, false
		}
		ns += int64(c-'0') * scale
	}
	return ns, true
}

// take takes a captured time apart, so that what does not change is not made anew.
func (s *part) take(captured []byte) {
	if s.form.unit != 0 {
		text, _, _ := bytes.Cut(captured, []byte("."))
		s.whole, _ = strconv.ParseInt(string(text), 10, 64) // FormOf has read it
		s.fraction = captured[len(text):]
		return
	}
	for _, layout := range stamps {
		if n := len(layout); strings.HasPrefix(s.form.layout, layout) {
			// Only offsets that never change are read off a text.
			at := unixNano(s.ns, 0).In(s.form.zone)
			_, offset := at.Zone()
			s.whole, s.stamp, s.fraction = at.Unix()+int64(offset), captured[:n], captured[n:]
			return
		}
	}
}

// stamps are beginnings of layouts that need no [time.Time.Format], which is what
// most of a record would cost.
var stamps = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"}

// stamped writes seconds on the clock, since 1970, as the slot's stamp is written;
// false: the year has more or less than four digits.
func (s *part) stamped(seconds int64) (text [19]byte, ok bool) {
	at := time.Unix(seconds, 0).UTC()
	year, month, day := at.Date()
	if year < 1000 || year > 9999 {
		return text, false
	}
	copy(text[:], s.stamp)
	second := int((seconds%86400 + 86400) % 86400)
	for i, n := range [...]int{year / 100, year % 100, int(month), day, second / 3600, second / 60 % 60, second % 60} {
		text[stampPlaces[i]], text[stampPlaces[i]+1] = byte('0'+n/10), byte('0'+n%10)
	}
	return text, true
}

// stampPlaces are where pairs of digits stand in a stamp.
var stampPlaces = [...]uint8{0, 2, 5, 8, 11, 14, 17}

package template

import (
	"encoding/binary"
	"strings"
	"time"
)

// A stamp is a time or a date whose text is as long whenever it is: the captured
// one with other digits, and names of months and days, at the same places.
type stamp struct {
	captured []byte
	fields   []stampField
	words    []stampWord
	whole    int64          // seconds on the clock, as captured
	ns       int64          // instead of them, where zone is set
	zone     *time.Location // of a date: how far off it is depends on when that is
}

// A stampField is two characters of it.
type stampField struct{ kind, place uint8 }

// What two characters are.
const (
	stampCentury = iota
	stampYear
	stampMonth
	stampMonthName    // its first two letters
	stampMonthNameEnd // its last two
	stampDay
	stampDaySpaced
	stampWeekday
	stampWeekdayEnd
	stampHour
	stampMinute
	stampSecond
	stampKinds
)

// stampWords are how layouts write them, and which kinds that is, from the places on.
var stampWords = [...]struct {
	word   string
	fields []stampField
}{
	{"2006", []stampField{{stampCentury, 0}, {stampYear, 2}}},
	{"01", []stampField{{stampMonth, 0}}},
	{"Jan", []stampField{{stampMonthName, 0}, {stampMonthNameEnd, 1}}},
	{"02", []stampField{{stampDay, 0}}},
	{"_2", []stampField{{stampDaySpaced, 0}}},
	{"Mon", []stampField{{stampWeekday, 0}, {stampWeekdayEnd, 1}}},
	{"15", []stampField{{stampHour, 0}}},
	{"04", []stampField{{stampMinute, 0}}},
	{"05", []stampField{{stampSecond, 0}}},
}

const longestStamp = 64

// A stampWord is what stands at eight bytes: those that never change, under a mask.
type stampWord struct{ captured, fixed uint64 }

// stampOf finds the stamp of a slot that is a time or a date in a layout; nil: its
// text has not always the same length, or is made of more than a stamp knows.
func stampOf(s *part) *stamp {
	layout := s.form.layout
	at := unixNano(s.ns, 0).In(s.form.zone)
	x := &stamp{captured: []byte(at.Format(layout))}
	if s.kind == slotDate {
		x.ns, x.zone = s.ns, s.form.zone
	} else {
		_, offset := at.Zone() // of a time that was read off a text: it never changes
		x.whole = at.Unix() + int64(offset)
	}
	if len(x.captured) > longestStamp {
		return nil
	}
	for i := 0; i < len(layout); {
		if strings.HasPrefix(layout[i:], "Z07") { // may be one letter
			break
		}
		n := 1
		for _, w := range stampWords {
			if strings.HasPrefix(layout[i:], w.word) {
				for _, f := range w.fields {
					x.fields = append(x.fields, stampField{f.kind, uint8(i) + f.place})
				}
				n = len(w.word)
				break
			}
		}
		if i += n; i > len(x.captured) {
			return nil
		}
	}
	x.divide()
	if !x.holds(s) {
		return nil
	}
	return x
}

// divide cuts what was captured into words.
func (x *stamp) divide() {
	var text, fixed [longestStamp]byte
	copy(text[:], x.captured)
	for i := range x.captured {
		fixed[i] = 0xff
	}
	for _, f := range x.fields {
		clear(fixed[f.place : f.place+2])
	}
	for i := 0; i < len(x.captured); i += 8 {
		x.words = append(x.words, stampWord{binary.LittleEndian.Uint64(text[i:]), binary.LittleEndian.Uint64(fixed[i:])})
	}
}

// holds says whether x writes what package time does: where it does at times in
// which each field differs, it does always.
func (x *stamp) holds(s *part) bool {
	var memo calendar
	for _, days := range [...]int64{0, 1, 8, 20, 31, 45, 100, 1000} {
		shift := days*86400 + days*3671
		want := unixNano(s.ns, shift).In(s.form.zone).AppendFormat(nil, s.form.layout)
		if len(want) != len(x.captured) || !x.begins(append(want, make([]byte, 8)...), &memo, shift) {
			return false
		}
	}
	return true
}

// begins says that b begins with the stamp as it is so many seconds later. It may
// be wrong to say no.
func (x *stamp) begins(b []byte, memo *calendar, shift int64) bool {
	seconds := x.whole + shift
	if x.zone != nil {
		at := unixNano(x.ns, shift)
		_, offset := at.In(x.zone).Zone()
		seconds = at.Unix() + int64(offset)
	}
	if !memo.turn(seconds) || len(b) < 8*len(x.words) {
		return false
	}
	differ := uint64(0)
	for i, w := range x.words {
		differ |= (binary.LittleEndian.Uint64(b[8*i:]) ^ w.captured) & w.fixed
	}
	for _, f := range x.fields {
		differ |= uint64(binary.LittleEndian.Uint16(b[f.place:]) ^ memo.fields[f.kind])
	}
	return differ == 0
}

// pairs are two digits each.
var pairs = func() (list [100]uint16) {
	for i := range list {
		list[i] = two(string([]byte{byte('0' + i/10), byte('0' + i%10)}))
	}
	return list
}()

// two is the first two characters of a text.
func two(text string) uint16 { return binary.LittleEndian.Uint16([]byte(text)) }

// A calendar is open at the second that was asked for last.
type calendar struct {
	open   bool
	at     int64 // days since 1970
	fields [stampKinds]uint16
}

// turn opens it at a second since 1970 on some clock; false: its year has not four digits.
func (c *calendar) turn(seconds int64) bool {
	day := seconds / 86400
	left := seconds - day*86400
	if left < 0 {
		day, left = day-1, left+86400
	}
	if !c.open || c.at != day {
		c.day(day)
	}
	second := uint32(left)
	c.fields[stampHour], c.fields[stampMinute], c.fields[stampSecond] = pairs[second/3600], pairs[second/60%60], pairs[second%60]
	return c.open
}

// day opens it at a day, if that is in a year of four digits.
func (c *calendar) day(day int64) {
	at := time.Unix(day*86400, 0).UTC()
	year, month, date := at.Date()
	if c.open, c.at = year >= 1000 && year <= 9999, day; !c.open {
		return
	}
	f, name, weekday := &c.fields, month.String(), at.Weekday().String()
	f[stampCentury], f[stampYear], f[stampMonth], f[stampDay] = pairs[year/100], pairs[year%100], pairs[month], pairs[date]
	f[stampMonthName], f[stampMonthNameEnd] = two(name), two(name[1:])
	f[stampWeekday], f[stampWeekdayEnd] = two(weekday), two(weekday[1:])
	if f[stampDaySpaced] = f[stampDay]; date < 10 {
		f[stampDaySpaced] -= '0' - ' ' // the first character is the low byte
	}
}

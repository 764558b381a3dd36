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
	whole    int64          // seconds on the clock, as captured
	ns       int64          // instead of them, where zone is set
	zone     *time.Location // of a date: how far off it is depends on when that is
}

type stampField struct{ kind, place uint8 }

const (
	stampYear = iota
	stampMonth
	stampMonthName
	stampDay
	stampDaySpaced
	stampWeekday
	stampHour
	stampMinute
	stampSecond
)

// stampWords are how layouts write the fields.
var stampWords = [...]string{"2006", "01", "Jan", "02", "_2", "Mon", "15", "04", "05"}

const longestStamp = 64

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
		for kind, word := range stampWords {
			if strings.HasPrefix(layout[i:], word) {
				x.fields, n = append(x.fields, stampField{uint8(kind), uint8(i)}), len(word)
				break
			}
		}
		if i += n; i > len(x.captured) {
			return nil
		}
	}
	if !x.holds(s) {
		return nil
	}
	return x
}

// holds says whether x writes what package time does: where it does at times in
// which each field differs, it does always.
func (x *stamp) holds(s *part) bool {
	var memo calendar
	for _, days := range [...]int64{0, 1, 8, 20, 31, 45, 100, 1000} {
		shift := days*86400 + days*3671
		text, ok := x.text(&memo, shift)
		if want := unixNano(s.ns, shift).In(s.form.zone).Format(s.form.layout); ok && string(text[:len(x.captured)]) != want || !ok {
			return false
		}
	}
	return true
}

// text writes the stamp so many seconds later; false: the year has not four digits.
// It is in the first bytes, as many as were captured.
func (x *stamp) text(memo *calendar, shift int64) (text [longestStamp]byte, ok bool) {
	seconds := x.whole + shift
	if x.zone != nil {
		at := unixNano(x.ns, shift)
		_, offset := at.In(x.zone).Zone()
		seconds = at.Unix() + int64(offset)
	}
	day := seconds / 86400
	second := seconds - day*86400
	if second < 0 {
		day, second = day-1, second+86400
	}
	if !memo.turn(day) {
		return text, false
	}
	copy(text[:], x.captured)
	for _, f := range x.fields {
		to := text[f.place&(longestStamp-1):]
		switch f.kind {
		case stampYear:
			pair(to, memo.century)
			pair(to[2:], memo.year)
		case stampMonth:
			pair(to, memo.month)
		case stampMonthName:
			copy(to, time.Month(memo.month).String()[:3])
		case stampDay:
			pair(to, memo.day)
		case stampDaySpaced:
			if pair(to, memo.day); memo.day < 10 {
				to[0] = ' '
			}
		case stampWeekday:
			copy(to, memo.weekday.String()[:3])
		case stampHour:
			pair(to, uint8(second/3600))
		case stampMinute:
			pair(to, uint8(second/60%60))
		default:
			pair(to, uint8(second%60))
		}
	}
	return text, true
}

// pair writes two digits.
func pair(to []byte, n uint8) { binary.LittleEndian.PutUint16(to, pairs[n%100]) }

var pairs = func() (list [100]uint16) {
	for i := range list {
		list[i] = binary.LittleEndian.Uint16([]byte{byte('0' + i/10), byte('0' + i%10)})
	}
	return list
}()

// A calendar is open at the day that was asked for last.
type calendar struct {
	open                      bool
	at                        int64 // days since 1970
	century, year, month, day uint8
	weekday                   time.Weekday
}

// turn opens it at a day; false: its year has not four digits.
func (c *calendar) turn(day int64) bool {
	if c.open && c.at == day {
		return true
	}
	at := time.Unix(day*86400, 0).UTC()
	year, month, date := at.Date()
	if c.open = year >= 1000 && year <= 9999; c.open {
		*c = calendar{true, day, uint8(year / 100), uint8(year % 100), uint8(month), uint8(date), at.Weekday()}
	}
	return c.open
}

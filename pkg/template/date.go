package template

import (
	"fmt"
	"strings"
	"time"
)

// dateLayouts are the written forms of a date that are known. No text fits two of them.
var dateLayouts = []string{
	"2006-01-02", "20060102", "2006/01/02", "2006.01.02", "2006年01月02日",
	"2006-01-02T15", "2006-01-02 15", "2006-01-02-15", "2006/01/02/15", "2006/01/02 15", "2006010215", "200601021504",
	"2006-01", "200601", "2006/01", "2006", "02/Jan/2006", "Mon, 02 Jan 2006", "Jan 2, 2006",
}

// eachDateLayout calls use with every layout that a date may have in JSON, where a
// slash may stand behind a backslash.
func eachDateLayout(use func(layout string) (done bool)) {
	for _, layout := range dateLayouts {
		if use(layout) || strings.Contains(layout, "/") && use(strings.ReplaceAll(layout, "/", `\/`)) {
			return
		}
	}
}

// dateForm finds the layout in which text is the date of a moment.
func dateForm(text string, at time.Time) (layout string, ok bool) {
	eachDateLayout(func(l string) bool {
		ok = at.Format(l) == text
		if ok {
			layout = l
		}
		return ok
	})
	return layout, ok
}

// dateOf reads a date in any known layout.
func dateOf(text string) (at time.Time, layout string, ok bool) {
	eachDateLayout(func(l string) bool {
		t, err := time.ParseInLocation(l, text, time.UTC)
		if ok = err == nil && t.Format(l) == text; ok {
			at, layout = t, l
		}
		return ok
	})
	return at, layout, ok
}

// pending is a date whose time field may stand behind it in the record.
type pending struct {
	part, start int
	of, path    string
	value       []byte
	role        string
}

// settleDates ties the dates of a record to its times.
func (c *compiler) settleDates(e *Event, logType string, list []pending, fault func(at int, format string, args ...any)) {
	for _, d := range list {
		if err := c.settleDate(e, logType, d); err != nil {
			fault(d.start, "%s: role %s does not fit: %v", d.path, d.role, err)
		}
	}
}

func (c *compiler) settleDate(e *Event, logType string, d pending) error {
	m, found := timeField(e, logType, d.of)
	switch {
	case !found:
		return fmt.Errorf("this record has no field %s", d.of)
	case m == nil:
		return fmt.Errorf("%s is no time here: give it the role time", d.of)
	}
	s, text := &e.parts[d.part], strings.Trim(string(d.value), `"`)
	s.ns = e.parts[m.part].ns
	at := unixNano(s.ns, 0).In(c.zone)
	layout, ok := dateForm(text, at)
	if ok {
		s.form.layout, s.form.zone = layout, c.zone
		return nil
	}
	want := at.Format("2006-01-02T15")
	if _, l, ok := dateOf(text); ok {
		want = at.Format(l)
	}
	return fmt.Errorf("%s is not the date of %s, which is %s in %v: give time.zone the zone that dates are in", d.value, d.of, want, c.zone)
}

// timeField finds the time that a date is of: at that very path, else under that
// name, and then the least deep, wherever it stands. found: there is such a field,
// though it may be no time.
func timeField(e *Event, logType, of string) (best *member, found bool) {
	least := 0
	for i := range e.members {
		m, depth := &e.members[i], 0
		switch {
		case m.path == of:
		case logType+"."+m.path == of:
			depth = 1
		case !strings.Contains(of, ".") && string(m.key) == of:
			depth = 1 + strings.Count(m.path, ".")
		default:
			continue
		}
		found = true
		if isTime := m.part >= 0 && e.parts[m.part].kind == slotTime; isTime && (best == nil || depth < least) {
			best, least = m, depth
		}
	}
	return best, found
}

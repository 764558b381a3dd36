package generate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Cause says what most likely changed a field. It is read off the two values
// alone, so it is the simplest explanation, no proof.
type Cause string

// The causes.
const (
	CauseFloat    Cause = "float64 rounding" // both texts are the same float64, and not the same number
	CauseTruncate Cause = "truncation"       // cut off behind what is left
	CauseZone     Cause = "time zone"        // the time moved by whole quarters of an hour, at most a day, or names another offset
	CauseEncoding Cause = "encoding"         // the same value in another notation, or characters that another charset spoiled
	CauseNull     Cause = "null"             // a value became null or the empty text, or the other way round
	CauseText     Cause = "number as string" // or a string as number
	CauseKeys     Cause = "reordered keys"   // the same members in another order
	CauseArray    Cause = "reordered array"  // the same elements in another order
	CauseLost     Cause = "field lost"       // a member or element is gone
	CauseAdded    Cause = "field added"      // a member or element that was not sent
	CauseUnknown  Cause = "unknown"          // none of these
)

// A Change is one place where a row is not as it was sent. Its JSON keys are stable.
type Change struct {
	Path  string `json:"path"` // dotted from the top, array elements by number from 0; empty: the row as a whole
	Want  string `json:"want"` // as it stands in the JSON text; empty where there is none; at most 200 bytes
	Got   string `json:"got"`
	Cause Cause  `json:"cause"`
}

// found is a change with its path as a pattern of fields has it: arrays leave no
// trace in it.
type found struct {
	Change
	field string
}

func plainly(list []found) (changes []Change) {
	for _, f := range list {
		changes = append(changes, f.Change)
	}
	return changes
}

func (c Change) String() string {
	show := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	path := c.Path
	if path == "" {
		path = "the row"
	}
	return fmt.Sprintf("%s: want %s, got %s (%s)", path, show(c.Want), show(c.Got), c.Cause)
}

const (
	maxChanges = 100 // of one row
	maxShown   = 200 // bytes of a value
	maxDetail  = 300 // bytes of what is said of a row
)

// Changes compares two JSON texts field by field and returns where they differ,
// in want's order; none where they are alike byte for byte, white space between
// values aside. A text that is no JSON is compared by its bytes.
func Changes(want, got []byte) []Change {
	return plainly(new(Comparer).changes(want, got, AsSent, "", &Scratch{}))
}

// Changes returns where a row differs from what record's rendering, want, has
// to become in this stage: nothing where it is intact.
func (c *Comparer) Changes(user, event uint32, got []byte, form Form, s *Scratch) []Change {
	v, cohort := c.plan.Values(user), c.plan.Cohort(user)
	s.want = cohort.Program.Append(s.want[:0], int(event), &v)
	return plainly(c.changes(s.want, got, form, c.plan.logTypes[cohort.LogType[event]], s))
}

func (c *Comparer) changes(want, got []byte, form Form, logType string, s *Scratch) []found {
	d := s.differ(c, form, logType)
	if !d.want.parse(want) || !d.got.parse(got) {
		if string(want) == string(got) {
			return nil
		}
		return []found{{Change: Change{Want: window(want, got), Got: window(got, want), Cause: CauseUnknown}}}
	}
	d.all, d.collect, d.list = true, true, nil
	d.value(0, 0)
	return d.list
}

// window is what stands in a around the first byte that is not b's.
func window(a, b []byte) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return strconv.Quote(string(a[max(n-12, 0):min(n+12, len(a))]))
}

// detail says in few words how a row differs.
func detail(want, got []byte, list []found) string {
	if len(list) == 0 || list[0].Path == "" && list[0].Cause == CauseUnknown { // by its bytes only
		return difference(want, got)
	}
	var b strings.Builder
	for i, c := range list {
		text := c.String()
		if i > 0 && b.Len()+len(text) > maxDetail {
			fmt.Fprintf(&b, "; and %d more", len(list)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(cut(text, 2*maxShown))
	}
	return b.String()
}

func shorten(s []byte) string {
	if len(s) <= maxShown {
		return string(s)
	}
	return fmt.Sprintf("%s (%d bytes)", cut(string(s), maxShown), len(s))
}

// cut ends a text behind the last whole character of its first n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"kreplay/pkg/template"
)

// finder keeps the value of the first of several fields that a row has, the
// least deep one: a friend's id further in does not stand for the user's.
type finder struct {
	names []string
	value []byte
	rank  int // of the name
	depth int
	start int // of the value in the row
}

// is says that the value found is that of f.
func (w *finder) is(f template.Field) bool { return w.value != nil && w.start == f.Start }

func (w *finder) look(f template.Field, row []byte) {
	for rank, name := range w.names {
		dotted := strings.Contains(name, ".")
		if !dotted && string(f.Key) != name || w.value != nil && rank > w.rank {
			continue
		}
		path := f.Path()
		if dotted && path != name {
			continue
		}
		if depth := strings.Count(path, "."); w.value == nil || rank < w.rank || depth < w.depth {
			w.value, w.rank, w.depth, w.start = row[f.Start:f.End], rank, depth, f.Start
		}
		return
	}
}

// alternatives are the fields that one of the options names: log types of other
// teams write the same thing under another name.
func alternatives(option string) []string { return strings.Split(option, ",") }

// own are the alternatives' own names: a bare name matches at any depth.
func own(option string) (names []string) {
	for _, name := range alternatives(option) {
		names = append(names, last(name))
	}
	return names
}

// text is a value as people write it: a string without its quotes and escapes,
// so that 15 and "15" are one user; all else as it stands.
func text(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return string(value)
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if json.Unmarshal(value, &s) != nil {
		return string(inner)
	}
	return s
}

// seen is what the rows held, for people whose capture came out empty.
type seen struct {
	users, fields []string // the first few in order
	times         uint64   // of the user's records
	first, last   int64
}

const (
	fewUsers  = 5
	fewFields = 20
)

func (s *seen) row(user, row []byte) {
	if user != nil {
		s.users = few(s.users, string(user), fewUsers)
	}
	if len(s.users) > 0 {
		return
	}
	_ = template.Walk(row, func(f template.Field) error {
		s.fields = few(s.fields, f.Path(), fewFields)
		return nil
	})
}

func (s *seen) at(ns int64) {
	if s.times == 0 {
		s.first, s.last = ns, ns
	}
	s.times++
	s.first, s.last = min(s.first, ns), max(s.last, ns)
}

// few adds one to the first few in order, which do not depend on who came first.
func few(list []string, one string, most int) []string {
	i, found := slices.BinarySearch(list, one)
	if found || i == most {
		return list
	}
	list = slices.Insert(list, i, one)
	return list[:min(len(list), most)]
}

// nothing says why nothing was captured.
func (t *taker) nothing() error {
	s, o := t.seen, t.o
	rfc := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	switch {
	case t.stats.Rows == 0:
		return fmt.Errorf("capture: no row in %d objects of %s; check --from", t.stats.Objects, o.Source)
	case len(s.users) == 0:
		return fmt.Errorf("capture: no row of %d has a field %q; there are %s; check --user-field", t.stats.Rows, o.UserField, strings.Join(s.fields, ", "))
	case s.times > 0:
		return fmt.Errorf("capture: no record of user %q in the time asked for: there are %d, from %s to %s; check --since and --until",
			o.User, s.times, rfc(s.first), rfc(s.last))
	default:
		return fmt.Errorf("capture: no record of user %q in %d rows: field %q holds values such as %s; check --user and --user-field",
			o.User, t.stats.Rows, o.UserField, strings.Join(s.users, ", "))
	}
}

// Package capture takes one user's records out of a lake as a template.
package capture

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"kreplay/pkg/lake"
	"kreplay/pkg/object"
	"kreplay/pkg/template"
)

// Options say whose records are taken and by which fields they are found. A
// field is a name, found at any depth, or a dotted path.
type Options struct {
	Store                           object.Store
	Source                          string // where the store lies, for template.yaml
	User                            string
	UserField, TimeField, TypeField string
	TypeSegment                     int       // in place of TypeField: the path segment that is the log type, from 1
	From, To                        time.Time // event times From <= t < To; zero: open
	Workers                         int       // objects read at a time; 0: 2
}

// Stats says what was read.
type Stats struct {
	Objects int
	Bytes   int64
	Rows    uint64
	Events  int // of the user
	Damaged int // unreadable spans
	Folded  int // records whose line breaks between tokens were taken out
	Types   []TypeStats
}

// TypeStats is one log type of the lake. Events 0: the user never touched it.
type TypeStats struct {
	Name         string
	Rows, Events uint64
}

// Extent is what a capture would read.
type Extent struct {
	Objects int
	Bytes   int64
}

// DryRun lists the objects and opens none.
func DryRun(ctx context.Context, o Options) (e Extent, err error) {
	for info, err := range o.Store.List(ctx, "") {
		if err != nil {
			return e, err
		}
		e.Objects++
		e.Bytes += info.Size
	}
	return e, nil
}

// event is one kept record.
type event struct {
	logType, object string
	offset, ns      int64
	data            []byte
	newline         bool
}

type taker struct {
	o      Options
	mu     sync.Mutex
	stats  Stats
	types  map[string]*TypeStats
	events []event
	users  map[string]bool // a few values of the user field, for the error
}

// Run reads the lake and returns the user's records as a template.
func Run(ctx context.Context, o Options) (*template.Template, Stats, error) {
	t := &taker{o: o, types: map[string]*TypeStats{}, users: map[string]bool{}}
	err := lake.Objects(ctx, o.Store, "", max(o.Workers, 2), func(ctx context.Context, info object.Info) error {
		s, err := lake.Scan(ctx, o.Store, info.Key, t.row, t.damage)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.stats.Objects++
		t.stats.Bytes += s.Bytes
		return err
	})
	if err != nil {
		return nil, t.stats, err
	}
	t.stats.Events = len(t.events)
	for _, name := range slices.Sorted(maps.Keys(t.types)) {
		t.stats.Types = append(t.stats.Types, *t.types[name])
	}
	if len(t.events) == 0 {
		return nil, t.stats, fmt.Errorf("capture: no record of user %q in %d rows: field %q holds values such as %s; check --user and --user-field",
			o.User, t.stats.Rows, o.UserField, strings.Join(slices.Sorted(maps.Keys(t.users)), ", "))
	}
	return t.template(), t.stats, nil
}

func (t *taker) damage(lake.Damage) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Damaged++
	return nil
}

// row keeps a row of the user and counts every row.
func (t *taker) row(r lake.Row) error {
	user, at, logType := t.inspect(r)
	ns, isTime := int64(0), false
	if at != nil {
		_, ns, isTime = template.FormOf(at)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Rows++
	ts := t.types[logType]
	if ts == nil {
		ts = &TypeStats{Name: logType}
		t.types[logType] = ts
	}
	ts.Rows++
	if len(t.users) < 5 && user != nil {
		t.users[string(user)] = true
	}
	if string(bytes.Trim(user, `"`)) != t.o.User {
		return nil
	}
	if !isTime {
		return fmt.Errorf("capture: %s at byte %d: field %q holds no time (%s); check --time-field", r.Object, r.Offset, t.o.TimeField, at)
	}
	when := time.Unix(0, ns)
	if !t.o.From.IsZero() && when.Before(t.o.From) || !t.o.To.IsZero() && !when.Before(t.o.To) {
		return nil
	}
	ts.Events++
	data := bytes.Clone(r.Data)
	if bytes.ContainsAny(data, "\r\n") { // only between tokens: JSON strings hold no raw line break
		var b bytes.Buffer
		if err := json.Compact(&b, data); err != nil {
			return fmt.Errorf("capture: %s at byte %d: %w", r.Object, r.Offset, err)
		}
		data = b.Bytes()
		t.stats.Folded++
	}
	t.events = append(t.events, event{logType, r.Object, r.Offset, ns, data, r.Newline})
	return nil
}

// inspect finds the three fields of a row. A row that breaks off tells what it can.
func (t *taker) inspect(r lake.Row) (user, at []byte, logType string) {
	if t.o.TypeSegment > 0 {
		if parts := strings.Split(r.Object, "/"); t.o.TypeSegment <= len(parts) {
			logType = parts[t.o.TypeSegment-1]
		}
	}
	_ = template.Walk(r.Data, func(f template.Field) error {
		value := r.Data[f.Start:f.End]
		if user == nil && is(f, t.o.UserField) {
			user = value
		}
		if at == nil && is(f, t.o.TimeField) {
			at = value
		}
		if logType == "" && t.o.TypeSegment == 0 && is(f, t.o.TypeField) {
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			logType = text
		}
		return nil
	})
	return user, at, logType
}

func is(f template.Field, name string) bool {
	if strings.Contains(name, ".") {
		return f.Path() == name
	}
	return string(f.Key) == name
}

// template orders what was kept: by time, ties by where it lay.
func (t *taker) template() *template.Template {
	slices.SortFunc(t.events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.ns, b.ns), cmp.Compare(a.object, b.object), cmp.Compare(a.offset, b.offset))
	})
	out := &template.Template{}
	out.Source = template.Source{Kind: "lake", From: t.o.Source}
	out.User = t.o.User
	out.Fields = template.Fields{User: t.o.UserField, Time: t.o.TimeField, Type: t.o.TypeField}
	at := func(e event) string { return time.Unix(0, e.ns).UTC().Format(time.RFC3339Nano) }
	out.Range = template.Range{From: at(t.events[0]), To: at(t.events[len(t.events)-1])}
	types, newlines := map[string]int{}, 0
	for _, e := range t.events {
		i, ok := types[e.logType]
		if !ok {
			i = len(out.LogTypes)
			types[e.logType] = i
			out.LogTypes = append(out.LogTypes, template.LogType{Name: e.logType})
		}
		out.LogTypes[i].Lines = append(out.LogTypes[i].Lines, e.data)
		if e.newline {
			newlines++
		}
	}
	out.Newline = 2*newlines >= len(t.events)
	slices.SortFunc(out.LogTypes, func(a, b template.LogType) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// WriteScenario writes a scenario directory around a template.
func WriteScenario(dir, name string, t *template.Template) error {
	file := filepath.Join(dir, "scenario.yaml")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("capture: %s exists already; choose another --out", file)
	}
	if err := template.Write(filepath.Join(dir, "templates", "user"), t); err != nil {
		return err
	}
	text := fmt.Sprintf(`# Captured from %s: user %s, %s to %s.
kreplay: 1
name: %s
template: templates/user

rewrite:                 # field: role; what no rule names stays byte for byte
  %q: user
  %q: time

population:
  users: 100
`, t.Source.From, t.User, t.Range.From, t.Range.To, scenarioName(name), last(t.Fields.User), last(t.Fields.Time))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}

// scenarioName keeps what may stand in the name of a stream.
func scenarioName(dir string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, dir)
}

// last is a field's own name: a bare name matches at any depth.
func last(path string) string { return path[strings.LastIndex(path, ".")+1:] }

// Package capture takes one user's records out of a lake as a template, with a
// mask over secrets.
package capture

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"kreplay/pkg/lake"
	"kreplay/pkg/object"
	"kreplay/pkg/template"
)

// Options say whose records are taken and by which fields they are found. A
// field is a name, found at any depth, the least deep first, or a dotted path;
// several of them, with commas, are tried in order.
type Options struct {
	Store                           object.Store
	Source                          string // where the store lies, for template.yaml
	User                            string
	UserField, TimeField, TypeField string
	TypeSegment                     int       // in place of TypeField: the path segment that is the log type, from 1
	From, To                        time.Time // event times From <= t < To; zero: open
	Workers                         int       // objects read at a time; 0: 2
	NoMask                          []string  // patterns, as in rules, of fields that are not masked though they look like secrets
	Out                             string    // where WriteScenario will write: refused before anything is read; empty: not looked at
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
	Masked  []Masked // secrets, by field
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

const defaultWorkers = 2

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
	seen   seen
	masks  *masker

	user, time, logType []string // fields that may hold them, in order
}

// Run reads the lake and returns the user's records as a template.
func Run(ctx context.Context, o Options) (*template.Template, Stats, error) {
	if o.Out != "" {
		if err := vacant(o.Out); err != nil {
			return nil, Stats{}, err
		}
	}
	t := &taker{
		o: o, types: map[string]*TypeStats{}, masks: newMasker(o.NoMask),
		user: alternatives(o.UserField), time: alternatives(o.TimeField), logType: alternatives(o.TypeField),
	}
	err := lake.Objects(ctx, o.Store, "", cmp.Or(o.Workers, defaultWorkers), func(ctx context.Context, info object.Info) error {
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
		return nil, t.stats, t.nothing()
	}
	t.stats.Masked = t.masks.masked()
	if err := t.masks.unused(); err != nil {
		return nil, t.stats, err
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
	by := t.inspect(r)
	user, at, logType, hasType := by.user.value, by.time.value, by.typeName, by.hasType
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
	t.seen.row(user, r.Data)
	switch {
	case user == nil || string(user) == "null" || text(user) != t.o.User:
		return nil
	case user[0] != '"' && !isWhole(string(user)):
		return fmt.Errorf("capture: %s at byte %d: field %q holds %s, and only text or a whole number from 0 to %d can be another user's: check --user-field, or take another user",
			r.Object, r.Offset, t.o.UserField, user, uint64(math.MaxUint64))
	case at == nil:
		return fmt.Errorf("capture: %s at byte %d: no field %q; check --time-field", r.Object, r.Offset, t.o.TimeField)
	case !isTime:
		return fmt.Errorf("capture: %s at byte %d: field %q holds no time (%s); check --time-field", r.Object, r.Offset, t.o.TimeField, at)
	case !hasType && t.o.TypeSegment > 0:
		return fmt.Errorf("capture: %s: the path has no segment %d; check --type-segment", r.Object, t.o.TypeSegment)
	case !hasType:
		return fmt.Errorf("capture: %s at byte %d: no field %q; check --type-field", r.Object, r.Offset, t.o.TypeField)
	}
	t.seen.at(ns)
	when := time.Unix(0, ns)
	if !t.o.From.IsZero() && when.Before(t.o.From) || !t.o.To.IsZero() && !when.Before(t.o.To) {
		return nil
	}
	ts.Events++
	data := bytes.Clone(r.Data)
	if err := t.masks.mask(logType, data, func(f template.Field) bool { return t.names(by, f, r.Data) }); err != nil {
		return fmt.Errorf("capture: %s at byte %d: secrets cannot be looked for: %w", r.Object, r.Offset, err)
	}
	if bytes.ContainsAny(data, "\r\n") { // only between tokens: JSON strings hold no raw line break
		data = slices.DeleteFunc(data, func(c byte) bool { return c == '\r' || c == '\n' })
		t.stats.Folded++
	}
	t.events = append(t.events, event{logType, r.Object, r.Offset, ns, data, r.Newline})
	return nil
}

// found are the three fields of a row.
type found struct {
	user, time, logType finder
	typeName            string
	hasType             bool
}

// inspect finds the three fields of a row. A row that breaks off tells what it can.
func (t *taker) inspect(r lake.Row) *found {
	by := &found{user: finder{names: t.user}, time: finder{names: t.time}, logType: finder{names: t.logType}}
	_ = template.Walk(r.Data, func(f template.Field) error {
		by.user.look(f, r.Data)
		by.time.look(f, r.Data)
		by.logType.look(f, r.Data)
		return nil
	})
	switch {
	case t.o.TypeSegment > 0:
		if parts := strings.Split(r.Object, "/"); t.o.TypeSegment <= len(parts) {
			by.typeName, by.hasType = parts[t.o.TypeSegment-1], true
		}
	case by.logType.value != nil:
		by.typeName, by.hasType = text(by.logType.value), true
	}
	return by
}

// names says that the capture goes by a field: the user's id, also where it
// stands once more, the time or the log type. It is no secret then.
func (t *taker) names(by *found, f template.Field, row []byte) bool {
	again := slices.Contains(own(t.o.UserField), string(f.Key)) && text(row[f.Start:f.End]) == t.o.User
	return again || by.time.is(f) || by.logType.is(f)
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

package template

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

func unixNano(ns, shift int64) time.Time { return time.Unix(ns/1e9+shift, ns%1e9) }

// Compile turns a template into a program by the first rule that matches each
// field. All faults come back at once, as [scenario.Faults].
func Compile(t *Template, rules []scenario.Rule) (*Program, error) {
	c := &compiler{
		rules: rules, used: make([]bool, len(rules)), slots: map[[16]byte]uint32{}, counters: map[string]uint32{},
		p: &Program{UserKeys: map[string]bool{}, TimeKeys: map[string][]Form{}, Newline: t.Newline, Digest: t.Sum()},
	}
	for i, l := range t.LogTypes {
		c.p.LogTypes = append(c.p.LogTypes, l.Name)
		for n, line := range l.Lines {
			c.event(i, l.Name, line, scenario.Pos{File: path.Join(t.Dir, l.File), Line: n + 1, Col: 1})
		}
	}
	for i, used := range c.used {
		if !used {
			c.faults = append(c.faults, scenario.Fault{Pos: rules[i].Pos, Msg: fmt.Sprintf("rewrite: %q matches no field of template %s", rules[i].Field, t.Dir)})
		}
	}
	if len(c.slots) > record.MaxSlot {
		c.faults = append(c.faults, scenario.Fault{Pos: scenario.Pos{File: t.Dir, Line: 1, Col: 1},
			Msg: fmt.Sprintf("%d distinct uuids; a template can have at most %d: leave out some fields of role uuid", len(c.slots), record.MaxSlot)})
	}
	if err := c.faults.Err(); err != nil {
		return nil, err
	}
	c.finish()
	return c.p, nil
}

type compiler struct {
	rules    []scenario.Rule
	used     []bool
	p        *Program
	slots    map[[16]byte]uint32
	counters map[string]uint32
	userID   string
	faults   scenario.Faults
}

func (c *compiler) event(logType int, name string, line []byte, pos scenario.Pos) {
	e := Event{LogType: logType, Line: line, Pos: pos}
	fault := func(at int, format string, args ...any) {
		p := pos
		p.Col = at + 1
		c.faults = append(c.faults, scenario.Fault{Pos: p, Msg: fmt.Sprintf(format, args...)})
	}
	if !json.Valid(line) || len(line) == 0 || line[0] != '{' {
		fault(0, "not a JSON object; a template has one captured record a line")
		return
	}
	done, earliest := 0, len(c.rules)
	_ = Walk(line, func(f Field) error {
		value := line[f.Start:f.End]
		if f.Kind != Null {
			e.members = append(e.members, member{f.Key, value, -1})
		}
		rule, n, ok := scenario.RoleOf(c.rules, name, f.Path())
		if !ok {
			return nil
		}
		c.used[n] = true
		if rule.Role.Kind == scenario.Keep || f.Kind == Null || string(value) == `""` {
			return nil
		}
		s, from, end, err := c.slot(rule.Role, f, value)
		if err != nil {
			fault(f.Start, "%s: role %s does not fit: %v", f.Path(), rule.Role, err)
			return nil
		}
		s.literal, s.key = line[done:f.Start+from], f.Key
		done = f.Start + end
		e.members[len(e.members)-1].part = len(e.parts)
		e.parts = append(e.parts, s)
		if s.kind == slotTime && n < earliest {
			e.Time, e.HasTime, earliest = s.ns, true, n
		}
		return nil
	})
	e.tail = line[done:]
	c.p.Events = append(c.p.Events, e)
}

// slot makes the slot of one field: it replaces value[from:end].
func (c *compiler) slot(role scenario.Role, f Field, value []byte) (s part, from, end int, err error) {
	inner := bytes.Trim(value, `"`)
	end = len(value)
	switch role.Kind {
	case scenario.User:
		if u, form, ok := record.ParseUUID(inner); ok && f.Kind == String && role.Pattern == "" {
			return c.uuid(u, form), 1, end - 1, nil
		}
		s.kind = slotUser
		if s.user, err = c.userForm(role, f, value, inner); err != nil {
			return s, 0, 0, err
		}
		c.p.UserKeys[string(f.Key)] = true
		if !slices.Contains(c.p.UserForms, s.user) {
			c.p.UserForms = append(c.p.UserForms, s.user)
		}
		return s, 0, end, nil
	case scenario.UUID:
		u, form, ok := record.ParseUUID(inner)
		if !ok || f.Kind != String {
			return s, 0, 0, fmt.Errorf("%s is no uuid", value)
		}
		return c.uuid(u, form), 1, end - 1, nil
	case scenario.Time:
		form, ns, ok := FormOf(value)
		if !ok {
			return s, 0, 0, fmt.Errorf("%s is no time in a known form", value)
		}
		s.kind, s.form, s.ns, s.captured = slotTime, form, ns, inner
		key := string(f.Key)
		if !slices.Contains(c.p.TimeKeys[key], form) {
			c.p.TimeKeys[key] = append(c.p.TimeKeys[key], form)
		}
		if form.quoted {
			return s, 1, end - 1, nil
		}
		return s, 0, end, nil
	default:
		s.kind = slotCounter
		s.user, err = decimalForm(role, f, value, inner)
		id := string(f.Key) + "\x00" + string(inner)
		n, ok := c.counters[id]
		if !ok {
			n = uint32(len(c.counters))
			c.counters[id] = n
		}
		s.index = n
		return s, 0, end, err
	}
}

func (c *compiler) uuid(u [16]byte, form record.UUIDForm) part {
	// The version nibble belongs to the form; without it equal ids stay equal.
	n, ok := c.slots[u]
	if !ok {
		n = uint32(len(c.slots))
		c.slots[u] = n
	}
	return part{kind: slotUUID, index: n, uuid: form}
}

func (c *compiler) userForm(role scenario.Role, f Field, value, inner []byte) (UserForm, error) {
	if c.userID == "" {
		c.userID = string(inner)
	}
	if c.userID != string(inner) {
		return UserForm{}, fmt.Errorf("%s is another user than %s; a template holds one user", value, c.userID)
	}
	return decimalForm(role, f, value, inner)
}

// decimalForm keeps quotes and zero-padded width.
func decimalForm(role scenario.Role, f Field, value, inner []byte) (UserForm, error) {
	if role.Pattern != "" {
		form, err := patternForm(role.Pattern, f.Kind == String)
		if err == nil && f.Kind != String && (form.Padded || form.Prefix+form.Suffix != "") {
			err = fmt.Errorf("%s is no string, and %s is written as one", value, role.Pattern)
		}
		return form, err
	}
	n, err := strconv.ParseUint(string(inner), 10, 64)
	if err != nil {
		return UserForm{}, fmt.Errorf("%s is neither a whole number nor a uuid; give it a form, as in `%s X%%010d`", value, role.Kind)
	}
	form := UserForm{Captured: n}
	if inner[0] == '0' && len(inner) > 1 {
		form.Width, form.Padded = len(inner), true
	}
	if f.Kind == String {
		form.Prefix, form.Suffix = `"`, `"`
	}
	return form, nil
}

// finish orders the events and learns what a row can be told by.
func (c *compiler) finish() {
	p := c.p
	p.Counters = len(c.counters)
	var last int64
	for i := range p.Events { // an event without time goes with the line before it
		if p.Events[i].HasTime || i > 0 && p.Events[i].LogType != p.Events[i-1].LogType {
			last = p.Events[i].Time
		}
		if !p.Events[i].HasTime {
			p.Events[i].Time = last
		}
	}
	slices.SortStableFunc(p.Events, func(a, b Event) int { return cmp.Compare(a.Time, b.Time) })
	p.SlotEvent = make([]int32, len(c.slots))
	seen := make([]bool, len(c.slots))
	first := map[string]int32{}
	for i, e := range p.Events {
		class, ok := first[string(e.Line)]
		if !ok {
			class = int32(i)
			first[string(e.Line)] = class
		}
		p.Class = append(p.Class, class)
		for _, s := range e.parts {
			if s.kind != slotUUID {
				continue
			}
			switch {
			case !seen[s.index]:
				seen[s.index], p.SlotEvent[s.index] = true, int32(i)
			case p.SlotEvent[s.index] != int32(i):
				p.SlotEvent[s.index] = -1
			}
		}
	}
}

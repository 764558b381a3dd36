package template

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

func unixNano(ns, shift int64) time.Time { return time.Unix(ns/1e9+shift, ns%1e9) }

// Compile turns a template into a program by the first rule that matches each
// field. The zone is that of dates; nil: UTC. All faults come back at once, as
// [scenario.Faults]; that a rule matches nothing is none, see [Unmatched].
func Compile(t *Template, rules []scenario.Rule, zone *time.Location) (*Program, error) {
	if zone == nil {
		zone = time.UTC
	}
	c := &compiler{
		roles: newRoles(rules), zone: zone, counters: map[string]uint32{}, peers: map[string]uint32{}, fakes: map[original]uint32{},
		slots: map[record.UUID]uint32{}, shared: map[uint32]bool{}, ownKeys: map[string]bool{},
		p: &Program{
			UserKeys: map[string]bool{}, PeerKeys: map[string]bool{}, TimeKeys: map[string][]Form{},
			Newline: t.Newline, Digest: t.Sum(),
		},
	}
	c.hasPeers = slices.ContainsFunc(rules, func(r scenario.Rule) bool { return r.Role.Kind == scenario.Peer })
	if c.hasPeers {
		c.nextSlot = userSlot + 1
	}
	for i, l := range t.sorted() {
		c.p.LogTypes = append(c.p.LogTypes, l.Name)
		for n, line := range l.Lines {
			c.event(i, l.Name, line, scenario.Pos{File: path.Join(t.Dir, l.File), Line: n + 1, Col: 1})
		}
	}
	if c.nextSlot > record.MaxSlot {
		c.faults = append(c.faults, scenario.Fault{Pos: scenario.Pos{File: t.Dir, Line: 1, Col: 1},
			Msg: fmt.Sprintf("%d distinct uuids; a template can have at most %d: leave out some fields of role uuid", c.nextSlot, record.MaxSlot)})
	}
	if err := c.faults.Err(); err != nil {
		return nil, err
	}
	c.settlePeers()
	maps.DeleteFunc(c.p.PeerKeys, func(key string, _ bool) bool { return c.ownKeys[key] })
	c.finish()
	return c.p, nil
}

type compiler struct {
	roles    *roles
	zone     *time.Location
	p        *Program
	slots    map[record.UUID]uint32 // of uuids
	nextSlot uint32
	shared   map[uint32]bool   // slots that never name a record alone
	counters map[string]uint32 // by key and captured text
	peers    map[string]uint32 // by captured id
	fakes    map[original]uint32
	ownKeys  map[string]bool // of fields of role user
	hasPeers bool
	userID   string // as captured, in decimal or by a pattern
	userUUID record.UUID
	userText string // that uuid as captured
	faults   scenario.Faults

	hasUserUUID bool
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
	done, earliest := 0, len(c.roles.rules)
	var dates []pending
	_ = Walk(line, func(f Field) error {
		value, path := line[f.Start:f.End], f.Path()
		n := c.roles.of(name, path)
		role := scenario.Role{}
		if n >= 0 {
			role = c.roles.rules[n].Role
		}
		if f.Kind == Null {
			return nil
		}
		e.members = append(e.members, member{f.Key, value, path, role.Kind, -1})
		if stays(role.Kind, value) {
			return nil
		}
		s, from, end, err := c.slot(role, f, value)
		if err != nil {
			fault(f.Start, "%s: role %s does not fit: %v", path, role, err)
			return nil
		}
		s.literal = line[done : f.Start+from]
		done = f.Start + end
		e.members[len(e.members)-1].part = len(e.parts)
		switch {
		case s.kind == slotDate:
			dates = append(dates, pending{len(e.parts), f.Start, role.Of, path, value, role.String()})
		case s.kind == slotTime && n < earliest:
			e.Time, e.HasTime, earliest = s.ns, true, n
		}
		e.parts = append(e.parts, s)
		return nil
	})
	c.settleDates(&e, name, dates, fault)
	e.tail = line[done:]
	c.p.Events = append(c.p.Events, e)
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
	p.SlotEvent = make([]int32, c.nextSlot)
	for i := range p.SlotEvent {
		p.SlotEvent[i] = -1
	}
	seen := make([]bool, c.nextSlot)
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
			case c.shared[s.index]:
			case !seen[s.index]:
				seen[s.index], p.SlotEvent[s.index] = true, int32(i)
			case p.SlotEvent[s.index] != int32(i):
				p.SlotEvent[s.index] = -1
			}
		}
	}
}

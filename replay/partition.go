package replay

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/scenario"
)

// A partition says below which folder an object belongs, by the time at which it
// was delivered and by values of the records in it: a prefix as Firehose has it.
type partition struct {
	pattern string
	parts   []scenario.Part
	zone    *time.Location
	step    time.Duration // folders begin at multiples of it only
	keys    []key         // as they stand in parts
	plan    *generate.Plan
}

// quarter is what the offsets of time zones are multiples of (since 1972; in the
// time zone database).
const quarter = 15 * time.Minute

func newPartition(said scenario.Stage, plan *generate.Plan) *partition {
	p := &partition{pattern: said.Partition, parts: said.Parts(), zone: said.Zone(), step: quarter, plan: plan}
	for _, part := range p.parts {
		switch {
		case part.Kind == scenario.PartTime && part.Text == "04":
			p.step = time.Minute
		case part.Kind == scenario.PartKey:
			k := key{name: part.Text}
			for _, named := range said.Keys {
				if named.Name == k.name {
					k.field = named.Field
				}
			}
			k.look(plan)
			p.keys = append(p.keys, k)
		}
	}
	return p
}

// at is the folder of a time, for an object in which the keys have the values given.
func (p *partition) at(t time.Time, values []string) string {
	return spell(p.parts, t.In(p.zone), values)
}

func spell(parts []scenario.Part, local time.Time, values []string) string {
	var b strings.Builder
	for _, part := range parts {
		switch part.Kind {
		case scenario.PartText:
			b.WriteString(part.Text)
		case scenario.PartTime:
			b.WriteString(local.Format(part.Text))
		case scenario.PartKey:
			b.WriteString(values[0])
			values = values[1:]
		case scenario.PartRandom:
			b.WriteString(strings.Repeat("0", scenario.RandomLength))
		}
	}
	return b.String()
}

// under says whether key lies below the folder that parts spell at a time. An
// empty value stands for any; got are the values that key has.
func under(key string, parts []scenario.Part, local time.Time, values []string) (got []string, ok bool) {
	for i, part := range parts {
		want := part.Text
		switch part.Kind {
		case scenario.PartText:
		case scenario.PartTime:
			want = local.Format(part.Text)
		case scenario.PartRandom:
			if len(key) < scenario.RandomLength || strings.Contains(key[:scenario.RandomLength], "/") {
				return nil, false
			}
			want = key[:scenario.RandomLength]
		case scenario.PartKey:
			return below(key, parts[i+1:], local, values)
		}
		if key, ok = strings.CutPrefix(key, want); !ok {
			return nil, false
		}
	}
	return nil, true
}

// below goes on with a key that begins with the first of values.
func below(key string, parts []scenario.Part, local time.Time, values []string) (got []string, ok bool) {
	if want := values[0]; want != "" {
		rest, ok := strings.CutPrefix(key, want)
		if !ok {
			return nil, false
		}
		got, ok = under(rest, parts, local, values[1:])
		return append([]string{want}, got...), ok
	}
	for end := 1; end <= len(key) && key[end-1] != '/'; end++ {
		if got, ok := under(key[end:], parts, local, values[1:]); ok {
			return append([]string{key[:end]}, got...), true
		}
	}
	return nil, false
}

// times are those from one time to another at which folders may differ, the last
// one first: that is when most objects came.
func (p *partition) times(from, to time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for t := to; t.After(from); {
			if !yield(t) {
				return
			}
			if down := t.Truncate(p.step); down.Before(t) {
				t = down
			} else {
				t = t.Add(-p.step)
			}
		}
		yield(from)
	}
}

// holds says whether a key lies where an object belongs whose oldest record came
// from one time to another, both included. Values are as for under, nil: any.
func (p *partition) holds(key string, from, to time.Time, values []string) (got []string, ok bool) {
	if values == nil {
		values = make([]string, len(p.keys))
	}
	for t := range p.times(from, to) {
		if got, ok := under(key, p.parts, t.In(p.zone), values); ok {
			return got, true
		}
	}
	return nil, false
}

// Objects of a run lie in the folders of its time. Firehose names a folder by the
// arrival of the oldest record in the object, which may be another producer's: as
// much earlier as it buffers, which is up to 15 minutes, and half as much again with
// dynamic partitioning. buffered is that, and what clocks differ; an object in an
// earlier folder is misplaced. The listing is more generous: neighbour.
const (
	buffered  = 30 * time.Minute
	neighbour = time.Hour
)

// A spot is where an object lies.
type spot struct {
	p    *partition // nil: anywhere will do
	key  string
	from time.Time // when its oldest record may have come
	to   time.Time

	said map[string]string // what wrong says, by the values
}

// spot is where an object of a run lies that began at a time.
func (p *partition) spot(key string, began, modified time.Time) *spot {
	return &spot{p: p, key: key, from: began.Add(-buffered), to: modified.Add(clockSkew), said: map[string]string{}}
}

// wrong says why a planned record does not belong where its row lies; empty: it does.
func (s *spot) wrong(user, event uint32) string {
	if s.p == nil {
		return ""
	}
	var values []string
	if s.p.keyed() {
		values = s.p.values(user, event)
	}
	id := strings.Join(values, "\x00")
	why, ok := s.said[id]
	if !ok {
		why = s.look(values)
		s.said[id] = why
	}
	return why
}

func (s *spot) look(values []string) string {
	if _, ok := s.p.holds(s.key, s.from, s.to, values); ok {
		return ""
	}
	got, ok := s.p.holds(s.key, s.from, s.to, nil)
	if !ok {
		return "no folder of " + s.p.pattern + " while the run was on"
	}
	var list []string
	for i, k := range s.p.keys {
		if values[i] != "" && values[i] != got[i] {
			list = append(list, fmt.Sprintf("%s: want %q, got %q", k.name, values[i], got[i]))
		}
	}
	return "the folder of another value: " + strings.Join(list, ", ")
}

// mostFolders is how many folders are listed one by one; of more, parents are.
const mostFolders = 100

// bound are the parts whose texts are known before anything is listed. false: no
// time is among them, so that they say nothing of a run.
func (p *partition) bound() (parts []scenario.Part, ok bool) {
	k := 0
	if p == nil {
		return nil, false
	}
	for i, part := range p.parts {
		switch part.Kind {
		case scenario.PartText:
			continue
		case scenario.PartTime:
			ok = true
			continue
		case scenario.PartKey:
			if k++; p.keys[k-1].known != nil {
				continue
			}
		case scenario.PartRandom:
		}
		return p.parts[:i], ok
	}
	return p.parts, ok
}

// bounded says whether the time of a run bounds what is listed.
func (p *partition) bounded() bool {
	_, ok := p.bound()
	return ok
}

// prefixes are those below which all lies that was delivered from one time to
// another, in order. No two of them hold the same key.
func (p *partition) prefixes(from, to time.Time) []string {
	parts, _ := p.bound()
	for {
		if list, ok := p.spellings(parts, from.Add(-neighbour), to.Add(neighbour)); ok {
			return list
		}
		parts = parts[:len(parts)-1]
	}
}

// spellings are all that parts spell from one time to another, less those below
// others; false: they are too many.
func (p *partition) spellings(parts []scenario.Part, from, to time.Time) (list []string, ok bool) {
	all := [][]string{{}}
	for _, part := range parts {
		if part.Kind != scenario.PartKey {
			continue
		}
		var longer [][]string
		for _, values := range all {
			for _, v := range p.keys[len(values)].known {
				longer = append(longer, append(slices.Clone(values), v))
			}
		}
		if all = longer; len(all) > mostFolders {
			return nil, false
		}
	}
	seen := map[string]bool{}
	for t := range p.times(from, to) {
		for _, values := range all {
			if folder := spell(parts, t.In(p.zone), values); !seen[folder] {
				seen[folder] = true
				list = append(list, folder)
			}
		}
		if len(list) > mostFolders {
			return nil, false
		}
	}
	slices.Sort(list)
	above := ""
	return slices.DeleteFunc(list, func(folder string) bool {
		if above != "" && strings.HasPrefix(folder, above) {
			return true
		}
		above = folder
		return false
	}), true
}

// clockSkew is how far the clocks of the pipeline and of this machine may be
// apart before a record counts as misplaced.
const clockSkew = 5 * time.Minute

// place is where the records of a stage belong; nil: anywhere.
func (r *Result) place(stage string) *partition {
	said := r.Job.stage(stage)
	if said.Partition == "" {
		return nil
	}
	return newPartition(said, r.Plan)
}

// format is how the rows of a stage are written.
func (j *Job) format(name string) lake.Format {
	if j.stage(name).CSV {
		return lake.CSV
	}
	return lake.Auto
}

// stage is what the scenario says of a stage; the zero Stage: nothing.
func (j *Job) stage(name string) scenario.Stage {
	for _, s := range j.Scenario.Stages {
		if s.Name == name {
			return s
		}
	}
	return scenario.Stage{}
}

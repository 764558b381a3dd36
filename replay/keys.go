package replay

import (
	"fmt"
	"maps"
	"slices"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// A key is an expression that stands for a value of the record.
type key struct {
	name  string
	field string // whose value it is; empty: nobody says, any will do
	// By the number of the cohort and the event: what does not vary from user to user.
	fixed map[*generate.Cohort][]fixed
	known []string // the values there are, if they are few and every record has one
}

type fixed struct {
	text   string
	varies bool
}

// look finds the values of the key that are the same for all users.
func (k *key) look(plan *generate.Plan) {
	if k.field == "" {
		return
	}
	k.fixed = map[*generate.Cohort][]fixed{}
	few := true
	for _, c := range plan.Cohorts() {
		list := make([]fixed, c.Events)
		for event := range list {
			text, varies, _ := c.Program.Text(nil, event, k.field, nil)
			list[event] = fixed{string(text), varies}
			if few = few && !varies && len(text) > 0 && len(k.known) <= mostFolders; few && !slices.Contains(k.known, string(text)) {
				k.known = append(k.known, string(text))
			}
		}
		k.fixed[c] = list
	}
	if !few || len(k.known) > mostFolders {
		k.known = nil
	}
}

// badKeys returns a fault for each key of a partition whose field no record has.
func badKeys(stages []scenario.Stage, templates []*template.Template) (faults scenario.Faults) {
	var fields []string
	for _, s := range stages {
		for _, k := range s.Keys {
			if fields == nil {
				fields = fieldsOf(templates)
			}
			if _, ok := slices.BinarySearch(fields, k.Field); !ok {
				faults = append(faults, scenario.Fault{Pos: k.Pos, Msg: fmt.Sprintf("keys: no record has a field %q: %s", k.Field, scenario.Suggest(k.Field, fields))})
			}
		}
	}
	return faults
}

// badPartitionKey returns a fault if no record has the field: without it all of
// them would go by the user's id, and a forecast of shards as well.
func badPartitionKey(s scenario.Stream, templates []*template.Template) scenario.Faults {
	names := map[string]bool{}
	for _, t := range templates {
		for _, l := range t.LogTypes {
			for _, line := range l.Lines {
				_ = template.Walk(line, func(f template.Field) error { // Compile names what is no JSON
					names[string(f.Key)] = true
					return nil
				})
			}
		}
	}
	if s.PartitionKey == "" || names[s.PartitionKey] {
		return nil
	}
	return scenario.Faults{{Pos: s.KeyPos, Msg: fmt.Sprintf("partition_key: no record has a field of the name %q, which is without a path: %s",
		s.PartitionKey, scenario.Suggest(s.PartitionKey, slices.Sorted(maps.Keys(names))))}}
}

// fieldsOf are the dotted paths of all fields, sorted.
func fieldsOf(templates []*template.Template) []string {
	seen := map[string]bool{}
	for _, t := range templates {
		for _, l := range t.LogTypes {
			for _, line := range l.Lines {
				_ = template.Walk(line, func(f template.Field) error { // Compile names what is no JSON
					seen[f.Path()] = true
					return nil
				})
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// keyed says whether where a record belongs depends on what is in it.
func (p *partition) keyed() bool {
	return slices.ContainsFunc(p.keys, func(k key) bool { return k.field != "" })
}

// values are those of a planned record for the keys; an empty one: any will do.
func (p *partition) values(user, event uint32) []string {
	list := make([]string, len(p.keys))
	c := p.plan.Cohort(user)
	for i := range p.keys {
		k := &p.keys[i]
		if k.field == "" {
			continue
		}
		f := k.fixed[c][event]
		if f.varies {
			v := p.plan.Values(user)
			text, _, _ := c.Program.Text(nil, int(event), k.field, &v)
			f.text = string(text)
		}
		list[i] = f.text
	}
	return list
}

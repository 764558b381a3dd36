package template

import "kreplay/pkg/scenario"

// Field returns a field of an event by its dotted path: the captured value as it
// stands in JSON, quotes included, and the role that the rules give it, Keep
// where none does. Of several values, as in an array, it is the first. A field
// that is null or not there is not ok.
func (p *Program) Field(event int, path string) (value []byte, role scenario.RoleKind, ok bool) {
	e := &p.Events[event]
	for i := range e.members {
		if m := &e.members[i]; m.path == path {
			return m.text, m.role, true
		}
	}
	return nil, scenario.Keep, false
}

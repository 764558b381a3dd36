package template

import (
	"bytes"
	"encoding/json"

	"kreplay/pkg/scenario"
)

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

// Text appends the text of a field of an event, by its dotted path, as a user's
// record has it: of a string what stands between the quotes, without escapes.
// varies says that it is not as captured, so that it may be another one for each
// user; without v it is left out then. A field that is null or not there is not ok.
func (p *Program) Text(dst []byte, event int, path string, v *Values) (text []byte, varies, ok bool) {
	e, start := &p.Events[event], len(dst)
	for i := range e.members {
		m := &e.members[i]
		switch {
		case m.path != path:
			continue
		case m.part < 0:
			dst = append(dst, m.text...)
		case v == nil:
			return dst, true, true
		default:
			dst, varies = e.parts[m.part].append(dst, v), true
		}
		if plain := dst[start:]; len(plain) > 1 && plain[0] == '"' && plain[len(plain)-1] == '"' {
			dst = append(dst[:start], plain[1:len(plain)-1]...)
		}
		if bytes.IndexByte(dst[start:], '\\') >= 0 {
			var plain string
			if json.Unmarshal([]byte(`"`+string(dst[start:])+`"`), &plain) == nil {
				dst = append(dst[:start], plain...)
			}
		}
		return dst, varies, true
	}
	return dst, false, false
}

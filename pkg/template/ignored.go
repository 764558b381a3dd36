package template

import (
	"fmt"
	"strings"

	"kreplay/pkg/scenario"
)

// Ignored returns a fault for each pattern of fields that a stage cannot leave
// out of the comparison: one whose fields tell records apart, and what looks like
// a slip of the pen. A name that no record has is a field that the pipeline adds,
// unless it is one letter off from one that was sent.
func Ignored(stage scenario.Stage, rules []scenario.Rule, templates ...*Template) (faults scenario.Faults) {
	if len(stage.Ignore) == 0 {
		return nil
	}
	l := leaver{stage: stage, roles: newRoles(rules), told: make([]string, len(stage.Ignore)), used: make([]bool, len(stage.Ignore)), seen: map[string]bool{}}
	for _, t := range templates {
		for _, logType := range t.LogTypes {
			for _, line := range logType.Lines {
				l.line(logType.Name, line)
			}
		}
	}
	for i, p := range stage.Ignore {
		if msg := l.fault(i, p.Field); msg != "" {
			faults = append(faults, scenario.Fault{Pos: p.Pos, Msg: "ignore: " + msg})
		}
	}
	return faults
}

// leaver holds the patterns of a stage against the templates' fields.
type leaver struct {
	stage scenario.Stage
	roles *roles
	told  []string // of each pattern: the first field that tells records apart
	used  []bool   // it matches a field
	seen  map[string]bool
	names []string // of all fields, and with their log type and path
}

// line looks at the fields of one record, and at the objects and arrays in it.
func (l *leaver) line(logType string, line []byte) {
	earliest, eventTime := len(l.roles.rules), ""
	_ = Walk(line, func(f Field) error { // Compile names what is no JSON
		if n := l.roles.of(logType, f.Path()); f.Kind != Null && n >= 0 && n < earliest && l.roles.rules[n].Role.Kind == scenario.Time {
			earliest, eventTime = n, f.Path()
		}
		return nil
	})
	_ = Walk(line, func(f Field) error {
		path := f.Path()
		kind := scenario.Keep
		if n := l.roles.of(logType, path); n >= 0 {
			kind = l.roles.rules[n].Role.Kind
		}
		tells := ""
		switch {
		case kind == scenario.User || kind == scenario.UUID:
			tells = fmt.Sprintf("%s.%s (%s)", logType, path, kind)
		case path == eventTime:
			tells = fmt.Sprintf("%s.%s (the event time)", logType, path)
		}
		l.field(logType, path, tells)
		return nil
	})
}

// field holds the patterns against a field and all that it lies in.
func (l *leaver) field(logType, path, tells string) {
	id := logType + "\x00" + path + "\x00" + tells
	if l.seen[id] {
		return
	}
	l.seen[id] = true
	for end := 0; end <= len(path); end++ {
		if end < len(path) && path[end] != '.' {
			continue
		}
		part := path[:end]
		l.names = append(l.names, part[strings.LastIndexByte(part, '.')+1:], logType+"."+part)
		for i, p := range l.stage.Ignore {
			if !p.Match(logType, part) {
				continue
			}
			l.used[i] = true
			if l.told[i] == "" {
				l.told[i] = tells
			}
		}
	}
}

func (l *leaver) fault(i int, pattern string) string {
	near, slip := scenario.Slip(pattern, l.names)
	switch {
	case l.told[i] != "":
		return fmt.Sprintf("%q leaves out %s, by which records are told apart: take it off the list, or give it another role", pattern, l.told[i])
	case l.used[i]:
		return ""
	case slip && strings.EqualFold(near, pattern): // the name of a column that lost its case
		return fmt.Sprintf("%q matches no field that is sent: fields are named as they are sent, whatever the case of columns: write %q", pattern, near)
	case l.stage.Compare == scenario.CompareSubset:
		return fmt.Sprintf("%q matches no field that is sent, and with compare: subset fields may be added anyway: take it off the list", pattern)
	case slip:
		return fmt.Sprintf("%q matches no field that is sent: did you mean %q? If the pipeline adds it, write \"{%s}\"", pattern, near, pattern)
	}
	return ""
}

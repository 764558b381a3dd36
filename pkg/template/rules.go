package template

import (
	"fmt"
	"path"
	"strings"

	"kreplay/pkg/scenario"
)

// roles says which rule is about a field and keeps the answers: a template asks
// for the same few fields in every record.
type roles struct {
	rules []scenario.Rule
	known map[string]int
}

func newRoles(rules []scenario.Rule) *roles {
	return &roles{rules: rules, known: map[string]int{}}
}

// of returns the first rule that matches, by its index; -1: none does.
func (r *roles) of(logType, path string) int {
	key := logType + "\x00" + path
	n, ok := r.known[key]
	if !ok {
		_, n, _ = scenario.RoleOf(r.rules, logType, path)
		r.known[key] = n
	}
	return n
}

// Unmatched returns a fault for each rule that is the first to match no field
// of any of the templates: a slip of the pen, most likely.
func Unmatched(rules []scenario.Rule, templates ...*Template) (faults scenario.Faults) {
	first, any := make([]bool, len(rules)), make([]bool, len(rules))
	var dirs []string
	for _, t := range templates {
		dirs = append(dirs, path.Clean(t.Dir))
		r := newRoles(rules)
		t.eachField(func(logType string, f Field, _ []byte, _ scenario.Pos) {
			p := f.Path()
			_, known := r.known[logType+"\x00"+p]
			if n := r.of(logType, p); n >= 0 {
				first[n] = true
			}
			for i := range rules {
				any[i] = any[i] || !known && rules[i].Match(logType, p)
			}
		})
	}
	for i := range rules {
		what := "matches no field of template " + strings.Join(dirs, ", ")
		if any[i] {
			what = "matches only fields that an earlier rule takes"
		}
		if !first[i] {
			faults = append(faults, scenario.Fault{Pos: rules[i].Pos, Msg: fmt.Sprintf("rewrite: %q %s", rules[i].Field, what)})
		}
	}
	return faults
}

// eachField visits the scalars of every record with their bytes and place.
// Records that are no JSON are passed over: Compile names them.
func (t *Template) eachField(visit func(logType string, f Field, value []byte, pos scenario.Pos)) {
	for _, l := range t.LogTypes {
		for n, line := range l.Lines {
			_ = Walk(line, func(f Field) error {
				visit(l.Name, f, line[f.Start:f.End], scenario.Pos{File: path.Join(t.Dir, l.File), Line: n + 1, Col: f.Start + 1})
				return nil
			})
		}
	}
}

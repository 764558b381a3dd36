package capture

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// An Inference is a rule that capture proposes, with its evidence. Role keep
// says that the field looks like an id, a time or personal data and that no role
// is known to fit.
type Inference struct {
	Field string // as in a rule: a bare name, or log type and path
	Role  string // as in the scenario file
	Why   string
}

// field is one path of one log type that holds a value.
type field struct{ logType, path string }

func (f field) key() string     { return last(f.path) }
func (f field) pattern() string { return f.logType + "." + f.path }

// Infer proposes a role for each field that `scenario check` would ask about.
// The first rules are about the user and the time that the capture went by. No
// rule is proposed that does not fit every value that it matches.
func Infer(t *template.Template) []Inference {
	list, rules := base(t)
	fields := allFields(t)
	byKey := map[string][]template.Suspect{}
	var keys []string
	for _, s := range template.Suspects(t, rules, nil) {
		if byKey[s.Key()] == nil {
			keys = append(keys, s.Key())
		}
		byKey[s.Key()] = append(byKey[s.Key()], s)
	}
	for _, key := range keys {
		suspects := byKey[key]
		alike := !slices.ContainsFunc(suspects, func(s template.Suspect) bool { return s.Role != suspects[0].Role })
		if alike && len(suspects) == len(fields[key]) {
			list = append(list, propose(t, rules, key, together(t, suspects)))
			continue
		}
		for _, s := range suspects {
			list = append(list, propose(t, rules, field{s.LogType, s.Path}.pattern(), s))
		}
	}
	return list
}

// together sums the evidence of the fields of one name.
func together(t *template.Template, suspects []template.Suspect) template.Suspect {
	one := suspects[0]
	for _, s := range suspects[1:] {
		one.Hits += s.Hits
		one.Values += s.Values
	}
	distinct := map[string]bool{}
	each(t, func(f field, value []byte) {
		if f.key() == one.Key() {
			distinct[text(value)] = true
		}
	})
	one.Distinct = len(distinct)
	return one
}

// propose takes the suspected role if it fits beside the rules about time.
func propose(t *template.Template, base []scenario.Rule, pattern string, s template.Suspect) Inference {
	one := Inference{pattern, s.Role, s.Why()}
	rule, ok := ruleOf(pattern, s.Role)
	if !ok {
		one.Role = "keep"
		return one
	}
	rules := []scenario.Rule{rule}
	for _, b := range base {
		if b.Role.Kind == scenario.Time || b.Role.Kind == scenario.Keep {
			rules = append(rules, b)
		}
	}
	if _, err := template.Compile(t, rules, nil); err != nil {
		one.Role = "keep"
		one.Why += fmt.Sprintf("; `%s` does not fit", s.Role)
		if rule.Role.Kind == scenario.Date {
			one.Why += " in UTC, perhaps in the zone under time"
		}
	}
	return one
}

// ruleOf reads the few roles that are inferred.
func ruleOf(pattern, role string) (r scenario.Rule, ok bool) {
	r.Field = pattern
	word, of, _ := strings.Cut(role, " of ")
	kinds := map[string]scenario.RoleKind{"user": scenario.User, "uuid": scenario.UUID, "time": scenario.Time, "date": scenario.Date,
		"peer": scenario.Peer, "counter": scenario.Counter, "hash": scenario.Hash, "fake": scenario.Fake}
	r.Role.Kind, ok = kinds[word]
	r.Role.Of = of
	return r, ok
}

// base are the rules about the user and the time, and before them those about
// fields of the same name that hold another user, or no time.
func base(t *template.Template) (list []Inference, rules []scenario.Rule) {
	users, times := own(t.Fields.User), own(t.Fields.Time)
	known, present := map[string]bool{}, map[string]bool{}
	each(t, func(f field, value []byte) {
		present[f.key()] = true
		if known[f.pattern()] {
			return
		}
		_, _, isTime := template.FormOf(value)
		one := Inference{Field: f.pattern(), Role: "peer", Why: fmt.Sprintf("holds %s, another user than %s", value, t.User)}
		kind := scenario.Peer
		switch {
		case slices.Contains(users, f.key()) && text(value) != t.User:
			if !isID(text(value)) {
				one.Role, kind = "keep", scenario.Keep
			}
		case slices.Contains(times, f.key()) && !isTime:
			one.Role, one.Why, kind = "keep", fmt.Sprintf("holds %s, which is no time", value), scenario.Keep
		default:
			return
		}
		known[f.pattern()] = true
		list = append(list, one)
		rules = append(rules, scenario.Rule{Field: one.Field, Role: scenario.Role{Kind: kind}})
	})
	for i, name := range slices.Concat(users, times) {
		role, kind := userRole(t.User), scenario.User
		if i >= len(users) {
			role, kind = "time", scenario.Time
		}
		if present[name] {
			list = append(list, Inference{name, role, "the capture was made by it"})
			rules = append(rules, scenario.Rule{Field: name, Role: scenario.Role{Kind: kind}})
		}
	}
	return list, rules
}

func isID(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	_, _, ok := record.ParseUUID([]byte(s))
	return ok || err == nil
}

// numbered is printable ASCII without ", % and \ that ends in digits.
var numbered = regexp.MustCompile(`^([!#$&-\[\]-~]{0,60}[!#$&-/:-\[\]-~])([0-9]+)$`)

// userRole gives an id that is neither number nor uuid a form like its own.
func userRole(id string) string {
	if isID(id) {
		return "user"
	}
	m := numbered.FindStringSubmatch(id)
	if m == nil {
		return "user U%010d"
	}
	return fmt.Sprintf("user %s%%0%dd", m[1], min(max(len(m[2]), 10), 19))
}

// each visits the values that are neither null nor empty.
func each(t *template.Template, visit func(f field, value []byte)) {
	for _, l := range t.LogTypes {
		for _, line := range l.Lines {
			_ = template.Walk(line, func(f template.Field) error {
				value := line[f.Start:f.End]
				if f.Kind != template.Null && f.Kind != template.Bool && !bytes.Equal(value, []byte(`""`)) {
					visit(field{l.Name, f.Path()}, value)
				}
				return nil
			})
		}
	}
}

// allFields lists the fields by their own name.
func allFields(t *template.Template) map[string][]field {
	known, byKey := map[field]bool{}, map[string][]field{}
	each(t, func(f field, _ []byte) {
		if !known[f] {
			known[f] = true
			byKey[f.key()] = append(byKey[f.key()], f)
		}
	})
	return byKey
}

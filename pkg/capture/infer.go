package capture

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

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
func (f field) pattern() string { return written(f.logType + "." + f.path) }

// written is a name as a pattern has it. In one that cannot stand in a scenario
// as it is, * is for its braces, and {} for what is between two dots and empty.
func written(name string) string {
	if wellFormed(name) {
		return name
	}
	parts := strings.Split(strings.NewReplacer("{", "*", "}", "*").Replace(name), ".")
	for i, p := range parts {
		parts[i] = cmp.Or(p, "{}")
	}
	return strings.Join(parts, ".")
}

// wellFormed says that the braces of a name pair, and no dot begins it, ends it
// or follows another.
func wellFormed(name string) bool {
	depth := 0
	for _, c := range name {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0 && !slices.Contains(strings.Split(name, "."), "")
}

// Infer proposes a role for each field that `scenario check` would ask about.
// The first rules are about the user and the time that the capture went by. No
// rule is proposed that does not fit every value that it matches.
func Infer(t *template.Template) []Inference {
	list, rules := base(t)
	fields := allFields(t)
	byKey := map[string][]template.Suspect{}
	var keys []string
	for _, s := range template.Suspects(t, rules, nil) {
		s.Role = userForm(t, s)
		if byKey[s.Key()] == nil {
			keys = append(keys, s.Key())
		}
		byKey[s.Key()] = append(byKey[s.Key()], s)
	}
	for _, key := range keys {
		suspects := byKey[key]
		alike := !slices.ContainsFunc(suspects, func(s template.Suspect) bool { return s.Role != suspects[0].Role })
		if alike && len(suspects) == len(fields[key]) {
			list = append(list, propose(t, rules, written(key), together(t, suspects)))
			continue
		}
		for _, s := range suspects {
			list = append(list, propose(t, rules, field{s.LogType, s.Path}.pattern(), s))
		}
	}
	// The first rule that matches counts: a name that is a glob as well comes last.
	slices.SortStableFunc(list[len(rules):], func(a, b Inference) int {
		return cmp.Compare(strings.Count(a.Field, "*"), strings.Count(b.Field, "*"))
	})
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

// userForm is the suspected role, in the form of the user's id where it is about
// users: ids of others in a form like it are peers.
func userForm(t *template.Template, s template.Suspect) string {
	switch {
	case s.Role == "user":
		return userRole(t.User)
	case s.Role == "" && s.Kind == "id" && isAny(template.Words(s.Key()), peerWords) && alike(t, field{s.LogType, s.Path}):
		return "peer"
	}
	return s.Role
}

// peerWords in a field's name say that it holds users.
var peerWords = []string{"user", "player", "member", "account", "owner", "opponent", "friend", "rival", "sender", "receiver", "recipient", "target", "customer"}

func isAny(name, list []string) bool {
	return slices.ContainsFunc(name, func(w string) bool { return slices.Contains(list, strings.TrimSuffix(w, "s")) })
}

// alike says that all values of a field have the form of the user's text id: its
// prefix and a number, or its length, where that is long, with the same marks.
func alike(t *template.Template, of field) bool {
	const long = 16
	marks := func(s string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsLetter(c) || unicode.IsDigit(c) {
				return 'x'
			}
			return c
		}, s)
	}
	own, all := numbered.FindStringSubmatch(t.User), true
	each(t, func(f field, value []byte) {
		if f != of {
			return
		}
		id := text(value)
		m := numbered.FindStringSubmatch(id)
		all = all && (own != nil && m != nil && own[1] == m[1] || len(t.User) >= long && marks(id) == marks(t.User))
	})
	return all && !isID(t.User)
}

// propose takes the suspected role if it fits beside the rules about the user
// and the time.
func propose(t *template.Template, base []scenario.Rule, pattern string, s template.Suspect) Inference {
	one := Inference{pattern, s.Role, s.Why()}
	rule, ok := ruleOf(pattern, s.Role)
	if !ok {
		one.Role = "keep"
		return one
	}
	if _, err := template.Compile(t, slices.Concat([]scenario.Rule{rule}, base), nil); err != nil {
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
	word, rest, _ := strings.Cut(role, " ")
	kinds := map[string]scenario.RoleKind{"user": scenario.User, "uuid": scenario.UUID, "time": scenario.Time, "date": scenario.Date,
		"peer": scenario.Peer, "counter": scenario.Counter, "hash": scenario.Hash, "fake": scenario.Fake}
	r.Role.Kind, ok = kinds[word]
	if of, isOf := strings.CutPrefix(rest, "of "); isOf {
		r.Role.Of = of
	} else {
		r.Role.Pattern = rest
	}
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
		switch {
		case slices.Contains(users, f.key()) && text(value) != t.User:
		case slices.Contains(times, f.key()) && !isTime:
			one.Role, one.Why = "keep", fmt.Sprintf("holds %s, which is no time", value)
		default:
			return
		}
		known[f.pattern()] = true
		list = append(list, one)
	})
	others := len(list)
	for i, name := range slices.Concat(users, times) {
		role := userRole(t.User)
		if i >= len(users) {
			role = "time"
		}
		if present[name] {
			list = append(list, Inference{written(name), role, "the capture was made by it"})
		}
	}
	for i, one := range list {
		rule, _ := ruleOf(one.Field, one.Role)
		if i < others {
			rule.Role.Kind = scenario.Keep
		}
		rules = append(rules, rule)
	}
	for i := range list[:others] {
		if list[i].Role == "keep" {
			continue
		}
		rules[i].Role.Kind = scenario.Peer
		if _, err := template.Compile(t, rules, nil); err != nil { // not every value is an id
			list[i].Role, rules[i].Role.Kind = "keep", scenario.Keep
		}
	}
	return list, rules
}

func isWhole(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// isID says that an id needs no form: digits alone are a number, not a ULID.
func isID(s string) bool {
	_, form, ok := record.ParseUUID([]byte(s))
	return isWhole(s) || ok && (!form.ULID() || strings.Trim(s, "0123456789") != "")
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

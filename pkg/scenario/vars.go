package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxExpanded bounds what variables may add to a scenario, in bytes.
const maxExpanded = 1 << 20

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// SetVar makes an override, as Load takes it, of a variable given as name=value.
func SetVar(arg string) (string, error) {
	name, value, ok := strings.Cut(arg, "=")
	if !ok || !identifier.MatchString(name) {
		return "", fmt.Errorf("%s: want name=value, the name of a-z, A-Z, 0-9 and _", quote(arg))
	}
	return "vars." + name + "=" + strconv.Quote(value), nil
}

// variables are the texts that ${name} stands for.
type variables struct {
	names  []string
	values map[string]string
	broken []string // they have a fault: nothing is said about their use
	added  int      // bytes
}

// A reference is a ${ in a text that cannot be replaced.
type reference struct {
	offset int // of the $, in bytes
	why    string
	quiet  bool // the variable has its own fault
}

// put replaces each ${name} in s; $${ stands for ${.
func (v *variables) put(s string) (string, []reference) {
	var b strings.Builder
	var bad []reference
	for from := 0; ; {
		at := strings.Index(s[from:], "${")
		if at < 0 {
			b.WriteString(s[from:])
			return b.String(), bad
		}
		at += from
		if at > from && s[at-1] == '$' {
			b.WriteString(s[from:at-1] + "${")
			from = at + 2
			continue
		}
		b.WriteString(s[from:at])
		name, _, closed := strings.Cut(s[at+2:], "}")
		if !closed {
			return "", append(bad, reference{offset: at, why: `"${" is not closed by "}": write $${ for a ${ that is none`})
		}
		from = at + 2 + len(name) + 1
		if why, quiet := v.use(&b, name); why != "" || quiet {
			bad = append(bad, reference{at, why, quiet})
		}
	}
}

// use writes the value of name to b, or says why it cannot.
func (v *variables) use(b *strings.Builder, name string) (why string, quiet bool) {
	value, known := v.values[name]
	switch {
	case known:
		if v.added += len(value); v.added > maxExpanded {
			return fmt.Sprintf("variables add more than %d bytes to the scenario", maxExpanded), false
		}
		b.WriteString(value)
		return "", false
	case slices.Contains(v.broken, name):
		return "", true
	case len(v.names) == 0:
		return fmt.Sprintf("unknown variable %s: there are none: give it a value under vars, or write $${ for a ${ that is none", quote(name)), false
	}
	return "unknown variable " + quote(name) + ": " + didYouMean(name, v.names), false
}

// expand puts variables into every value of root, those under vars first.
func (r *reader) expand(root *node) {
	v := &r.s.vars
	v.values = map[string]string{}
	vars := root.below("vars")
	for i := range vars {
		n := &vars[i].value
		r.expandNode(n)
		if n.shape != text {
			v.broken = append(v.broken, vars[i].key)
			continue
		}
		v.names = append(v.names, vars[i].key)
		v.values[vars[i].key] = n.text
	}
	for i := range root.entries {
		if root.entries[i].key != "vars" {
			r.expandNode(&root.entries[i].value)
		}
	}
}

func (r *reader) expandNode(n *node) {
	for i := range n.entries {
		r.expandNode(&n.entries[i].value)
	}
	for i := range n.items {
		r.expandNode(&n.items[i])
	}
	if n.shape != text || !strings.Contains(n.text, "${") {
		return
	}
	value, bad := r.s.vars.put(n.text)
	for _, ref := range bad {
		if !ref.quiet {
			r.faults = append(r.faults, Fault{n.pos, ref.why})
		}
		n.shape = unread
	}
	n.text, n.expanded = value, true
}

// number returns n as a number, if variables made it one: they cannot but be text.
func (n node) number() node {
	if _, _, ok := decimal(n.text); !ok || n.shape != text || !n.expanded {
		return n
	}
	n.shape = float
	if !strings.Contains(n.text, ".") {
		n.shape = whole
	}
	return n
}

// expandFile puts variables into the text of a file beside the scenario.
func (s *draft) expandFile(file, content string) (string, error) {
	value, bad := s.vars.put(content)
	var faults Faults
	for _, ref := range bad {
		before := content[:ref.offset]
		line := strings.Count(before, "\n")
		col := ref.offset - strings.LastIndexByte(before, '\n')
		if !ref.quiet {
			faults = append(faults, Fault{Pos{file, line + 1, col}, ref.why})
		}
	}
	if len(bad) > 0 {
		return "", faults // perhaps none: the variable has its fault
	}
	return value, nil
}

func openVar(s *draft, key string, _ Pos) error {
	s.varName = key
	if !identifier.MatchString(key) {
		return fmt.Errorf("%s: want 1 to 63 of a-z, A-Z, 0-9 and _, not beginning with a digit", quote(key))
	}
	return nil
}

func takeVar(s *draft, n node) error {
	if _, err := plainText(n); err != nil && n.shape != text { // it may be empty
		return err
	}
	if s.Vars == nil {
		s.Vars = map[string]string{}
	}
	s.Vars[s.varName] = n.text
	return nil
}

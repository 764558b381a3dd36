package scenario

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// An override puts the value of one "dotted.key=value" into the tree that was
// read from the file, at the place schema gives the key.
type override struct {
	line   int      // its number, from 1
	vars   []string // the variables that the file has
	value  node
	faults Faults
}

func (o *override) pos(col int) Pos { return Pos{"--set", o.line, col} }

func (o *override) apply(root *node, arg string) {
	key, value, ok := strings.Cut(arg, "=")
	if !ok {
		o.faults = append(o.faults, Fault{o.pos(1), quote(arg) + ": want key=value"})
		return
	}
	o.value, o.faults = (&parse{file: "--set", line: o.line, column: utf8.RuneCountInString(key) + 1}).yaml([]byte(value))
	if name, ok := strings.CutPrefix(key, "vars."); ok && !slices.Contains(o.vars, name) {
		o.faults = append(o.faults, Fault{o.pos(len("vars.") + 1), "unknown variable " + quote(name) + ": " + didYouMean(name, o.vars)})
		return
	}
	if steps := o.steps(key); steps != nil {
		o.put(root, steps)
	}
}

// A step leads from a mapping, which is read as of says, to the value of a key in it.
type step struct {
	key string
	pos Pos
	of  *field
}

// steps cuts key at the dots that separate keys of the schema.
func (o *override) steps(key string) []step {
	var steps []step
	f, col, rest, more := &schema, 1, key, true
	for more {
		var head string
		head, rest, more = strings.Cut(rest, ".")
		if f.kind == named && f.each.kind == scalar && more { // all the rest is one name, dots and all
			head, rest, more = head+"."+rest, "", false
		}
		next, known := f.entry(head), f.kind == named
		if f.kind == section {
			next, known = f.child(head)
		}
		if !known && f.extra != nil && !more && nearest(head, f.keys()) == "" {
			next, known = f.extra, true
		}
		if !known {
			o.faults = append(o.faults, Fault{o.pos(col), f.unknown("key", head, nil)})
			return nil
		}
		steps = append(steps, step{head, o.pos(col), f})
		f, col = next, col+utf8.RuneCountInString(head)+1
	}
	return steps
}

// put sets the value that steps lead to, and creates the mappings on the way.
func (o *override) put(at *node, steps []step) {
	for i, step := range steps {
		if at.shape != mapping {
			if at.shape != unread && step.of.take != nil {
				o.faults = append(o.faults, Fault{step.pos, fmt.Sprintf("%s: the file has one value for all: override that", steps[i-1].key)})
			}
			return // else the fault is where that value stands
		}
		e := at.entry(step.key, step.pos)
		if i == len(steps)-1 {
			e.pos, e.value = step.pos, o.value
		}
		at = &e.value
	}
}

// entry returns the entry of n with key; a new one holds an empty mapping.
func (n *node) entry(key string, pos Pos) *entry {
	for i := range n.entries {
		if n.entries[i].key == key {
			return &n.entries[i]
		}
	}
	n.entries = append(n.entries, entry{key, pos, node{pos: pos, shape: mapping}})
	return &n.entries[len(n.entries)-1]
}

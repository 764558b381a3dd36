package scenario

import (
	"strings"
	"unicode/utf8"
)

// An override puts the value of one "dotted.key=value" into the tree that was
// read from the file, at the place schema gives the key.
type override struct {
	line   int // its number, from 1
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
	if steps := o.steps(key); steps != nil {
		o.put(root, steps)
	}
}

// steps cuts key at the dots that separate keys of the schema.
func (o *override) steps(key string) []entry {
	var steps []entry
	f, col, rest, more := &schema, 1, key, true
	for more {
		var head string
		head, rest, more = strings.Cut(rest, ".")
		if f.kind == named && f.each.kind == scalar && more { // all the rest is one name, dots and all
			head, rest, more = head+"."+rest, "", false
		}
		next, known := f.each, f.kind == named
		if f.kind == section {
			next, known = f.child(head)
		}
		if !known {
			o.faults = append(o.faults, Fault{o.pos(col), "unknown key " + quote(head) + ": " + didYouMean(head, f.keys())})
			return nil
		}
		steps = append(steps, entry{key: head, pos: o.pos(col)})
		f, col = next, col+utf8.RuneCountInString(head)+1
	}
	return steps
}

// put sets the value that steps lead to, and creates the mappings on the way.
func (o *override) put(at *node, steps []entry) {
	for i, step := range steps {
		if at.shape != mapping {
			return // the fault is where that value stands
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

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
	o.descend(&schema, root, key)
}

// descend walks key down the schema and the tree together.
func (o *override) descend(f *field, at *node, key string) {
	col, rest, more := 1, key, true
	for more {
		var head string
		whole := f.kind == named && f.each.kind == scalar // the rest is one name, dots and all
		if head, rest, more = strings.Cut(rest, "."); whole && more {
			head, rest, more = head+"."+rest, "", false
		}
		next, known := f.each, f.kind == named
		if f.kind == section {
			next, known = f.child(head)
		}
		if !known {
			o.faults = append(o.faults, Fault{o.pos(col), "unknown key " + quote(key[:len(key)-len(rest)-dot(more)]) + ": " + didYouMean(head, f.keys())})
			return
		}
		if at.shape != mapping {
			return // the fault is where that value stands
		}
		e := at.entry(head, o.pos(col))
		if !more {
			e.pos, e.value = o.pos(col), o.value
			return
		}
		col += utf8.RuneCountInString(head) + 1
		f, at = next, &e.value
	}
}

func dot(more bool) int {
	if more {
		return 1
	}
	return 0
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

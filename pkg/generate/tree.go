package generate

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// A nodeKind says what a JSON value is.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	arrayNode
	objectNode
)

// A node is one JSON value. What an array or object holds comes behind it, in
// order, up to next.
type node struct {
	kind       nodeKind
	name       []byte // of the member, escapes decoded; an element of an array has the array's
	column     []byte // of the row, while name is the key that it stands for
	claimed    bool   // it has found what it stands for, or what stands for it
	text       []byte // of a string without quotes, escapes decoded; of another scalar as it stands
	start, end int    // of the value in the text
	next       int
}

// A tree is a JSON text taken apart, in memory that is used again.
type tree struct {
	data    []byte
	nodes   []node
	decoded []byte // texts with escapes
	at      int
}

// maxDepth bounds nesting, as template.Walk does.
const maxDepth = 512

// parse reads one JSON text; false: it is none. The tree is valid as long as data is.
func (t *tree) parse(data []byte) bool {
	t.data, t.nodes, t.decoded, t.at = data, t.nodes[:0], t.decoded[:0], 0
	if !t.value(nil, 0) {
		return false
	}
	t.space()
	return t.at == len(data)
}

func (t *tree) raw(n *node) []byte { return t.data[n.start:n.end] }

func (t *tree) space() {
	for t.at < len(t.data) && (t.data[t.at] == ' ' || t.data[t.at] == '\n' || t.data[t.at] == '\t' || t.data[t.at] == '\r') {
		t.at++
	}
}

func (t *tree) take(c byte) bool {
	if t.at == len(t.data) || t.data[t.at] != c {
		return false
	}
	t.at++
	return true
}

// value reads a value and what is in it.
func (t *tree) value(name []byte, depth int) bool {
	t.space()
	if t.at == len(t.data) || depth > maxDepth {
		return false
	}
	i := len(t.nodes)
	t.nodes = append(t.nodes, node{name: name, start: t.at})
	var kind nodeKind
	var text []byte
	var ok bool
	switch c := t.data[t.at]; {
	case c == '{':
		kind, ok = objectNode, t.list('}', nil, depth)
	case c == '[':
		kind, ok = arrayNode, t.list(']', name, depth)
	case c == '"':
		kind = stringNode
		text, ok = t.text()
	case c == '-' || c >= '0' && c <= '9':
		kind = numberNode
		n := numberLength(t.data[t.at:])
		text, ok = t.data[t.at:t.at+n], n > 0
		t.at += n
	default:
		kind, text, ok = t.literal()
	}
	n := &t.nodes[i]
	n.kind, n.text, n.end, n.next = kind, text, t.at, len(t.nodes)
	return ok
}

func (t *tree) literal() (kind nodeKind, text []byte, ok bool) {
	kind, n := boolNode, 4
	switch rest := t.data[t.at:]; {
	case bytes.HasPrefix(rest, []byte("true")):
	case bytes.HasPrefix(rest, []byte("false")):
		n = 5
	case bytes.HasPrefix(rest, []byte("null")):
		kind = nullNode
	default:
		return 0, nil, false
	}
	text = t.data[t.at : t.at+n]
	t.at += n
	return kind, text, true
}

// list reads the members of an object, or the elements of an array called name.
func (t *tree) list(end byte, name []byte, depth int) bool {
	t.at++
	t.space()
	for n := 0; !t.take(end); n++ {
		if n > 0 && !t.take(',') {
			return false
		}
		if end == '}' {
			t.space()
			if t.at == len(t.data) || t.data[t.at] != '"' {
				return false
			}
			var ok bool
			if name, ok = t.text(); !ok {
				return false
			}
			if t.space(); !t.take(':') {
				return false
			}
		}
		if !t.value(name, depth+1) {
			return false
		}
		t.space()
	}
	return true
}

// text reads a string and its quotes.
func (t *tree) text() (text []byte, ok bool) {
	t.at++
	for start := t.at; t.at < len(t.data); t.at++ {
		switch c := t.data[t.at]; {
		case c == '"':
			t.at++
			return t.data[start : t.at-1], true
		case c == '\\':
			return t.escaped(start)
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escapes are the bytes behind a backslash and what they stand for; u aside.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped reads on from the first backslash of a string.
func (t *tree) escaped(start int) (text []byte, ok bool) {
	from := len(t.decoded)
	t.decoded = append(t.decoded, t.data[start:t.at]...)
	for t.at < len(t.data) {
		c := t.data[t.at]
		t.at++
		switch {
		case c == '"':
			return t.decoded[from:len(t.decoded):len(t.decoded)], true
		case c < ' ', t.at == len(t.data):
			return nil, false
		case c != '\\':
			t.decoded = append(t.decoded, c)
		case t.data[t.at] == 'u':
			if !t.unicode() {
				return nil, false
			}
		case escapes[t.data[t.at]] == 0:
			return nil, false
		default:
			t.decoded = append(t.decoded, escapes[t.data[t.at]])
			t.at++
		}
	}
	return nil, false
}

// unicode reads uXXXX, two of them where they are a pair. Half a pair is no
// character, and stays what it is: the three bytes that it would have in UTF-8.
func (t *tree) unicode() bool {
	r, ok := t.hex(t.at)
	if !ok {
		return false
	}
	t.at += 5
	if r >= 0xd800 && r < 0xdc00 && bytes.HasPrefix(t.data[t.at:], []byte(`\u`)) {
		if low, ok := t.hex(t.at + 1); ok && low >= 0xdc00 && low < 0xe000 {
			t.at += 6
			r = 0x10000 + (r-0xd800)<<10 + low - 0xdc00
		}
	}
	if r >= 0xd800 && r < 0xe000 {
		t.decoded = append(t.decoded, 0xed, 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
		return true
	}
	t.decoded = utf8.AppendRune(t.decoded, r)
	return true
}

// hex reads the four digits behind the u at i.
func (t *tree) hex(i int) (rune, bool) {
	if i+5 > len(t.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(t.data[i+1:i+5]), 16, 16)
	return rune(n), err == nil
}

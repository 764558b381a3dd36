package expect

import (
	"bytes"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// An Encoder writes rows of a table as JSON that holds what fits the columns
// and nothing else: keys are the columns' names, numbers stand without exponent,
// in quotes unless they are 64-bit integers, so that no reader takes them
// through a binary float. Of a key that a record holds twice the last counts. What
// stands in a row under a key in lower case, as in tables that do not keep the case of
// names, is of that key, unless the row has it too.
// An Encoder is not safe for concurrent use.
type Encoder struct {
	// Misfit is called for each value that became NULL.
	Misfit func(column, reason, value string)

	root   *node
	cells  bool
	slots  []gjson.Result // members of the objects being written
	digits [64]byte
}

// A node is a type made ready.
type node struct {
	Type

	index   map[string]int // Struct: of a key
	lower   map[string]int // of a key in lower case, which is no key itself
	fields  []*node
	names   []string // "name":
	elem    *node
	display string // path, for people
}

// NewEncoder returns an Encoder for t.
func NewEncoder(t Table) *Encoder {
	return &Encoder{root: newNode("", Type{Kind: Struct, Fields: t.Columns}), cells: t.Cells}
}

func newNode(display string, t Type) *node {
	n := &node{Type: t, display: display}
	switch t.Kind {
	case Struct:
		n.index = map[string]int{}
		for i, f := range t.Fields {
			path := f.Name
			if display != "" {
				path = display + "." + f.Name
			}
			n.index[f.Key] = i
			n.fields = append(n.fields, newNode(path, f.Type))
			n.names = append(n.names, string(gjson.AppendJSONString(nil, f.Name))+":")
		}
		n.lower = lowerOf(t.Fields)
	case List:
		n.elem = newNode(display+"[]", *t.Elem)
	case Varchar, Boolean, Integer, Huge, Decimal, JSON:
	}
	return n
}

// lowerOf are the columns by their keys in lower case, where that is one column's.
func lowerOf(columns []Column) map[string]int {
	index, many := map[string]int{}, map[string]int{}
	for i, c := range columns {
		name := strings.ToLower(c.Key)
		index[name] = i
		many[name]++
	}
	maps.DeleteFunc(index, func(name string, _ int) bool { return many[name] > 1 })
	return index
}

// Append appends a row and a newline. A row that is no JSON object becomes a
// row of NULLs.
func (e *Encoder) Append(dst, row []byte) []byte {
	v := gjson.ParseBytes(row)
	switch {
	case !valid(row):
		e.misfit(e.root, "the row is not valid JSON", string(row))
		return append(dst, "{}\n"...)
	case !v.IsObject():
		e.misfit(e.root, "the row is no JSON object", v.Raw)
		return append(dst, "{}\n"...)
	}
	return append(e.object(dst, e.root, v), '\n')
}

// valid is json.Valid, at half the time wherever nesting is certain to be flat:
// gjson recurses as deep as the row nests.
func valid(row []byte) bool {
	const flat = 1000
	if bytes.Count(row, []byte("["))+bytes.Count(row, []byte("{")) > flat {
		return json.Valid(row)
	}
	return gjson.ValidBytes(row)
}

func (e *Encoder) misfit(n *node, reason, value string) {
	if e.Misfit != nil {
		e.Misfit(n.display, reason, value)
	}
}

func (e *Encoder) object(dst []byte, n *node, v gjson.Result) []byte {
	base := len(e.slots)
	for range n.fields {
		e.slots = append(e.slots, gjson.Result{})
	}
	next := 0 // members mostly come in the template's order
	v.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if next >= len(n.fields) || n.Fields[next].Key != name {
			i, ok := n.index[name]
			if !ok {
				i, ok = n.lower[name]
				ok = ok && !e.slots[base+i].Exists()
			}
			if !ok {
				e.misfit(n, "no column for the key "+strconv.Quote(name), value.Raw)
				return true
			}
			next = i
		}
		e.slots[base+next] = value
		next++
		return true
	})
	dst = append(dst, '{')
	start := len(dst)
	for i, f := range n.fields {
		if e.slots[base+i].Type == gjson.Null {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, n.names[i]...)
		v := e.slots[base+i]
		if e.cells && n == e.root {
			v = cell(f, v)
		}
		dst = e.value(dst, f, v)
	}
	e.slots = e.slots[:base]
	return append(dst, '}')
}

// cell is the value that the text of a cell stands for, and an empty one for none; a
// text that stands for nothing of the column's type stays one.
func cell(n *node, v gjson.Result) gjson.Result {
	switch {
	case v.Type != gjson.String || n.Kind == Varchar:
		return v
	case v.Str == "":
		return gjson.Result{}
	case !valid([]byte(v.Str)):
		return v
	}
	in := gjson.Parse(v.Str)
	switch {
	case n.Kind == JSON, n.Kind == Struct && in.IsObject(), n.Kind == List && in.IsArray(), n.Kind == Boolean && in.IsBool(),
		n.Kind != Struct && n.Kind != List && n.Kind != Boolean && in.Type == gjson.Number:
		return in
	}
	return v
}

func (e *Encoder) value(dst []byte, n *node, v gjson.Result) []byte {
	nested := v.Type == gjson.JSON
	switch {
	case v.Type == gjson.Null:
		return append(dst, "null"...)
	case n.Kind == JSON:
		return gjson.AppendJSONString(dst, wellFormed(v.Raw))
	case n.Kind == Struct && v.IsObject():
		return e.object(dst, n, v)
	case n.Kind == List && v.IsArray():
		return e.list(dst, n, v)
	case n.Kind == Boolean && v.IsBool():
		return append(dst, v.Raw...)
	case n.Kind == Varchar && v.Type == gjson.String:
		return append(dst, wellFormed(v.Raw)...)
	case n.Kind == Varchar && !nested:
		return append(append(append(dst, '"'), v.Raw...), '"')
	case v.Type == gjson.Number:
		if out, ok := e.number(dst, n, v.Raw); ok {
			return out
		}
		e.misfit(n, "does not fit "+n.SQL(), v.Raw)
		return append(dst, "null"...)
	}
	e.misfit(n, "is no "+n.SQL(), v.Raw)
	return append(dst, "null"...)
}

func (e *Encoder) list(dst []byte, n *node, v gjson.Result) []byte {
	dst = append(dst, '[')
	start := len(dst)
	v.ForEach(func(_, value gjson.Result) bool {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = e.value(dst, n.elem, value)
		return true
	})
	return append(dst, ']')
}

func (e *Encoder) number(dst []byte, t *node, raw string) ([]byte, bool) {
	if t.Kind == Integer {
		if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
			return strconv.AppendInt(dst, n, 10), true
		}
	}
	n, ok := parseNumber(raw, e.digits[:])
	switch {
	case !ok:
		return dst, false
	case t.Kind == Integer:
		// Here for 1e3 and 5.0, which are whole numbers too.
		if n.fraction() > 0 || n.whole() > 18 {
			return dst, false
		}
		return n.append(dst), true
	case t.Kind == Huge && n.fraction() == 0 && n.whole() <= maxDigits,
		t.Kind == Decimal && n.fraction() <= t.Scale && n.whole() <= t.Width-t.Scale:
		return append(n.append(append(dst, '"')), '"'), true
	}
	return dst, false
}

// wellFormed puts U+FFFD for bytes that are no UTF-8 and for halves of
// surrogate pairs: JSON readers refuse them, and with them the whole file.
func wellFormed(raw string) string {
	if !utf8.ValidString(raw) {
		raw = strings.ToValidUTF8(raw, "\uFFFD")
	}
	if !strings.Contains(raw, `\u`) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		first, n := escapeAt(raw, i)
		second, m := escapeAt(raw, i+n)
		switch {
		case n < 6 || !utf16.IsSurrogate(first):
			out = append(out, raw[i:i+n]...)
		case utf16.DecodeRune(first, second) != utf8.RuneError:
			n += m
			out = append(out, raw[i:i+n]...)
		default:
			out = append(out, `\ufffd`...)
		}
		i += n
	}
	return string(out)
}

// escapeAt returns the length of the byte or escape at i, and of \u the number.
func escapeAt(raw string, i int) (r rune, n int) {
	switch {
	case i >= len(raw) || raw[i] != '\\':
		return 0, 1
	case raw[i+1] != 'u':
		return 0, 2
	}
	code, _ := strconv.ParseUint(raw[i+2:i+6], 16, 32)
	return rune(code), 6
}

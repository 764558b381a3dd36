package scenario

import (
	"errors"
	"fmt"
	"strings"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile and maxDepth bound what the YAML library is given: it recurses, and
// takes quadratic time.
const (
	maxFile  = 1 << 16
	maxDepth = 100
)

// A shape is what YAML says a value is.
type shape uint8

const (
	nothing shape = iota // null, or no value at all
	text                 // quoted, or plain and nothing else
	whole                // a plain number without a fraction
	float
	truth
	mapping
	sequence
	unread // it has a fault already
)

func (s shape) String() string {
	return [...]string{"nothing", "text", "a whole number", "a number", "true or false", "a mapping", "a list", "nothing readable"}[s]
}

// A node is a YAML value and its place.
type node struct {
	pos      Pos
	first    Pos // of the first character of a text
	shape    shape
	text     string // of a scalar
	expanded bool   // variables were put into text
	entries  []entry
	items    []node
	torn     bool // entries with a fault were left out
}

// An entry is a key of a mapping with its value.
type entry struct {
	key   string
	pos   Pos
	value node
}

// below returns the entries of the mapping at key.
func (n *node) below(key string) []entry {
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value.entries
		}
	}
	return nil
}

// names returns the keys of the mapping at key.
func (n *node) names(key string) (names []string) {
	for _, e := range n.below(key) {
		names = append(names, e.key)
	}
	return names
}

// got describes n in a fault.
func (n node) got() string {
	switch n.shape {
	case text:
		return quote(n.text)
	case whole, float, truth:
		return n.text
	default:
		return n.shape.String()
	}
}

// quote quotes s for a fault, cut to a length that fits a line.
func quote(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// A parse turns the YAML library's tree into nodes.
type parse struct {
	file   string
	line   int // of all places, if not 0: an override's number
	column int // added to columns of the first line: an override's value starts behind its key
	faults Faults
}

// yaml reads one YAML document. It never panics: what the library panics on
// is a fault of the file.
func (p *parse) yaml(data []byte) (n node, faults Faults) {
	n.shape = unread
	defer func() {
		if r := recover(); r != nil {
			n, faults = node{shape: unread}, Faults{{p.start(), fmt.Sprintf("not readable as YAML: %v", r)}}
		}
	}()
	if len(data) > maxFile {
		return n, Faults{{p.start(), fmt.Sprintf("%d bytes: a scenario file has at most %d", len(data), maxFile)}}
	}
	data = []byte(strings.TrimPrefix(string(data), "\ufeff"))
	if strings.Count(string(data), "[")+strings.Count(string(data), "{") > maxFile/16 {
		return n, Faults{{p.start(), "too many brackets for a scenario"}}
	}
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return n, Faults{p.syntax(err, data)}
	}
	return p.document(tree), p.faults
}

func (p *parse) start() Pos { return Pos{p.file, max(p.line, 1), 1 + p.column} }

func (p *parse) syntax(err error, data []byte) Fault {
	var at yaml.Error
	if !errors.As(err, &at) {
		return Fault{p.start(), "not readable as YAML: " + err.Error()}
	}
	pos := p.place(at.GetToken())
	if at, ok := p.variable(pos, data); ok {
		return Fault{at, "put the value in quotes: YAML reads { and } otherwise"}
	}
	if at, ok := p.unquoted(pos, data); ok {
		return Fault{at, "put the pattern in quotes: YAML reads * and { otherwise"}
	}
	return Fault{pos, "not readable as YAML: " + at.GetMessage()}
}

// variable finds the ${name} without quotes that made the library stop at pos.
func (p *parse) variable(pos Pos, data []byte) (Pos, bool) {
	lines := strings.Split(string(data), "\n")
	if p.line > 0 || pos.Line > len(lines) {
		return pos, false
	}
	line := []rune(lines[pos.Line-1])
	at := pos.Col - 2 // of the $
	if at < 0 || at+1 >= len(line) || line[at] != '$' || line[at+1] != '{' {
		return pos, false
	}
	pos.Col--
	return pos, true
}

// unquoted finds the pattern without quotes that made the library stop at pos.
func (p *parse) unquoted(pos Pos, data []byte) (Pos, bool) {
	lines := strings.Split(string(data), "\n")
	if p.line > 0 || pos.Line > len(lines) {
		return pos, false
	}
	line := []rune(lines[pos.Line-1])
	if pos.Col <= len(line) && line[pos.Col-1] == '*' {
		return pos, true
	}
	key := strings.TrimLeft(string(line), " ")
	pos.Col = len(line) - len([]rune(key)) + 1
	return pos, strings.HasPrefix(key, "*") || strings.HasPrefix(key, "{") && strings.Contains(key, "}:")
}

func (p *parse) place(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return p.start()
	}
	pos := Pos{p.file, max(t.Position.Line, 1), max(t.Position.Column, 1)}
	if pos.Line == 1 {
		pos.Col += p.column
	}
	if p.line > 0 {
		pos.Line = p.line
	}
	return pos
}

func (p *parse) fault(pos Pos, format string, args ...any) {
	p.faults = append(p.faults, Fault{pos, fmt.Sprintf(format, args...)})
}

func (p *parse) document(tree *ast.File) node {
	var bodies []ast.Node
	for _, d := range tree.Docs {
		if d != nil && d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) == 0 {
		return node{pos: p.start()}
	}
	n := p.node(bodies[0], p.start(), 0)
	if len(bodies) > 1 {
		p.fault(p.node(bodies[1], p.start(), 0).pos, "a second document: a scenario file has one, remove the \"---\" before it")
	}
	return n
}

// node converts n; a value that is not there stands at the place of its key.
func (p *parse) node(n ast.Node, key Pos, depth int) node {
	if depth > maxDepth {
		p.fault(key, "nested more than %d deep", maxDepth)
		return node{pos: key, shape: unread}
	}
	if n == nil {
		return node{pos: key}
	}
	at := p.place(n.GetToken())
	switch v := n.(type) {
	case *ast.NullNode:
		return node{pos: key}
	case *ast.StringNode:
		if v.Token.Type == token.StringType && v.Value != "" && strings.Trim(v.Value, "0123456789") == "" {
			return node{pos: at, shape: whole, text: v.Value} // too large for the library
		}
		first := at
		if v.Token.Type != token.StringType {
			first.Col++ // behind the quote
		}
		return node{pos: at, first: first, shape: text, text: v.Value}
	case *ast.LiteralNode:
		return node{pos: at, first: p.block(at, v), shape: text, text: v.Value.Value}
	case *ast.IntegerNode:
		return node{pos: at, shape: whole, text: v.Token.Value}
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return node{pos: at, shape: float, text: n.GetToken().Value}
	case *ast.BoolNode:
		return node{pos: at, shape: truth, text: v.Token.Value}
	case *ast.MappingNode:
		m := p.mapping(v.Values, at, depth)
		if !v.IsFlowStyle && len(m.entries) > 0 {
			m.pos = m.entries[0].pos
		}
		return m
	case *ast.SequenceNode:
		list := node{pos: at, shape: sequence}
		for _, item := range v.Values {
			list.items = append(list.items, p.node(item, at, depth+1))
		}
		return list
	}
	p.fault(at, "%s: anchors, aliases and tags are not read here: write the value itself, in quotes if it begins with *, & or !",
		strings.ToLower(n.Type().String()))
	return node{pos: at, shape: unread}
}

// block returns the place of the first character of a text that begins on the
// line behind | or >.
func (p *parse) block(at Pos, n *ast.LiteralNode) Pos {
	if p.line > 0 {
		return at
	}
	lines := strings.Split(n.Value.GetToken().Origin, "\n")
	for i, l := range lines {
		if indented := strings.TrimLeft(l, " "); indented != "" {
			return Pos{p.file, at.Line + 1 + i, len(l) - len(indented) + 1}
		}
	}
	return at
}

func (p *parse) mapping(values []*ast.MappingValueNode, at Pos, depth int) node {
	m := node{pos: at, shape: mapping}
	seen := map[string]Pos{}
	for _, v := range values {
		if v == nil || v.Key == nil {
			continue
		}
		key, ok := p.key(v.Key)
		if !ok {
			m.torn = true
			continue
		}
		key.value = p.node(v.Value, key.pos, depth+1)
		if first, twice := seen[key.key]; twice {
			p.fault(key.pos, "%s: this key is already on line %d: remove one", key.key, first.Line)
			m.torn = true
			continue
		}
		seen[key.key] = key.pos
		m.entries = append(m.entries, key)
	}
	return m
}

func (p *parse) key(n ast.MapKeyNode) (entry, bool) {
	var inner ast.Node = n
	if k, ok := n.(*ast.MappingKeyNode); ok {
		inner = k.Value
	}
	if s, ok := inner.(ast.ScalarNode); ok && n.Type() != ast.MergeKeyType {
		if str, ok := s.(*ast.StringNode); ok {
			return entry{key: str.Value, pos: p.place(str.Token)}, true
		}
		return entry{key: s.GetToken().Value, pos: p.place(s.GetToken())}, true
	}
	p.fault(p.place(n.GetToken()), "%s: want plain or quoted text as a key; keys of another mapping have to be written out", quote(n.GetToken().Value))
	return entry{}, false
}

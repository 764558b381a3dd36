package parquet

import (
	"errors"
	"fmt"
	"strings"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// tree is a schema, made for writing rows.
type tree struct {
	root   *node
	leaves []*leaf
}

type kind uint8

const (
	scalar kind = iota
	group
	list   // one child, which repeats; its elements are those of the array
	object // MAP: one child, which repeats and has a key and perhaps a value
)

// node is an element of a schema. Levels are those of
// https://parquet.apache.org/docs/file-format/nestedencoding/.
type node struct {
	kind     kind
	member   string // its name and a colon, as JSON
	optional bool
	repeated bool
	define   int // definition level from which on it is there
	repeat   int // repetition level of one more of it
	children []*node
	first    int // its leaves
	end      int
	leaf     *leaf
}

// leaf is a column.
type leaf struct {
	name     string // dotted path
	physical format.Type
	length   int // of FIXED_LEN_BYTE_ARRAY
	repeats  int // greatest repetition level
	defines  int // greatest definition level
	chunk    *lib.FileColumnChunk
	write    appendFunc
}

// newTree reads a schema, which is a tree in depth-first order.
func newTree(elements []format.SchemaElement) (*tree, error) {
	b := &builder{elements: elements}
	root, err := b.node(nil, 0, 0, 0)
	switch {
	case err != nil:
		return nil, fmt.Errorf("schema: %w", err)
	case len(b.elements) > 0:
		return nil, fmt.Errorf("schema: %d elements outside of the root", len(b.elements))
	}
	t := &tree{root: root, leaves: b.leaves}
	root.kind = group
	return t, t.bind(elements)
}

type builder struct {
	elements []format.SchemaElement // not read yet
	leaves   []*leaf
}

func (b *builder) node(path []string, define, repeat, depth int) (*node, error) {
	if len(b.elements) == 0 {
		return nil, errors.New("elements are missing")
	}
	if depth > MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	e := &b.elements[0]
	b.elements = b.elements[1:]
	n := &node{member: string(append(appendString(nil, e.Name), ':')), first: len(b.leaves)}
	if depth > 0 {
		path = append(path[:len(path):len(path)], e.Name)
		if e.RepetitionType.Valid {
			n.optional, n.repeated = e.RepetitionType.V == format.Optional, e.RepetitionType.V == format.Repeated
		}
	}
	if n.optional || n.repeated {
		define++
	}
	if n.repeated {
		repeat++
	}
	n.define, n.repeat = define, repeat
	if e.Type.Valid && depth > 0 {
		l := &leaf{name: strings.Join(path, "."), physical: e.Type.V, length: int(e.TypeLength.V), repeats: repeat, defines: define}
		var err error
		if l.write, err = writer(e); err != nil {
			return nil, fmt.Errorf("column %s: %w", l.name, err)
		}
		n.leaf, b.leaves = l, append(b.leaves, l)
		n.end = len(b.leaves)
		return n, nil
	}
	if e.NumChildren.V < 0 || int(e.NumChildren.V) > len(b.elements) {
		return nil, fmt.Errorf("%d children of %q, and %d elements follow", e.NumChildren.V, e.Name, len(b.elements))
	}
	n.kind = group
	for range e.NumChildren.V {
		child, err := b.node(path, define, repeat, depth+1)
		if err != nil {
			return nil, err
		}
		if child.end > child.first { // a group without a column holds nothing
			n.children = append(n.children, child)
		}
	}
	n.end = len(b.leaves)
	n.shape(e)
	return n, nil
}

// shape finds lists and maps, by the rules of
// https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#nested-types,
// those for older writers included.
func (n *node) shape(e *format.SchemaElement) {
	if len(n.children) != 1 || !n.children[0].repeated {
		return
	}
	entry := n.children[0]
	_, isList := e.LogicalType.Value.(*format.ListType)
	_, isMap := e.LogicalType.Value.(*format.MapType)
	if c := e.ConvertedType; c.Valid {
		isList = isList || c.V == deprecated.List
		isMap = isMap || c.V == deprecated.Map || c.V == deprecated.MapKeyValue
	}
	switch {
	case isMap && entry.kind == group && len(entry.children) <= 2 && entry.children[0].leaf != nil && !entry.children[0].repeated:
		n.kind = object
	case isList:
		n.kind = list
		name := strings.TrimSuffix(entry.member, `":`)
		old := name == `"array` || name == strings.TrimSuffix(n.member, `":`)+"_tuple"
		if entry.kind == group && len(entry.children) == 1 && !entry.children[0].repeated && !old {
			entry.kind = list // the level between: its child is the element
		}
	}
}

// bind makes the columns known to the library: as one row group of plain
// chunks without logical types, of which it can think nothing wrong.
func (t *tree) bind(elements []format.SchemaElement) (err error) {
	defer contain(&err)
	meta := format.FileMetaData{Version: 1, Schema: make([]format.SchemaElement, len(elements)), RowGroups: make([]format.RowGroup, 1)}
	for i, e := range elements {
		meta.Schema[i] = format.SchemaElement{Type: e.Type, TypeLength: e.TypeLength, RepetitionType: e.RepetitionType, Name: e.Name, NumChildren: e.NumChildren}
	}
	for _, l := range t.leaves {
		if l.physical == format.FixedLenByteArray && (l.length <= 0 || l.length > MaxPage) {
			return fmt.Errorf("schema: column %s: bytes of a fixed length of %d", l.name, l.length)
		}
		meta.RowGroups[0].Columns = append(meta.RowGroups[0].Columns, format.ColumnChunk{MetaData: format.ColumnMetaData{
			Type: l.physical, Codec: format.Uncompressed, DataPageOffset: streamStart, TotalCompressedSize: 1 << 62,
			Encoding: []format.Encoding{format.Plain}, PathInSchema: strings.Split(l.name, "."),
		}})
	}
	var protocol thrift.CompactProtocol
	footer, err := thrift.Marshal(&protocol, &meta)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	file, err := openLibrary(footer)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	for i, c := range file.RowGroups()[0].ColumnChunks() {
		t.leaves[i].chunk = c.(*lib.FileColumnChunk)
	}
	return nil
}

var errDisagree = errors.New("its columns disagree about how often something repeats")

// row is a row that is being written.
type row struct {
	columns []*column
	dst     []byte
	most    int
}

// render appends the next row to dst.
func (t *tree) render(dst []byte, columns []*column, most int) (_ []byte, err error) {
	defer contain(&err)
	r := row{columns, dst, most}
	if err := r.value(t.root, 0); err != nil {
		return r.dst, err
	}
	for i, l := range t.leaves {
		if l.repeats == 0 {
			continue
		}
		if v, err := columns[i].peek(); err != nil {
			return r.dst, err
		} else if v != nil && v.RepetitionLevel() != 0 {
			return r.dst, errDisagree
		}
	}
	if len(r.dst) > most {
		return r.dst, fmt.Errorf("row longer than %d bytes", most)
	}
	return r.dst, nil
}

// there says whether n is there, by its first column, whose next value must
// repeat at level at.
func (r *row) there(n *node, at int) (bool, error) {
	v, err := r.columns[n.first].peek()
	switch {
	case err != nil:
		return false, err
	case v == nil || v.RepetitionLevel() != at:
		return false, errDisagree
	}
	return v.DefinitionLevel() >= n.define, nil
}

// pass takes the value that each column below n has where n is not there.
func (r *row) pass(n *node, at int) error {
	for _, c := range r.columns[n.first:n.end] {
		v, err := c.peek()
		if err != nil {
			return err
		}
		if v == nil || v.RepetitionLevel() != at || v.DefinitionLevel() >= n.define {
			return errDisagree
		}
		c.take()
	}
	return nil
}

// value writes n, which is there.
func (r *row) value(n *node, at int) error {
	if len(r.dst) > r.most {
		return fmt.Errorf("row longer than %d bytes", r.most)
	}
	switch n.kind {
	case scalar:
		v, err := r.columns[n.first].peek()
		if err != nil {
			return err
		}
		if v == nil || v.RepetitionLevel() != at || v.DefinitionLevel() != n.define {
			return errDisagree
		}
		r.columns[n.first].take()
		r.dst = n.leaf.write(r.dst, v)
		return nil
	case list, object:
		if !n.children[0].repeated {
			return r.element(n.children[0], at)
		}
		return r.array(n.children[0], at, n.kind == object)
	default:
		return r.group(n, at)
	}
}

// element writes n or null.
func (r *row) element(n *node, at int) error {
	if n.optional {
		here, err := r.there(n, at)
		if err != nil {
			return err
		}
		if !here {
			r.dst = append(r.dst, "null"...)
			return r.pass(n, at)
		}
	}
	if n.repeated {
		return r.array(n, at, false)
	}
	return r.value(n, at)
}

func (r *row) group(n *node, at int) error {
	r.dst = append(r.dst, '{')
	begin := len(r.dst)
	for _, child := range n.children {
		if child.optional {
			here, err := r.there(child, at)
			if err != nil {
				return err
			}
			if !here {
				if err := r.pass(child, at); err != nil {
					return err
				}
				continue
			}
		}
		if len(r.dst) > begin {
			r.dst = append(r.dst, ',')
		}
		r.dst = append(r.dst, child.member...)
		var err error
		if child.repeated {
			err = r.array(child, at, false)
		} else {
			err = r.value(child, at)
		}
		if err != nil {
			return err
		}
	}
	r.dst = append(r.dst, '}')
	return nil
}

// array writes all of n, which repeats: as an array, or its keys and values as an object.
func (r *row) array(n *node, at int, asObject bool) error {
	ends := "[]"
	if asObject {
		ends = "{}"
	}
	r.dst = append(r.dst, ends[0])
	here, err := r.there(n, at)
	if err != nil {
		return err
	}
	if !here {
		r.dst = append(r.dst, ends[1])
		return r.pass(n, at)
	}
	for {
		if asObject {
			err = r.entry(n, at)
		} else {
			err = r.value(n, at)
		}
		if err != nil {
			return err
		}
		v, err := r.columns[n.first].peek()
		if err != nil {
			return err
		}
		if v == nil || v.RepetitionLevel() < n.repeat {
			r.dst = append(r.dst, ends[1])
			return nil
		}
		if at = n.repeat; v.RepetitionLevel() != at {
			return errDisagree
		}
		r.dst = append(r.dst, ',')
	}
}

// entry writes a key and its value.
func (r *row) entry(n *node, at int) error {
	begin := len(r.dst)
	if err := r.element(n.children[0], at); err != nil {
		return err
	}
	if key := string(r.dst[begin:]); key[0] != '"' {
		r.dst = appendString(r.dst[:begin], key)
	}
	r.dst = append(r.dst, ':')
	if len(n.children) == 1 {
		r.dst = append(r.dst, "null"...)
		return nil
	}
	return r.element(n.children[1], at)
}

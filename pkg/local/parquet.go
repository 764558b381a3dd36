package local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// maxDigits is the greatest precision of a DECIMAL in Hive, Athena and DuckDB.
const maxDigits = 38

// maxNesting is how deep objects and arrays become groups and lists; what is below stays JSON.
const maxNesting = 40

// shape is what the values of a field have in common, over the records of an object.
type shape struct {
	bools, whole, fractions, texts, lists, objects, others bool

	digits, scale int // of numbers, before and behind the point
	fields        map[string]*shape
	names         []string // of fields, sorted: the library has them so
	element       *shape

	kind   lib.Kind // of a leaf
	column int
	values []lib.Value // of the present row
}

// see takes a value in.
func (s *shape) see(raw []byte, depth int) {
	switch c := raw[0]; {
	case c == 'n':
	case c == 't' || c == 'f':
		s.bools = true
	case c == '"':
		s.texts = true
	case depth > maxNesting:
		s.others = true
	case c == '[':
		s.lists = true
		if s.element == nil {
			s.element = &shape{}
		}
		for _, e := range elements(raw) {
			s.element.see(e, depth+1)
		}
	case c == '{':
		s.objects = true
		members, err := object(raw)
		for _, m := range members {
			s.field(m.name).see(m.raw, depth+1)
			s.others = s.others || m.name == ""
		}
		s.others = s.others || err != nil
	default:
		s.number(string(raw))
	}
}

func (s *shape) field(name string) *shape {
	if s.fields == nil {
		s.fields = map[string]*shape{}
	}
	f := s.fields[name]
	if f == nil {
		f = &shape{}
		s.fields[name] = f
	}
	return f
}

func (s *shape) number(text string) {
	n, scale, ok := decimal(text)
	_, err := strconv.ParseInt(text, 10, 64)
	s.whole, s.fractions = s.whole || err == nil, s.fractions || err != nil
	if !ok {
		s.others = true
		return
	}
	s.digits, s.scale = max(s.digits, len(n.Text(10))-scale), max(s.scale, scale)
}

// decimal reads a number as n / 10^scale, with as many digits as it is written
// with; ok is false if that takes more than a DECIMAL has, or if it is −0.
func decimal(text string) (n *big.Int, scale int, ok bool) {
	mantissa, power, found := strings.Cut(strings.ToLower(text), "e")
	exponent := 0
	if found {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil || exponent > maxDigits || exponent < -maxDigits {
			return nil, 0, false
		}
	}
	front, back, _ := strings.Cut(mantissa, ".")
	scale = len(back) - exponent
	digits := front + back
	if scale < 0 {
		digits, scale = digits+strings.Repeat("0", -scale), 0
	}
	n, ok = new(big.Int).SetString(digits, 10)
	if !ok || len(strings.TrimPrefix(digits, "-")) > 2*maxDigits || n.Sign() == 0 && digits[0] == '-' || scale > maxDigits {
		return nil, 0, false
	}
	if n.Sign() < 0 {
		return n, scale, len(n.Text(10)) <= maxDigits+1
	}
	return n, scale, len(n.Text(10)) <= maxDigits
}

func elements(raw []byte) []json.RawMessage {
	var all []json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil // it was parsed before
	}
	return all
}

// node is the schema of s, with columns numbered from *columns on. What is of
// more than one kind is JSON text.
func (s *shape) node(columns *int) lib.Node {
	kinds := 0
	for _, is := range []bool{s.bools, s.whole || s.fractions, s.texts, s.lists, s.objects} {
		if is {
			kinds++
		}
	}
	if s.others || kinds > 1 || s.fractions && s.digits+s.scale > maxDigits || s.objects && len(s.fields) == 0 {
		return s.leaf(lib.JSON(), columns)
	}
	switch {
	case s.bools:
		return s.leaf(lib.Leaf(lib.BooleanType), columns)
	case s.fractions:
		return s.leaf(lib.Decimal(s.scale, max(1, s.digits+s.scale), lib.FixedLenByteArrayType(16)), columns)
	case s.whole:
		return s.leaf(lib.Int(64), columns)
	case s.lists:
		return lib.Optional(lib.List(s.element.node(columns)))
	case s.objects:
		return lib.Optional(s.group(columns))
	}
	return s.leaf(lib.String(), columns)
}

func (s *shape) leaf(n lib.Node, columns *int) lib.Node {
	s.fields, s.element = nil, nil
	s.kind, s.column = n.Type().Kind(), *columns
	*columns++
	return lib.Optional(n)
}

func (s *shape) group(columns *int) lib.Group {
	g := lib.Group{}
	s.names = slices.Sorted(maps.Keys(s.fields))
	for _, name := range s.names {
		g[name] = s.fields[name].node(columns)
	}
	return g
}

// shred cuts a value into those of its columns; nil or null: there is none.
// Levels are as in https://parquet.apache.org/docs/file-format/nestedencoding/;
// repeats counts the lists around it.
func (s *shape) shred(raw []byte, repetition, definition, repeats int) {
	here := len(raw) > 0 && raw[0] != 'n'
	if here {
		definition++
	}
	switch {
	case s.names != nil:
		var members []member
		if here {
			members, _ = object(raw) // it was read before
		}
		s.fill(members, repetition, definition, repeats)
	case s.element != nil:
		all := elements(raw)
		if len(all) == 0 {
			s.element.shred(nil, repetition, definition, repeats+1)
		}
		for _, e := range all {
			s.element.shred(e, repetition, definition+1, repeats+1)
			repetition = repeats + 1
		}
	case here:
		s.values = append(s.values, s.value(raw).Level(repetition, definition, s.column))
	default:
		s.values = append(s.values, lib.NullValue().Level(repetition, definition, s.column))
	}
}

func (s *shape) fill(members []member, repetition, definition, repeats int) {
	for _, name := range s.names {
		var raw []byte
		if i := slices.IndexFunc(members, func(m member) bool { return m.name == name }); i >= 0 {
			raw = members[i].raw
		}
		s.fields[name].shred(raw, repetition, definition, repeats)
	}
}

func (s *shape) value(raw []byte) lib.Value {
	switch s.kind {
	case lib.Boolean:
		return lib.BooleanValue(raw[0] == 't')
	case lib.Int64:
		n, _ := strconv.ParseInt(string(raw), 10, 64) // it was read before
		return lib.Int64Value(n)
	case lib.FixedLenByteArray:
		n, scale, _ := decimal(string(raw)) // it was read before
		n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(s.scale-scale)), nil))
		if n.Sign() < 0 { // two's complement
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), 128))
		}
		return lib.FixedLenByteArrayValue(n.FillBytes(make([]byte, 16)))
	default:
		if s.texts && !s.mixed() {
			raw = []byte(*cellOf(raw))
		}
		return lib.ByteArrayValue(raw)
	}
}

// mixed says whether a column of bytes is JSON.
func (s *shape) mixed() bool {
	return s.others || s.bools || s.whole || s.fractions || s.lists || s.objects
}

// row appends the values of all columns to row, in their order.
func (s *shape) row(row lib.Row) lib.Row {
	switch {
	case s.names != nil:
		for _, name := range s.names {
			row = s.fields[name].row(row)
		}
	case s.element != nil:
		row = s.element.row(row)
	default:
		row = append(row, s.values...)
		s.values = s.values[:0]
	}
	return row
}

// pages are the codecs of Parquet's pages; without a word it is Firehose's (ParquetSerDe).
var pages = map[string]compress.Codec{"": &lib.Snappy, "snappy": &lib.Snappy, "gzip": &lib.Gzip, "zstd": &lib.Zstd, "none": &lib.Uncompressed}

// parquet writes rows as one row group.
func (o *press) parquet(rows [][]member, compression string) ([]byte, error) {
	root, columns := &shape{}, 0
	for _, row := range rows {
		for _, m := range row {
			root.field(m.name).see(m.raw, 1)
		}
	}
	schema := lib.NewSchema("record", root.group(&columns))
	o.stored.Reset()
	w := lib.NewGenericWriter[any](&o.stored, schema, lib.Compression(pages[compression]))
	for _, members := range rows {
		root.fill(members, 0, 0, 0)
		if _, err := w.WriteRows([]lib.Row{root.row(nil)}); err != nil {
			return nil, fmt.Errorf("parquet: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	return bytes.Clone(o.stored.Bytes()), nil
}

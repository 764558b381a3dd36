package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// A Kind is what a column holds.
type Kind uint8

// The kinds of columns.
const (
	Varchar Kind = iota // text; also numbers of more than 38 digits, and where texts, numbers and booleans mix: as written
	Boolean
	Integer // of 64 bits
	Huge    // of 128 bits
	Decimal
	JSON // nested values of different shapes, as written
	Struct
	List
)

// A Type is a column's type, exact for every value that the template holds.
type Type struct {
	Kind         Kind
	Width, Scale int      // Decimal: digits, and how many of them behind the point
	Fields       []Column // Struct
	Elem         *Type    // List
}

// A Column is a member of a log type's records. Name is what SQL calls it:
// the key, or where SQL cannot tell it from another (names differ in more than case)
// or cannot write it, the key with something behind it.
type Column struct {
	Key, Name string
	Type      Type
}

// A Table is a log type. Name is what SQL calls it, quoted where need be.
type Table struct {
	LogType, Name string
	Columns       []Column
	// Cells says that values come as texts, as in CSV: a number, true or false, or
	// in a cell JSON that is nested.
	Cells bool
}

// TableOf infers a log type's table from captured records, which are JSON
// objects.
func TableOf(logType string, lines [][]byte) Table {
	var s shape
	for _, line := range lines {
		s.add(gjson.ParseBytes(line))
	}
	t := Table{LogType: logType, Name: names([]string{logType})[0], Columns: s.columns()}
	if len(t.Columns) == 0 { // SQL has no table without columns
		t.Columns = []Column{{Name: "_"}}
	}
	return t
}

// shape is what is known of the values of a place in the records.
type shape struct {
	bools, numbers, texts, objects, lists bool

	whole, fraction int // digits before and behind the point
	written         int // the latter with the zeros that are written: 0.50 has two
	wide            bool
	keys            []string // in the order of their first sight
	members         map[string]*shape
	elem            *shape
}

func (s *shape) add(v gjson.Result) {
	switch {
	case v.IsObject():
		s.objects = true
		v.ForEach(func(key, value gjson.Result) bool {
			s.member(key.String()).add(value)
			return true
		})
	case v.IsArray():
		s.lists = true
		if s.elem == nil {
			s.elem = new(shape)
		}
		v.ForEach(func(_, value gjson.Result) bool {
			s.elem.add(value)
			return true
		})
	case v.Type == gjson.Number:
		s.numbers = true
		n, ok := parseNumber(v.Raw, nil)
		s.whole, s.fraction = max(s.whole, n.whole()), max(s.fraction, n.fraction())
		if _, fraction, _ := strings.Cut(v.Raw, "."); !strings.ContainsAny(fraction, "eE") {
			s.written = max(s.written, len(fraction))
		}
		s.wide = s.wide || !ok
	case v.Type == gjson.String:
		s.texts = true
	case v.IsBool():
		s.bools = true
	}
}

func (s *shape) member(key string) *shape {
	m := s.members[key]
	if m == nil {
		if s.members == nil {
			s.members = map[string]*shape{}
		}
		m = new(shape)
		s.members[key] = m
		s.keys = append(s.keys, key)
	}
	return m
}

func (s *shape) columns() []Column {
	list := make([]Column, len(s.keys))
	for i, name := range names(s.keys) {
		list[i] = Column{s.keys[i], name, s.members[s.keys[i]].column()}
	}
	return list
}

func (s *shape) column() Type {
	scalar := s.bools || s.numbers || s.texts
	switch {
	case s.objects && !s.lists && !scalar && len(s.keys) > 0:
		return Type{Kind: Struct, Fields: s.columns()}
	case s.lists && !s.objects && !scalar:
		elem := s.elem.column()
		return Type{Kind: List, Elem: &elem}
	case s.objects || s.lists:
		return Type{Kind: JSON}
	case s.numbers && !s.texts && !s.bools:
		return s.number()
	case s.bools && !s.numbers && !s.texts:
		return Type{Kind: Boolean}
	}
	return Type{Kind: Varchar}
}

// number leaves room: the records of a million users hold numbers that the
// captured user's do not.
func (s *shape) number() Type {
	scale := max(s.written, s.fraction)
	if s.whole+scale > maxDigits {
		scale = s.fraction
	}
	digits := s.whole + scale
	switch {
	case s.wide || digits > maxDigits:
		return Type{Kind: Varchar}
	case scale == 0 && s.whole <= 18:
		return Type{Kind: Integer}
	case scale == 0:
		return Type{Kind: Huge}
	case digits <= 15:
		return Type{Kind: Decimal, Width: 18, Scale: scale}
	}
	return Type{Kind: Decimal, Width: maxDigits, Scale: scale}
}

// names makes of keys what SQL can tell apart and write: SQL knows no empty
// name, no NUL in one, and no difference of case.
func names(keys []string) []string {
	list, taken := make([]string, len(keys)), map[string]bool{}
	for _, key := range keys { // a key that is a good name keeps it
		if sqlName(key) == key {
			taken[strings.ToLower(key)] = false
		}
	}
	for i, key := range keys {
		name := sqlName(key)
		used, reserved := taken[strings.ToLower(name)]
		for n := 2; used || reserved && name != key; n++ {
			name = fmt.Sprintf("%s_%d", sqlName(key), n)
			used, reserved = taken[strings.ToLower(name)]
		}
		taken[strings.ToLower(name)] = true
		list[i] = name
	}
	return list
}

func sqlName(key string) string {
	name := strings.ReplaceAll(strings.ToValidUTF8(key, "\uFFFD"), "\x00", "\uFFFD")
	if name == "" {
		return "_"
	}
	return name
}

// Quote writes a name for SQL.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// SQL is the type as DuckDB writes it.
func (t Type) SQL() string {
	switch t.Kind {
	case Boolean:
		return "BOOLEAN"
	case Integer:
		return "BIGINT"
	case Huge:
		return "HUGEINT"
	case Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Width, t.Scale)
	case JSON:
		return "JSON"
	case Struct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = Quote(f.Name) + " " + f.Type.SQL()
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")"
	case List:
		return t.Elem.SQL() + "[]"
	case Varchar:
	}
	return "VARCHAR"
}

// Written is the type as which [Encoder] writes values: JSON is text there.
func (t Type) Written() Type {
	switch t.Kind {
	case JSON:
		return Type{Kind: Varchar}
	case Struct:
		t.Fields = slices.Clone(t.Fields)
		for i := range t.Fields {
			t.Fields[i].Type = t.Fields[i].Type.Written()
		}
	case List:
		elem := t.Elem.Written()
		t.Elem = &elem
	case Varchar, Boolean, Integer, Huge, Decimal:
	}
	return t
}

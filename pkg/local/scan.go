package local

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// A PutRecords body is nearly all of what the pipeline reads, so it has its own
// scanner: one pass, no copy, nothing allocated unless a string has escapes.
// Whatever is rare (escapes, bad UTF-8, unknown members) goes to encoding/json.

var errSyntax = errors.New("local: not a PutRecords body")

// entry is one record of a request. Its slices point into the body.
type entry struct {
	data []byte // nil: absent
	key  []byte // nil: absent
	hash []byte // nil: absent
}

// putRecords is a PutRecords request. A member that comes twice counts as the last one says.
type putRecords struct {
	name, arn string
	records   []entry
	raw       bool // data is as it is; else in base64
}

// parse fills r from body, reusing r.records. Data is left in base64.
func (r *putRecords) parse(body []byte) error {
	s := scanner{b: body}
	*r = putRecords{records: r.records[:0]}
	err := s.object(func(name []byte) error {
		switch string(name) {
		case "Records":
			return s.records(r)
		case "StreamName":
			v, err := s.text()
			r.name = string(v)
			return err
		case "StreamARN":
			v, err := s.text()
			r.arn = string(v)
			return err
		}
		return s.skip()
	})
	if err != nil {
		return err
	}
	if s.space(); s.i != len(s.b) {
		return errSyntax
	}
	return nil
}

// scanner is a place in a JSON text.
type scanner struct {
	b []byte
	i int
}

// space skips white space and returns the byte after it, 0 at the end.
func (s *scanner) space() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// more steps to the next element of a container and tells whether there is one.
func (s *scanner) more(first bool, end byte) (bool, error) {
	switch c := s.space(); {
	case c == end:
		s.i++
		return false, nil
	case first:
		return true, nil
	case c == ',':
		s.i++
		if s.space() == end {
			return false, errSyntax
		}
		return true, nil
	}
	return false, errSyntax
}

// object calls member with each name; member consumes the value.
func (s *scanner) object(member func(name []byte) error) error {
	if s.space() != '{' {
		return errSyntax
	}
	s.i++
	for first := true; ; first = false {
		more, err := s.more(first, '}')
		if err != nil || !more {
			return err
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

// name reads a member's name and the colon after it.
func (s *scanner) name() ([]byte, error) {
	if s.space() != '"' {
		return nil, errSyntax
	}
	name, err := s.text()
	if err != nil || s.space() != ':' {
		return nil, errSyntax
	}
	s.i++
	return name, nil
}

// records reads the value of Records.
func (s *scanner) records(r *putRecords) error {
	r.records = r.records[:0]
	if s.null() {
		return nil
	}
	if s.space() != '[' {
		return errSyntax
	}
	s.i++
	for first := true; ; first = false {
		more, err := s.more(first, ']')
		if err != nil || !more {
			return err
		}
		e, err := s.entry()
		if err != nil {
			return err
		}
		r.records = append(r.records, e)
	}
}

// entry reads one record. It has no closure: it runs once a record.
func (s *scanner) entry() (e entry, err error) {
	if s.space() != '{' {
		return e, errSyntax
	}
	s.i++
	for first := true; ; first = false {
		more, err := s.more(first, '}')
		if err != nil || !more {
			return e, err
		}
		name, err := s.name()
		if err != nil {
			return e, err
		}
		switch string(name) {
		case "Data":
			e.data, err = s.base64()
		case "PartitionKey":
			e.key, err = s.text()
		case "ExplicitHashKey":
			e.hash, err = s.text()
		default:
			err = s.skip()
		}
		if err != nil {
			return e, err
		}
	}
}

// null steps over a null and tells whether there was one.
func (s *scanner) null() bool {
	s.space()
	if !bytes.HasPrefix(s.b[s.i:], []byte("null")) {
		return false
	}
	s.i += len("null")
	return true
}

// raw reads a string token up to its closing quote, and tells if it has escapes.
func (s *scanner) raw() (inner []byte, escaped bool, err error) {
	if s.space() != '"' {
		return nil, false, errSyntax
	}
	rest := s.b[s.i+1:]
	n := bytes.IndexByte(rest, '"')
	if n < 0 {
		return nil, false, errSyntax
	}
	if bytes.IndexByte(rest[:n], '\\') < 0 {
		s.i += n + 2
		return rest[:n:n], false, nil
	}
	for n = 0; n < len(rest); n++ {
		switch rest[n] {
		case '\\':
			n++
		case '"':
			s.i += n + 2
			return rest[:n:n], true, nil
		}
	}
	return nil, false, errSyntax
}

// text reads a string or a null (nil).
func (s *scanner) text() ([]byte, error) {
	if s.null() {
		return nil, nil
	}
	inner, escaped, err := s.raw()
	if err != nil {
		return nil, err
	}
	if !escaped && plain(inner) {
		return inner, nil
	}
	return unquote(inner)
}

// base64 reads a string of base64 or a null (nil), without checking the base64.
func (s *scanner) base64() ([]byte, error) {
	if s.null() {
		return nil, nil
	}
	inner, escaped, err := s.raw()
	if err != nil {
		return nil, err
	}
	if !escaped && bytes.IndexByte(inner, '\n') < 0 && bytes.IndexByte(inner, '\r') < 0 {
		return inner, nil // any other byte that JSON forbids, base64 forbids too
	}
	return unquote(inner)
}

// plain tells that a string without escapes is valid and stands for itself.
func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' {
			return false
		}
		if c >= utf8.RuneSelf {
			return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' })
		}
	}
	return true
}

// unquote takes the escapes out of a string, the slow way.
func unquote(inner []byte) ([]byte, error) {
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return nil, errSyntax
	}
	return []byte(text), nil
}

// skip steps over any value: it finds where the value ends, and leaves it to
// encoding/json to say whether that is one.
func (s *scanner) skip() error {
	s.space()
	start, depth := s.i, 0
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case '"':
			if _, _, err := s.raw(); err != nil {
				return err
			}
			s.i--
		case '{', '[':
			depth++
		case '}', ']', ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return valid(s.b[start:s.i])
			}
			if c := s.b[s.i]; c == '}' || c == ']' {
				depth--
			}
		}
		s.i++
	}
	return errSyntax
}

func valid(value []byte) error {
	if !json.Valid(value) {
		return errSyntax
	}
	return nil
}

// decode appends the decoded text to dst, which has room for it.
func decode(dst, text []byte) ([]byte, error) {
	n, err := base64.StdEncoding.Decode(dst[len(dst):cap(dst)], text)
	if err != nil {
		return dst, errSyntax
	}
	return dst[:len(dst)+n], nil
}

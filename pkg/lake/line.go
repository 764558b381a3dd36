package lake

import (
	"bytes"
	"encoding/json"
)

// Where many producers write lines, what one of them left open must not take the
// next one's line along. So a valid row that has a line for itself, from the
// first byte to the last, is a row whatever stands around it.

// line says whether the '{' at r, which begins a line, begins such a row; more
// asks for a fill. A line is looked at once, so it needs no budget.
func (s *splitter) line() fault {
	b := s.buf[s.r:s.w]
	end := bytes.IndexByte(b, '\n')
	if end >= 0 {
		b = b[:end]
	}
	n, f := s.match.match(b)
	mayGrow := end < 0 && !s.eof && len(b) < s.max+slack
	switch {
	case f == more && mayGrow, f == whole && mayGrow && n+1 >= len(b):
		return more
	case f == whole && n <= s.max && alone(b[n:]) && json.Valid(b[:n]):
		return whole
	}
	return notObject
}

// alone says whether a row ends its line, of which rest is left.
func alone(rest []byte) bool { return len(rest) == 0 || len(rest) == 1 && rest[0] == '\r' }

// swallows says whether row has such a row within it: its brackets are not of one
// row then, but of others' lines about it.
func (s *splitter) swallows(row []byte) bool {
	if bytes.IndexByte(row, '\n') < 0 { // nearly always
		return false
	}
	for at := 0; ; {
		next := lineWithin(row[at:])
		if at += next; at == len(row) {
			return false
		}
		line, _, _ := bytes.Cut(row[at:], []byte("\n"))
		if n, f := s.match.match(line); f == whole && alone(line[n:]) && json.Valid(line[:n]) {
			return true
		}
	}
}

// lineWithin is where in b, behind its first byte, a line begins with '{'; else
// the length of b.
func lineWithin(b []byte) int {
	if at := bytes.Index(b[min(1, len(b)):], []byte("\n{")); at >= 0 {
		return 1 + at + 1
	}
	return len(b)
}

package lake

import (
	"encoding/binary"
	"math/bits"
)

// fault says why text is not a row; whole and more are none.
type fault uint8

const (
	whole fault = iota
	more        // sound so far, the end is not in sight
	notObject
	badString
	badByte
	badPlace
	badBracket
	notJSON
	notLines
	tooDeep
	tooLong
)

var reasons = [...]string{
	more:       "cut short",
	notObject:  "not a JSON object",
	badString:  "control byte in a string",
	badByte:    "byte that cannot stand outside of a string",
	badPlace:   "bracket or quote out of place",
	badBracket: "brackets do not match",
	notJSON:    "not valid JSON",
	notLines:   "a row stands in a line of it",
	tooDeep:    "nested too deep",
}

// maxDepth is the depth encoding/json refuses.
const maxDepth = 10000

// kind of a byte outside of strings.
const (
	inert = iota // numbers, literals, white space
	colon        // ':' ',': a string may follow
	quote
	open
	shut
	illegal
)

var kinds = func() (k [256]uint8) {
	for c := range k {
		k[c] = illegal
	}
	for _, c := range " \t\r\n0123456789+-.eEtrufalsn" {
		k[c] = inert
	}
	k[':'], k[','], k['"'] = colon, colon, quote
	k['{'], k['['], k['}'], k[']'] = open, open, shut, shut
	return k
}()

// matcher finds where a row ends. It may be used again but not concurrently.
type matcher struct {
	stack []byte // open brackets
}

// match looks at b, which begins with '{'. With whole, n is the length of the
// row; otherwise it is how many bytes were looked at.
func (m *matcher) match(b []byte) (n int, f fault) {
	m.stack = append(m.stack[:0], '{')
	for i := 1; i < len(b); {
		switch kinds[b[i]] {
		case inert, colon:
			for i++; i < len(b) && kinds[b[i]] <= colon; i++ { // most bytes outside of strings
				continue
			}
		case quote:
			if p := b[i-1]; kinds[p] != colon && p != '{' && !stringMayFollow(b[:i]) {
				return i, badPlace
			}
			if i, f = skipString(b, i+1); f != whole {
				return i, f
			}
			for i+1 < len(b) && b[i+1] == '"' && (b[i] == ':' || b[i] == ',') { // most strings follow another one
				if i, f = skipString(b, i+2); f != whole {
					return i, f
				}
			}
		case open:
			if f := m.push(b, i); f != whole {
				return i, f
			}
			i++
		case shut:
			top := len(m.stack) - 1
			if b[i] != m.stack[top]+2 { // '{'+2 is '}', '['+2 is ']'
				return i, badBracket
			}
			m.stack = m.stack[:top]
			i++
			if top == 0 {
				return i, whole
			}
		default:
			return i, badByte
		}
	}
	return len(b), more
}

// push opens the bracket b[i], which must stand where a value may begin. This
// is what keeps a row without its end from swallowing the rows after it.
func (m *matcher) push(b []byte, i int) fault {
	want, top := lastByte(b[:i]), m.stack[len(m.stack)-1]
	if top == '{' && want != ':' || top == '[' && want != '[' && want != ',' {
		return badPlace
	}
	if len(m.stack) == maxDepth {
		return tooDeep
	}
	m.stack = append(m.stack, b[i])
	return whole
}

func stringMayFollow(b []byte) bool {
	p := lastByte(b)
	return kinds[p] == colon || kinds[p] == open
}

// lastByte returns the last byte of b that is not white space; there is one.
func lastByte(b []byte) byte {
	i := len(b) - 1
	for i > 0 && isBlank(b[i]) {
		i--
	}
	return b[i]
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// marks marks the ends of what skipString may skip: the lowest byte of x that is
// marked by its high bit is a quote, a backslash or a control byte. Of
// the two terms one marks backslashes, the other quotes and control bytes,
// since the quote is the only byte from 0x20 on that flipping bit 1 makes less than 0x21.
func marks(x uint64) uint64 {
	q, s := x^ones*2, x^ones*'\\'
	return ((q-ones*0x21)&^q | (s-ones)&^s) & highs
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// skipString returns the index behind the string's closing quote; b[i] is the
// first byte of its content. It looks at 8 bytes at a time.
func skipString(b []byte, i int) (int, fault) {
	for i+8 <= len(b) {
		m := marks(binary.LittleEndian.Uint64(b[i:]))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		switch b[i] {
		case '"':
			return i + 1, whole
		case '\\':
			i += 2
		default:
			return i, badString
		}
	}
	for ; i < len(b); i++ { // the last bytes of b
		switch {
		case b[i] == '"':
			return i + 1, whole
		case b[i] == '\\':
			i++
		case b[i] < ' ':
			return i, badString
		}
	}
	return len(b), more
}

package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// A shape is a text as digits of mixed radix: each character counts within its
// class, and what has no class stays. On texts of one shape the replica is a
// bijection for each user: equal texts stay equal and distinct ones distinct.
// For each text it differs from user to user, as long as the shape can write as
// many texts as there are users.
type shape struct {
	digits []byte // value within the class, or the character itself
	radix  []uint8
	class  []class
	moving []int // places of characters that change
}

type class uint8

const (
	kept class = iota
	decimalDigit
	firstDigit // of a number: no zero
	hexLower
	hexUpper
	lowerCase
	upperCase
)

// alphabets holds the characters of each class in order.
var alphabets = [...]string{
	kept: "", decimalDigit: "0123456789", firstDigit: "123456789", hexLower: "0123456789abcdef", hexUpper: "0123456789ABCDEF",
	lowerCase: "abcdefghijklmnopqrstuvwxyz", upperCase: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}

// limits are the largest numbers of 32 bits, of a float64 that is exact, and of
// 64 bits, with and without a sign: a number that fits one of them still does when
// its digits change.
var limits = []string{"2147483647", "4294967295", "9007199254740992", "9223372036854775807", "18446744073709551615"}

// hash makes a slot for a text or a number whose letters and digits all change.
func hash(f Field, value, inner []byte) (s part, err error) {
	if f.Kind == Bool {
		return s, fmt.Errorf("%s is no text and no number", value)
	}
	s.kind, s.shape = slotHash, shapeOf(f.Kind, inner, 0)
	if err := s.shape.changes(); err != nil || f.Kind != String {
		return s, err
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil { // its letters may be escapes
		return s, err
	}
	for _, c := range text {
		if c >= utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return s, fmt.Errorf("%s holds %c, which is not ASCII and would stay: give it the role fake, or keep", value, c)
		}
	}
	return s, nil
}

// shapeOf finds the shape of what stands between the quotes, or of a number.
// The first characters, as many as fixed says, stay.
func shapeOf(kind Kind, text []byte, fixed int) *shape {
	s, hex := &shape{}, kept
	if kind == String { // 12e45678 in quotes is hex, bare it has an exponent
		hex = hexOf(text)
	}
	for i := 0; i < len(text); i++ {
		if n := escape(text[i:]); n > 0 { // stays whole
			for ; n > 1; n-- {
				s.add(text[i], kept)
				i++
			}
			s.add(text[i], kept)
			continue
		}
		switch c := text[i]; {
		case i < fixed:
			s.add(c, kept)
		case hex != kept && c != '-' && c != ':':
			s.add(c, hex)
		case c >= '0' && c <= '9':
			s.add(c, decimalDigit)
		case c >= 'a' && c <= 'z':
			s.add(c, lowerCase)
		case c >= 'A' && c <= 'Z':
			s.add(c, upperCase)
		default:
			s.add(c, kept)
		}
	}
	if hex == kept {
		s.numeric(text, fixed)
	}
	for i, r := range s.radix {
		if r > 1 {
			s.moving = append(s.moving, i)
		}
	}
	return s
}

// escape is the length of the JSON escape at the start of text, or 0.
func escape(text []byte) int {
	switch {
	case len(text) < 2 || text[0] != '\\':
		return 0
	case text[1] == 'u':
		return min(len(text), 6)
	}
	return 2
}

var exponent = regexp.MustCompile(`^[eE][+-]?[0-9]+$`)

// numeric lets a number begin with no zero, stay within the limit of its size
// and keep its exponent.
func (s *shape) numeric(text []byte, fixed int) {
	from := len(text) - len(bytes.TrimPrefix(text, []byte("-")))
	end := from
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	whole := text[from:end]
	rest := bytes.TrimLeft(text[end:], "0123456789.")
	if len(whole) == 0 || len(rest) > 0 && !exponent.Match(rest) {
		return // 7elena is no number
	}
	for i := len(text) - len(rest); i < len(text); i++ {
		s.keep(i, text[i])
	}
	if len(whole) < 2 || fixed > from {
		return
	}
	if whole[0] == '0' {
		s.keep(from, '0')
		return
	}
	s.digits[from], s.radix[from], s.class[from] = whole[0]-'1', 9, firstDigit
	for _, limit := range limits {
		if len(whole) != len(limit) || string(whole) > limit {
			continue
		}
		for i := range whole {
			s.keep(from+i, whole[i])
			if whole[i] < limit[i] {
				break
			}
		}
	}
}

func (s *shape) keep(i int, c byte) { s.digits[i], s.radix[i], s.class[i] = c, 0, kept }

func (s *shape) add(c byte, k class) {
	value := c
	if k != kept {
		value = byte(bytes.IndexByte([]byte(alphabets[k]), c))
	}
	s.digits, s.radix, s.class = append(s.digits, value), append(s.radix, uint8(len(alphabets[k]))), append(s.class, k)
}

const shortestHex = 8

// hexOf says whether a text is hex of one case: digits and letters both.
func hexOf(text []byte) class {
	var digits, lower, upper, other int
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'f':
			lower++
		case c >= 'A' && c <= 'F':
			upper++
		case c != '-' && c != ':':
			other++
		}
	}
	switch {
	case other > 0 || digits == 0 || digits+lower+upper < shortestHex:
		return kept
	case lower > 0 && upper == 0:
		return hexLower
	case upper > 0 && lower == 0:
		return hexUpper
	}
	return kept
}

// changes says whether any character can change.
func (s *shape) changes() error {
	if len(s.moving) == 0 {
		return errors.New("holds no ASCII letter or digit that could change")
	}
	return nil
}

// Keys of the two mixings. Part of the format, like those of record's uuids.
const (
	firstMix  = 0x452821e638d01377
	secondMix = 0xbe5466cf34e90c6c
)

// append writes the replica: mix, count up by the user, mix.
func (s *shape) append(dst []byte, v *Values) []byte {
	start := len(dst)
	dst = append(dst, s.digits...)
	d := dst[start:]
	s.mix(d, mix64(v.Seed^firstMix))
	carry := v.User
	for k := len(s.moving) - 1; k >= 0 && carry > 0; k-- { // as in addition by hand
		i := s.moving[k]
		r := uint32(s.radix[i])
		next := carry / r
		sum := uint32(d[i]) + carry - next*r
		if sum >= r { // it is below 2r
			sum, next = sum-r, next+1
		}
		d[i], carry = byte(sum), next
	}
	s.mix(d, mix64(v.Seed^secondMix))
	for _, i := range s.moving {
		d[i] = alphabets[s.class[i]][d[i]]
	}
	return dst
}

// mix moves every digit by what stood before it, then by what stands behind
// it: each pass can be undone from the end where it began.
func (s *shape) mix(d []byte, key uint64) {
	state := key
	for _, i := range s.moving {
		state = s.step(d, i, state)
	}
	state = ^key
	for k := len(s.moving) - 1; k >= 0; k-- {
		state = s.step(d, s.moving[k], state)
	}
}

func (s *shape) step(d []byte, i int, state uint64) uint64 {
	r, was := uint64(s.radix[i]), uint64(d[i])
	to := was + uint64(modulo(uint32(state>>33), uint32(r))) // below 2r; 32 bits divide sooner
	if to >= r {
		to -= r
	}
	d[i] = byte(to)
	state = (state ^ (was + 1)) * 0x9fb21c651e98df25
	return state ^ state>>32
}

// modulo is n % r. By a number that is known beforehand compilers do not divide.
func modulo(n, r uint32) uint32 {
	switch r {
	case 10:
		return n % 10
	case 16:
		return n % 16
	case 26:
		return n % 26
	}
	return n % r
}

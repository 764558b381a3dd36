package expect

import (
	"bytes"
	"strconv"
)

// maxDigits is what DECIMAL and HUGEINT hold in every SQL engine in question.
const maxDigits = 38

// A number is a JSON number without loss: 0.digits × 10^point. Zero has no
// digits; otherwise neither the first nor the last digit is 0.
type number struct {
	negative bool
	digits   []byte
	point    int
}

// maxExponent bounds what is read as a number at all.
const maxExponent = 10_000

// parseNumber reads a valid JSON number. buf is where digits may be kept. ok is
// false for an exponent that no column could hold.
func parseNumber(token string, buf []byte) (n number, ok bool) {
	if token != "" && token[0] == '-' {
		n.negative, token = true, token[1:]
	}
	digits, whole := buf[:0], -1
	exponent := 0
	for i := 0; i < len(token); i++ {
		switch c := token[i]; c {
		case '.':
			whole = len(digits)
		case 'e', 'E':
			var err error
			if exponent, err = strconv.Atoi(token[i+1:]); err != nil || exponent > maxExponent || exponent < -maxExponent {
				return n, false
			}
			i = len(token)
		default:
			digits = append(digits, c)
		}
	}
	if whole < 0 {
		whole = len(digits)
	}
	n.digits = bytes.TrimLeft(digits, "0")
	n.point = whole - (len(digits) - len(n.digits)) + exponent
	n.digits = bytes.TrimRight(n.digits, "0")
	if len(n.digits) == 0 {
		return number{digits: n.digits}, true
	}
	return n, true
}

// whole and fraction are how many digits stand before and behind the point.
func (n number) whole() int    { return max(n.point, 0) }
func (n number) fraction() int { return max(len(n.digits)-n.point, 0) }

// append writes the number without an exponent.
func (n number) append(dst []byte) []byte {
	if n.negative {
		dst = append(dst, '-')
	}
	if n.point <= 0 {
		dst = append(dst, '0')
	}
	for i := range max(n.point, 0) {
		if i < len(n.digits) {
			dst = append(dst, n.digits[i])
		} else {
			dst = append(dst, '0')
		}
	}
	if n.fraction() > 0 {
		dst = append(dst, '.')
		for range -n.point {
			dst = append(dst, '0')
		}
		dst = append(dst, n.digits[max(n.point, 0):]...)
	}
	return dst
}

package generate

import (
	"bytes"
	"strconv"
)

// numberLength is how many bytes of s a JSON number has; 0: s begins with none.
func numberLength(s []byte) int {
	digits := func(i int) int {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i
	}
	start := 0
	if len(s) > 0 && s[0] == '-' {
		start = 1
	}
	i := digits(start)
	if i == start || i > start+1 && s[start] == '0' {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		end := digits(i + 1)
		if end == i+1 {
			return 0
		}
		i = end
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		from := i + 1
		if from < len(s) && (s[from] == '+' || s[from] == '-') {
			from++
		}
		end := digits(from)
		if end == from {
			return 0
		}
		i = end
	}
	return i
}

func isNumber(s []byte) bool { return len(s) > 0 && numberLength(s) == len(s) }

// A decimal is a number as it is written: its digits, perhaps with a point in
// them, from the first that is not 0 to the last, times ten to the exponent.
type decimal struct {
	negative bool
	digits   []byte // empty: zero
	exponent int64  // of the last digit
}

// decimalOf takes a JSON number apart. It is not ok where the exponent does not
// fit: then two numbers are alike only if their texts are.
func decimalOf(s []byte) (d decimal, ok bool) {
	mantissa := s
	if i := bytes.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.ParseInt(string(s[i+1:]), 10, 62)
		if err != nil && bytes.ContainsAny(s[:i], "123456789") {
			return d, false
		}
		mantissa, d.exponent = s[:i], n
	}
	if mantissa[0] == '-' {
		d.negative, mantissa = true, mantissa[1:]
	}
	first, last := bytes.IndexAny(mantissa, "123456789"), bytes.LastIndexAny(mantissa, "123456789")
	if first < 0 {
		return decimal{}, true // of zero there is one
	}
	d.digits = mantissa[first : last+1]
	switch point := bytes.IndexByte(mantissa, '.'); {
	case point < 0:
		d.exponent += int64(len(mantissa) - 1 - last)
	case last < point:
		d.exponent += int64(point - 1 - last)
	default:
		d.exponent -= int64(last - point)
	}
	return d, true
}

// equalNumbers says whether two JSON numbers are the same decimal, however they
// are written, exactly and whatever their size.
func equalNumbers(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, ok := decimalOf(a)
	y, ok2 := decimalOf(b)
	if !ok || !ok2 || x.negative != y.negative || x.exponent != y.exponent {
		return false
	}
	i, j := 0, 0
	for ; ; i, j = i+1, j+1 {
		if i < len(x.digits) && x.digits[i] == '.' {
			i++
		}
		if j < len(y.digits) && y.digits[j] == '.' {
			j++
		}
		if i == len(x.digits) || j == len(y.digits) {
			return i == len(x.digits) && j == len(y.digits)
		}
		if x.digits[i] != y.digits[j] {
			return false
		}
	}
}

package template

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"kreplay/pkg/scenario"
)

// A decimal is a captured number: ± digits / 10^places. 64 bits of digits times
// 64 bits of a cohort's number fit 128 bits, so no product overflows.
type decimal struct {
	digits   uint64
	places   int
	negative bool
}

// scale makes a slot for a decimal, bare or in quotes.
func (c *compiler) scale(role scenario.Role, value, inner []byte) (s part, err error) {
	s.kind = slotScale
	if s.number, err = decimalOf(string(inner)); err != nil {
		return s, fmt.Errorf("%s %w", value, err)
	}
	n := slices.Index(c.p.Numbers, role.Of)
	if n < 0 {
		n = len(c.p.Numbers)
		c.p.Numbers = append(c.p.Numbers, role.Of)
	}
	s.index = uint32(n)
	return s, nil
}

func decimalOf(text string) (d decimal, err error) {
	text, d.negative = strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(text, ".")
	digits := whole + fraction
	switch {
	case strings.ContainsAny(text, "eE") && strings.Trim(text, "0123456789.eE+-") == "":
		return d, fmt.Errorf("has an exponent; scale keeps the captured decimals and needs them written out")
	case whole == "" || point && fraction == "" || !allDigits([]byte(digits)) || len(whole) > 1 && whole[0] == '0':
		return d, fmt.Errorf("is no decimal number, such as 160 or 4.99")
	}
	d.places = len(fraction)
	if d.digits, err = strconv.ParseUint(digits, 10, 64); err != nil {
		return d, fmt.Errorf("has more digits than 64 bits hold; scale would not be exact")
	}
	return d, nil
}

const tenTo19 = 10_000_000_000_000_000_000

// times multiplies exactly and rounds to the captured places, half to even.
func (d decimal) times(n scenario.Decimal) (hi, lo uint64) {
	hi, lo = bits.Mul64(d.digits, n.Digits)
	if n.Scale <= 0 {
		return hi, lo
	}
	var lost uint64 // whether anything behind the last digit was cut
	for drop := n.Scale - 1; drop > 0; drop -= 19 {
		var rest uint64
		hi, lo, rest = divide(hi, lo, powerOfTen(min(drop, 19)))
		lost |= rest
	}
	hi, lo, last := divide(hi, lo, 10)
	if last > 5 || last == 5 && (lost != 0 || lo&1 == 1) {
		var carry uint64
		lo, carry = bits.Add64(lo, 1, 0)
		hi += carry
	}
	return hi, lo
}

func divide(hi, lo, by uint64) (qhi, qlo, rest uint64) {
	qhi = hi / by
	qlo, rest = bits.Div64(hi%by, lo, by)
	return qhi, qlo, rest
}

// powerOfTen of n up to 19.
func powerOfTen(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// append writes d times n.
func (d decimal) append(dst []byte, n scenario.Decimal) []byte {
	hi, lo := d.times(n)
	if d.negative && (hi|lo != 0 || d.digits == 0) {
		dst = append(dst, '-')
	}
	start := len(dst)
	dst = appendWide(dst, hi, lo)
	if d.places == 0 {
		return dst
	}
	for missing := d.places + 1 - (len(dst) - start); missing > 0; missing-- {
		dst = append(dst, 0)
		copy(dst[start+1:], dst[start:])
		dst[start] = '0'
	}
	point := len(dst) - d.places
	dst = append(dst, 0)
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}

// appendWide writes 128 bits in decimal, 19 digits at a time.
func appendWide(dst []byte, hi, lo uint64) []byte {
	if hi == 0 {
		return strconv.AppendUint(dst, lo, 10)
	}
	hi, lo, rest := divide(hi, lo, tenTo19)
	return appendPadded(appendWide(dst, hi, lo), rest, 19)
}

func appendPadded(dst []byte, n uint64, width int) []byte {
	for p := powerOfTen(width - 1); p > 0; p /= 10 {
		dst = append(dst, '0'+byte(n/p%10))
	}
	return dst
}

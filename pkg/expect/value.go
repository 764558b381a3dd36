package expect

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"kreplay/pkg/scenario"
)

// A ValueKind says how a value compares.
type ValueKind uint8

// The kinds of values.
const (
	Null  ValueKind = iota
	Text            // also dates, times, lists, structs: as the engine writes them
	Bool            // Text is true or false
	Exact           // a whole number or a decimal: Text holds every digit
	Float           // a binary float: Text is the shortest that reads back the same; also NaN and infinities
)

// A Value is one value of a result, exact to the last digit.
type Value struct {
	Kind ValueKind
	Text string
}

// String is what a person reads. Text stands without quotes.
func (v Value) String() string {
	if v.Kind == Null {
		return "NULL"
	}
	return v.Text
}

// number returns a numeric value as a fraction; ok is false for NaN, infinities
// and what is no number.
func (v Value) number() (n *big.Rat, ok bool) {
	switch v.Kind {
	case Exact:
		return new(big.Rat).SetString(v.Text)
	case Float:
		if f, err := strconv.ParseFloat(v.Text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return new(big.Rat).SetFloat64(f), true
		}
	case Null, Text, Bool:
	}
	return nil, false
}

// within says whether v is want within the tolerance. A float is also equal to
// the number that it is the nearest float of: 0.1 to 1/10.
func (v Value) within(want *big.Rat, t Tolerance) bool {
	got, ok := v.number()
	if !ok {
		return false
	}
	if v.Kind == Float {
		if nearest, _ := want.Float64(); new(big.Rat).SetFloat64(nearest) != nil && got.Cmp(new(big.Rat).SetFloat64(nearest)) == 0 {
			return true
		}
	}
	return new(big.Rat).Abs(new(big.Rat).Sub(got, want)).Cmp(t.of(want)) <= 0
}

// matches compares two results' values.
func (v Value) matches(want Value, t Tolerance) bool {
	if n, ok := want.number(); ok {
		return v.within(n, t)
	}
	return v == want || v.Kind == want.Kind && v.Kind == Float && strings.EqualFold(v.Text, want.Text)
}

// A Tolerance is how far a number may be from what is wanted. The zero
// Tolerance is none.
type Tolerance struct {
	text     string
	bound    *big.Rat
	relative bool
}

// NewTolerance returns the tolerance that a scenario states.
func NewTolerance(t scenario.Tolerance) Tolerance {
	amount := rat(t.Amount)
	text := exactText(amount)
	if t.Relative {
		text = exactText(new(big.Rat).Mul(amount, big.NewRat(100, 1))) + "%"
	}
	return Tolerance{text, amount, t.Relative}
}

func rat(d scenario.Decimal) *big.Rat {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Scale)), nil)
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(d.Digits), scale)
}

// String is the bound, or the part with its %.
func (t Tolerance) String() string { return t.text }

func (t Tolerance) of(want *big.Rat) *big.Rat {
	switch {
	case t.bound == nil:
		return new(big.Rat)
	case t.relative:
		return new(big.Rat).Mul(t.bound, new(big.Rat).Abs(want))
	}
	return t.bound
}

// parseDecimal reads digits with an optional fraction and sign, nothing else:
// no exponent, whose value could fill the memory.
func parseDecimal(text string) (*big.Rat, bool) {
	digits := strings.TrimPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// exactText writes a fraction as a decimal where that is finite, else as a
// fraction with its first digits.
func exactText(n *big.Rat) string {
	if digits, finite := n.FloatPrec(); finite {
		return n.FloatString(digits)
	}
	return fmt.Sprintf("%s (%s…)", n.RatString(), n.FloatString(6))
}

func place(line, col int) string { return fmt.Sprintf("line %d, column %d: ", line, col) }

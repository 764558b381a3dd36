package expect

import (
	"math/big"
	"strings"
	"time"
)

// An Expectation is a query and what its result must be.
type Expectation struct {
	Name, SQL string
	Equals    Equals
	Tolerance Tolerance            // of all columns that have none of their own
	Columns   map[string]Tolerance // by the name of the column
	Max       time.Duration        // longer than this fails; 0: no bound
	Owner     string
}

func (e Expectation) tolerance(column string) Tolerance {
	if t, ok := e.Columns[column]; ok {
		return t
	}
	return e.Tolerance
}

// Equals is what a result must be: the oracle's, a formula's number, or a
// literal. The zero Equals is the oracle.
type Equals struct {
	text    string
	formula *Formula
	literal *Value
}

// Oracle compares with the same SQL over the regenerated records.
func Oracle() Equals { return Equals{text: "oracle"} }

// ParseEquals reads the word oracle, a formula, or a literal: 'text', true,
// false, null. Its error is a [FormulaFault].
func ParseEquals(text string) (Equals, error) {
	text = strings.TrimSpace(text)
	literal := func(kind ValueKind, s string) (Equals, error) {
		return Equals{text: text, literal: &Value{kind, s}}, nil
	}
	switch {
	case text == "oracle":
		return Oracle(), nil
	case text == "true" || text == "false":
		return literal(Bool, text)
	case text == "null":
		return literal(Null, "")
	case strings.HasPrefix(text, "'"):
		p := &formulaParser{text: []rune(text)}
		s, err := p.quoted()
		if err == nil && p.peek() != 0 {
			err = p.fault("want the end")
		}
		if err != nil {
			return Equals{}, err
		}
		return literal(Text, s)
	}
	f, err := ParseFormula(text)
	return Equals{text: text, formula: f}, err
}

// exactly is the formula of a number that is known.
func exactly(n *big.Rat) Equals {
	text := exactText(n)
	return Equals{text: text, formula: &Formula{text, &term{op: 'n', number: n}}}
}

// Oracle says whether the regenerated records are needed.
func (e Equals) Oracle() bool { return e.formula == nil && e.literal == nil }

// String is what was read.
func (e Equals) String() string { return e.text }

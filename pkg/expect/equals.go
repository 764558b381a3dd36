package expect

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"kreplay/pkg/scenario"
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

// FromScenario reads the scenario's queries. All faults of their equals come back
// at once, as [scenario.Faults].
func FromScenario(queries []scenario.Query) ([]Expectation, error) {
	var list []Expectation
	var faults scenario.Faults
	for _, q := range queries {
		equals, err := ParseEquals(q.Equals)
		var fault FormulaFault
		if errors.As(err, &fault) {
			pos := q.EqualsPos
			pos.Col += fault.Col - 1
			faults = append(faults, scenario.Fault{Pos: pos, Msg: fmt.Sprintf("expect.queries.%s.equals: %s", q.Name, fault.Msg)})
		}
		seconds, _ := new(big.Rat).Mul(rat(q.MaxSeconds), big.NewRat(int64(time.Second), 1)).Float64()
		e := Expectation{
			Name: q.Name, SQL: q.SQL, Equals: equals, Owner: q.Owner,
			Max: time.Duration(min(seconds, math.MaxInt64/2)), Columns: map[string]Tolerance{},
		}
		for _, t := range q.Tolerance {
			if t.Column == "" {
				e.Tolerance = NewTolerance(t)
			} else {
				e.Columns[t.Column] = NewTolerance(t)
			}
		}
		list = append(list, e)
	}
	return list, faults.Err()
}

// Places turns what Check found into places of the scenario's files.
func Places(faults []Fault, queries []scenario.Query) scenario.Faults {
	var list scenario.Faults
	for _, f := range faults {
		placed := scenario.Fault{Msg: fmt.Sprintf("expect.queries.%s.%s: %s", f.Expectation, f.Part, f.Msg)}
		for _, q := range queries {
			if q.Name == f.Expectation {
				placed.Pos = f.pos(q)
			}
		}
		list = append(list, placed)
	}
	return list
}

// pos is exact for an SQL file and for text that stands plainly on its line;
// quotes and folded lines of YAML move the column.
func (f Fault) pos(q scenario.Query) scenario.Pos {
	pos := q.Pos
	switch f.Part {
	case InSQL:
		pos = q.SQLPos
	case InEquals:
		pos = q.EqualsPos
	case InName, InTolerance:
		return pos
	}
	switch {
	case f.Line > 1:
		pos.Line, pos.Col = pos.Line+f.Line-1, f.Col
	case f.Line == 1:
		pos.Col += f.Col - 1
	}
	return pos
}

// Want is what the result must be, written exactly. The oracle's result is not
// known before its query has run: it is "oracle" then.
func (e Expectation) Want(facts Facts) (string, error) {
	switch {
	case e.Equals.literal != nil:
		return e.Equals.literal.String(), nil
	case e.Equals.Oracle():
		return e.Equals.text, nil
	}
	n, err := e.Equals.formula.Eval(facts)
	if err != nil {
		return "", fmt.Errorf("expect: %s: %w", e.Name, err)
	}
	return exactText(n), nil
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

package expect

import (
	"fmt"
	"math/big"
	"strings"

	"kreplay/pkg/scenario"
)

// A FormulaFault is one thing wrong with a formula; Col counts characters from 1.
type FormulaFault struct {
	Col int
	Msg string
}

// Error returns "column N: message".
func (f FormulaFault) Error() string { return fmt.Sprintf("column %d: %s", f.Col, f.Msg) }

// A Formula is arithmetic over what the plan knows:
//
//	users()  users('whales')  count('purchase')  sum('purchase.amount')
//	distinct('login.user_id')  12  0.5  + - * / ( )
//
// It is computed in fractions, so nothing is rounded. A quote in a name is
// written twice.
type Formula struct {
	text string
	root *term
}

// A term is a part of a formula: op is one of + - * /, ~ for a sign, n for a
// number, f for a function.
type term struct {
	op          byte
	col         int
	left, right *term
	number      *big.Rat
	name, arg   string
	argCol      int // 0: no argument
}

// maxNesting bounds parentheses and signs, and so the stack.
const maxNesting = 200

// ParseFormula reads a formula. Its error is a [FormulaFault].
func ParseFormula(text string) (*Formula, error) {
	p := &formulaParser{text: []rune(text)}
	root, err := p.sum(0)
	if err == nil && p.peek() != 0 {
		err = p.fault("want an operator or the end")
	}
	if err != nil {
		return nil, err
	}
	return &Formula{text, root}, nil
}

// String is the formula as written.
func (f *Formula) String() string { return f.text }

type formulaParser struct {
	text []rune
	at   int
}

// peek passes spaces and returns what follows, 0 at the end.
func (p *formulaParser) peek() rune {
	for p.at < len(p.text) && strings.ContainsRune(" \t\r\n", p.text[p.at]) {
		p.at++
	}
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *formulaParser) fault(want string) error {
	got := "the end"
	if c := p.peek(); c != 0 {
		got = fmt.Sprintf("%q", c)
	}
	return FormulaFault{p.at + 1, want + ", got " + got}
}

func (p *formulaParser) sum(depth int) (*term, error) { return p.chain("+-", depth, p.product) }

func (p *formulaParser) product(depth int) (*term, error) { return p.chain("*/", depth, p.factor) }

// chain reads operands joined by operators of one rank, from left to right.
func (p *formulaParser) chain(ops string, depth int, operand func(int) (*term, error)) (*term, error) {
	left, err := operand(depth)
	for err == nil && p.peek() != 0 && strings.ContainsRune(ops, p.peek()) {
		t := &term{op: byte(p.peek()), col: p.at + 1, left: left}
		p.at++
		t.right, err = operand(depth)
		left = t
	}
	return left, err
}

func (p *formulaParser) factor(depth int) (*term, error) {
	if depth > maxNesting {
		return nil, FormulaFault{p.at + 1, fmt.Sprintf("nested deeper than %d", maxNesting)}
	}
	c := p.peek()
	t := &term{col: p.at + 1}
	switch {
	case c == '-':
		p.at++
		right, err := p.factor(depth + 1)
		t.op, t.right = '~', right
		return t, err
	case c == '(':
		p.at++
		inner, err := p.sum(depth + 1)
		if err == nil && p.peek() != ')' {
			err = p.fault("want ')'")
		}
		p.at++
		return inner, err
	case c >= '0' && c <= '9':
		word := p.word("0123456789._eE")
		n, ok := parseDecimal(word)
		if !ok {
			return nil, FormulaFault{t.col, fmt.Sprintf("%q is no number; write digits with an optional fraction", word)}
		}
		t.op, t.number = 'n', n
		return t, nil
	}
	if t.name = p.word("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"); t.name == "" {
		return nil, p.fault("want a number, a function or '('")
	}
	t.op = 'f'
	return t, p.argument(t)
}

func (p *formulaParser) word(of string) string {
	start := p.at
	for p.at < len(p.text) && strings.ContainsRune(of, p.text[p.at]) {
		p.at++
	}
	return string(p.text[start:p.at])
}

func (p *formulaParser) argument(t *term) (err error) {
	if p.peek() != '(' {
		return p.fault(fmt.Sprintf("want '(' behind %s", t.name))
	}
	p.at++
	if p.peek() == '\'' {
		t.argCol = p.at + 1
		if t.arg, err = p.quoted(); err != nil {
			return err
		}
	}
	if p.peek() != ')' {
		if t.argCol == 0 {
			return p.fault("want a name in 'quotes' or ')'")
		}
		return p.fault("want ')'")
	}
	p.at++
	return nil
}

// quoted reads a 'name'; a quote in it is written twice.
func (p *formulaParser) quoted() (string, error) {
	open := p.at + 1
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		if p.text[p.at] == '\'' {
			if p.at++; p.at == len(p.text) || p.text[p.at] != '\'' {
				return b.String(), nil
			}
		}
		b.WriteRune(p.text[p.at])
	}
	return "", FormulaFault{open, "the quote is not closed"}
}

// Facts are the numbers of a plan. Their errors say what to write instead.
type Facts interface {
	// Users counts the users of a cohort; of all of them for "".
	Users(cohort string) (*big.Rat, error)
	// Count is the number of planned records of a log type.
	Count(logType string) (*big.Rat, error)
	// Sum adds a number field over all planned records. A field is a log type,
	// a dot, and the path of the field, in which arrays leave no trace.
	Sum(field string) (*big.Rat, error)
	// Distinct counts the different values of a field, null aside.
	Distinct(field string) (*big.Rat, error)
}

// FormulaFaults are all the faults that Eval found, from left to right.
type FormulaFaults []FormulaFault

// Error returns one line a fault.
func (f FormulaFaults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Eval computes the formula. Its error is [FormulaFaults].
func (f *Formula) Eval(facts Facts) (*big.Rat, error) {
	e := evaluation{facts: facts}
	n := e.term(f.root)
	if len(e.faults) > 0 {
		return nil, e.faults
	}
	return n, nil
}

type evaluation struct {
	facts  Facts
	faults FormulaFaults
}

// fault notes a fault and returns a number to go on with, so that the faults
// behind it come out too.
func (e *evaluation) fault(col int, format string, args ...any) *big.Rat {
	e.faults = append(e.faults, FormulaFault{col, fmt.Sprintf(format, args...)})
	return big.NewRat(1, 1)
}

func (e *evaluation) term(t *term) *big.Rat {
	switch t.op {
	case 'n':
		return t.number
	case 'f':
		return e.call(t)
	case '~':
		return new(big.Rat).Neg(e.term(t.right))
	}
	left, right := e.term(t.left), e.term(t.right)
	switch z := new(big.Rat); {
	case t.op == '+':
		return z.Add(left, right)
	case t.op == '-':
		return z.Sub(left, right)
	case t.op == '*':
		return z.Mul(left, right)
	case right.Sign() == 0:
		if len(e.faults) > 0 { // what stands for a fault may make it zero
			return z
		}
		return e.fault(t.col, "division by zero")
	default:
		return z.Quo(left, right)
	}
}

var functionNames = []string{"users", "count", "sum", "distinct"}

func (e *evaluation) call(t *term) *big.Rat {
	functions := map[string]func(string) (*big.Rat, error){
		"users": e.facts.Users, "count": e.facts.Count, "sum": e.facts.Sum, "distinct": e.facts.Distinct,
	}
	f := functions[t.name]
	col := t.argCol
	switch {
	case f == nil:
		return e.fault(t.col, "no function %s; %s", t.name, scenario.Suggest(t.name, functionNames))
	case t.argCol == 0 && t.name == "users":
		col = t.col
	case t.argCol == 0:
		return e.fault(t.col, "%s wants a name, as in %s('purchase.amount')", t.name, t.name)
	case t.arg == "":
		return e.fault(t.argCol, "the name is empty")
	}
	n, err := f(t.arg)
	if err != nil {
		return e.fault(col, "%v", err)
	}
	return n
}

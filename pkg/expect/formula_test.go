package expect

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A formula means what arithmetic means: operators of a rank from left to
// right, * and / before + and -, parentheses and signs first, nothing rounded.
func TestFormulaIsArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, want := drawFormula(t, 4)
		got := value(nil, text)
		if want == nil {
			if !strings.Contains(got, "division by zero") {
				t.Fatalf("%s: got %s, want a division by zero", text, got)
			}
			return
		}
		if got != exactText(want) {
			t.Fatalf("%s: got %s, want %s", text, got, exactText(want))
		}
	})
}

// drawFormula draws an expression with as few parentheses as its meaning needs.
func drawFormula(t *rapid.T, depth int) (string, *big.Rat) {
	text, n, _ := drawTerm(t, depth)
	return text, n
}

// drawTerm also returns the rank of what binds last: 1 sum, 2 product, 3 atom.
func drawTerm(t *rapid.T, depth int) (text string, n *big.Rat, rank int) {
	space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")
	op := "n"
	if depth > 0 {
		op = rapid.SampledFrom([]string{"+", "-", "*", "/", "~", "n"}).Draw(t, "op")
	}
	if op == "n" {
		text = rapid.StringMatching(`[0-9]{1,20}(\.[0-9]{1,10})?`).Draw(t, "number")
		n, _ = new(big.Rat).SetString(text)
		return text + space, n, 3
	}
	right, y, rightRank := drawTerm(t, depth-1)
	paren := func(s string, need bool) string {
		if need {
			return "(" + s + ")" + space
		}
		return s
	}
	if op == "~" {
		if y != nil {
			y = new(big.Rat).Neg(y)
		}
		return "-" + space + paren(right, rightRank < 3), y, 3
	}
	left, x, leftRank := drawTerm(t, depth-1)
	own := 1
	if op == "*" || op == "/" {
		own = 2
	}
	text = paren(left, leftRank < own) + op + space + paren(right, rightRank <= own)
	if x == nil || y == nil || op == "/" && y.Sign() == 0 {
		return text, nil, own
	}
	z := new(big.Rat)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	default:
		z.Quo(x, y)
	}
	return text, z, own
}

// A fault names the column where reading stopped.
func TestFormulaFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "column 1: want a number, a function or '(', got the end",
		"1 +":                      "column 4: want a number",
		"(1":                       "column 3: want ')', got the end",
		"1 2":                      "column 3: want an operator or the end, got '2'",
		"1.5.2":                    `column 1: "1.5.2" is no number`,
		"2 * 1e9":                  `column 5: "1e9" is no number`,
		"é":                        "column 1: want a number",
		"users":                    "column 6: want '(' behind users, got the end",
		"users(x)":                 "column 7: want a name in 'quotes' or ')', got 'x'",
		"users('a":                 "column 7: the quote is not closed",
		"users('it''s' x":          "column 15: want ')', got 'x'",
		strings.Repeat("(", 9_999): "nested deeper than 200",
		strings.Repeat("-", 9_999): "nested deeper than 200",
	} {
		_, err := ParseFormula(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %s", text, err, want)
		}
	}
}

// No text makes the reader fail in another way than with a fault inside of it.
func FuzzParseEquals(f *testing.F) {
	for _, s := range []string{"oracle", "'JP'", "true", "null", "3 * users('whales')", "-(1.5)/0", "sum('a.b''c')"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ParseEquals(text)
		var fault FormulaFault
		if err != nil && (!errors.As(err, &fault) || fault.Col < 1 || fault.Col > len([]rune(text))+1) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func TestExactText(t *testing.T) {
	for text, want := range map[string]string{"1/3": "1/3 (0.333333…)", "1/8": "0.125", "-5": "-5", "10/4": "2.5", "0": "0"} {
		n, _ := new(big.Rat).SetString(text)
		if got := exactText(n); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// A number of JSON keeps its value whatever its form.
func TestNumberKeepsItsValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "token")
		n, ok := parseNumber(token, make([]byte, 4))
		if !ok {
			t.Fatalf("%s was not read", token)
		}
		text := string(n.append(nil))
		got, ok := new(big.Rat).SetString(text)
		want, _ := new(big.Rat).SetString(token)
		if !ok || got.Cmp(want) != 0 || strings.ContainsAny(text, "eE") {
			t.Fatalf("%s became %s", token, text)
		}
		whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
		if len(strings.TrimLeft(whole, "0")) != n.whole() || len(fraction) != n.fraction() {
			t.Fatalf("%s: %s has not %d.%d digits", token, text, n.whole(), n.fraction())
		}
	})
	for _, token := range []string{"1e10001", "1e-10001", "1e99999999999999999999"} {
		if n, ok := parseNumber(token, nil); ok {
			t.Errorf("%s was read as %v", token, n)
		}
	}
	if n, _ := parseNumber("-0.0e5", nil); string(n.append(nil)) != "0" {
		t.Errorf("-0 became %s", n.append(nil))
	}
}

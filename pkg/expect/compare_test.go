package expect

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
)

var (
	country = ResultColumn{Name: "country", Type: "VARCHAR"}
	revenue = ResultColumn{Name: "revenue", Type: "DECIMAL(38,2)", Numeric: true}
)

func drawRow(t *rapid.T) []Value {
	row := []Value{{Text, rapid.SampledFrom([]string{"JP", "US", "DE", ""}).Draw(t, "country")}, {Exact, rapid.StringMatching(`[0-9]{1,2}\.[0-9]{2}`).Draw(t, "revenue")}}
	for i := range row {
		if rapid.IntRange(0, 9).Draw(t, "null") == 0 {
			row[i] = Value{}
		}
	}
	return row
}

// Equal results in any order have no difference. Of rows that were changed,
// taken away or put in, no more differences are reported than changes were made, and
// one at least where the results are not the same set.
func TestDifferencesAreThoseMade(t *testing.T) {
	c := &comparison{[]ResultColumn{country, revenue}, make([]Tolerance, 2)}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(drawRow), 0, 12).Draw(t, "want")
		got := rapid.Permutation(slices.Clone(want)).Draw(t, "got")
		if pairs := c.differences(got, want); len(pairs) > 0 {
			t.Fatalf("the same rows differ: %v", pairs)
		}
		changes := rapid.IntRange(1, 3).Draw(t, "changes")
		for range changes {
			at := 0
			if len(got) > 0 {
				at = rapid.IntRange(0, len(got)-1).Draw(t, "at")
			}
			switch op := rapid.IntRange(0, 2).Draw(t, "op"); {
			case len(got) == 0 || op == 0:
				got = slices.Insert(got, at, drawRow(t))
			case op == 1:
				got = slices.Delete(slices.Clone(got), at, at+1)
			default:
				got = slices.Clone(got)
				got[at] = []Value{got[at][0], {Exact, "100.00"}}
			}
		}
		pairs := c.differences(got, want)
		if len(pairs) > changes || len(pairs) == 0 && !sameSet(got, want) {
			t.Fatalf("%d changes, %d differences %v\ngot  %v\nwant %v", changes, len(pairs), pairs, got, want)
		}
	})
}

func sameSet(a, b [][]Value) bool {
	text := func(rows [][]Value) []string {
		list := make([]string, len(rows))
		for i, r := range rows {
			list[i] = fmt.Sprintf("%#v", r)
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(text(a), text(b))
}

// Within the tolerance passes, one ulp of the decimal beyond does not.
func TestToleranceIsExact(t *testing.T) {
	absolute := NewTolerance(scenario.Tolerance{Amount: scenario.Decimal{Digits: 5, Scale: 3}})
	relative := NewTolerance(scenario.Tolerance{Amount: scenario.Decimal{Digits: 1, Scale: 2}, Relative: true})
	same(t, "text", absolute.String()+" "+relative.String(), "0.005 1%")
	for _, c := range []struct {
		want, got string
		kind      ValueKind
		t         Tolerance
		ok        bool
	}{
		{"236445464.14", "236445464.145", Exact, absolute, true},
		{"236445464.14", "236445464.1450000000000000000000000001", Exact, absolute, false},
		{"236445464.14", "236445464.135", Exact, absolute, true},
		{"-200", "-198", Exact, relative, true},
		{"-200", "-197.999", Exact, relative, false},
		{"0", "0", Exact, relative, true},
		{"0", "0.001", Exact, relative, false},
		{"9007199254740993", "9007199254740992", Exact, Tolerance{}, false},
		{"1.10", "1.1", Exact, Tolerance{}, true},
		{"1/10", "0.1", Float, Tolerance{}, true}, // the nearest float
		{"1/10", "0.10000000000000002", Float, Tolerance{}, false},
		{"1/3", "0.3333333333333333", Float, Tolerance{}, true},
		{"1/3", "0.3333333333333333", Exact, Tolerance{}, false},
		{"1", "nan", Float, absolute, false},
		{"1", "inf", Float, relative, false},
		{"1", "1", Text, absolute, false},
		{"1", "", Null, absolute, false},
	} {
		want, _ := new(big.Rat).SetString(c.want)
		if ok := (Value{c.kind, c.got}).within(want, c.t); ok != c.ok {
			t.Errorf("%s for %s within %q: %v", c.got, c.want, c.t, ok)
		}
	}
}

// Values of two results match as SQL's `is not distinct from` has it, within the tolerance.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		a, b Value
		ok   bool
	}{
		{Value{}, Value{}, true},
		{Value{}, Value{Text, ""}, false},
		{Value{Text, "NULL"}, Value{}, false},
		{Value{Float, "nan"}, Value{Float, "nan"}, true},
		{Value{Float, "inf"}, Value{Float, "-inf"}, false},
		{Value{Float, "1"}, Value{Float, "nan"}, false},
		{Value{Float, "nan"}, Value{Float, "1"}, false},
		{Value{Exact, "1.0"}, Value{Exact, "1"}, true},
		{Value{Text, "1.0"}, Value{Text, "1"}, false},
		{Value{Bool, "true"}, Value{Text, "true"}, false},
	} {
		if ok := c.a.matches(c.b, Tolerance{}); ok != c.ok {
			t.Errorf("%#v and %#v: %v", c.a, c.b, ok)
		}
	}
}

func TestCompareTellsWhat(t *testing.T) {
	jp, us := []Value{{Text, "JP"}, {Exact, "10.00"}}, []Value{{Text, "US"}, {Exact, "5.00"}}
	less := []Value{{Text, "JP"}, {Exact, "9.00"}}
	table := func(ordered bool, rows ...[]Value) Result {
		return Result{Columns: []ResultColumn{country, revenue}, Rows: rows, Ordered: ordered}
	}
	near := Expectation{Columns: map[string]Tolerance{"revenue": NewTolerance(scenario.Tolerance{Amount: scenario.Decimal{Digits: 1}})}}
	for name, c := range map[string]struct {
		got, want Result
		e         Expectation
		expect    string
	}{
		"same set":        {table(false, us, jp), table(false, jp, us), Expectation{}, "pass: JP, 10.00; US, 5.00 | US, 5.00; JP, 10.00"},
		"within":          {table(true, less, us), table(true, jp, us), near, "pass: JP, 10.00; US, 5.00 | JP, 9.00; US, 5.00"},
		"one differs":     {table(false, us, less), table(false, jp, us), Expectation{}, "fail 1 of 2 rows differ (2 delivered): JP, 10.00 | JP, 9.00"},
		"one is missing":  {table(false, us), table(false, jp, us), Expectation{}, "fail 1 of 2 rows differ (1 delivered): JP, 10.00 | -"},
		"all are missing": {table(false), table(false, jp), Expectation{}, "fail 1 of 1 rows differ (0 delivered): JP, 10.00 | -"},
		"one too many":    {table(false, us, us), table(false, us), Expectation{}, "fail 1 of 2 rows differ (2 delivered): - | US, 5.00"},
		"both empty":      {table(false), table(false), Expectation{}, "pass: no rows | no rows"},
		"other order":     {table(true, us, jp), table(true, jp, us), Expectation{}, "fail the same rows in another order; let `order by` name more columns if rows may tie, or leave it out: JP, 10.00; US, 5.00 | US, 5.00; JP, 10.00"},
		"other columns":   {Result{Columns: []ResultColumn{country}}, table(false), Expectation{}, "fail the columns differ: country VARCHAR, revenue DECIMAL(38,2) | country VARCHAR"},
		"many":            {table(false), table(false, jp, jp, jp, jp, jp), Expectation{}, "fail 5 of 5 rows differ (0 delivered): JP, 10.00; JP, 10.00; JP, 10.00; … 2 more | -; -; -; … 2 more"},
	} {
		f := Finding{Verdict: Pass}
		f.compare(c.got, c.want, c.e)
		got := strings.TrimSpace(string(f.Verdict)+" "+f.Reason) + ": " + f.Want + " | " + f.Got
		if got != c.expect {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.expect)
		}
	}
}

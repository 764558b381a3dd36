package expect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxShown is how many rows of a table a finding shows.
const maxShown = 3

// compare judges a table against the oracle's: row by row where the query
// orders them, else as a set whose rows belong together by what is no number.
func (f *Finding) compare(got, want Result, e Expectation) {
	if a, b := columnsText(got), columnsText(want); a != b {
		f.Want, f.Got = b, a
		f.fail("the columns differ")
		return
	}
	tolerances := make([]Tolerance, len(got.Columns))
	for i, c := range got.Columns {
		tolerances[i] = e.tolerance(c.Name)
	}
	c := comparison{columns: got.Columns, tolerances: tolerances}
	pairs := c.differences(got.Rows, want.Rows)
	if len(pairs) == 0 && got.Ordered {
		if pairs = c.inOrder(got.Rows, want.Rows); len(pairs) > 0 {
			f.fail("the same rows in another order; let `order by` name more columns if rows may tie, or leave it out")
		}
	}
	if len(pairs) == 0 {
		f.Want, f.Got = tableText(want.Rows), tableText(got.Rows)
		return
	}
	var wants, gots [][]Value
	for _, p := range pairs {
		wants, gots = append(wants, p.want), append(gots, p.got)
	}
	f.Want, f.Got = tableText(wants), tableText(gots)
	f.fail("%d of %d rows differ (%d delivered)", len(pairs), max(len(got.Rows), len(want.Rows)), len(got.Rows))
}

// A pair is two rows that belong together and differ; nil where one is missing.
type pair struct{ got, want []Value }

type comparison struct {
	columns    []ResultColumn
	tolerances []Tolerance
}

// differences first takes out what is equal to the digit, so that what is left
// is matched among few.
func (c *comparison) differences(got, want [][]Value) (pairs []pair) {
	left := map[string][][]Value{}
	for _, row := range want {
		k := rowKey(row, nil)
		left[k] = append(left[k], row)
	}
	var others [][]Value
	for _, row := range got {
		k := rowKey(row, nil)
		if n := len(left[k]); n > 0 {
			left[k] = left[k][:n-1]
		} else {
			others = append(others, row)
		}
	}
	gots, wants := map[string][][]Value{}, map[string][][]Value{}
	for _, row := range others {
		k := rowKey(row, c.columns)
		gots[k] = append(gots[k], row)
	}
	for _, rows := range left {
		for _, row := range rows {
			k := rowKey(row, c.columns)
			wants[k] = append(wants[k], row)
		}
	}
	keys := map[string]bool{}
	for k := range gots {
		keys[k] = true
	}
	for k := range wants {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		slices.SortFunc(gots[k], compareRows)
		slices.SortFunc(wants[k], compareRows)
		pairs = append(pairs, c.inOrder(gots[k], wants[k])...)
	}
	return pairs
}

// inOrder compares the rows one by one.
func (c *comparison) inOrder(got, want [][]Value) (pairs []pair) {
	for i := range max(len(got), len(want)) {
		var p pair
		if i < len(got) {
			p.got = got[i]
		}
		if i < len(want) {
			p.want = want[i]
		}
		if p.got == nil || p.want == nil || !c.match(p.got, p.want) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

func (c *comparison) match(got, want []Value) bool {
	for i := range got {
		if !got[i].matches(want[i], c.tolerances[i]) {
			return false
		}
	}
	return true
}

// rowKey joins the values that name a row; all of them without columns.
func rowKey(row []Value, columns []ResultColumn) string {
	var b strings.Builder
	for i, v := range row {
		if columns == nil || !columns[i].Numeric {
			fmt.Fprintf(&b, "%d %d:%s,", v.Kind, len(v.Text), v.Text)
		}
	}
	return b.String()
}

func compareRows(a, b []Value) int {
	for i := range a {
		x, ok := a[i].number()
		y, ok2 := b[i].number()
		order := cmp.Compare(a[i].Text, b[i].Text)
		switch {
		case ok && ok2:
			order = x.Cmp(y)
		case ok != ok2: // NULL and NaN behind the numbers
			order = -1
			if ok2 {
				order = 1
			}
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

func sizeOf(r Result) string {
	return fmt.Sprintf("%s of %s", plural(len(r.Rows), "row"), plural(len(r.Columns), "column"))
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func columnsText(r Result) string {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name + " " + c.Type
	}
	return strings.Join(names, ", ")
}

// tableText shows the first rows; a row that is not there is a dash.
func tableText(rows [][]Value) string {
	if len(rows) == 0 {
		return "no rows"
	}
	var lines []string
	for _, row := range rows[:min(len(rows), maxShown)] {
		if row == nil {
			lines = append(lines, "-")
			continue
		}
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = v.String()
		}
		lines = append(lines, strings.Join(values, ", "))
	}
	if more := len(rows) - maxShown; more > 0 {
		lines = append(lines, fmt.Sprintf("… %d more", more))
	}
	return strings.Join(lines, "; ")
}

// toleranceText is every tolerance of the expectation.
func (e Expectation) toleranceText() string {
	var parts []string
	if t := e.Tolerance.String(); t != "" {
		parts = append(parts, t)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Columns)) {
		parts = append(parts, name+": "+e.Columns[name].String())
	}
	return strings.Join(parts, ", ")
}

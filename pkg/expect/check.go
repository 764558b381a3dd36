package expect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kreplay/pkg/scenario"
)

// A Part is the key of an expectation in which a fault lies.
type Part string

// The parts.
const (
	InName      Part = "name"
	InSQL       Part = "sql"
	InEquals    Part = "equals"
	InTolerance Part = "tolerance"
)

// A Fault is one thing wrong with an expectation. Line and Col are its place in
// the text of the part, counted from 1; 0 where there is none.
type Fault struct {
	Expectation string
	Part        Part
	Line, Col   int
	Msg         string
}

// Error names the expectation and the part.
func (f Fault) Error() string {
	at := ""
	if f.Line > 0 {
		at = place(f.Line, f.Col)
	}
	return fmt.Sprintf("%s: %s: %s%s", f.Expectation, f.Part, at, f.Msg)
}

// Check finds what is wrong with the expectations before anything is sent: the SQL
// against empty tables, names, formulas, tolerances. The engine is for this
// only. Faults are not an error; an error says that the engine could not work.
func Check(ctx context.Context, engine Engine, tables []Table, facts Facts, list []Expectation) ([]Fault, error) {
	loader, err := engine.Load(ctx, Delivered, tables)
	if err != nil {
		return nil, err
	}
	if _, err := loader.Close(ctx); err != nil {
		return nil, err
	}
	c := checker{engine: engine, facts: facts, taken: map[string]string{}}
	for _, t := range tables {
		c.taken[strings.ToLower(t.Name)] = "a log type"
	}
	for _, e := range list {
		if err := c.check(ctx, e); err != nil {
			return nil, err
		}
	}
	return c.faults, nil
}

type checker struct {
	engine Engine
	facts  Facts
	taken  map[string]string // lower-case name → what has it
	faults []Fault
}

func (c *checker) fault(e Expectation, part Part, format string, args ...any) {
	c.faults = append(c.faults, Fault{Expectation: e.Name, Part: part, Msg: fmt.Sprintf(format, args...)})
}

func (c *checker) check(ctx context.Context, e Expectation) error {
	lower := strings.ToLower(e.Name)
	switch holder := c.taken[lower]; {
	case sqlName(e.Name) != e.Name:
		c.fault(e, InName, "%q can be no table's name; later queries call this one by its name", e.Name)
		return nil
	case holder != "":
		c.fault(e, InName, "%s is called so already, and SQL knows no difference of case; choose another name", holder)
		return nil
	}
	c.taken[lower] = "another query"
	if e.Equals.formula != nil {
		var faults FormulaFaults
		if _, err := e.Equals.formula.Eval(c.facts); errors.As(err, &faults) {
			for _, f := range faults {
				c.faults = append(c.faults, Fault{e.Name, InEquals, 1, f.Col, f.Msg})
			}
		}
	}
	columns, err := c.engine.Check(ctx, Delivered, e.Name, e.SQL)
	var wrong *QueryError
	switch {
	case errors.As(err, &wrong):
		c.faults = append(c.faults, Fault{e.Name, InSQL, wrong.Line, wrong.Col, wrong.Msg})
	case err != nil:
		return err
	default:
		c.columns(e, columns)
	}
	return nil
}

func (c *checker) columns(e Expectation, columns []ResultColumn) {
	if !e.Equals.Oracle() && len(columns) != 1 {
		c.fault(e, InEquals, "%s is one value, but the query returns %d columns; select one, or use `equals: oracle`", e.Equals, len(columns))
	}
	if e.Equals.formula != nil && len(columns) == 1 && !columns[0].Numeric {
		c.fault(e, InEquals, "%s is a number, but the query returns %s", e.Equals, columns[0].Type)
	}
	byName := map[string]ResultColumn{}
	for _, column := range columns {
		byName[column.Name] = column
	}
	for _, name := range slices.Sorted(maps.Keys(e.Columns)) {
		switch column, ok := byName[name]; {
		case !ok:
			c.fault(e, InTolerance, "the query returns no column %q; %s", name, scenario.Suggest(name, slices.Sorted(maps.Keys(byName))))
		case !column.Numeric:
			c.fault(e, InTolerance, "column %s is %s: only numbers have a tolerance", name, column.Type)
		}
	}
}

package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Fault is one thing wrong with a file of the scenario, and where. A fault
// in an override has the file "--set", the override's number as its line and
// its place in the argument as its column.
type Fault struct {
	Pos Pos
	Msg string
}

// Error returns "file:line:col: message".
func (f Fault) Error() string { return f.Pos.String() + ": " + f.Msg }

// String returns "file:line:col".
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Faults are all the faults found at once.
type Faults []Fault

// Error returns one line a fault, sorted by place.
func (f Faults) Error() string {
	lines := make([]string, 0, len(f))
	for _, fault := range f.sorted() {
		lines = append(lines, fault.Error())
	}
	return strings.Join(lines, "\n")
}

// Err returns the faults sorted by place, or nil when there are none.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f.sorted()
}

func (f Faults) sorted() Faults {
	return slices.SortedStableFunc(slices.Values(f), func(a, b Fault) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col),
		)
	})
}

package generate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kreplay/pkg/scenario"
)

// What changed rows is counted by log type, field and cause, once a row, with the
// first record as the example, whoever read what first.
func TestCausesAreCounted(t *testing.T) {
	p := variedPlan(t)
	c := p.Comparer(Options{Compare: scenario.CompareJSON})
	var lists [][]Mutation
	for _, users := range [][]uint32{{1, 2, 3}, {3, 1, 2}} {
		s := &Scratch{Causes: &Causes{}}
		for _, user := range users {
			text := strings.NewReplacer(`19.90`, `19.899999999999999`, `["p","q"]`, `["P","Q"]`).Replace(string(row(p, user, 0)))
			if m := c.Identify([]byte(text), AsSent, s); m.Intact || m.Kind != Planned {
				t.Fatalf("%+v", m)
			}
		}
		c.Identify(row(p, 4, 0)[:100], AsSent, s) // torn
		list, beyond, whole := s.Causes.List()
		if beyond != 0 || !whole {
			t.Errorf("%d beyond, whole: %v", beyond, whole)
		}
		lists = append(lists, list)
	}
	for _, list := range lists {
		for i := range list {
			list[i].seen = 0
		}
		id := p.ID(1, 0)
		want := []Mutation{
			{LogType: "order", Field: "meta.tags", Cause: CauseUnknown, Rows: 3, ID: id, Want: `"p"`, Got: `"P"`},
			{LogType: "order", Field: "price", Cause: CauseFloat, Rows: 3, ID: id, Want: "19.90", Got: "19.899999999999999"},
			{LogType: "order", Field: "", Cause: CauseUnknown, Rows: 1, ID: p.ID(4, 0), Want: list[2].Want, Got: list[2].Got},
		}
		if !slices.Equal(list, want) {
			t.Errorf("got %+v, want %+v", list, want)
		}
	}
}

// Changed rows beyond the bound are counted and not looked into; so are fields.
func TestCausesAreBounded(t *testing.T) {
	var c Causes
	for i := range MaxExamined + 10 {
		if c.begin() != (i < MaxExamined) {
			t.Fatalf("row %d", i)
		}
	}
	for i := range maxMutations + 1 {
		c.add(variedPlan(t).ID(0, 0), "x", []found{{field: fmt.Sprint(i)}})
		if i == 3 {
			break
		}
	}
	for i := range maxMutations + 1 {
		c.add(c.table[mutationKey{"x", "0", ""}].ID, "x", []found{{field: fmt.Sprint(i)}})
	}
	list, beyond, whole := c.List()
	if len(list) != maxMutations || whole || beyond == 0 {
		t.Errorf("%d fields, %d beyond, whole: %v", len(list), beyond, whole)
	}
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

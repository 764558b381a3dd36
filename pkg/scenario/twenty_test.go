package scenario

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A scenario with every kind of fault reports each of them, at its place, in one go.
func TestEveryKindOfFaultAtOnce(t *testing.T) {
	text, err := os.ReadFile("testdata/twenty.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = load(string(text))
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %v, want Faults", err)
	}
	want := [][2]int{
		{2, 7}, {3, 7}, {5, 1}, {7, 10}, // name, seed, an unknown key, a template outside
		{10, 12}, {11, 3}, {12, 8}, {13, 13}, {15, 9}, {16, 8}, // roles and patterns
		{18, 10}, {20, 5}, {20, 27}, {21, 54}, {22, 53}, // users, shares, a template that is none, until, a number
		{23, 16}, {23, 66}, {23, 77}, {23, 91}, // a variable, span, steps without arrivals: steps, speedup
		{25, 9}, {26, 18}, {27, 19}, {27, 31}, {27, 50}, {27, 66}, {28, 10}, // stream
		{30, 16}, {30, 44}, {31, 3}, // stages
		{32, 22}, {32, 31}, {33, 27}, {34, 1}, // inject, settle, aggregate
		{36, 24}, {36, 38}, {38, 5}, {39, 21}, {39, 58}, {40, 5}, {40, 55}, {41, 21}, // expect
		{42, 21}, {42, 39}, {43, 1}, // guard, a key that is there twice
	}
	got := make([][2]int, len(faults))
	for i, f := range faults {
		got[i] = [2]int{f.Pos.Line, f.Pos.Col}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s\n%v", diff, faults)
	}
}

package scenario

import (
	"slices"
	"testing"
)

// An override counts as if its value stood in the file.
func TestOverride(t *testing.T) {
	s, err := load(full, "population.users=2000", "stream.name=x", "rewrite.purchase.order_id=uuid",
		"rewrite.login.at=time", "keep=[\"*_no\", é]", "stream.limits={requests: 2}", "expect.delivery.missing=9",
		"settle.quiet=1s", "settle.quiet=2s", "templates.whale=else/where")
	if err != nil {
		t.Fatal(err)
	}
	if s.Population.Users != 2000 || s.Stream.Name != "x" || s.Expect.Delivery.Missing != 9 || s.Settle.Quiet.String() != "2s" {
		t.Errorf("got %+v", s)
	}
	if want := (Limits{Requests: 2}); s.Stream.Limits != want {
		t.Errorf("limits: got %+v, want %+v: an override replaces all of its key", s.Stream.Limits, want)
	}
	if got, want := s.Templates[0], (TemplateRef{"whale", "else/where", Pos{"--set", 10, 17}}); got != want {
		t.Errorf("template: got %+v, want %+v", got, want)
	}
	if got, want := s.Rewrite[3:], []Rule{
		{"purchase.order_id", Role{Kind: UUID}, Pos{"--set", 3, 9}}, // keeps its turn
		{"level", Role{Kind: Keep}, at(12, 3)},
		{"login.at", Role{Kind: Time}, Pos{"--set", 4, 9}},
	}; !slices.Equal(got, want) {
		t.Errorf("rewrite: got %+v, want %+v", got, want)
	}
	if want := []Pattern{{"*_no", Pos{"--set", 5, 7}}, {"é", Pos{"--set", 5, 15}}}; !slices.Equal(s.Keep, want) {
		t.Errorf("keep: got %+v, want %+v", s.Keep, want)
	}
}

// Where a value in the file has the wrong form, that is the fault, not the override below it.
func TestOverrideBelowAFault(t *testing.T) {
	_, err := load(minimal+"population: 5\n", "population.users=3")
	if want := "launch/scenario.yaml:3:13: population: want a mapping, got 5"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

package scenario

import (
	"cmp"
	"fmt"
	"slices"
)

// Content returns the canonical bytes of all in s that decides the records'
// bytes, templates aside: two scenarios with equal templates and equal Content
// plan the same records for the same run and seed. Where they go, how fast and
// what is expected of them is not in it, nor keep, which only silences check. What a scenario does not use leaves no
// trace, so that its content outlives what later versions add.
func (s *Scenario) Content() []byte {
	b := fmt.Appendf(nil, "kreplay 1\n")
	for _, r := range s.Rewrite {
		b = fmt.Appendf(b, "rewrite %q %v %q\n", r.Field, r.Role.Kind, r.Role.Pattern)
		if r.Role.Of != "" {
			b = fmt.Appendf(b, "of %q\n", r.Role.Of)
		}
		if r.Role.Shared {
			b = fmt.Appendf(b, "shared\n")
		}
	}
	b = fmt.Appendf(b, "users %d\n", s.Population.Users)
	for _, c := range s.Population.Cohorts {
		b = fmt.Appendf(b, "cohort %q %q %d\n", c.Name, c.Template, c.Share)
		if c.Until != "" {
			b = fmt.Appendf(b, "until %q\n", c.Until)
		}
		for _, n := range slices.SortedFunc(slices.Values(c.Numbers), func(x, y Number) int { return cmp.Compare(x.Name, y.Name) }) {
			b = fmt.Appendf(b, "number %q %v\n", n.Name, n.Value)
		}
	}
	b = s.Time.content(b)
	if s.Inject.Duplicate > 0 {
		b = fmt.Appendf(b, "duplicate %d\n", s.Inject.Duplicate)
	}
	return fmt.Appendf(b, "newline %d\npartition_key %q\n", s.Stream.Newline, s.Stream.PartitionKey)
}

func (t Schedule) content(b []byte) []byte {
	if !t.Start.IsZero() {
		b = fmt.Appendf(b, "start %d\n", t.Start.Unix())
	}
	if t.Zone != nil {
		b = fmt.Appendf(b, "zone %q\n", t.Zone)
	}
	for _, p := range t.Arrivals.Parts() {
		b = fmt.Appendf(b, "arrivals %v %d\n", p.Length, p.Weight)
	}
	return b
}

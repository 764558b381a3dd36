package scenario

import "fmt"

// Content returns the canonical bytes of all in s that decides the records'
// bytes, templates aside: two scenarios with equal templates and equal Content
// plan the same records for the same run and seed. Where they go, how fast and
// what is expected of them is not in it.
func (s *Scenario) Content() []byte {
	b := fmt.Appendf(nil, "kreplay 1\n")
	for _, r := range s.Rewrite {
		b = fmt.Appendf(b, "rewrite %q %v %q\n", r.Field, r.Role.Kind, r.Role.Pattern)
	}
	for _, k := range s.Keep {
		b = fmt.Appendf(b, "keep %q\n", k.Field)
	}
	b = fmt.Appendf(b, "users %d\n", s.Population.Users)
	for _, c := range s.Population.Cohorts {
		b = fmt.Appendf(b, "cohort %q %q %d\n", c.Name, c.Template, c.Share)
	}
	return fmt.Appendf(b, "newline %d\npartition_key %q\n", s.Stream.Newline, s.Stream.PartitionKey)
}

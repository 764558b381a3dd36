package generate

import (
	"testing"

	"pgregory.net/rapid"
)

// The member of a cohort is of that cohort, for any population and seed.
func TestMemberIsOfItsCohort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := rapid.Uint64Range(1, 1<<32-1).Draw(t, "users")
		p := &Plan{Users: users, spread: newSpread(users, rapid.Uint64().Draw(t, "seed"))}
		for left := users; left > 0; {
			n := rapid.Uint64Range(1, left).Draw(t, "quota")
			p.cohorts = append(p.cohorts, &Cohort{Users: n, first: users - left}, &Cohort{first: users - left + n})
			left -= n
			if len(p.cohorts) > 10 {
				p.cohorts[len(p.cohorts)-2].Users += left
				left = 0
			}
		}
		for i, c := range p.cohorts {
			user, ok := p.Member(c)
			if ok != (c.Users > 0) {
				t.Fatalf("cohort %d of %d users: a member was found: %v", i, c.Users, ok)
			}
			if ok && (uint64(user) >= users || p.Cohort(user) != c) {
				t.Fatalf("cohort %d: user %d of %d is of another", i, user, users)
			}
		}
	})
}

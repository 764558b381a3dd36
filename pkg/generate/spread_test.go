package generate

import (
	"testing"

	"pgregory.net/rapid"
)

// Every position is taken by exactly one user.
func TestSpreadIsABijection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := rapid.Uint64Range(1, 5000).Draw(t, "users")
		s := newSpread(users, rapid.Uint64().Draw(t, "seed"))
		taken := make([]bool, users)
		for user := range users {
			p := s.position(user)
			if p >= users || taken[p] {
				t.Fatalf("user %d of %d has position %d, which is taken or outside", user, users, p)
			}
			taken[p] = true
		}
	})
}

// Any run of consecutive users holds nearly the mix of the whole.
func TestSpreadMixesEverySlice(t *testing.T) {
	const users, whales, window = 100_000, 2_000, 5_000
	s := newSpread(users, 7)
	for first := uint64(0); first < users; first += window {
		n := 0
		for user := first; user < first+window; user++ {
			if s.position(user) < whales {
				n++
			}
		}
		if n < 90 || n > 110 {
			t.Errorf("users %d to %d hold %d of the 2 %% cohort, want about 100", first, first+window, n)
		}
	}
}

func TestSpreadOfTheLargestPopulation(t *testing.T) {
	s := newSpread(1<<32-1, 1)
	for _, user := range []uint64{0, 1, 1<<32 - 2} {
		if p := s.position(user); p >= 1<<32-1 {
			t.Errorf("user %d has position %d, want one below 2^32-1", user, p)
		}
	}
}

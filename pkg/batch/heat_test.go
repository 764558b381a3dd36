package batch

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whoever brings a tenth of the records is named, in whatever order they come,
// whoever brings most first; nobody is where all bring little. Memory is bounded.
func TestHeatNamesTheUsersThatMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		heavy := rapid.Uint32Range(0, 3).Draw(t, "heavy")
		var records []uint32
		for u := range heavy {
			for range 150 * (u + 1) {
				records = append(records, u)
			}
		}
		for i := range rapid.IntRange(100, 500).Draw(t, "others") {
			records = append(records, 1000+uint32(i))
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1))
		rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		var h heat
		for _, u := range records {
			h.add(u)
			if len(h.counts) > heatSize {
				t.Fatalf("%d users are counted, want at most %d", len(h.counts), heatSize)
			}
		}
		want := []uint32{}
		for u := range heavy {
			want = append(want, heavy-1-u)
		}
		if got := h.users(); !slices.Equal(got, want) {
			t.Errorf("%d records: users %v, want %v", len(records), got, want)
		}
	})
}

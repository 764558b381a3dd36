package account

import (
	"testing"

	"pgregory.net/rapid"
)

// Packed counters hold what a plain map would.
func TestCountersAgreeWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 40).Draw(t, "records")
		c, model := newCounters(n), map[uint64]seen{}
		for range rapid.IntRange(0, 200).Draw(t, "rows") {
			i := rapid.Uint64Range(0, n-1).Draw(t, "record")
			intact := rapid.Bool().Draw(t, "intact")
			want := model[i]
			if got := c.add(i, intact); got != want {
				t.Fatalf("before row of record %d: %+v, want %+v", i, got, want)
			}
			if intact {
				want.intact++
			} else {
				want.mutated++
			}
			model[i] = want
		}
		for i := range n {
			if got := c.get(i); got != model[i] {
				t.Fatalf("record %d: %+v, want %+v", i, got, model[i])
			}
		}
	})
}

func TestCountersTakeAQuarterByteARecord(t *testing.T) {
	c := newCounters(1_000_000)
	for i := range uint64(1_000_000) {
		c.add(i, true)
	}
	if len(c.packed) != 250_000 || len(c.spill) != 0 {
		t.Errorf("%d bytes and %d spilled records, want 250,000 and 0", len(c.packed), len(c.spill))
	}
}

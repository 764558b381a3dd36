package pace_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/pace"
)

// Offsets are in order of ranks and within the span, and each part gets its
// share of the arrivals, rounded down or up.
func TestCurveSharesOutArrivals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pace.Part {
			return pace.Part{
				Length: time.Duration(rapid.IntRange(1, 5000).Draw(t, "seconds")) * time.Second,
				Weight: rapid.Uint64Range(0, 1000).Draw(t, "weight"),
			}
		}), 1, 20).Draw(t, "parts")
		parts[0].Weight++
		n := rapid.Uint64Range(1, 3000).Draw(t, "n")
		c := pace.NewCurve(parts)
		var total uint64
		for _, p := range parts {
			total += p.Weight
		}
		got := make([]uint64, len(parts))
		last := time.Duration(0)
		for rank := range n {
			at := c.Offset(rank, n)
			if at < last || at >= c.Span() {
				t.Fatalf("rank %d of %d: %v, after %v in a span of %v", rank, n, at, last, c.Span())
			}
			last = at
			part := 0
			for end := parts[0].Length; at >= end; end += parts[part].Length {
				part++
			}
			got[part]++
		}
		var sum uint64
		for i, p := range parts {
			if diff := int64(got[i]*total) - int64(p.Weight*n); diff <= -int64(total) || diff >= int64(total) {
				t.Errorf("part %d: %d of %d arrivals for weight %d of %d", i, got[i], n, p.Weight, total)
			}
			sum += got[i]
		}
		if sum != n {
			t.Errorf("%d of %d arrived", sum, n)
		}
	})
}

// The greatest numbers that the doc allows do not overflow.
func TestCurveHoldsItsBounds(t *testing.T) {
	const n = 1<<32 - 1
	c := pace.NewCurve([]pace.Part{{Length: time.Second, Weight: 1<<30 - 2}, {Length: 1000 * time.Hour, Weight: 1}})
	if got, most := c.Offset(n-1, n), c.Span(); got >= most || got < most/2 {
		t.Errorf("last offset %v, want in the second half of %v", got, most)
	}
	if got := c.Offset(0, n); got != 0 {
		t.Errorf("first offset %v, want 0", got)
	}
}

package pace

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The parts of all workers add up to the profile at any time; no limit stays none.
func TestPartsAddUp(t *testing.T) {
	if p := Divide(nil, 3); p != nil {
		t.Errorf("a part of no limit is %v", p)
	}
	rapid.Check(t, func(t *rapid.T) {
		whole, err := SineRate(rapid.Float64Range(1, 1e6).Draw(t, "mean"), 1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		workers := rapid.Uint64Range(1, 10_000).Draw(t, "workers")
		at := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "at"))
		p := Divide(whole, workers)
		for got, want := range map[float64]float64{p.Rate(at) * float64(workers): whole.Rate(at), p.Sum(at) * float64(workers): whole.Sum(at)} {
			if math.Abs(got-want) > 1e-9*want {
				t.Errorf("%d workers have %v together, want %v", workers, got, want)
			}
		}
	})
}

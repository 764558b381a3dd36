package pace_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/pace"
)

// Who takes when Wait says so takes what the profile gives and what was saved
// up, and no more; who waits is not kept waiting for ever.
func TestBucketKeepsToItsProfile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProfile(t)
		b := pace.NewBucket(p, 0)
		luck := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		largest := rapid.Float64Range(1, 2000).Draw(t, "largest")
		var now time.Duration
		taken, first := 0.0, max(p.Sum(pace.Saving), 1)
		for range 300 {
			level := b.Level(now)
			n := 1 + luck.Float64()*(largest-1)
			wait := b.Wait(n)
			if wait == 0 && level >= 1 {
				b.Take(n)
				taken += n
			}
			if most := p.Sum(now) + first + largest; taken > most*(1+1e-9) {
				t.Fatalf("%v taken until %v, at most %v", taken, now, most)
			}
			now += max(wait, time.Duration(luck.Int64N(int64(20*time.Millisecond))))
		}
	})
}

// A steady bucket that is drained all the time gives its rate; after a change
// of rate, the new one.
func TestSteadyBucket(t *testing.T) {
	b := pace.NewSteadyBucket(1000, 0)
	var now time.Duration
	drain := func(until time.Duration) (n float64) {
		for ; now < until; now += time.Millisecond {
			if level := math.Floor(b.Level(now)); level > 0 {
				b.Take(level)
				n += level
			}
		}
		return n
	}
	if got := drain(10 * time.Second); math.Abs(got-10_100) > 2 {
		t.Errorf("%v in 10 s at 1000/s with 100 saved up", got)
	}
	b.SetRate(100, now)
	if got := drain(20 * time.Second); math.Abs(got-1000) > 2 {
		t.Errorf("%v in 10 s at 100/s", got)
	}
	now += time.Hour
	if got := b.Level(now); math.Abs(got-10) > 1e-6 {
		t.Errorf("%v saved up in an hour, want a tenth of a second", got)
	}
	b.SetRate(0, now)
	b.Take(1e9)
	if !math.IsInf(b.Level(now), 1) || b.Wait(1e9) != 0 {
		t.Error("a bucket without a rate holds something back")
	}
	b.SetRate(100, now)
	if got := b.Level(now); math.Abs(got-10) > 1e-6 {
		t.Errorf("%v in a bucket that has a rate again, want it full", got)
	}
}

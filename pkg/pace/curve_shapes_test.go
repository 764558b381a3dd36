package pace_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the tests' zones, wherever they run

	"pgregory.net/rapid"

	"kreplay/pkg/pace"
)

// counts returns how many of n arrivals come in each unit of the curve.
func counts(c pace.Curve, n uint64, unit time.Duration) []uint64 {
	got := make([]uint64, (c.Span()+unit-1)/unit)
	for rank := range n {
		got[c.Offset(rank, n)/unit]++
	}
	return got
}

// A day of a diurnal curve is busiest at peak and quietest at night, whatever the zone and wherever it begins.
func TestDiurnalIsBusiestAtPeak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", 60*rapid.IntRange(-12*60, 14*60).Draw(t, "zone"))
		start := time.Unix(60*rapid.Int64Range(17_000_000, 40_000_000).Draw(t, "start"), 0).In(zone)
		peak := rapid.IntRange(0, 24*60-1).Draw(t, "peak")
		days := rapid.IntRange(1, 5).Draw(t, "days")
		c := pace.Diurnal(start, time.Duration(days)*24*time.Hour, peak)
		parts := c.Parts()
		if len(parts) != days*24*60 || c.Span() != time.Duration(days)*24*time.Hour {
			t.Fatalf("%d parts in %v, want one a minute of %d days", len(parts), c.Span(), days)
		}
		var least uint64 = 1 << 62
		for _, p := range parts {
			least = min(least, p.Weight)
		}
		for i, p := range parts {
			clock := start.Add(time.Duration(i) * time.Minute)
			m := clock.Hour()*60 + clock.Minute()
			if (p.Weight == 6000) != (m == peak) || p.Weight > 6000 {
				t.Fatalf("%02d:%02d has weight %d with the peak at %02d:%02d", m/60, m%60, p.Weight, peak/60, peak%60)
			}
			if (p.Weight == least) != (m == (peak+7*60)%(24*60)) {
				t.Fatalf("%02d:%02d has weight %d, the least is %d, with the peak at %02d:%02d", m/60, m%60, p.Weight, least, peak/60, peak%60)
			}
			if next := parts[(i+1)%len(parts)].Weight; next > p.Weight+40 || p.Weight > next+40 {
				t.Fatalf("%02d:%02d jumps from %d to %d", m/60, m%60, p.Weight, next)
			}
		}
	})
}

// The clock is the wall's: in a night with 25 hours the peak still is at its hour.
func TestDiurnalKeepsTheWallClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 10, 24, 12, 0, 0, 0, berlin) // summer time ends on the 25th
	parts := pace.Diurnal(start, 48*time.Hour, 20*60+30).Parts()
	var at []string
	for i, p := range parts {
		if p.Weight == 6000 {
			at = append(at, start.Add(time.Duration(i)*time.Minute).Format("02 15:04"))
		}
	}
	if len(at) != 2 || at[0] != "24 20:30" || at[1] != "25 20:30" {
		t.Errorf("busiest at %v, want 20:30 on both days", at)
	}
}

// A diurnal curve that begins or ends within a minute has its full length and arrivals to the end.
func TestDiurnalHasItsSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := time.Duration(rapid.IntRange(1, 4000).Draw(t, "seconds")) * time.Second
		c := pace.Diurnal(time.Unix(rapid.Int64Range(1e9, 4e9).Draw(t, "start"), 0).UTC(), span, rapid.IntRange(0, 1439).Draw(t, "peak"))
		last := c.Parts()[len(c.Parts())-1]
		if most := uint64(6000 * last.Length / time.Minute); c.Span() != span || last.Weight == 0 || last.Weight > most {
			t.Fatalf("span %v, want %v; the last %v have weight %d, want at most %d", c.Span(), span, last.Length, last.Weight, most)
		}
	})
}

// Counts per minute equal what the shape says, within rounding.
func TestShapesShareOutByTheMinute(t *testing.T) {
	const n = 60_000
	for _, c := range []struct {
		name  string
		curve pace.Curve
		want  []uint64 // of each of ten minutes
	}{
		{"even", pace.Even(10 * time.Minute), []uint64{6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000}},
		{"steps", pace.Steps(10*time.Minute, []uint64{1, 3}), []uint64{3000, 3000, 3000, 3000, 3000, 9000, 9000, 9000, 9000, 9000}},
		{"a long sum", pace.Steps(10*time.Minute, []uint64{1e12, 3e12}), []uint64{3000, 3000, 3000, 3000, 3000, 9000, 9000, 9000, 9000, 9000}},
		{"burst", pace.Burst(10*time.Minute, 2*time.Minute, 2*time.Minute, 500, 1000), []uint64{3750, 3750, 15000, 15000, 3750, 3750, 3750, 3750, 3750, 3750}},
		{"burst first", pace.Burst(10*time.Minute, 0, time.Minute, 1, 4), []uint64{15000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000}},
		{"burst last", pace.Burst(10*time.Minute, 9*time.Minute, time.Minute, 4, 4), []uint64{0, 0, 0, 0, 0, 0, 0, 0, 0, 60000}},
	} {
		for i, got := range counts(c.curve, n, time.Minute) {
			if diff := int64(got) - int64(c.want[i]); diff < -1 || diff > 1 {
				t.Errorf("%s: minute %d: %d arrivals, want %d", c.name, i, got, c.want[i])
			}
		}
	}
}

// Steps fill the span, none longer than another by more than a second.
func TestStepsAreEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint64Range(1, 1e9), 1, 50).Draw(t, "weights")
		seconds := rapid.IntRange(len(weights), 100_000).Draw(t, "seconds")
		c := pace.Steps(time.Duration(seconds)*time.Second, weights)
		if c.Span() != time.Duration(seconds)*time.Second {
			t.Fatalf("span %v, want %d s", c.Span(), seconds)
		}
		for _, p := range c.Parts() {
			if got := int(p.Length / time.Second); got != seconds/len(weights) && got != seconds/len(weights)+1 {
				t.Fatalf("%d parts of %d s: one has %d", len(weights), seconds, got)
			}
		}
	})
}

// Parts make the same curve again, whatever their sum was.
func TestPartsMakeTheCurve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint64Range(1, 1<<40), 1, 20).Draw(t, "weights")
		c := pace.Steps(time.Hour, weights)
		var sum uint64
		for _, p := range c.Parts() {
			sum += p.Weight
		}
		if !pace.NewCurve(c.Parts()).Equal(c) || sum >= 1<<30 {
			t.Fatalf("parts of %v sum to %d and do not make the curve again", weights, sum)
		}
	})
}

package pace_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/pace"
)

func drawProfile(t *rapid.T) (p pace.Profile) {
	rate := rapid.Float64Range(0, 1e6)
	length := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "length"))
	})
	var err error
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		p, err = pace.ConstantRate(rate.Draw(t, "rate"))
	case 1:
		p, err = pace.RampRate(rate.Draw(t, "from"), rate.Draw(t, "to"), length.Draw(t, "over"))
	case 2:
		var steps []pace.Step
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			steps = append(steps, pace.Step{Rate: rate.Draw(t, "rate"), Length: length.Draw(t, "length")})
		}
		p, err = pace.StepRates(steps...)
	case 3:
		every := length.Draw(t, "every") + time.Millisecond
		p, err = pace.BurstRate(rate.Draw(t, "base"), rate.Draw(t, "peak"), every, every*time.Duration(rapid.IntRange(1, 9).Draw(t, "tenths"))/10)
	case 4:
		mean := rate.Draw(t, "mean")
		p, err = pace.SineRate(mean, mean*rapid.Float64Range(0, 1).Draw(t, "amplitude"), length.Draw(t, "period")+time.Second)
	default:
		var points []pace.Point
		var at time.Duration
		for range rapid.IntRange(1, 5).Draw(t, "points") {
			at += length.Draw(t, "at")
			points = append(points, pace.Point{At: at, Rate: rate.Draw(t, "rate")})
		}
		p, err = pace.PointRates(points)
	}
	if errors.Is(err, pace.ErrRate) {
		t.Skip("nothing passes, or nothing in the end")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Sum is the integral of Rate: over any short time they agree, it starts at 0
// and never falls.
func TestSumIsTheIntegral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProfile(t)
		from := time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, "from"))
		length := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Minute)).Draw(t, "length"))
		const parts = 4000
		sum, most := 0.0, 0.0
		for i := range parts {
			r := p.Rate(from + length*time.Duration(2*i+1)/(2*parts))
			sum += r * length.Seconds() / parts
			most = max(most, r)
			if r < 0 || math.IsNaN(r) {
				t.Fatalf("rate %v", r)
			}
		}
		got := p.Sum(from+length) - p.Sum(from)
		// A jump may lie anywhere in a part.
		if tolerance := 20*most*length.Seconds()/parts + 1e-6*p.Sum(from+length) + 1e-9; math.Abs(got-sum) > tolerance || got < -tolerance {
			t.Fatalf("Sum gives %v from %v for %v, the rates %v", got, from, length, sum)
		}
		if zero := p.Sum(0); math.Abs(zero) > 1e-9 {
			t.Fatalf("Sum(0) = %v", zero)
		}
	})
}

func must(t *testing.T, p pace.Profile, err error) pace.Profile {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Each shape says what its name says.
func TestShapes(t *testing.T) {
	profile := func(p pace.Profile, err error) pace.Profile { return must(t, p, err) }
	for _, tc := range []struct {
		name string
		p    pace.Profile
		at   time.Duration
		rate float64
	}{
		{"constant", profile(pace.ConstantRate(7)), time.Hour, 7},
		{"ramp begins", profile(pace.RampRate(10, 20, time.Minute)), 0, 10},
		{"ramp half way", profile(pace.RampRate(10, 20, time.Minute)), 30 * time.Second, 15},
		{"ramp stays", profile(pace.RampRate(10, 20, time.Minute)), time.Hour, 20},
		{"first step", profile(pace.StepRates(pace.Step{Rate: 1, Length: time.Second}, pace.Step{Rate: 5, Length: time.Second})), time.Second - 1, 1},
		{"second step", profile(pace.StepRates(pace.Step{Rate: 1, Length: time.Second}, pace.Step{Rate: 5, Length: time.Second})), time.Second, 5},
		{"last step stays", profile(pace.StepRates(pace.Step{Rate: 1, Length: time.Second}, pace.Step{Rate: 5, Length: time.Second})), time.Hour, 5},
		{"burst", profile(pace.BurstRate(1, 9, time.Minute, time.Second)), 61*time.Second - 1, 9},
		{"between bursts", profile(pace.BurstRate(1, 9, time.Minute, time.Second)), 61 * time.Second, 1},
		{"sine at its top", profile(pace.SineRate(10, 4, time.Minute)), 15 * time.Second, 14},
		{"sine at its bottom", profile(pace.SineRate(10, 4, time.Minute)), 45 * time.Second, 6},
		{"file", profile(pace.ReadRates(strings.NewReader("# a day\n0s 10\n\n1m 20 # up\n"))), 30 * time.Second, 15},
	} {
		if got := tc.p.Rate(tc.at); math.Abs(got-tc.rate) > 1e-6 {
			t.Errorf("%s: %v at %v, want %v", tc.name, got, tc.at, tc.rate)
		}
	}
}

func TestProfilesRefuse(t *testing.T) {
	for name, make := range map[string]func() (pace.Profile, error){
		"nothing ever": func() (pace.Profile, error) { return pace.ConstantRate(0) },
		"not a number": func() (pace.Profile, error) { return pace.ConstantRate(math.NaN()) },
		"infinite":     func() (pace.Profile, error) { return pace.ConstantRate(math.Inf(1)) },
		"negative":     func() (pace.Profile, error) { return pace.RampRate(-1, 1, time.Second) },
		"no time":      func() (pace.Profile, error) { return pace.RampRate(1, 2, 0) },
		"ramp to 0":    func() (pace.Profile, error) { return pace.RampRate(1, 0, time.Second) },
		"last step is 0": func() (pace.Profile, error) {
			return pace.StepRates(pace.Step{Rate: 1, Length: 1}, pace.Step{Length: 1})
		},
		"file ends at 0":  func() (pace.Profile, error) { return pace.ReadRates(strings.NewReader("0s 5\n1m 0\n")) },
		"no steps":        func() (pace.Profile, error) { return pace.StepRates() },
		"empty step":      func() (pace.Profile, error) { return pace.StepRates(pace.Step{Rate: 1}) },
		"burst too long":  func() (pace.Profile, error) { return pace.BurstRate(1, 2, time.Second, time.Second) },
		"sine below zero": func() (pace.Profile, error) { return pace.SineRate(1, 2, time.Second) },
		"points backward": func() (pace.Profile, error) { return pace.PointRates([]pace.Point{{At: 2, Rate: 1}, {At: 1, Rate: 1}}) },
		"empty file":      func() (pace.Profile, error) { return pace.ReadRates(strings.NewReader("# nothing\n")) },
	} {
		if p, err := make(); !errors.Is(err, pace.ErrRate) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	for _, text := range []string{"1m", "1m 2 3", "soon 5", "1m fast"} {
		if _, err := pace.ReadRates(strings.NewReader("0s 1\n" + text)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, want an error of line 2", text, err)
		}
	}
}

func FuzzReadRates(f *testing.F) {
	f.Add("0s 10\n1m 20\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := pace.ReadRates(strings.NewReader(text))
		if err != nil {
			return
		}
		if r, s := p.Rate(time.Minute), p.Sum(time.Minute); !(r >= 0 && s >= 0) {
			t.Fatalf("%q: rate %v, sum %v", text, r, s)
		}
	})
}

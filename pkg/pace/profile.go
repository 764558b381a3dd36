package pace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A Profile says how much may pass at a time: records or bytes a second, as the
// caller takes it. It is a pure function of the time since the push began, and
// safe for concurrent use.
type Profile interface {
	// Rate is what may pass a second at t; never negative.
	Rate(t time.Duration) float64
	// Sum is what may pass from 0 to t: the integral of Rate.
	Sum(t time.Duration) float64
}

// ErrRate is a rate or a length of which no profile can be made.
var ErrRate = errors.New("rates are finite and not negative, lengths are above 0, and some rate is above 0, as is one that stays")

// ConstantRate is the same rate all the time.
func ConstantRate(rate float64) (Profile, error) {
	return newLine([]Point{{0, rate}}, 0)
}

// RampRate goes from one rate to another over a time, and stays there.
func RampRate(from, to float64, over time.Duration) (Profile, error) {
	if over <= 0 {
		return nil, fmt.Errorf("pace: ramp over %v: %w", over, ErrRate)
	}
	return newLine([]Point{{0, from}, {over, to}}, 0)
}

// A Step is a time at one rate.
type Step struct {
	Rate   float64
	Length time.Duration
}

// StepRates holds each rate for its time, and the last one for ever.
func StepRates(steps ...Step) (Profile, error) {
	var points []Point
	var at time.Duration
	for _, s := range steps {
		if s.Length <= 0 {
			return nil, fmt.Errorf("pace: step of %v: %w", s.Length, ErrRate)
		}
		points = append(points, Point{at, s.Rate}, Point{at + s.Length, s.Rate})
		at += s.Length
	}
	return newLine(points, 0)
}

// BurstRate is base, and for length at the beginning of every period peak.
func BurstRate(base, peak float64, every, length time.Duration) (Profile, error) {
	if length <= 0 || length >= every {
		return nil, fmt.Errorf("pace: burst of %v every %v: %w", length, every, ErrRate)
	}
	return newLine([]Point{{0, peak}, {length, peak}, {length, base}, {every, base}}, every)
}

// SineRate swings around mean by amplitude, which is at most mean; it begins at
// mean and rises.
func SineRate(mean, amplitude float64, period time.Duration) (Profile, error) {
	if !finite(mean) || !finite(amplitude) || mean == 0 || amplitude > mean || period <= 0 {
		return nil, fmt.Errorf("pace: sine around %v by %v every %v: %w", mean, amplitude, period, ErrRate)
	}
	return sine{mean, amplitude, 2 * math.Pi / period.Seconds()}, nil
}

type sine struct{ mean, amplitude, omega float64 }

func (s sine) Rate(t time.Duration) float64 {
	return max(s.mean+s.amplitude*math.Sin(s.omega*t.Seconds()), 0)
}

func (s sine) Sum(t time.Duration) float64 {
	x := t.Seconds()
	return s.mean*x + s.amplitude/s.omega*(1-math.Cos(s.omega*x))
}

// A Point is a rate at a time; between two points the rate goes in a straight
// line. Two points at one time are a jump.
type Point struct {
	At   time.Duration
	Rate float64
}

// PointRates goes through all points, which are in order of time; before the first
// and after the last the rate is theirs.
func PointRates(points []Point) (Profile, error) { return newLine(points, 0) }

// ReadRates reads a profile from text: a line is a time since the beginning,
// as in 1m30s, and a rate a second, as in 1500. Empty lines and what follows a #
// do not count.
func ReadRates(r io.Reader) (Profile, error) {
	var points []Point
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("pace: line %d: %q: want a time and a rate, as in 1m30s 1500", n, text)
		}
		at, errAt := time.ParseDuration(words[0])
		rate, errRate := strconv.ParseFloat(words[1], 64)
		if err := errors.Join(errAt, errRate); err != nil {
			return nil, fmt.Errorf("pace: line %d: %q: want a time and a rate, as in 1m30s 1500: %w", n, text, err)
		}
		points = append(points, Point{at, rate})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("pace: %w", err)
	}
	return newLine(points, 0)
}

// line is a profile of straight lines; period 0: it does not repeat.
type line struct {
	points []Point
	sums   []float64 // up to each point
	period time.Duration
}

// constant says whether a profile is one rate for ever.
func constant(p Profile) (perSecond float64, ok bool) {
	l, ok := p.(line)
	if !ok || len(l.points) != 1 {
		return 0, false
	}
	return l.points[0].Rate, true
}

func newLine(points []Point, period time.Duration) (Profile, error) {
	l := line{slices.Clone(points), make([]float64, len(points)), period}
	some := false
	for i, p := range l.points {
		if !finite(p.Rate) || p.At < 0 || i > 0 && p.At < l.points[i-1].At {
			return nil, fmt.Errorf("pace: rate %v at %v: %w", p.Rate, p.At, ErrRate)
		}
		some = some || p.Rate > 0
		if i == 0 {
			l.sums[0] = p.Rate * p.At.Seconds()
			continue
		}
		before := l.points[i-1]
		l.sums[i] = l.sums[i-1] + (p.Rate+before.Rate)/2*(p.At-before.At).Seconds()
	}
	switch {
	case !some:
		return nil, fmt.Errorf("pace: nothing may ever pass: %w", ErrRate)
	case period == 0 && l.points[len(l.points)-1].Rate == 0:
		return nil, fmt.Errorf("pace: the last rate stays for ever, and at 0 nothing more would pass; let it end above 0: %w", ErrRate)
	}
	return l, nil
}

func finite(rate float64) bool { return rate >= 0 && !math.IsInf(rate, 1) }

func (l line) Rate(t time.Duration) float64 {
	if l.period > 0 {
		t %= l.period
	}
	i := l.after(t)
	switch {
	case i == 0:
		return l.points[0].Rate
	case i == len(l.points):
		return l.points[i-1].Rate
	}
	a, b := l.points[i-1], l.points[i]
	return a.Rate + (b.Rate-a.Rate)*float64(t-a.At)/float64(b.At-a.At)
}

func (l line) Sum(t time.Duration) float64 {
	before := 0.0
	if l.period > 0 {
		before = float64(t/l.period) * l.sums[len(l.sums)-1]
		t %= l.period
	}
	i := l.after(t)
	if i == 0 {
		return before + l.points[0].Rate*t.Seconds()
	}
	a := l.points[i-1]
	return before + l.sums[i-1] + (a.Rate+l.Rate(t))/2*(t-a.At).Seconds()
}

// after is the index of the first point after t.
func (l line) after(t time.Duration) int {
	return sort.Search(len(l.points), func(i int) bool { return l.points[i].At > t })
}

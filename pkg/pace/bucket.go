// Package pace decides when to send: curves of arrivals, profiles of a rate,
// and buckets and windows that keep to them. It reads no clock: the time since
// the push began is passed in.
package pace

import (
	"math"
	"time"
)

// Saving is how much of its rate a Bucket saves up while nobody takes.
const Saving = 100 * time.Millisecond

// A Bucket lets pass what a profile or a rate allows. The zero value lets all pass.
type Bucket struct {
	profile Profile // nil: rate
	rate    float64 // a second; 0 without a profile: all passes
	level   float64 // may be below 0: a record above the burst is paid off after it
	filled  time.Duration
}

// NewBucket returns a full bucket of p; nil: one that lets all pass.
func NewBucket(p Profile, now time.Duration) Bucket {
	b := Bucket{profile: p, filled: now}
	if p != nil {
		b.level = b.burst()
	}
	return b
}

// NewSteadyBucket returns a full bucket of a rate a second.
func NewSteadyBucket(rate float64, now time.Duration) Bucket {
	b := Bucket{rate: rate, filled: now}
	b.level = b.burst()
	return b
}

// SetRate changes the rate of a steady bucket; 0: all passes.
func (b *Bucket) SetRate(rate float64, now time.Duration) {
	if b.unlimited() {
		*b = NewSteadyBucket(rate, now)
		return
	}
	b.Level(now)
	b.rate, b.filled = rate, now
	b.level = min(b.level, b.burst())
}

func (b *Bucket) unlimited() bool { return b.profile == nil && b.rate == 0 }

// gain is what comes from the last fill until t.
func (b *Bucket) gain(t time.Duration) float64 {
	if b.profile == nil {
		return b.rate * (t - b.filled).Seconds()
	}
	return b.profile.Sum(t) - b.profile.Sum(b.filled)
}

// burst is at least 1, so that something can pass at all.
func (b *Bucket) burst() float64 { return max(b.gain(b.filled+Saving), 1) }

// Level fills b up to now and returns what it holds.
func (b *Bucket) Level(now time.Duration) float64 {
	if b.unlimited() {
		return math.Inf(1)
	}
	if now > b.filled {
		b.level += b.gain(now)
		b.filled = now
		b.level = min(b.level, b.burst())
	}
	return b.level
}

// Take takes n, also if b holds less: then nothing passes until it is paid off.
func (b *Bucket) Take(n float64) {
	if !b.unlimited() {
		b.level -= n
	}
}

// Wait is how long from the last fill until b holds n, or a quarter of its
// burst if that is less: it is not worth a request before. At 0 it is time.
func (b *Bucket) Wait(n float64) time.Duration {
	if b.unlimited() {
		return 0
	}
	lack := min(n, max(b.burst()/4, 1)) - b.level
	if lack <= 0 {
		return 0
	}
	rate := b.rate
	if b.profile != nil {
		rate = b.profile.Rate(b.filled)
	}
	if rate <= 0 {
		return Saving // look again then
	}
	// The rate may rise: look again before a long wait is over.
	return min(time.Duration(lack/rate*float64(time.Second))+time.Microsecond, time.Second)
}

// Package pace decides when to send: curves of arrivals, profiles of a rate,
// and buckets and windows that keep to them. It reads no clock: the time since
// the push began is passed in.
package pace

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// Saving is how much of its rate a Bucket saves up while nobody takes.
const Saving = 100 * time.Millisecond

// A Bucket lets pass what a profile or a rate allows. The zero value lets all
// pass. A steady one is a rate.Limiter, told the time, that is asked once a
// moment however often the bucket is; a profile that changes with time is
// more than a Limiter follows exactly, and is summed up here.
type Bucket struct {
	profile Profile       // nil: steady
	steady  *rate.Limiter // nil without a profile: all passes
	owed    float64       // taken, and not told to steady yet
	level   float64       // may be below 0: a record above the burst is paid off after it
	filled  time.Duration
}

// NewBucket returns a full bucket of p; nil: one that lets all pass.
func NewBucket(p Profile, now time.Duration) Bucket {
	if p == nil {
		return Bucket{filled: now}
	}
	if perSecond, ok := constant(p); ok {
		return NewSteadyBucket(perSecond, now)
	}
	b := Bucket{profile: p, filled: now}
	b.level = b.burst()
	return b
}

// NewSteadyBucket returns a full bucket of a rate a second; 0: all passes.
func NewSteadyBucket(perSecond float64, now time.Duration) Bucket {
	b := Bucket{filled: now}
	if perSecond > 0 {
		b.steady = rate.NewLimiter(rate.Limit(perSecond), saved(perSecond))
		b.level = b.steady.TokensAt(at(now))
	}
	return b
}

// saved is the burst of a rate: at least 1, so that something can pass at all.
func saved(perSecond float64) int { return max(int(perSecond*Saving.Seconds()+0.5), 1) }

// at is a time for a Limiter, which measures differences only. Its zero is no time.
func at(now time.Duration) time.Time { return time.Unix(0, 0).Add(now) }

// SetRate changes the rate of a steady bucket; 0: all passes.
func (b *Bucket) SetRate(perSecond float64, now time.Duration) {
	if b.steady == nil || perSecond == 0 {
		*b = NewSteadyBucket(perSecond, now)
		return
	}
	b.Level(now)
	b.settle()
	b.steady.SetLimitAt(at(now), rate.Limit(perSecond))
	b.steady.SetBurstAt(at(now), saved(perSecond))
	b.level, b.filled = b.steady.TokensAt(at(now)), now
}

func (b *Bucket) unlimited() bool { return b.profile == nil && b.steady == nil }

// settle tells the limiter what was taken. It refuses more than its burst at once.
func (b *Bucket) settle() {
	for whole := int(b.owed); whole > 0; {
		part := min(whole, b.steady.Burst())
		b.steady.ReserveN(at(b.filled), part)
		whole -= part
		b.owed -= float64(part)
	}
}

// gain is what comes from the last fill until t.
func (b *Bucket) gain(t time.Duration) float64 { return b.profile.Sum(t) - b.profile.Sum(b.filled) }

func (b *Bucket) burst() float64 {
	if b.steady != nil {
		return float64(b.steady.Burst())
	}
	return max(b.gain(b.filled+Saving), 1)
}

// Level fills b up to now and returns what it holds.
func (b *Bucket) Level(now time.Duration) float64 {
	switch {
	case b.unlimited():
		return math.Inf(1)
	case now <= b.filled:
	case b.steady != nil:
		b.settle()
		b.level, b.filled = b.steady.TokensAt(at(now))-b.owed, now
	default:
		b.level += b.gain(now)
		b.filled = now
		b.level = min(b.level, b.burst())
	}
	return b.level
}

// Take takes n, also if b holds less: then nothing passes until it is paid off.
func (b *Bucket) Take(n float64) {
	if b.unlimited() {
		return
	}
	b.level -= n
	if b.steady != nil {
		b.owed += n
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
	var perSecond float64
	if b.steady != nil {
		perSecond = float64(b.steady.Limit())
	} else {
		perSecond = b.profile.Rate(b.filled)
	}
	if perSecond <= 0 {
		return Saving // look again then
	}
	// The rate may rise: look again before a long wait is over.
	return min(time.Duration(lack/perSecond*float64(time.Second))+time.Microsecond, time.Second)
}

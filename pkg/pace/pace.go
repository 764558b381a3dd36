// Package pace decides when to send: a Limiter is the ceiling that is never passed.
package pace

import (
	"context"
	"math"

	"golang.org/x/time/rate"
)

// A Limiter caps records and bytes a second. It is safe for concurrent use.
type Limiter struct{ records, bytes *rate.Limiter }

// NewLimiter allows bursts of a tenth of a second. 0: no limit.
func NewLimiter(recordsPerSec, bytesPerSec float64) *Limiter {
	return &Limiter{bucket(recordsPerSec), bucket(bytesPerSec)}
}

func bucket(perSec float64) *rate.Limiter {
	if perSec == 0 {
		return rate.NewLimiter(rate.Inf, math.MaxInt32)
	}
	return rate.NewLimiter(rate.Limit(perSec), max(int(perSec/10), 1))
}

// Wait blocks until a request of that size may be sent, or ctx is done.
func (l *Limiter) Wait(ctx context.Context, records, bytes int) error {
	if err := wait(ctx, l.records, records); err != nil {
		return err
	}
	return wait(ctx, l.bytes, bytes)
}

// wait takes n in parts: WaitN fails at once when n is more than the burst.
func wait(ctx context.Context, l *rate.Limiter, n int) error {
	for n > 0 {
		part := min(n, l.Burst())
		if err := l.WaitN(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// Package stream sends batches to a stream and says what became of each record.
package stream

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"kreplay/pkg/record"
)

// A Sink puts batches. Implementations are safe for concurrent use.
type Sink interface {
	// Put sends recs in one request and returns one Outcome per record, in
	// order, whatever the error. A non-nil error concerns the call as a whole
	// and sending again cannot help: the caller stops. A record that was
	// refused, or whose fate is unknown, is an Outcome, not an error.
	Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error)
}

// ErrTooLarge is the error of outcomes whose request had too many records or
// bytes: they are refused, and fewer of them at a time need not be.
var ErrTooLarge = errors.New("request is too large")

// RetryOptions say how records are sent again.
type RetryOptions struct {
	Base, Most time.Duration // backoff: full jitter in [0, Base·2^n) after attempt n, capped; 0: 50 ms, 5 s
	Attempts   int           // at most, for one record; 0: 50
	Hold       bool          // leave records of unknown fate: they may be stored not at all
	// Attempt is told of every attempt, before anything is sent again: an
	// unknown attempt is on disk before its resend. It does not keep the slices.
	// Its error ends the Put.
	Attempt func([]record.Record, []record.Outcome) error
}

// Retry wraps s so that refused records, and unless held unknown ones, are sent
// again alone, never the whole batch, and in halves when the request was too
// large. The outcomes are those of each record's
// last attempt; the final fate over all attempts is the ledger's business.
func Retry(s Sink, o RetryOptions) Sink {
	if o.Base == 0 {
		o.Base = 50 * time.Millisecond
	}
	if o.Most == 0 {
		o.Most = 5 * time.Second
	}
	if o.Attempts == 0 {
		o.Attempts = 50
	}
	return &retry{s, o}
}

type retry struct {
	sink Sink
	o    RetryOptions
}

func (r *retry) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	out, err := r.attempt(ctx, recs)
	most := len(recs) // records a request
	for try := 1; try < r.o.Attempts && err == nil; try++ {
		again, at := r.pending(recs, out)
		if len(again) == 0 {
			break
		}
		if slices.ContainsFunc(at, func(i int) bool { return errors.Is(out[i].Err, ErrTooLarge) }) {
			most = (min(most, len(again)) + 1) / 2
		}
		if err = sleep(ctx, r.backoff(try)); err != nil {
			break
		}
		for len(again) > 0 && err == nil {
			var more []record.Outcome
			n := min(most, len(again))
			more, err = r.attempt(ctx, again[:n])
			for i, o := range more {
				out[at[i]] = o
			}
			again, at = again[n:], at[n:]
		}
	}
	return out, err
}

func (r *retry) attempt(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	out, err := r.sink.Put(ctx, recs)
	if r.o.Attempt == nil {
		return out, err
	}
	if failed := r.o.Attempt(recs, out); failed != nil {
		return out, failed
	}
	return out, err
}

func (r *retry) pending(recs []record.Record, out []record.Outcome) (again []record.Record, at []int) {
	for i, o := range out {
		if o.Fate == record.Refused || o.Fate == record.Unknown && !r.o.Hold {
			again, at = append(again, recs[i]), append(at, i)
		}
	}
	return again, at
}

func (r *retry) backoff(try int) time.Duration {
	return rand.N(min(r.o.Base<<min(try, 16), r.o.Most))
}

// sleep is time.Sleep that a cancelled context cuts short.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package pace_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"kreplay/pkg/pace"
)

// The rate holds, also for requests far larger than the burst.
func TestLimiterHoldsTheRate(t *testing.T) {
	for _, tc := range []struct {
		name           string
		records, bytes int // of each of 60 requests
	}{
		{"records bind", 500, 1},
		{"bytes bind", 1, 500_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, start := pace.NewLimiter(1000, 1_000_000), time.Now()
				for range 60 {
					if err := l.Wait(t.Context(), tc.records, tc.bytes); err != nil {
						t.Fatal(err)
					}
				}
				// 30 s of work, less the burst of a tenth of a second.
				if got, want := time.Since(start).Round(100*time.Millisecond), 29900*time.Millisecond; got != want {
					t.Errorf("took %v, want %v", got, want)
				}
			})
		})
	}
}

func TestNoLimitDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := pace.NewLimiter(0, 0), time.Now()
		if err := l.Wait(t.Context(), 1<<30, 1<<30); err != nil || time.Since(start) != 0 {
			t.Errorf("Wait = %v after %v, want nil at once", err, time.Since(start))
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := pace.NewLimiter(1, 0).Wait(ctx, 1000, 1); err == nil {
			t.Error("Wait = nil after its context was cancelled, want an error")
		}
	})
}

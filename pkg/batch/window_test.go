package batch_test

import (
	"testing"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
)

// Calls that are not answered in time make fewer in flight.
func TestTimeoutsNarrowTheWindow(t *testing.T) {
	s := newSim(t, batch.Config{Requests: 8, Limits: oneByOne}, 1, 0)
	calls := 0
	s.latency = func() time.Duration {
		if calls <= 2 {
			return 30 * time.Second
		}
		return time.Minute
	}
	s.call = func([]record.Record) *record.Outcome {
		if calls++; calls > 2 {
			return nil
		}
		return &record.Outcome{Code: "timeout"}
	}
	var sent []time.Duration
	s.run(s.skewed(100, 1, 10), func(*batch.Request) { sent = append(sent, s.now) })
	if s.once(100); sent[7] > 0 || sent[8] < time.Minute {
		t.Errorf("sent at %v; want 8 at once, and the next when the others are answered, after a minute", sent[:12])
	}
}

// Latencies of requests that nothing held back say nothing of how many may be in
// flight, however much they vary.
func TestIdleWindowKeepsItsSize(t *testing.T) {
	s := newSim(t, batch.Config{Requests: 8, Limits: oneByOne}, 1, 0)
	s.latency = func() time.Duration {
		if s.now == 0 {
			return time.Millisecond
		}
		return 100 * time.Millisecond
	}
	recs := s.skewed(120, 1, 10)
	for i := range recs {
		recs[i].Due = time.Duration(min(i, 100)) * 200 * time.Millisecond
	}
	s.run(recs, func(r *batch.Request) {
		if r.Recs[0].Seq < 100 && len(s.flight) > 0 {
			t.Fatalf("at %v: %d in flight before the burst", s.now, len(s.flight))
		}
	})
	if s.once(120); s.most != 8 {
		t.Errorf("%d in flight at most; want 8 when all is due at once", s.most)
	}
}

// When no more will be offered a request still waits for those that are due soon.
func TestLingersAfterTheEnd(t *testing.T) {
	s := newSim(t, batch.Config{}, 1, 0)
	s.latency = func() time.Duration { return time.Millisecond }
	recs := s.skewed(1000, 1, 10)
	for i := range recs {
		recs[i].Due = time.Duration(i) * 100 * time.Microsecond
	}
	requests := 0
	s.run(recs, func(*batch.Request) { requests++ })
	if s.once(1000); requests > 40 {
		t.Errorf("%d requests in 100 ms, want one in 3 ms", requests)
	}
}

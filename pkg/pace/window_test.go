package pace_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"kreplay/pkg/pace"
)

// A server takes so many requests at a time; others wait in its queue. The window
// finds a size that keeps it busy and its queue short.
func TestWindowFitsTheServer(t *testing.T) {
	for _, tc := range []struct {
		name    string
		servers int
		service time.Duration
		way     time.Duration // there and back
		most    int
	}{
		{"one core, near", 1, 2 * time.Millisecond, 100 * time.Microsecond, 32},
		{"far", 64, 5 * time.Millisecond, 60 * time.Millisecond, 32},
		{"wide", 4, 2 * time.Millisecond, 10 * time.Millisecond, 64},
	} {
		luck := rand.New(rand.NewPCG(1, 1))
		w := pace.NewWindow(tc.most)
		free := make([]time.Duration, tc.servers) // when each is
		var flight []time.Duration                // when each answer comes, as of when it was sent
		var sent []time.Duration
		var now time.Duration
		answers, sizes := 0, 0
		for now < 30*time.Second {
			if len(flight) < w.Size() {
				i := 0
				for j := range free {
					if free[j] < free[i] {
						i = j
					}
				}
				begin := max(free[i], now+tc.way/2)
				free[i] = begin + tc.service*time.Duration(80+luck.IntN(40))/100
				flight, sent = append(flight, free[i]+tc.way/2), append(sent, now)
				continue
			}
			first := 0
			for i := range flight {
				if flight[i] < flight[first] {
					first = i
				}
			}
			now = flight[first]
			w.Answer(now-sent[first], true)
			flight, sent = append(flight[:first], flight[first+1:]...), append(sent[:first], sent[first+1:]...)
			answers++
			sizes += w.Size()
		}
		best := min(float64(tc.servers)/tc.service.Seconds(), float64(tc.most)/(tc.service+tc.way).Seconds())
		got, size := float64(answers)/now.Seconds(), float64(sizes)/float64(answers)
		t.Logf("%s: %.0f requests/s of %.0f with %.1f in flight", tc.name, got, best, size)
		enough := best * (tc.service + tc.way).Seconds() // in flight, without a queue
		if got < 0.9*best || size > enough+10 {
			t.Errorf("%s: %.0f requests/s of %.0f with %.1f in flight, where %.1f are enough", tc.name, got, best, size, enough)
		}
	}
}

// The window stays from 1 to its most, and where it holds nothing back it stays as it is.
func TestWindowBounds(t *testing.T) {
	w := pace.NewWindow(3)
	for range 100 {
		w.Answer(time.Millisecond, true)
	}
	if w.Size() != 3 {
		t.Errorf("%d in flight, want 3", w.Size())
	}
	for range 100 {
		w.Answer(time.Second, false)
	}
	if w.Size() != 3 {
		t.Errorf("%d in flight, want 3", w.Size())
	}
	for range 100 {
		w.Lost()
	}
	if none := pace.NewWindow(0); w.Size() != 1 || none.Size() != 1 {
		t.Errorf("%d in flight, want 1", w.Size())
	}
}

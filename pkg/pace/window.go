package pace

import (
	"math"
	"time"
)

// A Window says how many requests may be in flight: enough to keep the other
// side busy, and no more than wait in its queue anyway. It compares each
// latency with the least one of late, as TCP Vegas does (Brakmo and Peterson,
// 1995): what a request takes longer, it has waited.
type Window struct {
	most  float64
	size  float64
	least time.Duration // latency of late, without waiting
	seen  int           // latencies since least was taken anew
	next  time.Duration // the least since then
}

// Requests that a window lets wait on the other side.
const (
	fewWaiting  = 3 // below: one more in flight
	manyWaiting = 6 // above: one less
	firstWindow = 8
	forgetAfter = 1000 // latencies after which an older least is forgotten
)

// NewWindow returns a window of at most so many requests.
func NewWindow(most int) Window {
	return Window{most: float64(max(most, 1)), size: float64(max(min(most, firstWindow), 1))}
}

// Size is how many requests may be in flight.
func (w *Window) Size() int { return int(w.size) }

// Answer takes the latency of a request that was answered. full says that the
// window held requests back: else it is not the window's size that counts.
func (w *Window) Answer(latency time.Duration, full bool) {
	latency = max(latency, time.Microsecond)
	if w.next == 0 || latency < w.next {
		w.next = latency
	}
	if w.least == 0 || latency < w.least {
		w.least = latency
	}
	if w.seen++; w.seen >= forgetAfter {
		// All of them may have waited in a queue that was never empty: look what
		// half as many see.
		w.least, w.next, w.seen, w.size = w.next, 0, 0, math.Max(w.size/2, 1)
	}
	if !full {
		return
	}
	waiting := w.size * (1 - float64(w.least)/float64(latency))
	switch {
	case waiting < fewWaiting:
		w.size = math.Min(w.size+1/math.Sqrt(w.size), w.most)
	case waiting > manyWaiting:
		w.size = math.Max(w.size-1/math.Sqrt(w.size), 1)
	}
}

// Lost tells that a request was not answered, or not in time: with fewer in
// flight more may be.
func (w *Window) Lost() { w.size = math.Max(w.size*0.7, 1) }

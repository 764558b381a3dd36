package replay

import (
	"context"
	"sync"
	"time"
)

// A Phase is what a run is doing.
type Phase string

// The phases of a run, in order.
const (
	PhasePlan   Phase = "plan"
	PhasePush   Phase = "push"
	PhaseSettle Phase = "settle"
	PhaseVerify Phase = "verify"
)

// Progress is how far a phase has come. Done and Total count records while
// pushing and while stages settle, bytes of objects in an explanation or a self-test; Total 0: not known.
type Progress struct {
	Phase            Phase
	Done, Total      uint64
	Bytes            uint64
	Refused, Unknown uint64        // attempts
	Wanted           float64       // records a second that limits and schedule ask for now; 0: as many as possible
	Throttled        float64       // share of the attempts
	Hottest          string        // shard, as STREAM/SHARD where there are several streams; empty: not known
	Slip             time.Duration // p99, from when a record was due until it was sent
	Elapsed          time.Duration
	Final            bool             // the phase is over
	Stages           []StageProgress  // while they settle
	Streams          []StreamProgress // while pushing to several streams: each, by name
}

// StreamProgress is one stream's part of a push.
type StreamProgress struct {
	Stream           string
	Acked, Bytes     uint64
	Refused, Unknown uint64  // attempts
	Throttled        float64 // share of the attempts
	Slip             time.Duration
}

// SoFar counts rows of planned records as they come, before a stage is judged: an
// intact row behind a mutated one of the same record counts as a duplicate here.
type SoFar struct{ Delivered, Mutated, Duplicates uint64 }

// StageProgress is how far a stage has been read.
type StageProgress struct {
	Name    string
	Planned uint64
	SoFar
	Rejected uint64 // of the error stage
	Objects  uint64 // read
	Bytes    int64
	Newest   time.Time // when the newest of them came; zero: none did
	Settled  bool
}

// watchEvery is often enough for an eye and rare enough for a log.
const watchEvery = 250 * time.Millisecond

// watch reports progress until the returned function is called, which reports
// the last state and waits for the watcher to end.
func watch(ctx context.Context, observe func(Progress), now func() Progress) (stop func()) {
	if observe == nil {
		return func() {}
	}
	started := time.Now()
	report := func(final bool) {
		p := now()
		p.Elapsed, p.Final = time.Since(started), final
		observe(p)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				report(false)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		report(true)
	}
}

package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

const (
	// grace is how long an interrupted push waits for answers. With the last part
	// of a copy in S3 it ends within 25 s; AWS Batch kills after 30.
	grace = 20 * time.Second
	// deadAfter is how long no call may be answered.
	deadAfter = 5 * time.Minute
	// dryAfter is how long a shard may refuse all: an on-demand stream does for 15
	// minutes while it grows (developer guide, how-do-i-size-a-stream).
	dryAfter = 20 * time.Minute
	// syncEvery is how much of a ledger a power cut may cost.
	syncEvery = time.Second
	// lookEvery is how often guards look at least.
	lookEvery = time.Second
)

var (
	errGrace    = errors.New("no answer came in the time that is left after an interruption")
	errNoReason = errors.New("it gave no reason")
)

// run reads as the pipeline does: make, wait for the turn, put, record.
func (p *push) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.begin(ctx)
	puts, release := outlive(ctx, grace)
	defer release()
	next, stop := iter.Pull(p.plan.Batches(p.slice, chunk))
	defer stop()
	p.supply.next, p.jobs = next, make(chan job, p.requests)
	var g errgroup.Group
	part := func(do func() error) {
		g.Go(func() error {
			err := do()
			if err != nil {
				cancel(err)
			}
			return err
		})
	}
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	over := make(chan struct{})
	part(func() error {
		defer close(over)
		return p.turns(ctx)
	})
	part(func() error { return p.keepSynced(ended) })
	var senders sync.WaitGroup
	for range p.requests {
		senders.Add(1)
		part(func() error {
			defer senders.Done()
			return p.send(ctx, puts, over)
		})
	}
	senders.Wait()
	end()
	if err := g.Wait(); err != nil {
		return context.Cause(ctx) // the first one
	}
	return nil
}

// outlive returns a context that ends a while after ctx does, not with it.
func outlive(ctx context.Context, by time.Duration) (longer context.Context, release func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	timer := make(chan *time.Timer, 1)
	stop := context.AfterFunc(ctx, func() {
		timer <- time.AfterFunc(by, func() { cancel(errGrace) })
	})
	return longer, func() {
		if !stop() {
			(<-timer).Stop()
		}
		cancel(nil)
	}
}

func (p *push) now() time.Duration { return time.Since(p.begun) }

// tell wakes who waits for c, now or next time.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// turns hands requests to senders that have none when it is their turn.
func (p *push) turns(ctx context.Context) error {
	var refresh sync.WaitGroup
	defer refresh.Wait()
	reading, stop := context.WithCancel(ctx) // who is at the end needs no map
	defer stop()
	refreshing := make(chan struct{}, 1)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		t, err := p.take(ctx)
		switch {
		case err != nil:
			return err
		case t.done:
			return nil
		case t.request != nil:
			for _, j := range p.ready(t) {
				p.jobs <- j
			}
			continue
		}
		if t.stale && len(refreshing) == 0 {
			refreshing <- struct{}{}
			refresh.Go(func() {
				if m := p.flows[t.stream].readShards(reading); reading.Err() == nil {
					p.route(t.stream, m)
				}
				<-refreshing
			})
		}
		timer.Reset(min(t.wait, lookEvery))
		select {
		case <-p.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}

// turn is what is to be done now.
type turn struct {
	request *batch.Request
	second  *batch.Request // to be readied together with request
	wait    time.Duration
	stale   bool // a stream's map of shards is to be read anew
	stream  int  // that one
	full    bool // nothing is, until an answer comes
	done    bool
}

func (p *push) turn() (t turn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if i, long := p.dispatch.Throttled(now); p.guard > 0 && long >= p.guard {
		return t, fmt.Errorf("%w: stream %s has answered nothing but throttles for %v (guard.throttled_for); give it more shards, or send less with --rate",
			ErrGuard, p.flows[i].Stream, p.guard)
	}
	if i, long := p.dispatch.Failing(now); long >= deadAfter {
		return t, fmt.Errorf("replay: stream %s: no call has been answered for %v; check the network, the endpoint and the credentials, then go on with push --resume; the last one: %w",
			p.flows[i].Stream, deadAfter, cmp.Or(p.trouble, errNoReason))
	}
	if now-p.looked >= lookEvery {
		p.looked = now
		if i, id, dry := p.dispatch.Dry(now, dryAfter); dry {
			return t, fmt.Errorf("replay: stream %s: shard %s has refused every record for %v; is another producer using all of it? go on with push --resume", p.flows[i].Stream, id, dryAfter)
		}
	}
	t.request, t.wait = p.dispatch.Take(now)
	t.stream, t.stale = p.dispatch.Stale(now)
	t.full, t.done = p.dispatch.Full(), p.dispatch.Done()
	return t, nil
}

// job is a request with the Put that sends it.
type job struct {
	*batch.Request
	put func(context.Context) ([]record.Outcome, error)
}

// ready returns the jobs of a turn.
func (p *push) ready(t turn) []job {
	switch {
	case t.request == nil:
		return nil
	case t.second != nil:
		first, second := p.pairer.Pair(t.request.Recs, t.second.Recs)
		return []job{{t.request, first}, {t.second, second}}
	}
	return []job{{t.request, func(ctx context.Context) ([]record.Outcome, error) {
		return p.flows[t.request.Stream].Sink.Put(ctx, t.request.Recs)
	}}}
}

// send does the jobs that it is handed, until all is over.
func (p *push) send(ctx, puts context.Context, over <-chan struct{}) error {
	for {
		select {
		case j := <-p.jobs:
			if err := p.carry(ctx, puts, j); err != nil {
				return err
			}
		case <-over:
			return nil
		}
	}
}

// carry does a job, and as long as it is their turn those that follow. One that
// is not begun before ctx is done leaves its records unsent.
func (p *push) carry(ctx, puts context.Context, j job) error {
	for ctx.Err() == nil {
		if err := p.attempt(puts, j); err != nil {
			return err
		}
		t, err := p.take(ctx)
		if err != nil {
			return err
		}
		tell(p.wake) // there may be more, or an end
		next := p.ready(t)
		if len(next) == 0 {
			return nil
		}
		j = next[0]
		for _, other := range next[1:] {
			p.jobs <- other
		}
	}
	return nil
}

// attempt does one, and writes down what became of it.
func (p *push) attempt(ctx context.Context, j job) error {
	number, err := p.ledger.Begin(j.Recs)
	if err != nil {
		return err
	}
	begun := time.Now()
	outs, fatal := j.put(ctx)
	took := time.Since(begun)
	p.report(j.Request, outs, took)
	// On disk before anything is sent again.
	if err := errors.Join(fatal, p.ledger.Answer(number, outs)); err != nil {
		return err
	}
	sink := p.flows[j.Stream].Sink
	p.mu.Lock()
	observe(p.put, took)
	if len(outs) > 0 && outs[0].Err != nil {
		p.trouble = outs[0].Err
	}
	p.dispatch.Settle(p.now(), j.Request, outs)
	p.mu.Unlock()
	if r, ok := sink.(stream.Recycler); ok {
		r.Recycle(outs)
	}
	return nil
}

// keepSynced puts the ledger on stable storage once a second.
func (p *push) keepSynced(ended context.Context) error {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := p.ledger.Sync(); err != nil {
				return err
			}
		case <-ended.Done():
			return nil
		}
	}
}

func (p *push) progress() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.dispatch.Counts()
	progress := Progress{
		Phase: PhasePush, Done: c.Acked, Total: p.total, Bytes: c.Bytes, Refused: c.Refused, Unknown: c.Unknown,
		Hottest: p.named(p.dispatch.Hottest()), Slip: microseconds(p.slip.ValueAtQuantile(99)),
	}
	if p.resumed != nil {
		progress.Total = p.resumed.wanted
	}
	progress.Throttled = throttled(c)
	for i, f := range p.flows {
		if f.slip != nil {
			c := p.dispatch.Stream(i).Counts()
			progress.Streams = append(progress.Streams, StreamProgress{f.Stream, c.Acked, c.Bytes, c.Refused, c.Unknown, throttled(c), microseconds(f.slip.ValueAtQuantile(99))})
		}
	}
	if !p.begun.IsZero() {
		progress.Wanted = p.dispatch.Wanted(p.now(), p.paced)
	}
	return progress
}

// throttled is the share of the attempts.
func throttled(c batch.Counts) float64 {
	return float64(c.Throttled) / float64(max(c.Acked+c.Refused+c.Unknown, 1))
}

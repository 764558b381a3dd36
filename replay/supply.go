package replay

import (
	"context"
	"sync"

	"kreplay/pkg/record"
)

// chunk is how many records are made at once.
const chunk = 256

// A supply makes a push's records in the order of sending, when a request has
// room for them and not before: who makes them sends them, so that their data is
// still in the caches of its processor.
type supply struct {
	mu   sync.Mutex // held by who makes
	next func() ([]record.Record, bool)
	rest []record.Record // made, and not offered yet
	over bool
}

// take is what is to be done now.
func (p *push) take(ctx context.Context) (turn, error) {
	p.supply.mu.Lock()
	defer p.supply.mu.Unlock()
	t, err := p.next(ctx)
	if err != nil || p.pairer == nil || t.request == nil || !t.request.Full() {
		return t, err
	}
	other, err := p.next(ctx)
	t.second = other.request
	return t, err
}

// next is the next turn. Where a request has room, records are made until it is
// full, or no more are to be held.
func (p *push) next(ctx context.Context) (turn, error) {
	for {
		t, err := p.turn()
		if err != nil || t.done || t.request != nil || t.full || ctx.Err() != nil {
			return t, err
		}
		if more, err := p.more(); err != nil || !more {
			return t, err
		}
	}
}

// more offers more records. It returns false when nothing has changed: there is
// no room, or there are no more.
func (p *push) more() (bool, error) {
	s := &p.supply
	if s.over {
		return false, nil
	}
	if len(s.rest) == 0 {
		recs, ok := s.next()
		if ok && p.resumed != nil {
			recs = p.resumed.left(recs)
		}
		s.rest, s.over = recs, !ok
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.over {
		p.dispatch.End()
		return true, nil
	}
	n := 0
	for n < len(s.rest) && p.dispatch.Room() {
		r := &s.rest[n]
		if err := p.dispatch.Offer(p.streamOf(r), r); err != nil {
			return false, err
		}
		n++
	}
	s.rest = s.rest[n:]
	return n > 0 || len(s.rest) == 0, nil
}

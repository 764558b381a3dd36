package account

import "kreplay/pkg/generate"

// A Batch counts rows of one object in an Account, many at a time: rows of a user,
// and of those near it, lie together, so that they cost one lock, and who counts
// at the same time is not in the way. Its account is the one that its rows seen
// one by one have; they count when they are flushed. It is not safe for concurrent use.
type Batch struct {
	a     *Account
	at    Place // Offset aside
	rows  []batched
	extra []int // of rows
}

// batched is an intact row of a planned record.
type batched struct {
	user, event uint32
	offset      int64
}

// batchSize is how many rows wait at the most.
const batchSize = 256

// Counted is what rows of planned records were counted as.
type Counted struct{ Intact, Mutated, Extra uint64 }

// Begin says that the rows that follow lie in an object, whose place it is, Offset
// aside. No row waits.
func (b *Batch) Begin(a *Account, at Place) { b.a, b.at = a, at }

// See is [Account.See], now or later. It says what was counted meanwhile.
func (b *Batch) See(m generate.Match, offset int64) (n Counted) {
	if m.Kind == generate.Planned && m.Intact {
		return b.SeeIntact(m.User, m.Event, offset)
	}
	at := b.at // in which order rows count decides nothing
	at.Offset = offset
	switch extra := b.a.See(m, at); {
	case m.Kind != generate.Planned:
	case extra:
		n.Extra++
	default:
		n.Mutated++
	}
	return n
}

// SeeIntact is See of a row that is what was planned.
func (b *Batch) SeeIntact(user, event uint32, offset int64) (n Counted) {
	if b.rows = append(b.rows, batched{user, event, offset}); len(b.rows) < batchSize {
		return n
	}
	return b.Flush()
}

// Flush counts the rows that wait.
func (b *Batch) Flush() (n Counted) {
	b.extra = b.extra[:0]
	b.count()
	for _, i := range b.extra { // while no page is held
		r := &b.rows[i]
		at := b.at
		at.Offset = r.offset
		b.a.keep(b.a.plan.Index(r.user, r.event), generate.Match{Kind: generate.Planned, User: r.user, Event: r.event, Intact: true}, at)
	}
	n = Counted{Intact: uint64(len(b.rows) - len(b.extra)), Extra: uint64(len(b.extra))}
	b.rows = b.rows[:0]
	return n
}

// count counts them, and notes which ones are extra.
func (b *Batch) count() {
	c, arrivals := b.a.counts, b.a.arrivals
	came := arrivals.arrival(b.at)
	var (
		seat  generate.Seat
		home  spot
		held  *page
		picks picker
	)
	if arrivals != nil {
		picks = newPicker(arrivals.Timing)
	}
	for i := range b.rows {
		r := &b.rows[i]
		if i == 0 || r.user != b.rows[i-1].user {
			seat = b.a.plan.Seat(r.user)
			home = c.home(seat, r.user)
			if p := &c.table[home.page]; p != held {
				if held != nil {
					held.mu.Unlock()
				}
				held = p
				held.mu.Lock()
			}
		}
		if arrivals != nil {
			if slot, timed := picks.slot(seat.First + uint64(r.event)); timed {
				arrivals.note(slot, came)
			}
		}
		if c.addFirst(held, home.page, home.user+r.event) {
			continue
		}
		if c.addTo(held, c.at(home, seat, r.event), r.user, true) {
			b.extra = append(b.extra, i)
		}
	}
	if held != nil {
		held.mu.Unlock()
	}
}

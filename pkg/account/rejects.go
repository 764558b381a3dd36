package account

import (
	"io"
	"sync/atomic"

	"kreplay/pkg/generate"
)

// Rejects counts the error records of planned records, for the stages that
// those were kept out of. Memory is a quarter byte per planned record, and what is
// not touched is free. See is safe for concurrent use.
type Rejects struct {
	counts *counters
	any    atomic.Bool
}

// NewRejects returns empty Rejects of plan.
func NewRejects(plan *generate.Plan) *Rejects { return &Rejects{counts: newCounters(plan.Bytes())} }

// See counts one error record of a record that Identify found to be planned.
func (r *Rejects) See(m generate.Match) {
	r.any.Store(true)
	r.counts.add(r.counts.plan.Seat(m.User), m.User, m.Event, true)
}

// some says whether there are error records.
func (r *Rejects) some() bool { return r != nil && r.any.Load() }

// of returns how many error records name one of a user's events, or the class
// that it begins byte for byte: error records hold what was sent.
func (r *Rejects) of(user uint32, events ...uint32) (n uint64) {
	if !r.some() {
		return 0
	}
	seat := r.counts.plan.Seat(user)
	alike := r.counts.classes.Classes(seat.Cohort)
	for _, event := range events {
		if uint32(alike[event]) == event { // counts for its class
			n += uint64(r.counts.get(seat, user, event).intact)
		}
	}
	return n
}

// Close gives the memory back; the Accounts that have r are settled by then.
func (r *Rejects) Close() error {
	r.counts.close()
	return nil
}

// Save writes r to w, so that RestoreRejects makes it anew. No See runs meanwhile.
func (r *Rejects) Save(w io.Writer) error { return save(w, r.counts, nil) }

// RestoreRejects reads what Save wrote of the same plan; see Restore.
func RestoreRejects(plan *generate.Plan, from io.Reader) (*Rejects, error) {
	r := NewRejects(plan)
	if err := restore(from, r.counts, nil); err != nil {
		r.counts.close()
		return nil, err
	}
	r.any.Store(true)
	return r, nil
}

package account

import (
	"sync"

	"kreplay/pkg/generate"
)

// Rejects counts the error records of planned records, for the stages that
// those were kept out of. Memory is a quarter byte per planned record, from the
// first error record on. See is safe for concurrent use.
type Rejects struct {
	plan *generate.Plan

	mu     sync.Mutex
	counts *counters
}

// NewRejects returns empty Rejects of plan.
func NewRejects(plan *generate.Plan) *Rejects { return &Rejects{plan: plan} }

// See counts one error record of a record that Identify found to be planned.
func (r *Rejects) See(m generate.Match) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = newCounters(r.plan.Distinct())
	}
	r.counts.add(r.plan.Index(m.User, m.Event), true)
}

// of returns how many error records name the class that begins with event.
func (r *Rejects) of(user, event uint32) uint64 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		return 0
	}
	return uint64(r.counts.get(r.plan.Index(user, event)).intact)
}

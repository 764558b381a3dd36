// Package account reconciles what was planned and sent with what was delivered.
package account

import (
	"sync"

	"kreplay/pkg/generate"
	"kreplay/pkg/record"
)

// MaxPlaces bounds how many places of extra and mutated rows are kept in
// memory, about 100 bytes each. Beyond it rows are counted, not placed.
const MaxPlaces = 1 << 17

// A Place is where a row was seen: an object and the row's offset in its
// decompressed bytes.
type Place struct {
	Object string
	Offset int64
	Detail string // for a mutated row: the first difference
	intact bool
}

// An Account counts the rows of one stage against a plan. Memory is a quarter
// byte per planned record, plus what is wrong. See is safe for concurrent use.
type Account struct {
	// Rejects, set before Settle, are the records that the error stage holds:
	// without a row they are rejected. nil: there is no such stage.
	Rejects *Rejects

	plan *generate.Plan

	mu                              sync.Mutex
	counts                          *counters
	places                          map[uint64][]Place // by dense index
	placed                          int
	strangers                       []Difference
	rows, foreign, strange, damaged uint64
	unrecorded                      uint64
}

// New returns an empty Account of plan.
func New(plan *generate.Plan) *Account {
	return &Account{plan: plan, counts: newCounters(plan.Distinct()), places: map[uint64][]Place{}}
}

// See counts one row that Identify has judged.
func (a *Account) See(m generate.Match, at Place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows++
	switch m.Kind {
	case generate.Foreign:
		a.foreign++
	case generate.Stranger:
		a.strange++
		if a.mayKeep() {
			a.strangers = append(a.strangers, Difference{Kind: KindStranger, ID: record.ID{Run: a.plan.Tag, User: m.User}, Object: at.Object, Offset: at.Offset, Detail: m.Detail})
		}
	case generate.Planned:
		i := a.plan.Index(m.User, m.Event)
		before := a.counts.add(i, m.Intact)
		class := a.plan.Multiplicity(m.User, m.Event)
		extra := int(before.intact)+int(before.mutated) >= class
		if (extra || !m.Intact) && a.mayKeep() {
			at.Detail, at.intact = m.Detail, m.Intact
			a.places[i] = append(a.places[i], at)
		}
	}
}

// Damage counts one unreadable span.
func (a *Account) Damage() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.damaged++
}

// Delivered returns how many rows of planned records were seen so far.
func (a *Account) Delivered() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rows - a.foreign - a.strange
}

func (a *Account) mayKeep() bool {
	if a.placed == MaxPlaces {
		a.unrecorded++
		return false
	}
	a.placed++
	return true
}

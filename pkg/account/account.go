// Package account reconciles what was planned and sent with what was delivered.
package account

import (
	"errors"
	"sync"
	"sync/atomic"

	"kreplay/pkg/generate"
)

// A Place is where a row was seen: an object and the row's offset in its
// decompressed bytes.
type Place struct {
	Object string
	Offset int64
	At     int64 // when it was seen, in ms since 1970; for Accounts that are timed
	// Visible is when its object was listed that no listing before showed, in ms
	// since 1970 by the clock of who listed it. 0: it is not known, the object may
	// have been there before anybody looked.
	Visible int64
}

// An Account counts the rows of one stage against a plan. Memory is a quarter
// byte per planned record at most, outside the Go heap, and less where users were
// delivered one after another; 16 MB for the places of extra and mutated rows and of
// strangers, of which more go to disk; the names of the objects that those lie in; and
// what more than two rows of a record and mutated rows take: 12 bytes for each such
// record, at most one byte for each record of the plan. See is safe for concurrent use.
type Account struct {
	// Rejects, set before Settle, are the records that the error stage holds:
	// without a row they are rejected. nil: there is no such stage.
	Rejects *Rejects
	// Stage is the name of the stage, and Before, set before Settle, the account
	// of the stage before it on the way of the records, which is closed after this
	// one: what that one has and this one has not was lost between the two. It has
	// to have settled. nil: there is none, or it could not be read.
	Stage  string
	Before *Account
	// Folder, set before See, is where places go that memory does not hold. Nothing
	// is left there. Empty: where the system keeps temporary files.
	Folder string

	plan                      *generate.Plan
	classes                   *generate.Comparer
	counts                    *counters
	arrivals                  *arrivals   // nil: rows are not timed
	timed                     [2][]uint32 // seen and visible, by an Account that this one goes on from, until Time
	foreign, strange, damaged atomic.Uint64

	mu     sync.Mutex
	names  *names
	places sorter
}

// New returns an empty Account of plan, of rows that are compared byte for byte.
// Its owner closes it.
func New(plan *generate.Plan) *Account { return NewOf(plan.Bytes()) }

// NewOf returns an empty Account of a stage whose rows are compared so: records of
// one class there are counted by multiplicity. Its owner closes it.
func NewOf(classes *generate.Comparer) *Account {
	a := &Account{plan: classes.Plan(), classes: classes, counts: newCounters(classes), names: newNames()}
	a.places.names = a.names
	return a
}

// Close gives memory and files back. Nothing may be asked of a any more.
func (a *Account) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts.close()
	return a.places.close()
}

// See counts one row that Identify has judged, and says whether its record had all
// its rows before. Where the place of the row can not be
// kept because of the disk, Settle and Save say so.
func (a *Account) See(m generate.Match, at Place) (extra bool) {
	switch m.Kind {
	case generate.Foreign:
		a.foreign.Add(1)
	case generate.Stranger:
		a.strange.Add(1)
		a.keep(a.strangerIndex(m.User), m, at)
	case generate.Planned:
		seat := a.plan.Seat(m.User)
		index := seat.First + uint64(m.Event)
		a.arrivals.see(index, a.arrivals.arrival(at))
		if extra = a.counts.add(seat, m.User, m.Event, m.Intact); extra || !m.Intact {
			a.keep(index, m, at)
		}
	}
	return extra
}

// strangerIndex puts strangers behind all that is planned.
func (a *Account) strangerIndex(user uint32) uint64 { return a.plan.Distinct() + uint64(user) }

// keep remembers where a row is that will have to be named.
func (a *Account) keep(index uint64, m generate.Match, at Place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.places.folder = a.Folder
	a.places.add(entry{index: index, offset: at.Offset, object: a.names.number(at.Object), intact: m.Intact, text: m.Detail})
}

// Damage counts one unreadable span.
func (a *Account) Damage() { a.damaged.Add(1) }

// Delivered returns how many rows of planned records were seen so far.
func (a *Account) Delivered() uint64 { return a.counts.total() }

// errLost says that the places kept and the rows counted do not agree.
var errLost = errors.New("account: the places of extra and mutated rows are not those that were counted; this is a bug in kreplay, please report it")

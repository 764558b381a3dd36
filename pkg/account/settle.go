package account

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// Kinds of difference, as they stand in differences.ndjson.
const (
	KindMissing   = "missing"
	KindDuplicate = "duplicate"
	KindMutated   = "mutated"
	KindStranger  = "stranger"
	KindDamaged   = "damaged"
	KindUndecided = "undecided"
	KindInFlight  = "in flight"
	KindRejected  = "rejected"  // an error record, or an object of the error stage that is none of ours and no one else's
	KindMisplaced = "misplaced" // a row in an object that does not lie where it belongs by its time
)

// A Difference names one thing that is not as planned.
type Difference struct {
	Kind    string
	ID      record.ID
	LogType string
	Charge  string // duplicates: producer or pipeline
	Gap     Gap    // missing, mutated, duplicates: where it arose
	Object  string // empty where no row is concerned
	Offset  int64
	Detail  string
}

// Settle walks the plan beside the workers' ledgers and returns the account of
// them all: fates has one for each worker, by its index, and one for a run that
// was not divided. Settled says whether an absent acked record is missing or
// still in flight (law 5). Each difference goes to report: records without a row in
// the order of sending, then rows that are mutated or extra, record by record in the
// order of the dense index and there by place, then strangers by user and place; an
// error of report ends the walk. Settle may be called again, also after more was seen.
func (a *Account) Settle(fates []iter.Seq[ledger.Span], settled bool, report func(Difference) error) (Tally, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := &walk{a: a, path: pathOf(a), settled: settled, report: report, users: map[uint32]*attempted{}, books: make([]book, len(fates)), wholes: make([]uint64, len(a.plan.Cohorts()))}
	w.tally.Arose = w.path.gaps()
	w.owed = sorter{folder: a.Folder, names: a.names, most: a.places.most}
	defer func() { _ = w.owed.close() }()
	for i, f := range fates {
		next, stop := iter.Pull(f)
		defer stop()
		w.books[i].next, w.books[i].worker = next, i
	}
	w.tally.LogTypes = make([]LogType, len(a.plan.LogTypes()))
	for i, name := range a.plan.LogTypes() {
		w.tally.LogTypes[i].Name = name
	}
	a.arrivals.begin(len(fates))
	if err := w.steps(); err != nil {
		return Tally{}, err
	}
	w.addWholes()
	if err := w.name(); err != nil {
		return Tally{}, err
	}
	w.spread(func(i int) uint64 { return w.path[i].strange.Load() }, func(i int, n uint64) { w.arose(i).Strangers = n })
	t := w.tally
	t.Strangers, t.Foreign, t.Damaged = a.strange.Load(), a.foreign.Load(), a.damaged.Load()
	t.Rows = a.counts.total() + t.Strangers + t.Foreign
	for _, l := range t.LogTypes {
		t.add(l.States)
	}
	return t, t.Check()
}

// Seen counts the rows of the records of a slice, and their error records.
func (a *Account) Seen(s generate.Slice) (n uint64) {
	for user := range a.plan.UsersOf(s) {
		seat := a.plan.Seat(user)
		for event, class := range a.classes.Classes(seat.Cohort) {
			if int(class) == event { // counts for its class
				n += a.counts.get(seat, user, uint32(event)).rows()
			}
			n += a.Rejects.of(user, uint32(event))
		}
	}
	return n
}

// walk is one pass over the plan.
type walk struct {
	a       *Account
	path    path    // to a
	sights  []sight // of the current class, along path
	settled bool
	report  func(Difference) error
	books   []book                // by worker
	users   map[uint32]*attempted // under way
	last    *attempted            // most often the next record's too
	idle    []*attempted          // done with, to be used again
	charge  charge                // of the current class
	owed    sorter                // charges of classes with rows to be named
	wholes  []uint64              // by cohort: users who are whole
	tally   Tally
}

// book is one worker's ledger, read in the worker's order of sending: that is the
// order of the whole run without the other workers' users.
type book struct {
	worker int
	next   func() (ledger.Span, bool)
	span   ledger.Span
	seq    uint64
}

// book is that of the worker who has a user.
func (w *walk) book(user uint32) *book {
	return &w.books[w.a.plan.WorkerOf(user, uint64(len(w.books)))-1]
}

// turn opens the book at the next record.
func (b *book) turn() {
	for b.seq >= b.span.First+b.span.Count {
		span, ok := b.next()
		if !ok {
			span = ledger.Span{First: b.seq, Count: 1, Fate: record.Unsent}
		}
		b.span = span
	}
}

// attempted is what the ledger knows of a user's records so far.
type attempted struct {
	user     uint32
	book     *book
	left     uint64 // records to come
	acked    int    // of those that came
	attempts []attempt
}

type attempt struct {
	event uint32
	copy  uint16
	seq   uint64
	span  ledger.Span
}

// steps takes all records in the order of sending.
func (w *walk) steps() error {
	if w.a.plan.Paced() {
		return w.all(w.a.plan.Order(generate.Slice{}))
	}
	for user := range w.a.plan.UsersOf(generate.Slice{}) {
		if w.atOnce(user) {
			continue
		}
		if err := w.all(w.a.plan.OrderOf(user)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) all(steps iter.Seq[generate.Step]) error {
	for step := range steps {
		if err := w.step(step); err != nil {
			return err
		}
	}
	return nil
}

// step takes the next record in the order of sending. A user is accounted for
// when the last of its records has come.
func (w *walk) step(s generate.Step) error {
	u := w.last
	if u == nil || u.user != s.User {
		if u = w.users[s.User]; u == nil {
			u = w.begin(s.User)
		}
		w.last = u
	}
	seq := u.book.seq
	span := w.fate(u.book)
	u.attempts = append(u.attempts, attempt{s.Event, s.Copy, seq, span})
	if span.Fate == record.Acked {
		u.acked++
	}
	if u.left--; u.left > 0 {
		return nil
	}
	w.last = nil
	delete(w.users, s.User)
	w.idle = append(w.idle, u)
	return w.user(u)
}

func (w *walk) begin(user uint32) *attempted {
	u := new(attempted)
	if n := len(w.idle); n > 0 {
		u, w.idle = w.idle[n-1], w.idle[:n-1]
	}
	book := w.book(user)
	*u = attempted{user: user, book: book, left: w.a.plan.CountOf(user), attempts: u.attempts[:0]}
	w.users[user] = u
	return u
}

// user gives each record of a user its state, class by class.
func (w *walk) user(u *attempted) error {
	seat := w.a.plan.Seat(u.user)
	classes := w.a.classes.Classes(seat.Cohort)
	if u.acked == len(u.attempts) && u.acked == seat.Cohort.Events && w.a.counts.once(seat, u.user) {
		w.whole(seat, u.book, func(class uint32) uint64 {
			first := uint64(math.MaxUint64)
			for _, m := range u.attempts {
				if uint32(classes[m.event]) == class {
					first = min(first, m.seq)
				}
			}
			return first
		})
		return nil
	}
	slices.SortFunc(u.attempts, func(a, b attempt) int {
		return cmp.Or(cmp.Compare(classes[a.event], classes[b.event]), cmp.Compare(a.event, b.event), cmp.Compare(a.copy, b.copy))
	})
	for rest := u.attempts; len(rest) > 0; {
		class, n := classes[rest[0].event], 1
		for n < len(rest) && classes[rest[n].event] == class {
			n++
		}
		if err := w.class(u, seat, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// fate returns what a ledger knows of its next record in the order of sending.
func (w *walk) fate(b *book) ledger.Span {
	b.turn()
	b.seq++
	switch b.span.Fate {
	case record.Acked:
		w.tally.Fates.Acked++
	case record.Refused:
		w.tally.Fates.Refused++
	case record.Unknown:
		w.tally.Fates.Unknown++
	case record.Unsent:
		w.tally.Fates.Unsent++
	}
	return b.span
}

// class gives each record of a class its state. Rows are dealt to acked
// records first, then to unknown ones: a row cannot tell which of its equals it
// is. Error records are dealt to those that got no row.
func (w *walk) class(u *attempted, seat generate.Seat, members []attempt) error {
	c := seat.Cohort
	plan, user, first := w.a.plan, u.user, uint32(w.a.classes.Classes(c)[members[0].event])
	alike := w.a.classes.Members(c, int(first))
	if len(members) == 1 && len(alike) == 1 && w.plain(u, seat, members) {
		return nil
	}
	w.look(user, seat, alike, uint64(len(members)))
	here := w.sights[0]
	rejectedFrom := w.rejectedFrom()
	rejected := w.a.Rejects.of(user, alike...)
	rejectedTo := rejectedFrom + rejected
	w.a.arrivals.class(timedClass{seat.First + uint64(first), u.book.worker, c.LogType[first], members, here.present > 0, rejected > 0})
	w.charge = charge{user: user, first: first, mutated: here.present - here.intact, extra: here.extra, intact: here.spare, gaps: w.charge.gaps.reset(len(w.path))}
	k := uint64(0) // place of the next record
	for _, fate := range [...]record.Fate{record.Acked, record.Unknown, record.Refused, record.Unsent} {
		for _, m := range members {
			if m.span.Fate != fate {
				continue
			}
			w.charge.unknowns += uint64(m.span.Unknowns)
			l := &w.tally.LogTypes[c.LogType[m.event]]
			l.Planned++
			k++
			switch at := k - 1; {
			case at < here.intact:
				l.Delivered++
			case at < here.present:
				l.Mutated++ // named later, with its place
				w.arose(w.changed(at)).Mutated++
				w.charge.gaps.mutated[w.changed(at)]++
			case at >= rejectedFrom && at < rejectedTo:
				l.Rejected++ // named by the error stage, with its place
				w.arose(w.keptOut()).Rejected++
			default:
				d := Difference{ID: plan.ID(user, m.event), LogType: l.Name, Detail: m.span.Code}
				d.ID.Copy = m.copy
				if err := w.absent(&l.States, fate, at, d); err != nil {
					return err
				}
			}
		}
	}
	if w.charge.mutated+here.extra == 0 {
		return nil
	}
	w.rows(c.LogType[first])
	return nil
}

// plain takes a record that nothing more is to be said of than that it is
// delivered, as nearly all are: what class does comes to this.
func (w *walk) plain(u *attempted, seat generate.Seat, members []attempt) bool {
	event := members[0].event
	if w.a.counts.get(seat, u.user, event) != (seen{intact: 1}) {
		return false
	}
	logType := seat.Cohort.LogType[event]
	l := &w.tally.LogTypes[logType]
	l.Planned++
	l.Delivered++
	w.a.arrivals.class(timedClass{seat.First + uint64(event), u.book.worker, logType, members, true, false})
	return true
}

// absent gives the record at place k, which has no row and no error record, its
// state. What the stage before has was stored, whatever its fate says.
func (w *walk) absent(s *States, fate record.Fate, k uint64, d Difference) error {
	came, known := w.came(k), "acked"
	if came {
		known = "in " + w.path[1].Stage
	}
	switch {
	case fate == record.Unknown && !came:
		s.Undecided++
		d.Kind = KindUndecided
	case fate != record.Acked && !came:
		s.Absent++
		return nil
	case w.settled:
		s.Missing++
		gap := w.lost(k)
		w.arose(gap).Missing++
		d.Kind, d.Detail, d.Gap = KindMissing, known+", and in no object", w.path.gap(gap)
	default:
		s.InFlight++
		d.Kind, d.Detail = KindInFlight, known+", and in no object yet"
	}
	return w.report(d)
}

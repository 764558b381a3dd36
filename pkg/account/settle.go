package account

import (
	"iter"

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
)

// A Difference names one thing that is not as planned.
type Difference struct {
	Kind    string
	ID      record.ID
	LogType string
	Charge  string // duplicates: producer or pipeline
	Object  string // empty where no row is concerned
	Offset  int64
	Detail  string
}

// Settle walks the plan's slice beside the ledger's fates and returns the
// account. Settled says whether an absent acked record is missing or still in
// flight (law 5). Each difference goes to report, in the order of sending,
// strangers last; an error of report ends the walk.
func (a *Account) Settle(s generate.Slice, fates iter.Seq[ledger.Span], settled bool, report func(Difference) error) (Tally, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := &walk{a: a, settled: settled, report: report}
	w.next, w.stop = iter.Pull(fates)
	defer w.stop()
	w.tally.LogTypes = make([]LogType, len(a.plan.LogTypes()))
	for i, name := range a.plan.LogTypes() {
		w.tally.LogTypes[i].Name = name
	}
	for user := range a.plan.UsersOf(s) {
		if err := w.user(user); err != nil {
			return Tally{}, err
		}
	}
	for _, d := range a.strangers {
		if err := report(d); err != nil {
			return Tally{}, err
		}
	}
	t := w.tally
	t.Rows, t.Foreign, t.Strangers, t.Damaged, t.Unrecorded = a.rows, a.foreign, a.strange, a.damaged, a.unrecorded
	for _, l := range t.LogTypes {
		t.add(l.States)
	}
	return t, t.Check()
}

// walk is one pass over the plan.
type walk struct {
	a       *Account
	settled bool
	report  func(Difference) error
	next    func() (ledger.Span, bool)
	stop    func()
	span    ledger.Span
	seq     uint64
	fates   []ledger.Span // of the current user's records
	tally   Tally
}

func (w *walk) user(user uint32) error {
	c := w.a.plan.Cohort(user)
	w.fates = w.fates[:0]
	for range c.Program.Events {
		w.fates = append(w.fates, w.fate())
	}
	for event := range c.Program.Events {
		if int(c.Program.Class[event]) != event {
			continue // counted with the first of its class
		}
		if err := w.class(user, c, event); err != nil {
			return err
		}
	}
	return nil
}

// fate returns what the ledger knows of the next record in the order of sending.
func (w *walk) fate() ledger.Span {
	for w.seq >= w.span.First+w.span.Count {
		span, ok := w.next()
		if !ok {
			span = ledger.Span{First: w.seq, Count: 1, Fate: record.Unsent}
		}
		w.span = span
	}
	w.seq++
	switch w.span.Fate {
	case record.Acked:
		w.tally.Fates.Acked++
	case record.Refused:
		w.tally.Fates.Refused++
	case record.Unknown:
		w.tally.Fates.Unknown++
	case record.Unsent:
		w.tally.Fates.Unsent++
	}
	return w.span
}

// class gives each record of a class its state. Rows are dealt to acked
// records first, then to unknown ones: a row cannot tell which of its equals it is.
func (w *walk) class(user uint32, c *generate.Cohort, first int) error {
	plan := w.a.plan
	index := plan.Index(user, uint32(first))
	rows := w.a.counts.get(index)
	members := c.Members(first)
	intact := min(uint64(rows.intact), uint64(len(members)))
	mutated := min(uint64(len(members))-intact, uint64(rows.mutated))
	extra := uint64(rows.intact) + uint64(rows.mutated) - intact - mutated
	var unknowns uint64
	for _, fate := range [...]record.Fate{record.Acked, record.Unknown, record.Refused, record.Unsent} {
		for _, event := range members {
			span := w.fates[event]
			if span.Fate != fate {
				continue
			}
			unknowns += uint64(span.Unknowns)
			l := &w.tally.LogTypes[c.LogType[event]]
			l.Planned++
			d := Difference{ID: plan.ID(user, event), LogType: l.Name, Detail: span.Code}
			switch {
			case intact > 0:
				intact--
				l.Delivered++
				continue
			case mutated > 0:
				mutated--
				l.Mutated++
				continue // named below, with its place
			default:
				w.absent(&l.States, fate, &d)
			}
			if d.Kind == "" {
				continue
			}
			if err := w.report(d); err != nil {
				return err
			}
		}
	}
	if rows.mutated == 0 && extra == 0 {
		return nil
	}
	return w.rows(plan.ID(user, uint32(first)), c.LogType[first], extra, unknowns)
}

func (w *walk) absent(s *States, fate record.Fate, d *Difference) {
	switch {
	case fate == record.Unknown:
		s.Undecided++
		d.Kind = KindUndecided
	case fate != record.Acked:
		s.Absent++
	case w.settled:
		s.Missing++
		d.Kind, d.Detail = KindMissing, "acked, and in no object"
	default:
		s.InFlight++
		d.Kind, d.Detail = KindInFlight, "acked, and in no object yet"
	}
}

// rows charges the extra rows of a class and names each extra or mutated row.
func (w *walk) rows(id record.ID, logType uint16, extra, unknowns uint64) error {
	l := &w.tally.LogTypes[logType]
	l.Duplicates += extra
	producer := min(extra, unknowns)
	w.tally.Producer += producer
	w.tally.Pipeline += extra - producer
	c := w.a.plan.Cohort(id.User)
	free := uint64(len(c.Members(int(id.Event)))) - 1 // later rows of a class that are no extra
	for _, p := range w.a.places[w.a.plan.Index(id.User, id.Event)] {
		d := Difference{ID: id, LogType: l.Name, Object: p.Object, Offset: p.Offset, Detail: p.Detail}
		isExtra := p.extra
		if isExtra && free > 0 {
			free--
			isExtra = false
		}
		switch {
		case isExtra && producer > 0:
			producer--
			d.Kind, d.Charge = KindDuplicate, "producer"
		case isExtra:
			d.Kind, d.Charge = KindDuplicate, "pipeline"
		case p.Detail != "":
			d.Kind = KindMutated
		default:
			continue
		}
		if err := w.report(d); err != nil {
			return err
		}
	}
	return nil
}

package account

import (
	"slices"

	"kreplay/pkg/generate"
)

// Push is the name of where records come from, in a Gap.
const Push = "push"

// A Gap is a part of the way of records: from one stage to the next one that
// could be read. What a stage has and the next has not was lost between the two.
type Gap struct{ From, To string }

// String names g as a sentence does.
func (g Gap) String() string { return "between " + g.From + " and " + g.To }

// Arose counts the differences of a stage that arose in a gap: those of the
// gap that ends at the stage, and those that came with the records from before.
type Arose struct {
	Gap
	Missing    uint64 // records that the stage after the gap has not
	Rejected   uint64 // records that were kept out of the stage after the gap
	Mutated    uint64 // records intact before the gap, and not after it
	Duplicates uint64 // extra rows beyond those before the gap
	Strangers  uint64 // beyond those before the gap
}

func (a *Arose) add(o Arose) {
	a.Missing += o.Missing
	a.Rejected += o.Rejected
	a.Mutated += o.Mutated
	a.Duplicates += o.Duplicates
	a.Strangers += o.Strangers
}

// path is the stages of the way up to one, that one first.
type path []*Account

// pathOf returns the path to a.
func pathOf(a *Account) (p path) {
	for ; a != nil; a = a.Before {
		p = append(p, a)
	}
	return p
}

// gap is the one that ends at stage i.
func (p path) gap(i int) Gap {
	if i+1 == len(p) {
		return Gap{Push, p[i].Stage}
	}
	return Gap{p[i+1].Stage, p[i].Stage}
}

// gaps are all gaps of the way, the first one first.
func (p path) gaps() (list []Arose) {
	for i := len(p) - 1; i >= 0; i-- {
		list = append(list, Arose{Gap: p.gap(i)})
	}
	return list
}

// arose is the sum of the gap that ends at stage i.
func (w *walk) arose(i int) *Arose { return &w.tally.Arose[len(w.path)-1-i] }

// sight is how the records of a class stand in a stage. Rows cannot tell which
// of the records alike they are, so every stage deals them out in one order:
// intact rows, then mutated ones, to acked records first. The record at place k
// in a stage is therefore the record at place k in the others.
type sight struct {
	intact  uint64 // the first so many have an intact row
	present uint64 // the first so many have a row
	extra   uint64 // rows beyond those
	spare   uint64 // of them intact
}

func (s sight) mutated(k uint64) bool { return k >= s.intact && k < s.present }

// look finds n records that are alike, of these events, in each stage of the path.
func (w *walk) look(user uint32, seat generate.Seat, events []uint32, n uint64) {
	w.sights = w.sights[:0]
	for _, a := range w.path {
		rows := a.rowsOf(user, seat, events)
		s := sight{intact: min(uint64(rows.intact), n), present: min(rows.rows(), n)}
		s.extra, s.spare = rows.rows()-s.present, uint64(rows.intact)-s.intact
		w.sights = append(w.sights, s)
	}
}

// rowsOf are the rows of records that are alike in some stage of the way. In this
// one they may be of several classes, or of one with others, which then counts as
// a whole.
func (a *Account) rowsOf(user uint32, seat generate.Seat, events []uint32) (sum seen) {
	classes := a.classes.Classes(seat.Cohort)
	for i, event := range events {
		if i > 0 && slices.ContainsFunc(events[:i], func(e uint32) bool { return classes[e] == classes[event] }) {
			continue
		}
		rows := a.counts.get(seat, user, uint32(classes[event]))
		sum.intact += rows.intact
		sum.mutated += rows.mutated
	}
	return sum
}

// came says whether the stage before had the record at place k.
func (w *walk) came(k uint64) bool { return len(w.sights) > 1 && k < w.sights[1].present }

// lost finds the first stage that lacks the record at place k, of those that lack it up to the last.
func (w *walk) lost(k uint64) (i int) {
	for i+1 < len(w.sights) && k >= w.sights[i+1].present {
		i++
	}
	return i
}

// changed finds the first stage in which the record at place k is mutated.
func (w *walk) changed(k uint64) (i int) {
	for i+1 < len(w.sights) && w.sights[i+1].mutated(k) {
		i++
	}
	return i
}

// rejectedFrom is the first place at which error records count: a record that
// the stage before has was not kept out there.
func (w *walk) rejectedFrom() uint64 {
	from := w.sights[0].present
	if len(w.path) > 1 && w.path[1].Rejects != nil {
		from = max(from, w.sights[1].present)
	}
	return from
}

// keptOut finds the first stage that error records speak of.
func (w *walk) keptOut() (i int) {
	for i+1 < len(w.path) && w.path[i+1].Rejects != nil {
		i++
	}
	return i
}

// spread tells extra rows that stand in a stage from those that stood in the
// one before already: each gap is given how many arose in it.
func (w *walk) spread(count func(i int) uint64, give func(i int, n uint64)) {
	left := count(0)
	for i := range w.path {
		before := uint64(0)
		if i+1 < len(w.path) {
			before = min(left, count(i+1))
		}
		give(i, left-before)
		left = before
	}
}

// gaps says how many of the mutated records and the extra rows of a class arose
// at the gap that ends at each stage of the path.
type gaps struct{ mutated, extra []uint64 }

// reset gives g no counts for so many stages.
func (g gaps) reset(stages int) gaps {
	for _, list := range [...]*[]uint64{&g.mutated, &g.extra} {
		*list = append((*list)[:0], make([]uint64, stages)...)
	}
	return g
}

// oldest takes one of the earliest gap that has any. Which of the rows it is
// cannot be told.
func oldest(list []uint64) (i int) {
	for i = len(list) - 1; i > 0 && list[i] == 0; i-- {
	}
	if list[i] > 0 {
		list[i]--
	}
	return i
}

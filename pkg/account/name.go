package account

import (
	"encoding/binary"
	"iter"

	"kreplay/pkg/record"
)

// charge is what there is to name of one class.
type charge struct {
	user, first uint32
	mutated     uint64 // records whose only rows are mutated
	extra       uint64 // rows beyond one a record
	intact      uint64 // of them
	unknowns    uint64 // attempts at its records that may have been stored
	producer    uint64 // extra rows that these explain
	gaps        gaps   // where they arose
}

// rows charges the extra rows of a class. They are named later, for places are
// sorted in another order than that of sending.
func (w *walk) rows(logType uint16) {
	c := &w.charge
	w.spread(func(i int) uint64 { return w.sights[i].extra }, func(i int, n uint64) {
		w.arose(i).Duplicates += n
		c.gaps.extra[i] = n
	})
	c.producer = min(c.gaps.extra[len(w.path)-1], c.unknowns) // what arose later is none of the producer's
	w.tally.LogTypes[logType].Duplicates += c.extra
	w.tally.Producer += c.producer
	w.tally.Pipeline += c.extra - c.producer
	var text []byte
	for _, n := range [...]uint64{uint64(c.user), uint64(c.first), c.mutated, c.extra, c.intact, c.producer} {
		text = binary.AppendUvarint(text, n)
	}
	for i := range w.path {
		text = binary.AppendUvarint(binary.AppendUvarint(text, c.gaps.mutated[i]), c.gaps.extra[i])
	}
	w.owed.add(entry{index: w.a.plan.Index(c.user, c.first), text: string(text)})
}

// owing is the inverse of what rows writes down.
func owing(e entry) (c charge) {
	text, user, first := []byte(e.text), uint64(0), uint64(0)
	for _, to := range [...]*uint64{&user, &first, &c.mutated, &c.extra, &c.intact, &c.producer} {
		n, size := binary.Uvarint(text)
		*to, text = n, text[size:]
	}
	c.user, c.first = uint32(user), uint32(first)
	for len(text) > 0 {
		for _, to := range [...]*[]uint64{&c.gaps.mutated, &c.gaps.extra} {
			n, size := binary.Uvarint(text)
			*to, text = append(*to, n), text[size:]
		}
	}
	return c
}

// name names each extra or mutated row, then the strangers. Owed and places are
// both in the order of the dense index.
func (w *walk) name() error {
	next, stop := iter.Pull2(w.a.places.all())
	defer stop()
	place, err, more := next()
	for owed, failed := range w.owed.all() {
		if failed != nil {
			return failed
		}
		c := owing(owed)
		for ; more && err == nil && place.index == owed.index; place, err, more = next() {
			if err := w.row(&c, place); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if c.mutated+c.extra > 0 {
			return errLost
		}
	}
	for ; more; place, err, more = next() {
		if err != nil {
			return err
		}
		if place.index < w.a.plan.Distinct() {
			return errLost
		}
		d := Difference{Kind: KindStranger, ID: record.ID{Run: w.a.plan.Tag, User: uint32(place.index - w.a.plan.Distinct())}}
		d.Object, d.Offset, d.Detail = w.a.names.list[place.object], place.offset, place.text
		if err := w.report(d); err != nil {
			return err
		}
	}
	return nil
}

// row names one row of a class, if it has to be. Which rows are extra does not
// depend on the order in which they were seen: intact rows count first, so a mutated
// row beside enough intact ones is extra. Of intact rows there may be more places
// than extra rows, those that only came behind a mutated one.
func (w *walk) row(c *charge, e entry) error {
	id := w.a.plan.ID(c.user, c.first)
	d := Difference{Kind: KindDuplicate, ID: id, LogType: w.a.plan.LogType(id), Charge: "pipeline", Object: w.a.names.list[e.object], Offset: e.offset, Detail: e.text}
	switch {
	case e.intact && c.intact == 0:
		return nil
	case !e.intact && c.mutated > 0:
		c.mutated--
		d.Kind, d.Charge, d.Gap = KindMutated, "", w.path.gap(oldest(c.gaps.mutated))
		return w.report(d)
	case e.intact:
		c.intact--
	}
	if c.extra == 0 {
		return errLost
	}
	c.extra--
	d.Gap = w.path.gap(oldest(c.gaps.extra))
	if c.producer > 0 {
		c.producer--
		d.Charge = "producer"
	}
	return w.report(d)
}

package account

import (
	"kreplay/pkg/generate"
	"kreplay/pkg/record"
)

// A user is whole whose records were all acked, none of them planned twice, and
// of each of whose classes there are as many rows as records, all of them intact. All of
// its records are delivered then, whatever the stage before or the error stage
// says: [walk.class] would come to the same, class by class.

// atOnce takes all records of a user who is whole and has the next records in the
// order of sending.
func (w *walk) atOnce(user uint32) bool {
	seat, b := w.a.plan.Seat(user), w.book(user)
	n := uint64(seat.Cohort.Events)
	if n == 0 {
		return true
	}
	b.turn()
	if b.span.Fate != record.Acked || b.seq+n > b.span.First+b.span.Count || w.a.plan.CountOf(user) != n || !w.a.counts.once(seat, user) {
		return false
	}
	w.whole(seat, b, func(first uint32) uint64 { return b.seq + uint64(first) }) // the first of a class is sent first
	b.seq += n
	w.tally.Fates.Acked += n
	return true
}

// whole takes a user who is whole. sent says which of the records of the class that
// begins with an event was sent first, by its seq.
func (w *walk) whole(seat generate.Seat, b *book, sent func(first uint32) uint64) {
	c, times := seat.Cohort, w.a.arrivals
	w.wholes[c.Number()]++
	if times == nil {
		return
	}
	classes := w.a.classes.Classes(c)
	for event := range times.of(seat) {
		if uint32(classes[event]) == event {
			times.whole(seat.First+uint64(event), b.worker, c.LogType[event], sent(event))
		}
	}
}

// addWholes adds up the records of all users who are whole.
func (w *walk) addWholes() {
	for i, c := range w.a.plan.Cohorts() {
		for _, logType := range c.LogType {
			l := &w.tally.LogTypes[logType]
			l.Planned += w.wholes[i]
			l.Delivered += w.wholes[i]
		}
	}
}

package batch

import "time"

// How often the map of shards is read anew.
const (
	refreshEvery = 3 * time.Minute
	refreshSoon  = time.Second      // when a shard is not in the map
	refreshDoubt = 10 * time.Second // when a shard throttles that should not, or there is no map yet
)

// recent is what is remembered of the last seconds.
type recent struct {
	seconds    [dueSeconds]dueSecond
	unexpected bool          // an ack came from a shard that is not in the map
	read       time.Duration // when the map was read, or that was tried
}

// dueSeconds is more than the records held are due in, or the rate wanted does not matter.
const dueSeconds = 64

type dueSecond struct{ number, records uint64 }

func (r *recent) refreshed(now time.Duration) { r.read, r.unexpected = now, false }

// offer notes when a record is due.
func (r *recent) offer(due time.Duration) {
	n := uint64(due / time.Second)
	s := &r.seconds[n%dueSeconds]
	if s.number != n {
		*s = dueSecond{number: n}
	}
	s.records++
}

// Stale says that the map of shards is to be read anew.
func (d *Dispatcher) Stale(now time.Duration) bool {
	age := now - d.recent.read
	switch {
	case d.routes == nil:
		return d.cfg.Sharded && age >= refreshDoubt
	case d.recent.unexpected:
		return age >= refreshSoon
	case age >= refreshEvery:
		return true
	case age < refreshDoubt:
		return false
	}
	for i := range d.shards {
		if s := &d.shards[i]; s.struck > d.recent.read && s.limit < s.nominal*0.75 {
			return true
		}
	}
	return false
}

// Refreshed says that the map could not be read, or was the same.
func (d *Dispatcher) Refreshed(now time.Duration) { d.recent.refreshed(now) }

// Wanted is how many records a second schedule and rate ask for at now; 0: as
// many as possible.
func (d *Dispatcher) Wanted(now time.Duration, scheduled bool) (wanted float64) {
	return wantedOf([]*Dispatcher{d}, now, scheduled)
}

// wantedOf is the same of dispatchers that share a rate.
func wantedOf(all []*Dispatcher, now time.Duration, scheduled bool) (wanted float64) {
	if rate := all[0].cfg.Rate; rate != nil {
		wanted = rate.Rate(now)
	}
	n := uint64(now / time.Second)
	if !scheduled || n == 0 {
		return wanted
	}
	var records uint64
	known := false
	for _, d := range all {
		if due := d.recent.seconds[(n-1)%dueSeconds]; due.number == n-1 { // the last second that is over
			records, known = records+due.records, true
		}
	}
	if known && (wanted == 0 || float64(records) < wanted) {
		wanted = float64(records)
	}
	return wanted
}

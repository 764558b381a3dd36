package account

import (
	"iter"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// MaxTimed bounds how many records are timed: 8 bytes each and 8 in each stage,
// and while a stage is settled 38 more; about 13 MB in all.
const MaxTimed = 1 << 18

// A Timing times a sample of a plan's records: when each was sent, and, with an
// Account, when it was seen first. Stages of the same classes of records share one.
// The sample is one record in every so many of the plan's, drawn by chance within
// each run of so many, so that each is as likely as the others: of a plan of up to
// MaxTimed records, all.
//
// Records that are alike are timed as one: the first that was sent, with the
// first row.
type Timing struct {
	plan  *generate.Plan
	every uint64 // records of which one is timed
	base  int64  // ms since 1970 that times count from
	sends []send // by slot
	asked [][]ledger.Sent
	known bool // asked has been answered
}

// send is what is known of the sending of a timed record.
type send struct {
	at      uint32 // ms since base; 0: never, or not known
	logType uint16
	fate    record.Fate // Unsent until a ledger was walked
}

// Times are counted from a while before the run began: a clock may be off.
const before = 24 * time.Hour

// NewTiming returns the Timing of a run that began at a time.
func NewTiming(plan *generate.Plan, began time.Time) *Timing { return newTiming(plan, began, MaxTimed) }

func newTiming(plan *generate.Plan, began time.Time, most uint64) *Timing {
	n := plan.Distinct()
	t := &Timing{plan: plan, every: (n + most - 1) / most, base: began.Add(-before).UnixMilli()}
	t.sends = make([]send, (n+t.every-1)/t.every)
	return t
}

// slot is the place of a record in the sample, by its dense index.
func (t *Timing) slot(index uint64) (slot uint32, timed bool) {
	if t.every == 1 {
		return uint32(index), true
	}
	block := index / t.every
	return uint32(block), index == t.pick(block)
}

// A picker tells of indexes that follow one another which ones are timed, as slot
// does, without dividing each.
type picker struct {
	t                 *Timing
	block, from, pick uint64
}

func newPicker(t *Timing) picker { return picker{t: t, pick: t.pick(0)} }

func (p *picker) slot(index uint64) (slot uint32, timed bool) {
	if index-p.from >= p.t.every {
		p.block = index / p.t.every
		p.from, p.pick = p.block*p.t.every, p.t.pick(p.block)
	}
	return uint32(p.block), index == p.pick
}

// pick is the record of a run of so many that is timed, by its dense index.
func (t *Timing) pick(block uint64) (index uint64) {
	pick, _ := bits.Mul64(scatter(block+uint64(t.plan.Tag)<<32), t.every)
	return block*t.every + pick
}

// of yields the events of a user that are timed.
func (t *Timing) of(seat generate.Seat) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		end := seat.First + uint64(seat.Cohort.Events)
		for block := seat.First / t.every; block*t.every < end; block++ {
			if index := t.pick(block); index >= seat.First && index < end && !yield(uint32(index-seat.First)) {
				return
			}
		}
	}
}

// scatter spreads numbers over all 64 bits (the finalizer of SplitMix64).
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ms is a time as it is kept: never 0.
func (t *Timing) ms(at int64) uint32 { return uint32(min(max(at-t.base, 1), latest)) }

// ask notes which record of a class is timed, at the first walk of a plan: of
// those acked the first in the order of sending, else of those of unknown fate.
func (t *Timing) ask(slot uint32, worker int, logType uint16, members []attempt) {
	var best *attempt
	for i := range members {
		m := &members[i]
		if m.span.Fate != record.Acked && m.span.Fate != record.Unknown {
			continue
		}
		if best == nil || m.span.Fate == best.span.Fate && m.seq < best.seq || m.span.Fate == record.Acked && best.span.Fate == record.Unknown {
			best = m
		}
	}
	if best == nil {
		return
	}
	t.askOf(slot, worker, logType, best.span.Fate, best.seq)
}

// askOf notes the record of a class that is timed.
func (t *Timing) askOf(slot uint32, worker int, logType uint16, fate record.Fate, seq uint64) {
	if t.asked[worker] == nil {
		t.asked[worker] = make([]ledger.Sent, 0, len(t.sends)/len(t.asked)+1)
	}
	t.sends[slot] = send{logType: logType, fate: fate}
	t.asked[worker] = append(t.asked[worker], ledger.Sent{Seq: seq, Place: slot})
}

// Ask asks the workers' ledgers, after the first Settle of a stage that is timed,
// when the records were sent; later calls do nothing. For each worker, counted
// from 0, sent is given a list for [ledger.Account.Times], and returns when the
// worker's times count from, by the clock of those who see the rows.
func (t *Timing) Ask(sent func(worker int, list []ledger.Sent) (began time.Time, err error)) error {
	if t.known {
		return nil
	}
	for i, list := range t.asked {
		slices.SortFunc(list, func(a, b ledger.Sent) int {
			if a.Seq < b.Seq {
				return -1
			}
			return 1
		})
		began, err := sent(i, list)
		if err != nil {
			return err
		}
		for _, s := range list {
			if s.At > 0 {
				t.sends[s.Place].at = t.ms(began.UnixMilli() + int64(s.At) - 1)
			}
		}
	}
	t.known, t.asked = true, nil
	return nil
}

// Renew makes the next Settle choose anew whose times are asked for, because a
// ledger was read once more: what it said before may be overtaken.
func (t *Timing) Renew() { t.known, t.asked = false, nil }

// arrivals are when the timed records were seen first in one stage.
type arrivals struct {
	*Timing
	seen    []atomic.Uint32 // by slot: ms since base; 0: not yet
	visible []atomic.Uint32 // by slot: likewise, by the clock of who listed them
}

// What stands for a time that is none.
const (
	unlisted = 1 // visible before anybody looked, hence before all that is known
	latest   = math.MaxUint32 - 2
	untimed  = math.MaxUint32 - 1 // has rows that were seen before the Account was timed
	rejected = math.MaxUint32     // is in the error stage instead
)

// Time has the rows timed that are seen from now on, and what an Account that was
// restored had timed before. It is called before See; nil: rows are not timed.
// Accounts that share a Timing are settled one after another.
func (a *Account) Time(t *Timing) {
	if t == nil {
		return
	}
	a.arrivals = &arrivals{t, make([]atomic.Uint32, len(t.sends)), make([]atomic.Uint32, len(t.sends))}
	for k, to := range [...][]atomic.Uint32{a.arrivals.seen, a.arrivals.visible} {
		if len(a.timed[k]) == len(to) {
			for i, at := range a.timed[k] {
				to[i].Store(at)
			}
		}
	}
	a.timed = [2][]uint32{}
}

// saveTimes writes what was timed, also by an Account before this one.
func (a *Account) saveTimes(f *frameWriter) {
	if s := a.arrivals; s != nil {
		for _, list := range [...][]atomic.Uint32{s.seen, s.visible} {
			f.number(uint64(len(list)))
			for i := range list {
				f.number(uint64(list[i].Load()))
			}
		}
		return
	}
	for _, list := range a.timed {
		f.number(uint64(len(list)))
		for _, at := range list {
			f.number(uint64(at))
		}
	}
}

// times reads what arrivals.save wrote.
func (d *decoder) times() (list []uint32) {
	n := d.number()
	if n > d.c.plan.Distinct() {
		d.wrong("%d times", n)
	}
	for ; n > 0 && d.err == nil; n-- {
		at := d.number()
		if at > math.MaxUint32 {
			d.wrong("time %d", at)
		}
		list = append(list, uint32(at))
	}
	return list
}

// arrival is a time of a row as arrivals keep it, and when it was visible.
type arrival struct{ seen, visible uint32 }

// arrival of the rows of a place; s may be nil.
func (s *arrivals) arrival(at Place) (a arrival) {
	if s == nil {
		return a
	}
	a = arrival{s.ms(at.At), unlisted}
	if at.Visible != 0 {
		a.visible = max(s.ms(at.Visible), unlisted+1)
	}
	return a
}

// see notes a row of the class whose first record has a dense index.
func (s *arrivals) see(index uint64, a arrival) {
	if s == nil {
		return
	}
	if slot, timed := s.slot(index); timed {
		s.note(slot, a)
	}
}

func (s *arrivals) note(slot uint32, a arrival) {
	first(&s.seen[slot], a.seen)
	first(&s.visible[slot], a.visible)
}

// first notes a time, unless an earlier one is known.
func first(at *atomic.Uint32, now uint32) {
	for {
		old := at.Load()
		if old != 0 && old <= now || old == untimed || at.CompareAndSwap(old, now) {
			return
		}
	}
}

// begin forgets what a walk before this one asked for that nobody asked a ledger.
func (s *arrivals) begin(workers int) {
	if s != nil && !s.known {
		clear(s.sends)
		s.asked = make([][]ledger.Sent, workers)
	}
}

// timedClass is a class of records as it is settled.
type timedClass struct {
	index    uint64 // of its first record
	worker   int
	logType  uint16
	members  []attempt
	hasRows  bool
	inErrors bool
}

// whole takes note of a class that is timed, of which all records were acked and have
// rows, and the first was sent as seq says.
func (s *arrivals) whole(index uint64, worker int, logType uint16, seq uint64) {
	slot, timed := s.slot(index)
	if !timed {
		return
	}
	s.seen[slot].CompareAndSwap(0, untimed)
	if !s.known {
		s.askOf(slot, worker, logType, record.Acked, seq)
	}
}

// class takes note of a class, if it is timed.
func (s *arrivals) class(c timedClass) {
	if s == nil {
		return
	}
	slot, timed := s.slot(c.index)
	if !timed {
		return
	}
	switch {
	case c.hasRows:
		s.seen[slot].CompareAndSwap(0, untimed)
	case c.inErrors:
		s.seen[slot].CompareAndSwap(0, rejected)
	}
	if !s.known {
		s.ask(slot, c.worker, c.logType, c.members)
	}
}

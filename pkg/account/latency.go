package account

import (
	"math"
	"slices"
	"time"

	"kreplay/pkg/record"
)

// MaxSteps bounds how many steps of time a Lag is told by.
const MaxSteps = 1440

// A Lag says how long the timed records of a stage took from being sent until
// their first row was seen. Quantiles are those of the sample, exactly: the
// smallest of its times that at least so many of them do not exceed.
type Lag struct {
	Every    uint64 // one in so many of the plan's records is timed
	All      Quantiles
	LogTypes []LogTypeLag // those that have any
	Steps    []StepLag    // by when they were sent; those that have any
	Step     time.Duration
	Seconds  bool   // rows are seen by a clock of whole seconds: lags are up to 1 s too short
	Early    uint64 // of All: seen before they were sent, says one clock or another; they count as 0
	Unsaid   uint64 // with a row, but it is not known when they were sent, or seen
	Waiting  uint64 // acked and not seen yet, as far as it may still come
	// Visible is how long they took until a listing showed their objects: those of
	// All of which that is known.
	Visible Quantiles
	AtLeast time.Duration // the p99 that comes out at least: if all that are waited for came now
}

// Quantiles of so many times.
type Quantiles struct {
	Count              uint64
	P50, P90, P99, Max time.Duration
}

// LogTypeLag is the lag of one log type.
type LogTypeLag struct {
	Name string
	Quantiles
}

// StepLag is the lag of what was sent within a Step.
type StepLag struct {
	At time.Time
	Quantiles
}

// Lag returns the lag of a stage as it was at a time, when it had settled or had
// not. That time and those of listings are by a clock that the one which Ask
// answers by is ahead of. It is called after Settle and [Timing.Ask].
func (a *Account) Lag(now time.Time, ahead time.Duration, settled bool) Lag {
	s := a.arrivals
	l := Lag{Every: s.every, Seconds: true}
	until := s.ms(now.Add(ahead).UnixMilli())
	lags := make([]took, 0, len(s.sends))
	var waits, visible []took
	first, last := uint32(math.MaxUint32), uint32(0)
	for slot := range s.sends {
		sent, seen := s.sends[slot], s.seen[slot].Load()
		switch {
		case seen == rejected:
		case seen == 0 && !settled && sent.fate == record.Acked && sent.at > 0:
			waits = append(waits, tookOf(uint32(slot), until-min(until, sent.at)))
		case seen == 0:
		case sent.at == 0 || seen == untimed:
			l.Unsaid++
		default:
			if seen < sent.at {
				l.Early++
			}
			l.Seconds = l.Seconds && (s.base+int64(seen))%1000 == 0
			first, last = min(first, sent.at), max(last, sent.at)
			lags = append(lags, tookOf(uint32(slot), seen-min(seen, sent.at)))
			if at := s.visible[slot].Load(); at > unlisted {
				at = s.ms(s.base + int64(at) + ahead.Milliseconds())
				visible = append(visible, tookOf(uint32(slot), at-min(at, sent.at)))
			}
		}
	}
	lags, visible = sorted(lags), sorted(visible)
	l.All, l.Visible, l.AtLeast = quantiles(lags), quantiles(visible), quantile(lags, 99)
	for _, g := range groups(lags, func(t took) uint32 { return uint32(s.sends[t.slot()].logType) }) {
		l.LogTypes = append(l.LogTypes, LogTypeLag{s.plan.LogTypes()[g.key], g.Quantiles})
	}
	if len(lags) > 0 {
		l.Step = stepOf(s.base+int64(first), s.base+int64(last))
	}
	step := l.Step.Milliseconds()
	for _, g := range groups(lags, func(t took) uint32 { return uint32((s.base + int64(s.sends[t.slot()].at)) / step) }) {
		l.Steps = append(l.Steps, StepLag{time.UnixMilli(int64(g.key) * step).UTC(), g.Quantiles})
	}
	if l.Waiting = uint64(len(waits)); l.Waiting > 0 {
		l.AtLeast = quantile(sorted(append(lags, waits...)), 99)
	}
	return l
}

// stepOf is the least number of minutes that divides the time from first to last,
// in ms since 1970, into MaxSteps at most.
func stepOf(first, last int64) time.Duration {
	for step := time.Minute; ; step += time.Minute {
		if ms := step.Milliseconds(); last/ms-first/ms < MaxSteps {
			return step
		}
	}
}

// took is how many ms the record of a slot took, and that slot.
type took uint64

func tookOf(slot, ms uint32) took { return took(ms)<<32 | took(slot) }

func (t took) ms() uint32 { return uint32(t >> 32) }

func (t took) slot() uint32 { return uint32(t) }

// sorted sorts times by how long they are, into memory of its own: they are many, and
// most are alike in their upper half.
func sorted(list []took) []took {
	list, _, _ = deal(list, func(t took) uint32 { return t.ms() & 0xffff })
	list, _, _ = deal(list, func(t took) uint32 { return t.ms() >> 16 })
	return list
}

// deal puts what has the same key together, in order of the keys, which are near
// each other, and else as it was. ends[k] is where those of key low+k-1 end.
func deal(list []took, key func(took) uint32) (dealt []took, low uint32, ends []int) {
	low, high := uint32(math.MaxUint32), uint32(0)
	for _, t := range list {
		k := key(t)
		low, high = min(low, k), max(high, k)
	}
	if low >= high { // or there is none
		return list, low, []int{0, len(list)}
	}
	ends = make([]int, high-low+2)
	for _, t := range list {
		ends[key(t)-low+1]++
	}
	for i := range ends[1:] {
		ends[i+1] += ends[i]
	}
	dealt = make([]took, len(list))
	next := slices.Clone(ends)
	for _, t := range list {
		k := key(t) - low
		dealt[next[k]] = t
		next[k]++
	}
	return dealt, low, ends
}

type group struct {
	key uint32
	Quantiles
}

// groups returns the quantiles of each group that has any, by key, of times that are
// sorted.
func groups(sorted []took, key func(took) uint32) (all []group) {
	dealt, low, ends := deal(sorted, key)
	for k, from := range ends[:len(ends)-1] {
		if g := dealt[from:ends[k+1]]; len(g) > 0 {
			all = append(all, group{low + uint32(k), quantiles(g)})
		}
	}
	return all
}

func quantiles(sorted []took) Quantiles {
	return Quantiles{uint64(len(sorted)), quantile(sorted, 50), quantile(sorted, 90), quantile(sorted, 99), quantile(sorted, 100)}
}

// quantile is the smallest of sorted times that so many percent do not exceed; 0
// where there is none.
func quantile(sorted []took, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*percent + 99) / 100
	return time.Duration(sorted[max(rank, 1)-1].ms()) * time.Millisecond
}

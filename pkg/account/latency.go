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
			waits = append(waits, took{uint32(slot), until - min(until, sent.at)})
		case seen == 0:
		case sent.at == 0 || seen == untimed:
			l.Unsaid++
		default:
			if seen < sent.at {
				l.Early++
			}
			l.Seconds = l.Seconds && (s.base+int64(seen))%1000 == 0
			first, last = min(first, sent.at), max(last, sent.at)
			lags = append(lags, took{uint32(slot), seen - min(seen, sent.at)})
			if at := s.visible[slot].Load(); at > unlisted {
				at = s.ms(s.base + int64(at) + ahead.Milliseconds())
				visible = append(visible, took{uint32(slot), at - min(at, sent.at)})
			}
		}
	}
	buf := make([]uint64, len(s.sends))
	for _, g := range groups(buf, lags, func(uint32) uint32 { return 0 }) {
		l.All = g.Quantiles
	}
	for _, g := range groups(buf, visible, func(uint32) uint32 { return 0 }) {
		l.Visible = g.Quantiles
	}
	for _, g := range groups(buf, lags, func(slot uint32) uint32 { return uint32(s.sends[slot].logType) }) {
		l.LogTypes = append(l.LogTypes, LogTypeLag{s.plan.LogTypes()[g.key], g.Quantiles})
	}
	if len(lags) > 0 {
		l.Step = stepOf(s.base+int64(first), s.base+int64(last))
	}
	step := l.Step.Milliseconds()
	for _, g := range groups(buf, lags, func(slot uint32) uint32 { return uint32((s.base + int64(s.sends[slot].at)) / step) }) {
		l.Steps = append(l.Steps, StepLag{time.UnixMilli(int64(g.key) * step).UTC(), g.Quantiles})
	}
	l.Waiting = uint64(len(waits))
	for _, g := range groups(buf, append(lags, waits...), func(uint32) uint32 { return 0 }) {
		l.AtLeast = g.P99
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

// took is how many ms the record of a slot took.
type took struct{ slot, ms uint32 }

type group struct {
	key uint32
	Quantiles
}

// groups returns the quantiles of each group that has any, by key. It works in buf.
func groups(buf []uint64, list []took, key func(slot uint32) uint32) (all []group) {
	sorted := buf[:len(list)]
	for i, t := range list {
		sorted[i] = uint64(key(t.slot))<<32 | uint64(t.ms)
	}
	slices.Sort(sorted)
	for len(sorted) > 0 {
		k := uint32(sorted[0] >> 32)
		n, _ := slices.BinarySearch(sorted, uint64(k)<<32+1<<32)
		g := sorted[:n]
		all = append(all, group{k, Quantiles{uint64(n), quantile(g, 50), quantile(g, 90), quantile(g, 99), quantile(g, 100)}})
		sorted = sorted[n:]
	}
	return all
}

// quantile is the smallest of sorted times that so many percent do not exceed.
func quantile(sorted []uint64, percent int) time.Duration {
	rank := (len(sorted)*percent + 99) / 100
	return time.Duration(uint32(sorted[max(rank, 1)-1])) * time.Millisecond
}

package stream

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// An Offset is how far a service's clock is ahead of this machine's: by Low at
// least and High at most. The zero Offset is not known.
type Offset struct {
	Low     time.Duration `json:"low_ns"`
	High    time.Duration `json:"high_ns"`
	Answers uint64        `json:"answers"` // that it was read off
}

// Known says whether anything is.
func (o Offset) Known() bool { return o.Answers > 0 }

// Ahead is the best guess, and by how much it may be off.
func (o Offset) Ahead() (guess, off time.Duration) {
	off = (o.High - o.Low) / 2
	return o.Low + off, off
}

// Correction is what to add to a time of this machine: the best guess where the
// clocks surely differ, otherwise nothing.
func (o Offset) Correction() time.Duration {
	if o.Low <= 0 && o.High >= 0 {
		return 0
	}
	guess, _ := o.Ahead()
	return guess
}

// Off is by how much a time of this machine may be off when it is corrected.
func (o Offset) Off() time.Duration {
	c := o.Correction()
	return max(o.High-c, c-o.Low)
}

// Or returns the Offset that holds o as well as p.
func (o Offset) Or(p Offset) Offset {
	switch {
	case !o.Known():
		return p
	case !p.Known():
		return o
	}
	return Offset{min(o.Low, p.Low), max(o.High, p.High), o.Answers + p.Answers}
}

// String tells o to people.
func (o Offset) String() string {
	if !o.Known() {
		return "not known"
	}
	guess, off := o.Ahead()
	return fmt.Sprintf("%v ± %v", guess.Round(time.Millisecond), (off + time.Millisecond - 1).Truncate(time.Millisecond))
}

// A Clock reads a service's clock off the Date header of its answers. The header
// is of whole seconds, so one answer says little; but as seconds begin at
// different times within them, many answers together say it to within the fastest
// of them. When they contradict each other, one of the clocks was set or runs
// badly: what was known then holds as well as what is known since.
//
// The zero Clock is usable, by many goroutines at once.
type Clock struct {
	mu   sync.Mutex
	past Offset // before the last contradiction
	now  Offset
}

// Answer notes an answer: its Date, or nothing, and when its request was sent and
// the answer was there.
func (c *Clock) Answer(date string, sent, there time.Time) {
	d, err := http.ParseTime(date)
	if err != nil {
		return
	}
	// Somewhen between the two the service's clock was within the second from d.
	one := Offset{Low: d.Sub(there), High: d.Add(time.Second).Sub(sent), Answers: 1}
	c.mu.Lock()
	defer c.mu.Unlock()
	low, high := max(c.now.Low, one.Low), min(c.now.High, one.High)
	switch {
	case !c.now.Known():
		c.now = one
	case low > high:
		c.past, c.now = c.past.Or(c.now), one
	default:
		c.now = Offset{low, high, c.now.Answers + 1}
	}
}

// Offset is what the answers say so far.
func (c *Clock) Offset() Offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.past.Or(c.now)
}

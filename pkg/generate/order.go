package generate

import (
	"container/heap"
	"iter"
	"math"
	"math/bits"
	"time"

	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// A Step is one planned record in the order of sending.
type Step struct {
	User, Event uint32
	Copy        uint16
	Due         time.Duration // since the schedule began; 0 where it does not pace
}

// Order yields the planned records of a slice in the order of sending, the
// same one for ever: as they are due where the schedule paces, else user by user.
// A copy follows its original. It holds what users under way need, no more.
func (p *Plan) Order(s Slice) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		p.walk(s, func(step Step, _ *player) bool { return yield(step) })
	}
}

// OrderOf yields the planned records of one user, of a plan that is not paced, in
// the order of sending.
func (p *Plan) OrderOf(user uint32) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		p.visit(user, func(step Step, _ *player) bool { return yield(step) })
	}
}

// A player is a user under way.
type player struct {
	cohort  *Cohort
	values  template.Values
	arrival time.Duration
	next    uint32 // event
	ownKey  string // partition key that is the user's id; empty: not needed so far
	key     string // the last other one: most often that of the next
}

func (p *Plan) player(user uint32) player {
	return player{cohort: p.Cohort(user), values: p.Values(user), arrival: p.arrival(user)}
}

func (p *Plan) walk(s Slice, visit func(Step, *player) bool) {
	if p.paced {
		p.byDue(s, visit)
		return
	}
	for user := range p.UsersOf(s) {
		if !p.visit(user, visit) {
			return
		}
	}
}

// visit visits a user's records, one after another.
func (p *Plan) visit(user uint32, visit func(Step, *player) bool) bool {
	u := p.player(user)
	for event := range uint32(u.cohort.Events) {
		if !p.step(Step{User: user, Event: event}, &u, visit) {
			return false
		}
	}
	return true
}

// step visits a record, then its copies.
func (p *Plan) step(s Step, u *player, visit func(Step, *player) bool) bool {
	for s.Copy = range p.copies(u.cohort, s) + 1 {
		if !visit(s, u) {
			return false
		}
	}
	return true
}

// copies is how many copies of a record are planned.
func (p *Plan) copies(c *Cohort, s Step) uint16 {
	if p.twice.picked > 0 && p.twice.has(p.index(c, s.User, s.Event)) {
		return 1
	}
	return 0
}

// byDue merges the users' events: users enter as they arrive.
func (p *Plan) byDue(s Slice, visit func(Step, *player) bool) {
	first, end := p.Range(s)
	var q queue
	for rank := uint64(0); ; {
		for rank < p.Users && (len(q) == 0 || p.curve.Offset(rank, p.Users) <= q[0].due) {
			if user := p.ranks.of(rank); first <= user && user < end {
				u := p.player(uint32(user))
				if e, ok := p.next(&q, &u); ok {
					heap.Push(&q, e)
				}
			}
			rank++
		}
		if len(q) == 0 {
			return
		}
		e := q[0]
		if !p.step(Step{User: e.user, Event: e.event, Due: p.hasten(e.due)}, e.player, visit) {
			return
		}
		// What next pushes is due no earlier, so the front of the queue stays e's.
		if following, ok := p.following(&q, e); ok {
			q[0] = following
			heap.Fix(&q, 0)
		} else {
			heap.Pop(&q)
		}
	}
}

func (p *Plan) following(q *queue, e entry) (entry, bool) {
	if e.late {
		return entry{}, false
	}
	return p.next(q, e.player)
}

// next returns a user's next event that is not late; late ones before it go
// into the queue.
func (p *Plan) next(q *queue, u *player) (entry, bool) {
	for u.next < uint32(u.cohort.Events) {
		e := entry{user: u.values.User, event: u.next, due: u.arrival + u.cohort.since[u.next], player: u}
		e.late = p.late.picked > 0 && p.late.has(p.index(u.cohort, e.user, e.event))
		u.next++
		if !e.late {
			return e, true
		}
		e.due += p.lateBy
		heap.Push(q, e)
	}
	return entry{}, false
}

// hasten turns a time of the recording into one of the replay.
func (p *Plan) hasten(d time.Duration) time.Duration {
	hi, lo := bits.Mul64(uint64(d), p.speed.scale)
	if hi >= p.speed.digits {
		return math.MaxInt64
	}
	due, _ := bits.Div64(hi, lo, p.speed.digits)
	return time.Duration(min(due, math.MaxInt64))
}

// speed is a speedup of digits / scale.
type speed struct{ digits, scale uint64 }

func newSpeed(d scenario.Decimal) speed {
	s := speed{digits: max(d.Digits, 1), scale: 1}
	for range d.Scale {
		s.scale *= 10
	}
	return s
}

// arrival is when a user begins, in whole seconds since the schedule began.
func (p *Plan) arrival(user uint32) time.Duration {
	if p.curve.Span() == 0 {
		return 0
	}
	return p.curve.Offset(p.ranks.at(uint64(user)), p.Users)
}

// queue is a heap of the next events of users under way.
type queue []entry

type entry struct {
	due         time.Duration // in the recording's time
	user, event uint32
	late        bool
	player      *player
}

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := &q[i], &q[j]
	switch {
	case a.due != b.due:
		return a.due < b.due
	case a.user != b.user:
		return a.user < b.user
	}
	return a.event < b.event
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { e, _ := x.(entry); *q = append(*q, e) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = entry{}
	*q = old[:len(old)-1]
	return e
}

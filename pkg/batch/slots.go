package batch

import (
	"time"

	"kreplay/pkg/record"
)

// none is the end of a list of slots.
const none = -1

// A slot is a record that is held. Slots are linked, so that a record does not
// move while it waits.
type slot struct {
	rec   record.Record
	first time.Duration // when it was first sent
	next  int32
	shard int32
	tries int32
	state state
}

type state uint8

const (
	stateFree state = iota
	stateQueued
	stateUser // behind another record of its user
	stateParked
	stateFlying // or in the open request
)

// list is a queue of slots.
type list struct{ head, tail int32 }

var empty = list{none, none}

// take returns a free slot.
func (d *Dispatcher) take() int32 {
	i := d.free
	if i == none {
		d.slots = append(d.slots, slot{})
		return int32(len(d.slots) - 1)
	}
	d.free = d.slots[i].next
	return i
}

// release frees a slot, and lets its user go on.
func (d *Dispatcher) release(i int32) {
	s := &d.slots[i]
	user := s.rec.ID.User
	if s.rec.Chunk != d.done.chunk {
		d.done.tell()
		d.done.chunk = s.rec.Chunk
	}
	d.done.n++
	d.hold(-1, -s.rec.Size())
	*s = slot{next: d.free}
	d.free = i
	if !d.cfg.Ordered {
		return
	}
	behind := d.users[user]
	next := behind.head
	if next == none {
		delete(d.users, user)
		return
	}
	behind.head = d.slots[next].next
	if behind.head == none {
		behind.tail = none
	}
	d.users[user] = behind
	d.behind--
	d.again(next)
}

// done counts the records of one chunk that nobody will read any more.
type done struct {
	chunk *record.Chunk
	n     int
}

func (d *done) tell() {
	d.chunk.Done(d.n)
	*d = done{}
}

func (d *Dispatcher) append(l *list, i int32) {
	d.slots[i].next = none
	if l.tail == none {
		l.head = i
	} else {
		d.slots[l.tail].next = i
	}
	l.tail = i
}

// queue puts a slot at the end of its shard's queue.
func (d *Dispatcher) queue(i int32) {
	s := &d.slots[i]
	s.state = stateQueued
	sh := &d.shards[s.shard]
	d.append(&sh.queue, i)
	sh.waiting++
	d.waiting++
}

// again puts a slot at its place by seq, before what is queued behind it.
func (d *Dispatcher) again(i int32) {
	s := &d.slots[i]
	s.state = stateQueued
	sh := &d.shards[s.shard]
	sh.again.push(keyed{s.rec.Seq, i})
	sh.waiting++
	d.waiting++
}

// park has a slot wait until a time before it is queued again.
func (d *Dispatcher) park(i int32, until time.Duration) {
	d.slots[i].state = stateParked
	d.parked.push(keyed{uint64(until), i})
}

// head is the slot of the lowest seq that waits for sh; there is one.
func (d *Dispatcher) head(sh *shard) int32 {
	i := sh.queue.head
	if len(sh.again) > 0 && (i == none || sh.again[0].key < d.slots[i].rec.Seq) {
		return sh.again[0].slot
	}
	return i
}

// unqueue drops the head.
func (d *Dispatcher) unqueue(sh *shard) {
	sh.waiting--
	d.waiting--
	if i := d.head(sh); len(sh.again) > 0 && sh.again[0].slot == i {
		sh.again.pop()
		return
	}
	sh.queue.head = d.slots[sh.queue.head].next
	if sh.queue.head == none {
		sh.queue.tail = none
	}
}

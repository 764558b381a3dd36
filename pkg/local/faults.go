package local

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Kinds of planted faults, and the answers of Faults.Pick.
const (
	Dropped    = "drop"      // the record is in no object
	Duplicated = "duplicate" // the record is in its object twice
	Corrupted  = "corrupt"   // the record is delivered with another text
	Rejected   = "reject"    // the record is in an error record, and in no object of the lake
	Truncated  = "truncate"  // the object is cut short; Data is nil. In a lake of another format than JSON, the record is: it is in an error record, as it breaks off
	Cut        = "cut"       // the record is not whole in a truncated object
	AnswerLost = "lost"      // the record is stored, its request was answered by an error; Object is ""
	Throttled  = "throttle"  // the entry was refused; Object and Seq are ""
	Failed     = "failure"   // the entry was answered by InternalFailure; Seq tells whether it is stored
	Refused    = "refuse"    // the whole call was refused, with the error code Way; Object and Seq are ""
	Late       = "late"      // the record is stored, its answer waited; Object is ""
	Delayed    = "delay"     // the record came in an object of its own, after the others of its buffer; Object is "" as long as it is held back
	Misplaced  = "misplace"  // the record is in an object below the folder of another time

	StreamDropped    = "stream-drop"      // the entry was acked and is not stored; Object and Seq are ""
	StreamDuplicated = "stream-duplicate" // the entry is stored twice; Seq is that of the second, Object ""
	StreamCorrupted  = "stream-corrupt"   // the entry is stored with another text; Object is ""
)

// Ways of losing an answer.
const (
	LostError = "500"   // HTTP 500 InternalFailure
	LostReset = "reset" // the connection is reset
	LostBody  = "body"  // HTTP 200, the connection ends in the middle of the body
	LostJSON  = "json"  // HTTP 200, the body is half a JSON text
)

// Faults says what to do wrong, by count. Positions are drawn by Seed among the
// first Of records, in the order in which records reach the deliverer; for
// throttles and the Stream faults, in which entries reach the stream. Drop,
// Duplicate, Corrupt, Reject, Delay and Misplace never meet in one record, nor do the Stream faults. A fault that a record cannot take, such as a
// corruption of a record without text, passes to the next one; when no record
// follows, it does not happen.
//
// A delayed record comes DelayBy after the others of its buffer; Flush brings those
// that were held back before the call and Close brings all, however young. It comes
// below the folder of its arrival, as a delivery that Firehose tries again does. A
// misplaced one comes at once, below a folder of two days earlier, or of more
// where these are one folder. Neither is truncated.
//
// In a lake of CSV or Parquet, faults are planted in records before they are
// converted. There is no object to truncate then: the text of one record breaks off
// before its last byte, is no JSON any more, and goes to an error record, so that
// it counts as rejected. A corruption after which it were no JSON passes its turn. Percentages are drawn by Seed as calls and
// entries come, so clients at work at one time share the draws in any order.
// An entry fails in one way only: throttled, failed, or lost with its call; a
// record that is sent again takes its chance again. Planted tells what happened.
type Faults struct {
	Seed uint64
	Of   int // records expected in total

	Drop      int
	Duplicate int
	Corrupt   int
	Reject    int
	Delay     int
	DelayBy   time.Duration // 0: Config.BufferInterval, which is an object later
	Misplace  int
	Truncate  int // objects, drawn from the first half of Of
	Throttle  int // entries refused once each, whatever the limits

	StreamDrop      int // entries acked and not stored
	StreamDuplicate int // entries stored twice
	StreamCorrupt   int // entries stored with another text

	LostPercent float64 // of the PutRecords calls: stored, then answered by an error
	LostEvery   int     // every n-th PutRecords call, in place of LostPercent; 1 would lose all
	LostMode    string  // LostError (""), LostReset, LostBody or LostJSON

	ResetPercent      float64       // of the PutRecords calls, beside LostPercent: stored, then reset
	FailPercent       float64       // of the entries: InternalFailure, not stored
	FailStoredPercent float64       // of the entries: InternalFailure, stored
	Latency, Jitter   time.Duration // a PutRecords answer waits for Latency, and for up to Jitter more
	Calls             []CallFault   // one after another
	Reads             []CallFault   // of GetRecords calls, Refused only

	// Mutate returns another text for a record to corrupt; nil or an equal one
	// passes the turn. nil: CorruptLetter.
	Mutate func(data []byte) []byte
	// Pick names the fault of record i: Dropped, Duplicated, Corrupted, Rejected, Delayed, Misplaced or "".
	// It takes the place of their counts. Both functions are
	// called by one goroutine at a time and must not keep data.
	Pick func(i int, data []byte) string
}

// Planted is one fault that happened.
type Planted struct {
	Kind   string
	Data   []byte // the record as it was sent
	Object string // key of the object, with slashes, relative to the lake; for Dropped where the record belonged, for Rejected that of the error record
	Seq    string // sequence number; "": not stored
	Way    string // of AnswerLost, and of Throttled where its client does not learn of it: LostError, LostReset, LostBody or LostJSON; of Refused: the error code
}

func (f Faults) check(lake bool) error {
	var faults []error
	n, stored := f.rows(), f.StreamDrop+f.StreamDuplicate+f.StreamCorrupt
	if min(f.Of, f.Drop, f.Duplicate, f.Corrupt, f.Reject, f.Delay, int(f.DelayBy), f.Misplace, f.Truncate, f.Throttle, f.LostEvery, f.StreamDrop, f.StreamDuplicate, f.StreamCorrupt) < 0 {
		faults = append(faults, errors.New("local: faults: a count or a delay is negative"))
	}
	if max(n, stored, f.Throttle, f.Truncate*2) > f.Of {
		faults = append(faults, fmt.Errorf("local: faults: %d of %d records, %d truncations, %d throttles, %d at the stream: too many", n, f.Of, f.Truncate, f.Throttle, stored))
	}
	if !lake && (n+f.Truncate > 0 || f.Pick != nil) {
		faults = append(faults, errors.New("local: faults: drop, duplicate, corrupt, reject, delay, misplace and truncate need a lake"))
	}
	faults = append(faults, f.checkCalls())
	return errors.Join(faults...)
}

// rows is how many records have a fault of their own on the way to the lake.
func (f Faults) rows() int {
	return f.Drop + f.Duplicate + f.Corrupt + f.Reject + f.Delay + f.Misplace
}

// plan carries Faults out. Its methods may be called concurrently.
type plan struct {
	f Faults

	mu        sync.Mutex
	dice      *rand.Rand // of corruption
	luck      *rand.Rand // of calls and entries
	at        map[int]string
	cuts      map[int]bool
	throttles map[int]bool
	stores    map[int]string // by entry
	records   int            // reached the deliverer
	entries   int            // reached a stream
	calls     int
	queue     []CallFault
	reads     []CallFault
	owed      owed
	planted   []Planted
	waiting   []string // Stream faults whose turn passed on
}

// owed are the turns that passed on.
type owed struct{ duplicate, corrupt, truncate int }

func newPlan(c Config) *plan {
	f := c.Faults
	p := &plan{
		f: f, dice: rand.New(rand.NewPCG(f.Seed, 1)), luck: rand.New(rand.NewPCG(f.Seed, 5)), queue: slices.Clone(f.Calls), reads: slices.Clone(f.Reads),
		at: map[int]string{}, cuts: map[int]bool{}, throttles: map[int]bool{}, stores: map[int]string{},
	}
	if f.Mutate == nil {
		p.f.Mutate = func(data []byte) []byte { return CorruptLetter(p.dice, data) }
	}
	if mutate := p.f.Mutate; c.Format != JSON { // another text is still a record that can be converted
		p.f.Mutate = func(data []byte) []byte {
			other := mutate(data)
			if _, err := c.convertible(other); err != nil {
				return nil
			}
			return other
		}
	}
	if f.Pick == nil {
		kinds := slices.Concat(slices.Repeat([]string{Dropped}, f.Drop), slices.Repeat([]string{Duplicated}, f.Duplicate), slices.Repeat([]string{Corrupted}, f.Corrupt),
			slices.Repeat([]string{Rejected}, f.Reject), slices.Repeat([]string{Delayed}, f.Delay), slices.Repeat([]string{Misplaced}, f.Misplace))
		for i, at := range draw(f.Seed, 2, len(kinds), f.Of) {
			p.at[at] = kinds[i]
		}
	}
	for _, at := range draw(f.Seed, 3, f.Truncate, (f.Of+1)/2) {
		p.cuts[at] = true
	}
	for _, at := range draw(f.Seed, 4, f.Throttle, f.Of) {
		p.throttles[at] = true
	}
	for i, at := range draw(f.Seed, 6, f.StreamDrop+f.StreamDuplicate+f.StreamCorrupt, f.Of) {
		switch {
		case i < f.StreamDrop:
			p.stores[at] = StreamDropped
		case i < f.StreamDrop+f.StreamDuplicate:
			p.stores[at] = StreamDuplicated
		default:
			p.stores[at] = StreamCorrupted
		}
	}
	return p
}

// draw picks n different numbers below of, in random order.
func draw(seed, stream uint64, n, of int) []int {
	dice := rand.New(rand.NewPCG(seed, stream))
	if n > of/4 {
		return dice.Perm(of)[:n]
	}
	seen := make(map[int]bool, n)
	all := make([]int, 0, n)
	for len(all) < n {
		if i := dice.IntN(of); !seen[i] {
			seen[i] = true
			all = append(all, i)
		}
	}
	return all
}

// turn says what to do with the next record; other is the text of a corrupted one.
// The caller holds p.mu.
func (p *plan) turn(data []byte) (kind string, other []byte) {
	i := p.records
	p.records++
	if p.cuts[i] {
		p.owed.truncate++
	}
	if p.f.Pick != nil {
		kind = p.f.Pick(i, data)
	} else {
		kind = p.at[i]
	}
	if kind == Corrupted {
		p.owed.corrupt++
	}
	if kind == Duplicated {
		p.owed.duplicate++
	}
	switch {
	case kind == Dropped, kind == Rejected, kind == Delayed, kind == Misplaced:
		return kind, nil
	case p.owed.duplicate > 0 && kind != Corrupted:
		p.owed.duplicate--
		return Duplicated, nil
	case p.owed.corrupt > 0:
		other := p.f.Mutate(data)
		if other == nil || bytes.Equal(other, data) {
			return "", nil
		}
		p.owed.corrupt--
		return Corrupted, other
	}
	return "", nil
}

// Fates of an entry by plan.
const (
	pass = iota
	throttleEntry
	failUnstored
	failStored
)

// entry says what becomes of the next entry, of a call with that fault; when the
// answer to it is lost, it fails with the call only. Calls are in order of entries.
func (p *plan) entry(r rec, call CallFault) (fate int) {
	fail, stored := p.f.FailPercent, p.f.FailStoredPercent
	if p.f.Throttle+len(p.stores) == 0 && fail+stored == 0 {
		return pass
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.entries
	p.entries++
	if kind := p.stores[i]; kind != "" {
		p.waiting = append(p.waiting, kind)
	}
	if p.throttles[i] {
		throttled := Planted{Kind: Throttled}
		if call.lost() {
			throttled.Way = call.Way
		}
		p.plant(throttled, r)
		return throttleEntry
	}
	if call.lost() || fail+stored == 0 {
		return pass
	}
	switch x := p.luck.Float64() * 100; {
	case x < fail:
		p.plant(Planted{Kind: Failed}, r)
		return failUnstored
	case x < fail+stored:
		return failStored
	}
	return pass
}

// stored plants the failure of an entry that is stored.
func (p *plan) stored(r rec) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plant(Planted{Kind: Failed}, r)
}

// plant lists what happened to r. The caller holds p.mu.
func (p *plan) plant(f Planted, r rec) {
	f.Data = bytes.Clone(r.data())
	if r.seq > 0 {
		f.Seq = string(appendSeq(nil, r.seq))
	}
	p.planted = append(p.planted, f)
}

package batch

import (
	"math/rand/v2"
	"time"

	"kreplay/pkg/pace"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// Limits of a shard (aws-sdk-go-v2 kinesis v1.56.12, api_op_PutRecords.go); the
// documentation mixes MB and MiB, this is the lower.
const (
	ShardRecords = 1000      // records a second
	ShardBytes   = 1_000_000 // data and keys a second
)

// How records are sent again.
const (
	backoffBase = 25 * time.Millisecond // full jitter in [0, base·2^n) after n in a row; a run ends with it, so it is half the SDK's
	backoffMost = 5 * time.Second
	// DefaultAttempts and DefaultAge are when a record is given up: an on-demand
	// stream may refuse for 15 minutes while it grows (developer guide,
	// how-do-i-size-a-stream). The age comes first, by the waits between attempts.
	DefaultAttempts = 1000
	DefaultAge      = 20 * time.Minute
)

// linger is how long a request waits for more records, from its first one on.
const linger = 3 * time.Millisecond

// Idle is the wait of a dispatcher that has nothing to wait for but an offer or
// a settlement.
const Idle = time.Hour

// copyFrom is how many records of a shard wait before the data of the next is
// copied: while the other shards go on, it would keep a generator's whole chunk
// in memory.
const copyFrom = 256

// copySoon is the same where there are several streams: of a rare log type each
// record lies in a chunk of its own.
const copySoon = 16

// A Config shapes a Dispatcher. Zero values stand for no limit, unless told.
type Config struct {
	Limits   Limits  // of a request
	Records  int     // held at most, waiting or in flight; 0: 16384
	Bytes    int     // likewise data and keys; 0: 8 MiB. A record above it is held alone
	Requests int     // in flight at most; 0: 1
	Share    float64 // of each shard's limits that may be used, as in 0.95; 0: all
	Sharded  bool    // a map of shards is to be had, so that Stale asks for it
	Rate     pace.Profile
	ByteRate pace.Profile
	Hold     bool          // a record of unknown fate is not sent again
	Ordered  bool          // a user's records one by one, in order of seq
	Pairs    bool          // full requests go two at a time where others are in flight
	Attempts int           // at a record; 0: DefaultAttempts
	Age      time.Duration // from a record's first attempt on; 0: DefaultAge
	Seed     uint64        // of the jitter
	// Sent is told of every record when it is first sent: how long after it was
	// due. nil: nobody asks.
	Sent func(slip time.Duration)
}

// A Dispatcher holds records until they may be sent, and until their fate is
// known. Records come in the order of seq; they wait for their shard, in that
// order, and each shard goes as fast as it can, whatever the others do. A
// record that is refused, or whose fate is unknown, is sent again. The same
// calls give the same answers. It is not safe for concurrent use.
//
// Without a call of Route there are no shards: only the limits of the whole hold.
//
// With Config.Ordered a user has at most one record in flight, not only one
// request: Kinesis stores the records behind one that it refuses. So a user
// goes no faster than a record a round trip, and many users have to be under way.
type Dispatcher struct {
	*shared
	cfg    Config
	luck   *rand.Rand
	window pace.Window
	most   Limits // of a request, by what has turned out too large

	shards  []shard
	routes  *stream.Map // nil: no shards
	turn    int         // shard that is next
	slots   []slot
	free    int32 // first free slot, or none
	users   map[uint32]list
	parked  keyedHeap // by time: to be sent again then
	open    *Request  // being filled
	spare   []*Request
	flying  int           // requests
	held    int           // records
	size    int           // their bytes
	waiting int           // records for which a shard has a turn
	behind  int           // records that wait for another one of their user
	second  bool          // the next full request is the second of two
	single  time.Duration // since when one could go, but not two
	done    done
	ended   bool

	pause    time.Duration // nothing is sent before
	failures int           // calls without an answer in a row
	health   health
	key      routeKey
	recent   recent
	counts   Counts
	past     map[string]*Shard // of shards that are no more, and of those that acked unasked
	lastPast *Shard            // of past, that was counted last: a user's records come together
}

// shared is what the dispatchers of one run have in common; see Streams.
type shared struct {
	rate, bytes pace.Bucket
	allHeld     int // records
	allSize     int // their bytes
	copyFrom    int // records of a shard that wait before the next is copied
}

// A Request is what Take gives and Settle takes back.
type Request struct {
	Recs   []record.Record
	Bytes  int // data and keys
	Stream int // of Streams

	slots []int32
	began time.Duration // first record
	taken time.Duration
	full  bool
	queue bool // the window was full when it was taken
}

// Full says whether r holds as many records as it may.
func (r *Request) Full() bool { return r.full }

// New returns a Dispatcher that holds nothing.
func New(cfg Config) *Dispatcher {
	if cfg.Records == 0 {
		cfg.Records = 16384
	}
	if cfg.Bytes == 0 {
		cfg.Bytes = 8 << 20
	}
	if cfg.Attempts == 0 {
		cfg.Attempts = DefaultAttempts
	}
	if cfg.Age == 0 {
		cfg.Age = DefaultAge
	}
	if cfg.Share == 0 {
		cfg.Share = 1
	}
	return &Dispatcher{
		shared: &shared{rate: pace.NewBucket(cfg.Rate, 0), bytes: pace.NewBucket(cfg.ByteRate, 0), copyFrom: copyFrom},
		cfg:    cfg, luck: rand.New(rand.NewPCG(cfg.Seed, 0)), most: cfg.Limits, free: none, window: pace.NewWindow(cfg.Requests),
		shards: []shard{newShard("", 0, 0)}, open: &Request{}, users: map[uint32]list{}, past: map[string]*Shard{},
		health: health{throttled: unset, failing: unset}, single: unset,
	}
}

// Room says whether Offer would take a record.
func (d *Dispatcher) Room() bool {
	return d.allHeld == 0 || d.allHeld < d.cfg.Records && d.allSize < d.cfg.Bytes
}

// Offer takes r, which comes after all that were offered before. The caller
// sees to it that there is room.
func (d *Dispatcher) Offer(r *record.Record) error {
	if err := d.cfg.Limits.Check(r); err != nil {
		return err
	}
	to, err := d.route(r)
	if err != nil {
		return err
	}
	i := d.take()
	s := &d.slots[i]
	s.rec, s.shard, s.next, s.tries = *r, to, none, 0
	sh := &d.shards[to]
	if sh.waiting+d.behind >= d.copyFrom && (d.routes != nil || d.copyFrom == copySoon) {
		s.rec.Data, s.rec.Chunk = append(make([]byte, 0, len(r.Data)), r.Data...), nil
		r.Chunk.Done(1)
	}
	d.hold(1, r.Size())
	d.recent.offer(r.Due)
	if d.cfg.Ordered {
		behind, busy := d.users[r.ID.User]
		if busy {
			s.state = stateUser
			d.behind++
			d.append(&behind, i)
			d.users[r.ID.User] = behind
			return nil
		}
		d.users[r.ID.User] = empty
	}
	d.queue(i)
	return nil
}

// End says that no more will be offered.
func (d *Dispatcher) End() { d.ended = true }

// Done says that nothing more is to be sent, and nothing is in flight.
func (d *Dispatcher) Done() bool { return d.ended && d.held == 0 }

// hold counts a record that comes or goes.
func (d *Dispatcher) hold(records, bytes int) {
	d.held, d.allHeld = d.held+records, d.allHeld+records
	d.size, d.allSize = d.size+bytes, d.allSize+bytes
}

// Take returns a request that is to be sent now, or how long nothing is. A
// request is given as soon as it is full, or has waited for more a little.
func (d *Dispatcher) Take(now time.Duration) (*Request, time.Duration) {
	if d.more() <= 0 {
		return nil, Idle
	}
	wait := time.Duration(Idle)
	for len(d.parked) > 0 {
		if until := time.Duration(d.parked[0].key); until > now {
			wait = until - now
			break
		}
		d.again(d.parked.pop().slot)
	}
	if d.pause > now {
		return nil, d.pause - now
	}
	r := d.open
	if !r.full {
		wait = min(wait, d.fill(now))
	}
	switch left := r.began + linger - now; {
	case len(r.Recs) == 0:
		return nil, wait
	case !r.full && left > 0 && (!d.ended || d.waiting > 0):
		return nil, min(wait, left)
	}
	if left := d.company(now); left > 0 {
		return nil, left
	}
	d.open = d.blank()
	d.flying++
	r.taken, r.queue = now, d.more() == 0
	d.depart(r, now)
	return r, 0
}

// more is how many more requests may be in flight.
func (d *Dispatcher) more() int { return d.window.Size() - d.flying }

// fewPairs is the least window for which requests go two at a time.
const fewPairs = 4

// company says how long the open request waits for another one to go with it: an
// answer that lets both go is not far. A request that is not full does not wait.
func (d *Dispatcher) company(now time.Duration) time.Duration {
	if !d.cfg.Pairs || !d.open.full || d.window.Size() < fewPairs {
		return 0
	}
	if d.more() == 1 && !d.second {
		if d.single == unset {
			d.single = now
		}
		if left := d.single + linger - now; left > 0 {
			return left
		}
	}
	d.second = d.more() > 1
	d.single = unset
	return 0
}

// depart notes when each record was first sent.
func (d *Dispatcher) depart(r *Request, now time.Duration) {
	for _, i := range r.slots {
		s := &d.slots[i]
		if s.tries++; s.tries > 1 {
			continue
		}
		s.first = now
		if d.cfg.Sent != nil {
			d.cfg.Sent(now - s.rec.Due)
		}
	}
}

func (d *Dispatcher) blank() *Request {
	n := len(d.spare)
	if n == 0 {
		return &Request{}
	}
	r := d.spare[n-1]
	d.spare = d.spare[:n-1]
	return r
}

// fill moves records that may be sent into the open request, and tells when
// more may be.
func (d *Dispatcher) fill(now time.Duration) (wait time.Duration) {
	wait = Idle
	if d.waiting == 0 {
		return wait
	}
	d.rate.Level(now)
	d.bytes.Level(now)
	if w := max(d.rate.Wait(float64(min(d.waiting, d.most.Records))), d.bytes.Wait(float64(d.size))); w > 0 {
		return w
	}
	// One shard that has saved up enough makes a request; the others join it.
	going := len(d.open.Recs) > 0
	for i := range d.shards {
		w := d.ready(&d.shards[i], now)
		wait = min(wait, w)
		going = going || w == 0
	}
	if !going {
		return wait
	}
	wait = Idle
	for range d.shards {
		if d.turn++; d.turn >= len(d.shards) {
			d.turn = 0
		}
		w, more := d.draw(&d.shards[d.turn], now)
		wait = min(wait, w)
		if !more {
			break
		}
	}
	return wait
}

// ready says how long until it is worth a request to send to sh; 0: now.
func (d *Dispatcher) ready(sh *shard, now time.Duration) time.Duration {
	if sh.waiting == 0 {
		return Idle
	}
	if sh.until > now {
		return sh.until - now
	}
	if due := d.slots[d.head(sh)].rec.Due; due > now {
		return due - now
	}
	sh.recover(now)
	sh.records.Level(now)
	sh.bytes.Level(now)
	return max(sh.records.Wait(float64(sh.waiting)), sh.bytes.Wait(ShardBytes))
}

// draw moves what sh may send into the open request. It returns when sh has
// more, and whether the request and the rate have room for others.
func (d *Dispatcher) draw(sh *shard, now time.Duration) (wait time.Duration, more bool) {
	if sh.waiting == 0 || sh.until > now {
		return d.ready(sh, now), true
	}
	r := d.open
	records, bytes := sh.records.Level(now), sh.bytes.Level(now)
	for sh.waiting > 0 {
		i := d.head(sh)
		rec := &d.slots[i].rec
		n := rec.Size()
		switch {
		case rec.Due > now:
			return rec.Due - now, true
		case records < 1:
			return sh.records.Wait(float64(sh.waiting)), true
		case bytes <= 0:
			return sh.bytes.Wait(ShardBytes), true
		case d.rate.Level(now) < 1 || d.bytes.Level(now) <= 0:
			return max(d.rate.Wait(float64(d.waiting)), d.bytes.Wait(float64(d.size))), false
		case len(r.Recs) > 0 && r.Bytes+n > d.most.RequestBytes:
			r.full = true
			return 0, false
		}
		d.unqueue(sh)
		if len(r.Recs) == 0 {
			r.began = now
		}
		r.Recs, r.slots, r.Bytes = append(r.Recs, *rec), append(r.slots, i), r.Bytes+n
		d.slots[i].state = stateFlying
		sh.records.Take(1)
		sh.bytes.Take(float64(n))
		d.rate.Take(1)
		d.bytes.Take(float64(n))
		records, bytes = records-1, bytes-float64(n)
		if len(r.Recs) >= d.most.Records {
			r.full = true
			return 0, false
		}
	}
	return Idle, true
}

package batch

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"kreplay/pkg/pace"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// A Shard says what went into a shard. Throttled counts attempts at records
// whose key leads there by the map of that time.
type Shard struct {
	ID                        string
	Records, Bytes, Throttled uint64
	Users                     []uint32 // who bring much of its records, those who bring most first
}

// shard is a queue with its limits.
//
// When a shard throttles although it is within its nominal limits, another
// producer writes to it. What is left for us shows between two throttles: at
// both the shard was used up, so what it took from one to the other is what it
// gives. The limit becomes a little less than that, and grows again, slowly at
// first, faster the longer all goes well.
type shard struct {
	total   Shard
	heat    heat
	queue   list // in order of seq
	again   keyedHeap
	waiting int

	nominal        float64 // records a second; 0: nobody knows one
	records, bytes pace.Bucket

	limit     float64 // records a second; 0: none
	base      float64 // limit after the last throttle
	struck    time.Duration
	recovered time.Duration // when the limit grew last
	gained    float64       // records since struck; bytes count as the records they keep out
	seen      float64       // attempts made since struck
	missed    float64       // of these, those refused

	dry     time.Duration // since when it has refused all
	asked   time.Duration // when that was last seen
	until   time.Duration // backoff
	strikes int

	hit, got, gotBytes int // of the request that is being settled
}

// newShard returns the shard with a part of the limits; 0: without limits.
func newShard(id string, part float64, now time.Duration) shard {
	s := shard{total: Shard{ID: id}, queue: empty, struck: unset, dry: unset, nominal: part * ShardRecords, limit: part * ShardRecords}
	if part > 0 {
		s.records = pace.NewSteadyBucket(part*ShardRecords, now)
		s.bytes = pace.NewSteadyBucket(part*ShardBytes, now)
	}
	return s
}

const (
	floor       = 10                     // records a second of a whole shard: less would find out too late that there is room again
	growth      = 0.01                   // of the nominal limit a second
	growFaster  = 5 * time.Second        // after each the growth doubles
	margin      = 0.95                   // of what the shard gave
	luckShare   = 0.05                   // without nominal limits fewer refusals mean nothing
	strikeEvery = 250 * time.Millisecond // likewise more often
)

// answer learns from a request that was taken at that time.
func (s *shard) answer(now, taken time.Duration, luck *rand.Rand) {
	if s.hit+s.got == 0 {
		return
	}
	// Of few records one refused says little.
	refused := float64(s.hit) / max(float64(s.hit+s.got), s.limit*pace.Saving.Seconds()/2)
	s.gained += max(float64(s.got), float64(s.gotBytes)*ShardRecords/ShardBytes)
	if s.got > 0 && taken >= s.struck {
		s.strikes = 0
	}
	s.asked = now
	switch {
	case s.got > 0:
		s.dry = unset
	case s.dry == unset:
		s.dry = now
	}
	hit, got := s.hit, s.got
	if taken >= s.struck {
		s.seen, s.missed = s.seen+float64(hit+got), s.missed+float64(hit)
	}
	s.hit, s.got, s.gotBytes = 0, 0, 0
	if hit == 0 || s.struck != unset && taken < s.struck {
		return // an older request tells nothing new
	}
	if s.nominal > 0 || got == 0 {
		s.strikes++
		s.until = now + backoff(s.strikes-1, luck.Int64N)
	}
	switch {
	case s.nominal > 0:
		s.strike(now, refused)
	case s.missed >= luckShare*s.seen && (s.struck == unset || now-s.struck >= strikeEvery):
		s.strikeAll(now)
	}
}

// strikeAll lowers the limit of shards that nobody can tell from each other, to
// what they took: some of them refuse while others have room.
func (s *shard) strikeAll(now time.Duration) {
	if s.limit == 0 {
		s.limit = s.seen / max((now-max(s.struck, 0)).Seconds(), 0.001)
	}
	limit := s.limit * max(1-s.missed/s.seen, 0.1)
	s.struck, s.recovered, s.gained, s.seen, s.missed = now, now, 0, 0, 0
	s.setLimit(max(limit, floor), now)
	s.base = s.limit
}

// strike lowers the limit.
func (s *shard) strike(now time.Duration, refused float64) {
	gave := s.gained / max((now-max(s.struck, 0)).Seconds(), 0.001)
	least, most := s.limit*(1-0.6*refused), s.limit*max(margin, 1-refused)
	limit := least
	if s.struck != unset {
		limit = min(max(gave*margin, least), most)
	}
	s.struck, s.recovered, s.gained = now, now, 0
	s.setLimit(max(limit, floor*s.nominal/ShardRecords), now)
	s.base = s.limit
}

func (s *shard) setLimit(limit float64, now time.Duration) {
	s.limit = limit
	s.records.SetRate(limit, now)
	if s.nominal > 0 {
		s.bytes.SetRate(limit*ShardBytes/ShardRecords, now)
	}
}

// recover lets the limit grow up to now.
func (s *shard) recover(now time.Duration) {
	if s.struck == unset || s.limit == s.nominal || now-s.recovered < 10*time.Millisecond {
		return
	}
	of := s.nominal
	if of == 0 {
		of = 4 * s.base
	}
	step := growth * of * (now - s.recovered).Seconds() * math.Exp2(float64((now-s.struck)/growFaster))
	s.recovered = now
	switch limit := s.limit + step; {
	case s.nominal > 0:
		s.setLimit(min(limit, s.nominal), now)
	case limit > 16*s.base:
		s.setLimit(0, now)
	default:
		s.setLimit(limit, now)
	}
}

// routeKey remembers where the last key led: the next record often has it too.
type routeKey struct {
	key, hash string
	shard     int32
	valid     bool
}

func (d *Dispatcher) route(r *record.Record) (int32, error) {
	if d.routes == nil {
		return 0, nil
	}
	if k := &d.key; k.valid && k.key == r.PartitionKey && k.hash == r.ExplicitHashKey {
		return k.shard, nil
	}
	i, err := d.routes.Route(r)
	if err != nil {
		return 0, err
	}
	d.key = routeKey{r.PartitionKey, r.ExplicitHashKey, int32(i), true}
	return d.key.shard, nil
}

// Route sends records where m says from now on, those too that wait already. A
// shard that was known keeps what has been learned of it.
func (d *Dispatcher) Route(m *stream.Map, now time.Duration) error {
	old := make(map[string]*shard, len(d.shards))
	for i := range d.shards {
		old[d.shards[i].total.ID] = &d.shards[i]
	}
	shards := make([]shard, m.Len())
	for i := range shards {
		id := m.Shard(i).ID
		if was := old[id]; was != nil {
			shards[i] = *was
			shards[i].queue, shards[i].again, shards[i].waiting = empty, nil, 0
			delete(old, id)
			continue
		}
		shards[i] = newShard(id, d.cfg.Share, now)
		if total := d.past[id]; total != nil {
			shards[i].total = *total
			delete(d.past, id)
		}
	}
	for _, was := range old {
		was.total.Users = was.heat.users()
		d.remember(was.total)
	}
	d.routes, d.shards, d.turn, d.key, d.waiting, d.lastPast = m, shards, 0, routeKey{}, 0, nil
	d.recent.refreshed(now)
	return d.reroute()
}

// reroute queues anew all that waited for a shard.
func (d *Dispatcher) reroute() error {
	var queued []int32
	for i := range d.slots {
		s := &d.slots[i]
		if s.state == stateFree {
			continue
		}
		to, err := d.route(&s.rec)
		if err != nil {
			return err
		}
		s.shard = to
		if s.state == stateQueued {
			queued = append(queued, int32(i))
		}
	}
	slices.SortFunc(queued, func(a, b int32) int { return cmp.Compare(d.slots[a].rec.Seq, d.slots[b].rec.Seq) })
	for _, i := range queued {
		d.queue(i)
	}
	return nil
}

// remember adds to what is known of a shard that is not in the map.
func (d *Dispatcher) remember(s Shard) {
	if s.ID == "" || s.Records+s.Throttled == 0 {
		return
	}
	was := d.past[s.ID]
	if was == nil {
		was = &Shard{ID: s.ID}
		d.past[s.ID] = was
	}
	was.Records += s.Records
	was.Bytes += s.Bytes
	was.Throttled += s.Throttled
	was.Users = s.Users
}

// elsewhere counts an ack from a shard other than the one that a record was
// sent to. It is an ack; but the map may be old.
func (d *Dispatcher) elsewhere(id string, bytes int) {
	if d.routes != nil {
		if i, open := d.routes.Index(id); open {
			d.shards[i].total.Records++
			d.shards[i].total.Bytes += uint64(bytes)
			return // sent by an older map, or the map holds both
		}
		d.recent.unexpected = true
	}
	if d.lastPast == nil || d.lastPast.ID != id {
		if d.lastPast = d.past[id]; d.lastPast == nil {
			d.lastPast = &Shard{ID: id}
			d.past[id] = d.lastPast
		}
	}
	d.lastPast.Records++
	d.lastPast.Bytes += uint64(bytes)
}

// Shards returns what went into each shard, by id.
func (d *Dispatcher) Shards() []Shard {
	var all []Shard
	for _, s := range d.past {
		all = append(all, *s)
	}
	for i := range d.shards {
		if s := d.shards[i].total; s.ID != "" {
			s.Users = d.shards[i].heat.users()
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Shard) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Dry names a shard that has refused all for that long, if one has.
func (d *Dispatcher) Dry(now, long time.Duration) (id string, dry bool) {
	for i := range d.shards {
		if s := &d.shards[i]; since(s.dry, min(now, s.asked)) >= long {
			return s.total.ID, true
		}
	}
	return "", false
}

// Hottest is the shard for which most records wait, or, if none does, the one
// that took most; empty: no shard is known.
func (d *Dispatcher) Hottest() string {
	if hot := d.hottest(nil); hot != nil {
		return hot.total.ID
	}
	return ""
}

// hottest is the hottest shard of d and another; nil: there is none.
func (d *Dispatcher) hottest(hot *shard) *shard {
	for i := range d.shards {
		s := &d.shards[i]
		if d.routes != nil && (hot == nil || cmp.Or(cmp.Compare(s.waiting, hot.waiting), cmp.Compare(s.total.Bytes, hot.total.Bytes)) > 0) {
			hot = s
		}
	}
	return hot
}

package batch_test

import (
	"cmp"
	"math/big"
	"slices"
	"testing"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/pace"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// used is which part of a limit a number of records came to. saved is what had
// been saved up before.
func (s *sim) used(n int, limit, saved float64) float64 {
	return (float64(n) - saved) / limit / s.took.Seconds()
}

// At the shards' limits, 40 % of the traffic on one: nearly all is used, and
// nothing is sent twice.
func TestAtTheLimit(t *testing.T) {
	for name, size := range map[string]int{"records": 400, "bytes": 2500} {
		t.Run(name, func(t *testing.T) {
			const n = 40_000
			s := newSim(t, batch.Config{}, 4, 1000)
			s.route()
			recs := s.skewed(n, 0.4, size)
			s.run(recs, nil)
			limit := min(1000, 1_000_000/float64(recs[0].Size()))
			attempts, used := s.once(n), s.used(s.shards[0].got, limit, 0)
			t.Logf("%.3f attempts a record, %.1f %% used, %v", attempts, 100*used, s.took)
			if attempts > 1.02 || used < 0.97 {
				t.Errorf("%.3f attempts a record, %.1f %% used; want at most 1.02, at least 97 %%", attempts, 100*used)
			}
		})
	}
}

// Shards that throttle at a quarter of their limits, which nobody told.
func TestBelowTheLimit(t *testing.T) {
	for _, limit := range []float64{250, 100, 700} {
		const n = 20_000
		s := newSim(t, batch.Config{}, 4, limit)
		s.route()
		recs := s.skewed(n, 0.4, 400)
		s.run(recs, nil)
		attempts, used := s.once(n), s.used(s.shards[0].got, limit, limit)
		t.Logf("%v/s: %.3f attempts a record, %.1f %% used, %v", limit, attempts, 100*used, s.took)
		if attempts > 1.1 || used < 0.9 {
			t.Errorf("%v/s: %.3f attempts a record, %.1f %% used; want at most 1.10, at least 90 %%", limit, attempts, 100*used)
		}
	}
}

// Each of many workers may use a small part of a shard, and what another producer
// leaves of that is smaller yet: no part is too small to be kept to.
func TestManyWorkersBelowTheLimit(t *testing.T) {
	for _, workers := range []float64{10, 50, 100} {
		gives := 950 / workers / 4
		s := newSim(t, batch.Config{Share: 0.95 / workers}, 1, gives)
		s.route()
		n := int(gives * 120)
		s.run(s.skewed(n, 1, 10), nil)
		if attempts := s.once(n); attempts > 1.1 {
			t.Errorf("%v workers: %.2f attempts a record, want at most 1.10", workers, attempts)
		}
	}
}

// Without a map of the shards the same stream is not stormed either.
func TestUnknownShards(t *testing.T) {
	const n = 20_000
	s := newSim(t, batch.Config{}, 4, 250)
	s.run(s.skewed(n, 0.25, 400), nil)
	attempts, used := s.once(n), s.used(n, 1000, 1000)
	t.Logf("%.3f attempts a record, %.1f %% used", attempts, 100*used)
	if attempts > 1.5 || used < 0.9 {
		t.Errorf("%.3f attempts a record, %.1f %% used; want at most 1.5, at least 90 %%", attempts, 100*used)
	}
}

// Another producer takes most of one shard for a while: that shard yields and
// comes back, the others do not notice.
func TestAnotherProducer(t *testing.T) {
	const n = 150_000
	s := newSim(t, batch.Config{}, 4, 1000)
	s.route()
	var before, during, back, after []int
	got := func() (all []int) {
		for _, sh := range s.shards {
			all = append(all, sh.got)
		}
		return all
	}
	s.events = []event{
		{5 * time.Second, func() { before = got(); s.shards[2].rate = 200 }},
		{20 * time.Second, func() { during = got(); s.shards[2].rate = 1000 }},
		{40 * time.Second, func() { back = got() }},
		{45 * time.Second, func() { after = got() }},
	}
	s.run(s.skewed(n, 0.25, 400), nil)
	attempts := s.once(n)
	rate := func(from, to []int, i int, seconds float64) float64 { return float64(to[i]-from[i]) / seconds }
	t.Logf("attempts %.3f; shard 2: %.0f/s of 200, then %.0f/s; shard 0: %.0f/s", attempts, rate(before, during, 2, 15), rate(back, after, 2, 5), rate(before, during, 0, 15))
	if r := rate(before, during, 2, 15); attempts > 1.05 || r < 180 {
		t.Errorf("%.3f attempts a record, %.0f a second of 200", attempts, r)
	}
	if r := rate(back, after, 2, 5); r < 950 {
		t.Errorf("the shard came back to %.0f a second of 1000 only", r)
	}
}

// A split and a merge in mid-run: nothing is lost, nothing storms.
func TestReshard(t *testing.T) {
	const n = 60_000
	s := newSim(t, batch.Config{}, 2, 1000)
	s.route()
	mid := func(a stream.Shard) (stream.HashKey, stream.HashKey) {
		lo, _ := new(big.Int).SetString(a.First.String(), 10)
		hi, _ := new(big.Int).SetString(a.Last.String(), 10)
		m := new(big.Int).Rsh(new(big.Int).Add(lo, hi), 1)
		end, err1 := stream.ParseHashKey(m.String())
		start, err2 := stream.ParseHashKey(m.Add(m, big.NewInt(1)).String())
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		return end, start
	}
	shard := func(id string, first, last stream.HashKey) *simShard {
		return &simShard{Shard: stream.Shard{ID: id, First: first, Last: last}, rate: 1000, level: 1000, bytes: 1_000_000, filled: s.now}
	}
	var gone []*simShard
	s.events = []event{
		{5 * time.Second, func() {
			was := s.shards[0]
			end, start := mid(was.Shard)
			gone = append(gone, was)
			s.shards = []*simShard{shard("shardId-000000000002", was.First, end), shard("shardId-000000000003", start, was.Last), s.shards[1]}
		}},
		{15 * time.Second, func() {
			gone = append(gone, s.shards[1], s.shards[2])
			s.shards = []*simShard{s.shards[0], shard("shardId-000000000004", s.shards[1].First, s.shards[2].Last)}
		}},
	}
	recs := s.skewed(n, 0.5, 400)
	s.run(recs, nil)
	attempts := s.once(n)
	t.Logf("%.3f attempts a record in %v", attempts, s.took)
	if attempts > 1.05 {
		t.Errorf("%.3f attempts a record, want at most 1.05", attempts)
	}
	if !slices.ContainsFunc(s.routed, func(at time.Duration) bool { return at > 5*time.Second && at < 8*time.Second }) {
		t.Errorf("the map was read at %v, but not after the split", s.routed)
	}
	want := map[string]uint64{}
	for _, sh := range append(gone, s.shards...) {
		want[sh.ID] = uint64(sh.got)
	}
	for _, sh := range s.d.Shards() {
		if want[sh.ID] != sh.Records {
			t.Errorf("%s: %d records counted, %d stored", sh.ID, sh.Records, want[sh.ID])
		}
		delete(want, sh.ID)
	}
	if len(want) > 0 || len(s.shards) != 2 {
		t.Errorf("shards not counted: %v", want)
	}
}

// A new map leads all that waits anew, the key that was routed last too.
func TestRouteForgetsTheLastKey(t *testing.T) {
	s := newSim(t, batch.Config{}, 4, 0)
	s.route()
	recs := s.skewed(1000, 0, 10)
	at3 := slices.IndexFunc(recs, func(r record.Record) bool { return s.shardOf(&r) == s.shards[3] })
	if err := s.d.Offer(&recs[at3]); err != nil {
		t.Fatal(err)
	}
	s.shards = []*simShard{{Shard: stream.Shard{ID: "merged", Last: stream.MaxHashKey}}}
	s.route()
	s.run(nil, nil)
	if got := s.d.Shards(); len(got) != 1 || got[0].Records != 1 {
		t.Errorf("%+v; want the record in the one shard that there is", got)
	}
}

// What a shard took is kept whenever it took it: before it was in the map, in it,
// and when it is no more.
func TestTotalsOutliveTheMap(t *testing.T) {
	s := newSim(t, batch.Config{}, 1, 0)
	route := func(ids ...string) func() {
		return func() {
			even, err := stream.EvenMap(len(ids))
			if err != nil {
				t.Fatal(err)
			}
			var open []stream.Shard
			for i, id := range ids {
				sh := even.Shard(i)
				sh.ID = id
				open = append(open, sh)
			}
			m, err := stream.NewMap(open)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.d.Route(m, s.now); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := s.shards[0].ID
	s.events = []event{{5 * time.Second, route(first)}, {15 * time.Second, route("shardId-000000000007", "shardId-000000000008")}, {35 * time.Second, route(first)}}
	recs := s.skewed(4000, 1, 10)
	for i := range recs {
		recs[i].Due = time.Duration(i) * 10 * time.Millisecond
	}
	s.run(recs, nil)
	for _, sh := range s.d.Shards() {
		if want := uint64(len(recs)); sh.ID == first && sh.Records != want || sh.ID != first && sh.Records > 0 {
			t.Errorf("%s: %d records counted of %d, all of them in %s", sh.ID, sh.Records, want, first)
		}
	}
}

// A schedule at 10,000 a second, half of what the shards take: records go when
// they are due, never before, and each second has what it should.
func TestSchedule(t *testing.T) {
	const perSecond, seconds = 10_000, 4
	var slips []time.Duration
	s := newSim(t, batch.Config{Sent: func(slip time.Duration) { slips = append(slips, slip) }}, 20, 1000)
	s.route()
	recs := s.skewed(perSecond*seconds, 0.05, 400)
	for i := range recs {
		recs[i].Due = time.Duration(i) * time.Second / perSecond
	}
	s.run(recs, nil)
	if attempts := s.once(len(recs)); attempts > 1.001 {
		t.Errorf("%.3f attempts a record", attempts)
	}
	slices.Sort(slips)
	p99 := slips[len(slips)*99/100]
	t.Logf("slip p50 %v, p99 %v, max %v", slips[len(slips)/2], p99, slips[len(slips)-1])
	if slips[0] < 0 || p99 > 10*time.Millisecond || len(slips) != len(recs) {
		t.Errorf("slips of %d records from %v, p99 %v; want of all, none below 0, at most 10ms", len(slips), slips[0], p99)
	}
	for sec := range seconds {
		if got := s.perSec[sec]; got < perSecond*99/100 || got > perSecond*101/100 {
			t.Errorf("second %d: %d records, want %d", sec, got, perSecond)
		}
	}
}

// A ceiling is never passed, in any window, by more than what a tenth of a
// second saves up; and it is used.
func TestCeiling(t *testing.T) {
	const n = 50_000
	ramp, err := pace.RampRate(1000, 9000, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := pace.ConstantRate(2_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		cfg batch.Config
		sum func(from, to time.Duration) float64 // records
	}{
		"records": {batch.Config{Rate: ramp}, func(from, to time.Duration) float64 { return ramp.Sum(to) - ramp.Sum(from) }},
		"bytes":   {batch.Config{ByteRate: bytes}, func(from, to time.Duration) float64 { return (bytes.Sum(to) - bytes.Sum(from)) / 410 }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, tc.cfg, 2, 0)
			type sent struct {
				at time.Duration
				n  int
			}
			var all []sent
			recs := s.skewed(n, 0.5, 400)
			s.run(recs, func(r *batch.Request) { all = append(all, sent{s.now, len(r.Recs)}) })
			s.once(n)
			for i := range all {
				sum := 0
				for _, b := range all[i:min(i+100, len(all))] {
					sum += b.n
					if most := tc.sum(all[i].at, b.at) + tc.sum(b.at, b.at+pace.Saving) + tc.sum(all[i].at, all[i].at+4*time.Millisecond) + 1; float64(sum) > most*1.01 {
						t.Fatalf("%d records from %v to %v, at most %.0f", sum, all[i].at, b.at, most)
					}
				}
			}
			last := all[len(all)-1].at
			if want := tc.sum(0, last); want > n*1.02 {
				t.Errorf("%d records in %v, where %.0f could have been", n, last, want)
			}
		})
	}
}

// A user's records go one by one, in order, whatever is refused.
func TestOrdered(t *testing.T) {
	const n, users = 20_000, 400
	s := newSim(t, batch.Config{Ordered: true}, 4, 1000)
	s.route()
	recs := s.skewed(n, 0.4, 100)
	s.answer = func(_ *record.Record, o *record.Outcome) {
		if s.luck.IntN(50) == 0 {
			*o = record.Outcome{Code: "InternalFailure"}
		}
	}
	s.call = func([]record.Record) *record.Outcome {
		if s.luck.IntN(30) == 0 {
			return &record.Outcome{Fate: record.Unknown, Code: "reset"}
		}
		return nil
	}
	s.events = []event{{3 * time.Second, func() { s.shards[1].rate = 100 }}, {4 * time.Second, s.route}}
	s.run(recs, func(r *batch.Request) {
		for _, rec := range r.Recs {
			if s.users[rec.ID.User] != 0 {
				t.Fatalf("two records of user %d in flight", rec.ID.User)
			}
		}
	})
	s.once(n)
	for user, seqs := range s.order {
		if !slices.IsSorted(seqs) {
			t.Errorf("user %d: stored in the order %v", user, seqs)
		}
	}
}

// Ordered records too go when they are due, or when the one before has been
// answered; they do not stand behind other users' that are due later.
func TestOrderedSchedule(t *testing.T) {
	var worst time.Duration
	s := newSim(t, batch.Config{Ordered: true, Sent: func(slip time.Duration) { worst = max(worst, slip) }}, 2, 0)
	s.latency = func() time.Duration { return 5 * time.Millisecond }
	recs := s.skewed(1000, 0.5, 10)
	for i := range recs {
		user, k := i/20, i%20
		recs[i].ID.User, recs[i].Due = uint32(user), time.Duration(user)*100*time.Millisecond+time.Duration(k)*20*time.Millisecond
	}
	slices.SortStableFunc(recs, func(a, b record.Record) int { return cmp.Compare(a.Due, b.Due) })
	for i := range recs {
		recs[i].Seq = uint64(i)
	}
	s.run(recs, nil)
	if s.once(1000); worst > 20*time.Millisecond {
		t.Errorf("a record went %v late", worst)
	}
}

// Where the window is what holds requests back, they go two at a time, which costs
// no time; a pair is waited for no longer than a request for more records.
func TestPairs(t *testing.T) {
	const n = 100_000
	for _, requests := range []int{2, 8} {
		var took [2]time.Duration
		for i, pairs := range []bool{false, true} {
			s := newSim(t, batch.Config{Requests: requests, Pairs: pairs}, 1, 0)
			var sent []time.Duration
			s.run(s.skewed(n, 1, 100), func(*batch.Request) { sent = append(sent, s.now) })
			together := 0
			for j := 1; j < len(sent); j++ {
				if sent[j] == sent[j-1] {
					together += 2
				}
			}
			if took[i] = s.took; pairs && requests == 8 && together < len(sent)*3/4 {
				t.Errorf("%d of %d requests went with another one", together, len(sent))
			}
		}
		if took[1] > took[0]*115/100 || requests < 4 && took[1] != took[0] {
			t.Errorf("%d in flight: in pairs it takes %v, else %v", requests, took[1], took[0])
		}
	}
}

// A pair is waited for no longer than a request for more records, and not by one
// that is not full: here all but one in flight hang.
func TestAPairIsNotWaitedForLong(t *testing.T) {
	s := newSim(t, batch.Config{Requests: 4, Pairs: true}, 1, 0)
	calls := 0
	s.latency = func() time.Duration {
		if calls++; calls <= 3 {
			return time.Minute
		}
		return 5 * time.Millisecond
	}
	recs := s.skewed(100*batch.MaxRecords+1, 1, 100)
	last := &recs[len(recs)-1]
	last.Due = 2 * time.Second
	s.run(recs, func(r *batch.Request) {
		want := time.Duration(calls-3) * 8 * time.Millisecond
		if len(r.Recs) == 1 {
			want = last.Due
		}
		if calls > 3 && s.now > want {
			t.Errorf("request %d goes at %v, want %v at the latest", calls+1, s.now, want)
		}
	})
}

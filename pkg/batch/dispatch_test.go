package batch_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// world draws a dispatcher, a stream and what goes wrong with it.
func world(t *testing.T, rt *rapid.T) (s *sim, cfg batch.Config, recs []record.Record) {
	share := func(name string) float64 { return float64(max(0, rapid.IntRange(-30, 60).Draw(rt, name))) / 100 }
	cfg = batch.Config{
		Limits:   batch.Limits{Records: rapid.IntRange(1, 20).Draw(rt, "request"), RequestBytes: rapid.IntRange(300, 3000).Draw(rt, "bytes"), RecordBytes: 300},
		Records:  rapid.IntRange(1, 200).Draw(rt, "held"),
		Bytes:    rapid.IntRange(300, 30_000).Draw(rt, "size"),
		Requests: rapid.IntRange(1, 6).Draw(rt, "requests"),
		Hold:     rapid.Bool().Draw(rt, "hold"), Ordered: rapid.Bool().Draw(rt, "ordered"),
		Attempts: rapid.IntRange(1, 8).Draw(rt, "attempts"), Seed: rapid.Uint64().Draw(rt, "seed"), Pairs: rapid.Bool().Draw(rt, "pairs"),
	}
	s = newSim(t, cfg, rapid.IntRange(1, 5).Draw(rt, "shards"), float64(rapid.SampledFrom([]int{0, 0, 50, 300, 2000}).Draw(rt, "rate")))
	s.luck = rand.New(rand.NewPCG(cfg.Seed, 1))
	if rapid.Bool().Draw(rt, "routed") {
		s.route()
	}
	refused, unknown, broken, large := share("refused"), share("unknown"), share("broken"), rapid.IntRange(2, 30).Draw(rt, "large")
	s.answer = func(_ *record.Record, o *record.Outcome) {
		switch x := s.luck.Float64(); {
		case x < refused:
			*o = record.Outcome{Fate: record.Refused, Code: stream.CodeShard}
		case x < refused+unknown*(1-refused):
			*o = record.Outcome{Code: "InternalFailure"}
		}
	}
	s.call = func(recs []record.Record) *record.Outcome {
		switch {
		case len(recs) > large:
			return &record.Outcome{Fate: record.Refused, Code: "too-large", Err: stream.ErrTooLarge}
		case s.luck.Float64() >= broken:
			return nil
		}
		return &record.Outcome{Fate: record.Fate(2 * s.luck.IntN(2)), Code: []string{"timeout", "throttled", "reset"}[s.luck.IntN(3)]}
	}
	recs = s.skewed(rapid.IntRange(0, 400).Draw(rt, "n"), 0.5, 280)
	var due time.Duration
	for i := range recs {
		recs[i].ID.User %= 7
		recs[i].Data = recs[i].Data[:s.luck.IntN(280)]
		if s.luck.IntN(3) == 0 {
			due += time.Duration(s.luck.IntN(20)) * time.Millisecond
		}
		recs[i].Due = due
	}
	return s, cfg, recs
}

// Whatever happens, every record is sent until it is acked or given up, never
// after, never before it is due, never twice at a time; no request breaks a limit.
func TestDispatcherConserves(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, cfg, recs := world(t, rt)
		tries, flying, users := map[uint64]int{}, map[uint64]bool{}, map[uint32]uint64{}
		over := map[uint64]bool{} // acked, or given up
		settled := func() {
			for seq := range flying {
				if s.acked[seq] > 0 {
					over[seq] = true
				}
			}
		}
		s.run(recs, func(r *batch.Request) {
			settled()
			bytes := 0
			if len(s.flight) >= cfg.Requests || len(r.Recs) > cfg.Limits.Records || len(r.Recs) == 0 {
				rt.Fatalf("%d requests in flight before one of %d records", len(s.flight), len(r.Recs))
			}
			for _, rec := range r.Recs {
				bytes += rec.Size()
				tries[rec.Seq]++
				flying[rec.Seq] = true
				switch {
				case over[rec.Seq]:
					rt.Fatalf("record %d is sent after it was acked", rec.Seq)
				case cfg.Hold && s.unknown[rec.Seq]:
					rt.Fatalf("record %d is sent again although nobody knows its fate", rec.Seq)
				case rec.Due > s.now:
					rt.Fatalf("record %d is sent at %v, and due at %v", rec.Seq, s.now, rec.Due)
				case tries[rec.Seq] > cfg.Attempts:
					rt.Fatalf("record %d is sent %d times, at most %d", rec.Seq, tries[rec.Seq], cfg.Attempts)
				case cfg.Ordered && s.users[rec.ID.User] > 0:
					rt.Fatalf("two records of user %d in flight", rec.ID.User)
				case cfg.Ordered && rec.Seq < users[rec.ID.User]:
					rt.Fatalf("user %d: record %d after %d", rec.ID.User, rec.Seq, users[rec.ID.User])
				}
				users[rec.ID.User] = rec.Seq
			}
			if bytes != r.Bytes || bytes > cfg.Limits.RequestBytes {
				rt.Fatalf("a request of %d bytes that says %d, at most %d", bytes, r.Bytes, cfg.Limits.RequestBytes)
			}
		})
		counts := s.d.Counts()
		if got := counts.Acked + counts.GivenUp; got != uint64(len(recs)) || int(counts.Acked) != len(s.acked) {
			rt.Fatalf("%d acked (%d by the stream) + %d given up of %d", counts.Acked, len(s.acked), counts.GivenUp, len(recs))
		}
		for _, rec := range recs {
			if s.acked[rec.Seq] > 1 || s.acked[rec.Seq] == 0 && !cfg.Hold && tries[rec.Seq] != cfg.Attempts {
				rt.Fatalf("record %d: acked %d times in %d attempts of %d", rec.Seq, s.acked[rec.Seq], tries[rec.Seq], cfg.Attempts)
			}
		}
		var inShards, bytes uint64
		for _, sh := range s.d.Shards() {
			inShards, bytes = inShards+sh.Records, bytes+sh.Bytes
		}
		if sum := counts.Acked + counts.Refused + counts.Unknown; int(sum) != s.tries || inShards != counts.Acked || bytes != counts.Bytes {
			rt.Fatalf("%d attempts counted of %d; %d records and %d bytes in shards, %d and %d acked", sum, s.tries, inShards, bytes, counts.Acked, counts.Bytes)
		}
	})
}

// Each record is let go of once: when it is over, or when its data is copied.
func TestChunksAreLetGo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, _, recs := world(t, rt)
		if rapid.Bool().Draw(rt, "slow") { // more wait for a shard than are left where they are
			s = newSim(t, batch.Config{Limits: batch.Limits{Records: 500, RequestBytes: 1 << 20, RecordBytes: 1 << 20}, Requests: 4}, 1, 100)
			s.route()
		}
		var chunk *record.Chunk
		for i := range recs {
			if i%100 == 0 {
				chunk = record.NewChunk()
			}
			recs[i].Chunk = chunk
		}
		s.run(recs, func(*batch.Request) {})
		for i := 0; i < len(recs); i += 100 {
			recs[i].Chunk.Made(min(100, len(recs)-i)) // panics if there were more
			if !over(recs[i].Chunk) {
				rt.Fatalf("records %d to %d are over, and their chunk is still in use", i, i+100)
			}
		}
	})
}

// A shard that stands still keeps few chunks in memory, which hold records of
// others too; also where its records wait for another one of their user.
func TestAStuckShardKeepsFewChunks(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		s := newSim(t, batch.Config{Ordered: ordered}, 8, 0)
		s.route()
		stuck := true
		s.answer = func(r *record.Record, o *record.Outcome) {
			if stuck && s.shardOf(r) == s.shards[0] {
				*o = record.Outcome{Fate: record.Refused, Code: stream.CodeShard}
			}
		}
		recs, chunks := make([]record.Record, 20_000), []*record.Chunk{}
		for i := range recs { // of 80 users by turns
			if i%100 == 0 {
				chunks = append(chunks, record.NewChunk())
				chunks[len(chunks)-1].Made(100)
			}
			user := uint32(i % 80)
			recs[i] = record.Record{Seq: uint64(i), ID: record.ID{User: user, Event: uint32(i)}, PartitionKey: fmt.Sprint("user-", user), Data: []byte("x"), Chunk: chunks[len(chunks)-1]}
		}
		s.events = []event{{5 * time.Minute, func() { // all others have been sent
			used := 0
			for _, c := range chunks {
				if !over(c) {
					c.Done(-1) // as it was
					used++
				}
			}
			if left := len(recs) - len(s.acked); used > 60 || left < 1000 {
				t.Errorf("ordered: %v: %d of %d chunks are in use, for %d records", ordered, used, len(chunks), left)
			}
			stuck = false
		}}}
		s.run(recs, nil)
	}
}

// Who no longer waits for another record of a user is not copied for it.
func TestWhatDoesNotWaitIsNotCopied(t *testing.T) {
	s := newSim(t, batch.Config{Records: 400, Ordered: true}, 2, 0)
	s.route()
	recs := s.skewed(3000, 0.5, 10)
	first := make([]*byte, len(recs))
	for i := range recs {
		recs[i].ID.User = uint32(max(i, 350)) // 350 of one user, who come one by one
		recs[i].Due = time.Duration(i) * 10 * time.Millisecond
		if i < 350 {
			recs[i].Due = 0
		}
		first[i] = &recs[i].Data[0]
	}
	s.run(recs, func(r *batch.Request) {
		for i := range r.Recs {
			if rec := &r.Recs[i]; rec.Seq > 2000 && &rec.Data[0] != first[rec.Seq] {
				t.Fatalf("record %d was copied", rec.Seq)
			}
		}
	})
}

// over says whether nobody uses c: then to let go of it once more is a fault.
func over(c *record.Chunk) (over bool) {
	defer func() { over = recover() != nil }()
	c.Done(1)
	return false
}

// What is full is not offered to, and what is offered is in bounds.
func TestRoom(t *testing.T) {
	lim := batch.Limits{Records: 500, RequestBytes: 1000, RecordBytes: 100}
	d := batch.New(batch.Config{Limits: lim, Records: 3})
	r := record.Record{PartitionKey: "k", Data: make([]byte, 10)}
	for i := range 5 {
		if got, want := d.Room(), i < 3; got != want {
			t.Errorf("room for record %d: %v, want %v", i, got, want)
		}
		if err := d.Offer(&r); err != nil {
			t.Fatal(err)
		}
	}
	r.Data = make([]byte, 100)
	if err := batch.New(batch.Config{Limits: lim}).Offer(&r); !errors.Is(err, batch.ErrTooLarge) {
		t.Errorf("a record over the limit: %v", err)
	}
}

// A dead stream: the waits grow and are spread, the load falls, and after so
// many attempts or so long a record is given up.
func TestGivingUp(t *testing.T) {
	for name, o := range map[string]record.Outcome{
		"throttled shard": {Fate: record.Refused, Code: stream.CodeShard},
		"throttled call":  {Fate: record.Refused, Code: stream.CodeThrottled},
		"no answer":       {Fate: record.Unknown, Code: "timeout"},
		"failed entry":    {Fate: record.Unknown, Code: "InternalFailure"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, batch.Config{Attempts: 20}, 2, 0)
			s.route()
			s.answer = func(_ *record.Record, out *record.Outcome) { *out = o }
			s.latency = func() time.Duration { return time.Millisecond }
			s.run(s.skewed(100, 0.5, 10), nil)
			counts := s.d.Counts()
			shard := o.Code == stream.CodeShard
			if _, dry := s.d.Dry(s.now, 5*time.Second); dry != shard {
				t.Errorf("a shard that refuses all: %v", dry)
			}
			// A shard that refuses all is tried with a record at a time, by all of them together.
			long, tries := 100*time.Second, 2000
			if shard {
				long, tries = batch.DefaultAge+time.Minute, s.tries
			}
			if counts.GivenUp != 100 || s.tries != tries || s.tries > 2000 || s.now < 10*time.Second || s.now > long {
				t.Errorf("%d given up after %d attempts in %v; want 100, %d, 10s to %v", counts.GivenUp, s.tries, s.now, tries, long)
			}
			old := newSim(t, batch.Config{Age: 3 * time.Second}, 2, 0)
			old.answer = func(_ *record.Record, out *record.Outcome) { *out = o }
			old.run(old.skewed(100, 0.5, 10), nil)
			if got := old.d.Counts().GivenUp; got != 100 || old.now < 3*time.Second || !shard && old.now > time.Minute {
				t.Errorf("%d given up in %v; want 100 in 3s and what a backoff takes", got, old.now)
			}
		})
	}
}

// It is known how long there has been nothing but throttles, or no answer.
func TestHealth(t *testing.T) {
	s := newSim(t, batch.Config{}, 1, 0)
	kind := record.Outcome{Fate: record.Refused, Code: stream.CodeShard}
	s.answer = func(_ *record.Record, o *record.Outcome) {
		if kind.Code != "" {
			*o = kind
		}
	}
	type look struct{ throttled, failing bool }
	var got []look
	see := func() { got = append(got, look{s.d.Throttled(s.now) > time.Second, s.d.Failing(s.now) > time.Second}) }
	s.events = []event{
		{5 * time.Second, func() { see(); kind = record.Outcome{Fate: record.Unknown, Code: "reset"} }},
		{25 * time.Second, func() { see(); kind = record.Outcome{} }},
		{50 * time.Second, see},
	}
	recs := s.skewed(10, 1, 10)
	recs[9].Due = time.Minute
	s.run(recs, nil)
	if want := []look{{true, false}, {false, true}, {false, false}}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("throttled and failing: %v, want %v", got, want)
	}
}

// A request that the way is too narrow for is sent in halves, whether it is
// records or bytes that are too many.
func TestTooLargeIsSplit(t *testing.T) {
	for name, tooLarge := range map[string]func(records, bytes int) bool{
		"records": func(records, _ int) bool { return records > 100 },
		"bytes":   func(_, bytes int) bool { return bytes > 200_000 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, batch.Config{Requests: 1}, 1, 0)
			refused := 0
			s.call = func(recs []record.Record) *record.Outcome {
				bytes := 0
				for _, r := range recs {
					bytes += r.Size()
				}
				if !tooLarge(len(recs), bytes) {
					return nil
				}
				refused++
				return &record.Outcome{Fate: record.Refused, Code: "too-large", Err: stream.ErrTooLarge}
			}
			recs := s.skewed(3000, 1, 10)
			recs[0].Data = make([]byte, 100_000)
			for i := 1500; i < 1600; i++ {
				recs[i].Data = make([]byte, 10_000)
			}
			s.run(recs, nil)
			if s.once(3000); refused > 3 {
				t.Errorf("%d requests were too large", refused)
			}
		})
	}
}

// The records of a call that brought no answer wait before they are sent again,
// spread over 25 ms; the others do not wait for them.
func TestFailedCallWaitsAlone(t *testing.T) {
	var waits []time.Duration
	for seed := range uint64(200) {
		s := newSim(t, batch.Config{Seed: seed, Requests: 4, Limits: batch.Limits{Records: 10, RequestBytes: 1000, RecordBytes: 100}}, 1, 0)
		s.latency = func() time.Duration { return time.Millisecond }
		first := true
		var others time.Duration
		s.call = func(recs []record.Record) *record.Outcome {
			if !first {
				return nil
			}
			first = false
			return &record.Outcome{Code: "reset"}
		}
		s.run(s.skewed(100, 1, 10), func(r *batch.Request) {
			if first {
				return
			}
			if r.Recs[0].Seq == 0 {
				waits = append(waits, s.now-time.Millisecond)
			} else {
				others = s.now
			}
		})
		if others > 20*time.Millisecond {
			t.Fatalf("the last of the others went at %v", others)
		}
	}
	slices.Sort(waits)
	if n := len(waits); n != 200 || waits[n/4] < 2*time.Millisecond || waits[n/2] < 8*time.Millisecond || waits[n-1] < 22*time.Millisecond || waits[n-1] > 28*time.Millisecond {
		t.Errorf("waits of %d: a quarter below %v, half below %v, all below %v; want them spread over 25ms", n, waits[n/4], waits[n/2], waits[n-1])
	}
}

// A shard that refuses is left alone, longer each time; the others go on.
func TestBackoffIsTheShards(t *testing.T) {
	s := newSim(t, batch.Config{}, 2, 0)
	s.route()
	dead := s.shards[0].ID
	s.answer = func(r *record.Record, o *record.Outcome) {
		if o.Shard == dead && s.now < time.Minute {
			*o = record.Outcome{Fate: record.Refused, Code: stream.CodeShard}
		}
	}
	requests, early := 0, 0
	var othersDone time.Duration
	recs := s.skewed(10_000, 0.5, 10)
	s.run(recs, func(r *batch.Request) {
		for i := range r.Recs {
			if s.shardOf(&r.Recs[i]).ID != dead {
				othersDone = s.now
				continue
			}
			if s.now < time.Minute {
				requests++
				if s.now < 10*time.Second {
					early++
				}
			}
			break
		}
	})
	s.once(10_000)
	if requests > 80 || early < requests/4 || othersDone > 8*time.Second {
		t.Errorf("%d requests to a dead shard in a minute, %d of them in the first 10 s; the others were done at %v", requests, early, othersDone)
	}
}

// Offer, take and settle of a record, without and with shards.
func BenchmarkDispatcher(b *testing.B) {
	for name, routed := range map[string]bool{"one way": false, "64 shards": true} {
		b.Run(name, func(b *testing.B) {
			s := newSim(b, batch.Config{Requests: 8}, 64, 0)
			if routed {
				s.route()
			}
			recs := s.skewed(500, 1.0/64, 400)
			outs := make([]record.Outcome, 500)
			for i := range outs {
				outs[i] = record.Outcome{Fate: record.Acked, Shard: "shardId-000000000000"}
			}
			b.ReportAllocs()
			for b.Loop() {
				s.now += 500 * time.Millisecond
				for i := range recs {
					recs[i].Seq += 500
					if err := s.d.Offer(&recs[i]); err != nil {
						b.Fatal(err)
					}
				}
				r, _ := s.d.Take(s.now)
				if r == nil || len(r.Recs) != 500 {
					b.Fatal("not all are taken")
				}
				s.d.Settle(s.now, r, outs)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(500*b.N), "ns/record")
		})
	}
}

// A user who brings half of the records is named with the shard that they go
// to, and with no other; users who bring little are not.
func TestHotUserIsNamed(t *testing.T) {
	s := newSim(t, batch.Config{Limits: batch.Limits{Records: 500, RequestBytes: 1 << 20, RecordBytes: 1 << 20}, Requests: 4, Share: 1}, 4, 1000)
	s.route()
	recs := s.skewed(8000, 0, 100)
	hot := recs[0]
	for i := range recs {
		recs[i].ID.User = uint32(i)
		if i%2 == 0 {
			recs[i].ID.User, recs[i].PartitionKey = 7, hot.PartitionKey
		}
	}
	s.run(recs, func(*batch.Request) {})
	want := s.shardOf(&hot).ID
	for _, sh := range s.d.Shards() {
		if named := slices.Equal(sh.Users, []uint32{7}); named != (sh.ID == want) || !named && len(sh.Users) > 0 {
			t.Errorf("shard %s is heated by users %v; user 7 heats %s", sh.ID, sh.Users, want)
		}
	}
}

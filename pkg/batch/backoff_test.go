package batch_test

import (
	"testing"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// oneByOne are limits by which every record is a request.
var oneByOne = batch.Limits{Records: 1, RequestBytes: 1000, RecordBytes: 1000}

// An entry that fails waits longer each time, whatever its shard takes meanwhile,
// among others in its requests or alone.
func TestFailedEntryWaitsLongerEachTime(t *testing.T) {
	for _, every := range []time.Duration{2 * time.Millisecond, 20 * time.Millisecond} { // linger is 3 ms
		s := newSim(t, batch.Config{Requests: 2, Attempts: 10}, 1, 0)
		s.route()
		s.latency = func() time.Duration { return time.Millisecond }
		s.answer = func(r *record.Record, o *record.Outcome) {
			if r.Seq == 0 {
				*o = record.Outcome{Code: "InternalFailure"}
			}
		}
		recs := s.skewed(int(8*time.Second/every), 1, 10)
		for i := range recs {
			recs[i].Due = time.Duration(i) * every
		}
		var tries []time.Duration
		s.run(recs, func(r *batch.Request) {
			for i := range r.Recs {
				if r.Recs[i].Seq == 0 {
					tries = append(tries, s.now)
				}
			}
		})
		if len(tries) != 10 || tries[3] > 250*time.Millisecond || tries[9] < 2*time.Second {
			t.Errorf("a record every %v: %d attempts at %v; want 10, the fourth within 250 ms, the last after 2 s or more", every, len(tries), tries)
		}
	}
}

// Calls that fail now and then, with answers between them, hold the others up
// no longer each time.
func TestFailuresCountInARow(t *testing.T) {
	s := newSim(t, batch.Config{Requests: 1, Limits: batch.Limits{Records: 10, RequestBytes: 1000, RecordBytes: 100}}, 1, 0)
	s.latency = func() time.Duration { return time.Millisecond }
	calls := 0
	s.call = func([]record.Record) *record.Outcome {
		if calls++; calls%3 > 0 {
			return nil
		}
		return &record.Outcome{Code: "reset"}
	}
	s.run(s.skewed(1000, 1, 10), nil)
	if s.once(1000); s.now > time.Second {
		t.Errorf("%d calls, of which every third failed, took %v; want a second at most", calls, s.now)
	}
}

// A call that is throttled as a whole holds all others up, the first one too.
func TestThrottledCallHoldsUpAll(t *testing.T) {
	s := newSim(t, batch.Config{Requests: 1, Limits: oneByOne}, 1, 0)
	s.latency = func() time.Duration { return time.Millisecond }
	s.call = func([]record.Record) *record.Outcome {
		if s.now > 0 {
			return nil
		}
		return &record.Outcome{Fate: record.Refused, Code: stream.CodeThrottled}
	}
	var sent []time.Duration
	s.run(s.skewed(10, 1, 10), func(*batch.Request) { sent = append(sent, s.now) })
	if s.once(10); sent[1] < 2*time.Millisecond || sent[1] > 26*time.Millisecond {
		t.Errorf("sent at %v; want the second one 25 ms after the answer to the first at most, and not at once", sent)
	}
}

// Requests that are in flight together and all refused are one reason for a
// shard to be left alone, not as many as they are.
func TestRefusedTogetherIsRefusedOnce(t *testing.T) {
	s := newSim(t, batch.Config{Requests: 8, Limits: oneByOne}, 1, 0)
	s.route()
	s.latency = func() time.Duration { return time.Second }
	s.answer = func(_ *record.Record, o *record.Outcome) {
		if s.now == 0 {
			*o = record.Outcome{Fate: record.Refused, Code: stream.CodeShard}
		}
	}
	var sent []time.Duration
	s.run(s.skewed(20, 1, 10), func(*batch.Request) { sent = append(sent, s.now) })
	if s.once(20); sent[7] > 0 || sent[8] > 1025*time.Millisecond {
		t.Errorf("sent at %v; want eight at once, and the next within 25 ms of their answers", sent)
	}
}

// Acks of what was sent before a shard refused do not end its backoff.
func TestOldAcksEndNoBackoff(t *testing.T) {
	d := batch.New(batch.Config{Requests: 8, Limits: oneByOne})
	m, err := stream.EvenMap(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Route(m, 0); err != nil {
		t.Fatal(err)
	}
	var now time.Duration
	var old []*batch.Request
	for len(old) < 8 {
		if err := d.Offer(&record.Record{Seq: uint64(len(old)), PartitionKey: "k"}); err != nil {
			t.Fatal(err)
		}
		r, _ := d.Take(now)
		old = append(old, r)
	}
	refused := []record.Outcome{{Fate: record.Refused, Code: stream.CodeShard}}
	d.Settle(now, old[0], refused)
	for _, acked := range old[1:] { // each of them just after a refusal
		r, wait := d.Take(now)
		for ; r == nil; r, wait = d.Take(now) {
			now += wait
		}
		d.Settle(now, r, refused)
		d.Settle(now, acked, []record.Outcome{{Fate: record.Acked, Shard: m.Shard(0).ID}})
	}
	if now < 500*time.Millisecond { // seven waits of 25 ms come to 175
		t.Errorf("a shard that refuses is tried 8 times in %v; want half a second or more", now)
	}
}

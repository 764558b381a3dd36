package batch_test

import (
	"testing"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// A stream that refuses for a quarter of an hour, as an on-demand one may while
// it grows, costs no record, whatever it says meanwhile.
func TestAStreamThatGrowsLosesNothing(t *testing.T) {
	for name, refusal := range map[string]record.Outcome{
		"throttled shard": {Fate: record.Refused, Code: stream.CodeShard},
		"throttled call":  {Fate: record.Refused, Code: stream.CodeThrottled},
		"failed entry":    {Fate: record.Unknown, Code: "InternalFailure"},
	} {
		for _, routed := range []bool{true, false} {
			s := newSim(t, batch.Config{}, 2, 0)
			if routed {
				s.route()
			}
			s.answer = func(_ *record.Record, o *record.Outcome) {
				if s.now < 15*time.Minute {
					*o = refusal
				}
			}
			s.run(s.skewed(500, 0.5, 10), nil)
			if n := s.d.Counts().GivenUp; n > 0 {
				t.Errorf("%s, map read: %v: %d records were given up after %v; they are kept for %v", name, routed, n, s.now, batch.DefaultAge)
			}
		}
	}
}

// holding sends requests of a record each, and those of unknown fate once.
var holding = batch.Config{Hold: true, Requests: 8, Limits: oneByOne}

// A time in which nothing is tried is not one in which nothing is answered.
func TestNothingTriedIsNotFailing(t *testing.T) {
	for _, o := range []record.Outcome{{Fate: record.Unknown, Code: "reset"}, {Fate: record.Refused, Code: stream.CodeThrottled}} {
		cfg := holding
		cfg.Age = time.Second // then what is refused is given up
		s := newSim(t, cfg, 1, 0)
		s.answer = func(_ *record.Record, out *record.Outcome) { *out = o }
		recs := s.skewed(4, 1, 10)
		recs[3].Due = 10 * time.Minute
		s.events = []event{{6 * time.Minute, func() {
			if failing, throttled := s.d.Failing(s.now), s.d.Throttled(s.now); failing > 10*time.Second || throttled > 10*time.Second {
				t.Errorf("failing for %v, throttled for %v; nothing has been tried since the first seconds", failing, throttled)
			}
		}}}
		s.run(recs, nil)
	}
}

// A call that hangs is tried.
func TestACallThatHangsIsFailing(t *testing.T) {
	s := newSim(t, holding, 1, 0)
	s.answer = func(_ *record.Record, o *record.Outcome) { *o = record.Outcome{Fate: record.Unknown, Code: "reset"} }
	calls := 0
	s.latency = func() time.Duration {
		if calls++; calls == 4 {
			return 10 * time.Minute
		}
		return time.Millisecond
	}
	recs := s.skewed(4, 1, 10)
	recs[3].Due = time.Second
	s.events = []event{{6 * time.Minute, func() {
		if failing := s.d.Failing(s.now); failing < 5*time.Minute {
			t.Errorf("failing for %v; nothing has been answered for 6m", failing)
		}
	}}}
	s.run(recs, nil)
}

// Nor is it one in which a shard refuses.
func TestNothingTriedIsNoDryShard(t *testing.T) {
	s := newSim(t, holding, 2, 0)
	s.route()
	tries := 0
	s.answer = func(_ *record.Record, o *record.Outcome) {
		switch tries++; tries {
		case 1:
			*o = record.Outcome{Fate: record.Refused, Code: stream.CodeShard}
		case 2:
			*o = record.Outcome{Fate: record.Unknown, Code: "InternalFailure"} // held
		}
	}
	recs := s.skewed(2, 1, 10)
	recs[1].Due = time.Hour
	s.events = []event{{30 * time.Minute, func() {
		if id, dry := s.d.Dry(s.now, 20*time.Minute); dry {
			t.Errorf("%s has refused all for 20 minutes; it was asked twice, in the first second", id)
		}
	}}}
	s.run(recs, nil)
	if tries != 3 {
		t.Errorf("%d attempts, want 3", tries)
	}
}

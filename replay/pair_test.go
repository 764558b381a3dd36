package replay_test

import (
	"context"
	"sync/atomic"
	"testing"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// twoByTwo counts what is readied one by one and in pairs, whatever the processor.
type twoByTwo struct {
	*kinesis.Client
	alone, pairs atomic.Int64
}

func (s *twoByTwo) Pairs() bool { return true }

func (s *twoByTwo) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	s.alone.Add(1)
	return s.Client.Put(ctx, recs)
}

func (s *twoByTwo) Pair(a, b []record.Record) (putA, putB func(context.Context) ([]record.Outcome, error)) {
	s.pairs.Add(1)
	return s.Client.Pair(a, b)
}

// As fast as it goes, full requests are readied in pairs, and each is an attempt
// of its own; what is sent again fills few.
func TestRequestsGoInPairs(t *testing.T) {
	for name, faults := range map[string]local.Faults{"clean": {}, "faults": {Seed: 1, LostPercent: 5, ResetPercent: 2, FailPercent: 1, FailStoredPercent: 1}} {
		t.Run(name, func(t *testing.T) {
			var sink twoByTwo
			p := push(t, smoke(t, 2000, "stream.limits.requests=8"), local.Config{Faults: faults}, func(to *replay.PushConfig, _ *local.Pipeline, c *kinesis.Client) {
				sink.Client = c
				to.Target.Sink = &sink
			})
			if p.err != nil || p.led.Totals().Acked != 40*2000 || p.led.Check() != nil {
				t.Fatal(p.err, p.led)
			}
			if pairs := sink.pairs.Load(); pairs < 20 {
				t.Errorf("%d pairs and %d requests alone, of 160 that are full", pairs, sink.alone.Load())
			}
		})
	}
}

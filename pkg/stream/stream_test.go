package stream_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errStop = errors.New("stop")

// memory stores two records of three, whatever comes.
type memory struct {
	mu     sync.Mutex
	calls  int
	stored int
}

func (m *memory) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]record.Outcome, len(recs))
	for i, r := range recs {
		m.calls++
		switch {
		case ctx.Err() != nil:
			out[i] = record.Outcome{ID: r.ID, Fate: record.Refused, Code: "canceled", Err: ctx.Err()}
		case m.calls%3 == 0:
			out[i] = record.Outcome{ID: r.ID, Fate: record.Refused, Code: "throttled", Err: errStop}
		default:
			m.stored++
			out[i] = record.Outcome{ID: r.ID, Fate: record.Acked, Shard: "0"}
		}
	}
	return out, nil
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stored
}

// The suite takes a sink that keeps the contract.
func TestMemoryIsASink(t *testing.T) {
	streamtest.Sink(t, func(*testing.T) (stream.Sink, func() int) {
		m := new(memory)
		return m, m.count
	})
}

// Throttles are told from other refusals.
func TestThrottled(t *testing.T) {
	for code, want := range map[string]bool{
		stream.CodeShard: true, stream.CodeThrottled: true, "KMSThrottlingException": true, "LimitExceededException": true,
		"InternalFailure": false, "": false, "http-400": false,
	} {
		if got := stream.Throttled(code); got != want {
			t.Errorf("%q: %v, want %v", code, got, want)
		}
	}
}

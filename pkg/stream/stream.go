// Package stream sends batches to a stream and says what became of each record.
package stream

import (
	"context"
	"errors"

	"kreplay/pkg/record"
)

// A Sink puts batches. Implementations are safe for concurrent use.
type Sink interface {
	// Put sends recs in one request and returns one Outcome per record, in
	// order, whatever the error. A non-nil error concerns the call as a whole
	// and sending again cannot help: the caller stops. A record that was
	// refused, or whose fate is unknown, is an Outcome, not an error. Once Put has
	// returned, recs and their data are the caller's, who may use them anew.
	Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error)
}

// A Recycler is a Sink that writes outcomes where others stood before: those of
// 500 records are 36 KB of garbage a request.
type Recycler interface {
	// Recycle takes back what Put returned. The caller looks at it no more, and
	// has nobody else do so. Outcomes that are not given back cost their memory.
	Recycle(outs []record.Outcome)
}

// A Pairer is a Sink that readies two requests at a time for less than one by one.
type Pairer interface {
	// Pairs says whether it does, on this machine.
	Pairs() bool
	// Pair readies a and b, and returns the Put of each, to be called once at most.
	Pair(a, b []record.Record) (putA, putB func(context.Context) ([]record.Outcome, error))
}

// ErrTooLarge is the error of outcomes whose request had too many records or
// bytes: they are refused, and fewer of them at a time need not be.
var ErrTooLarge = errors.New("request is too large")

// CodeThrottled is the code of outcomes where a call was throttled as a whole.
const CodeThrottled = "throttled"

// CodeShard is the code of an entry whose shard takes no more this second
// (aws-sdk-go-v2 kinesis v1.56.12, api_op_PutRecords.go).
const CodeShard = "ProvisionedThroughputExceededException"

// Throttled says whether an outcome's code is that of a throughput limit.
func Throttled(code string) bool {
	switch code {
	case CodeShard, CodeThrottled, "ThrottlingException", "LimitExceededException", "KMSThrottlingException", "Throttling", "RequestLimitExceeded":
		return true
	}
	return false
}

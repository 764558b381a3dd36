// Package batch packs records into PutRecords requests. It does no I/O, reads no
// clock and starts no goroutine: timing belongs to the caller.
package batch

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"kreplay/pkg/record"
)

// Limits of PutRecords (aws-sdk-go-v2 kinesis v1.56.12, api_op_PutRecords.go and
// api_op_UpdateMaxRecordSize.go; sizes count data and partition keys).
const (
	MaxRecords         = 500
	MaxRequestBytes    = 10 << 20
	DefaultRecordBytes = 1 << 20
	MaxKeyRunes        = 256
	MaxKeyBytes        = MaxKeyRunes * utf8.UTFMax
)

// ErrTooLarge reports a record that no request can hold.
var ErrTooLarge = errors.New("record exceeds the stream's limit")

// ErrKey reports a partition key that is empty or too long.
var ErrKey = errors.New("partition key must have 1 to 256 characters")

// Limits bound one request.
type Limits struct {
	Records      int // records a request
	RequestBytes int // data and keys of a request
	RecordBytes  int // data and key of a record
}

// A Batcher accumulates records until the next one would break a limit. It is
// not safe for concurrent use.
type Batcher struct {
	lim   Limits
	recs  []record.Record
	bytes int
}

// New returns an empty Batcher.
func New(lim Limits) *Batcher { return &Batcher{lim: lim} }

// Add takes r. When r does not fit beside what is held, Add returns the held
// records as a full batch and starts the next one with r.
func (b *Batcher) Add(r record.Record) (full []record.Record, err error) {
	n := r.Size()
	if most := min(b.lim.RecordBytes, b.lim.RequestBytes); n > most {
		return nil, fmt.Errorf("batch: record %v: %d bytes, at most %d: %w", r.ID, n, most, ErrTooLarge)
	}
	if c := utf8.RuneCountInString(r.PartitionKey); c < 1 || c > MaxKeyRunes {
		return nil, fmt.Errorf("batch: record %v: key of %d characters: %w", r.ID, c, ErrKey)
	}
	if len(b.recs) >= b.lim.Records || b.bytes+n > b.lim.RequestBytes {
		full = b.Flush()
	}
	b.recs, b.bytes = append(b.recs, r), b.bytes+n
	return full, nil
}

// Flush returns what is held, possibly nil, and empties b.
func (b *Batcher) Flush() []record.Record {
	out := b.recs
	b.recs, b.bytes = nil, 0
	return out
}

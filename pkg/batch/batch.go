// Package batch packs records into PutRecords requests, under every limit: those
// of a request, of a shard, and of the rate. It does no I/O, reads no clock and
// starts no goroutine: the time since the push began is passed in.
package batch

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
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

// Check says why no request can hold r; nil: one can.
func (l Limits) Check(r *record.Record) error {
	if n, most := r.Size(), min(l.RecordBytes, l.RequestBytes); n > most {
		return fmt.Errorf("batch: record %v: %d bytes, at most %d: %w", r.ID, n, most, ErrTooLarge)
	}
	if r.ExplicitHashKey != "" {
		if _, err := stream.ParseHashKey(r.ExplicitHashKey); err != nil {
			return fmt.Errorf("batch: record %v: explicit %w", r.ID, err)
		}
	}
	if n := len(r.PartitionKey); n > 0 && n <= MaxKeyRunes {
		return nil // no more characters than bytes
	}
	if n := utf8.RuneCountInString(r.PartitionKey); n < 1 || n > MaxKeyRunes {
		return fmt.Errorf("batch: record %v: key of %d characters: %w", r.ID, n, ErrKey)
	}
	return nil
}

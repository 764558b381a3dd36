package batch_test

import (
	"errors"
	"strings"
	"testing"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

func TestLimitsRefuse(t *testing.T) {
	small := batch.Limits{Records: 500, RequestBytes: batch.MaxRequestBytes, RecordBytes: 10}
	wide := batch.Limits{Records: 500, RequestBytes: batch.MaxRequestBytes, RecordBytes: batch.DefaultRecordBytes}
	for _, tc := range []struct {
		name string
		lim  batch.Limits
		r    record.Record
		want error
	}{
		{"a byte too many", small, record.Record{PartitionKey: "kk", Data: make([]byte, 9)}, batch.ErrTooLarge},
		{"no key", small, record.Record{Data: make([]byte, 9)}, batch.ErrKey},
		{"just fits", small, record.Record{PartitionKey: "k", Data: make([]byte, 9)}, nil},
		{"256 characters of two bytes", wide, record.Record{PartitionKey: strings.Repeat("é", 256)}, nil},
		{"257 characters", wide, record.Record{PartitionKey: strings.Repeat("k", 257)}, batch.ErrKey},
		{"no hash key", wide, record.Record{PartitionKey: "k", ExplicitHashKey: "01"}, stream.ErrHashKey},
		{"the last hash key", wide, record.Record{PartitionKey: "k", ExplicitHashKey: stream.MaxHashKey.String()}, nil},
		{"over a request", batch.Limits{RequestBytes: 5, RecordBytes: 10}, record.Record{PartitionKey: "k", Data: make([]byte, 5)}, batch.ErrTooLarge},
	} {
		if err := tc.lim.Check(&tc.r); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

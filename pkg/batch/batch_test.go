package batch_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/batch"
	"kreplay/pkg/record"
)

// Whatever goes in comes out once and in order; no batch breaks a limit; none is cut early.
func TestBatcherConserves(t *testing.T) {
	lim := batch.Limits{Records: 5, RequestBytes: 300, RecordBytes: 200}
	rapid.Check(t, func(t *rapid.T) {
		b, next := batch.New(lim), uint64(0)
		check := func(recs []record.Record, follower int) {
			bytes := 0
			for _, r := range recs {
				if r.Seq != next {
					t.Fatalf("record %d came out where %d was due", r.Seq, next)
				}
				next++
				bytes += r.Size()
			}
			if len(recs) > lim.Records || bytes > lim.RequestBytes {
				t.Fatalf("a batch of %d records, %d bytes breaks %+v", len(recs), bytes, lim)
			}
			if follower > 0 && len(recs) < lim.Records && bytes+follower <= lim.RequestBytes {
				t.Fatalf("a batch of %d records, %d bytes was cut although %d more fit", len(recs), bytes, follower)
			}
		}
		sizes := rapid.SliceOf(rapid.IntRange(0, 199)).Draw(t, "sizes")
		for i, n := range sizes {
			r := record.Record{Seq: uint64(i), PartitionKey: "k", Data: make([]byte, n)}
			full, err := b.Add(r)
			if err != nil {
				t.Fatal(err)
			}
			if full != nil {
				check(full, r.Size())
			}
		}
		check(b.Flush(), 0)
		if next != uint64(len(sizes)) {
			t.Fatalf("%d records came out, want %d", next, len(sizes))
		}
	})
}

func TestAddRefuses(t *testing.T) {
	b := batch.New(batch.Limits{Records: 500, RequestBytes: batch.MaxRequestBytes, RecordBytes: 10})
	for _, tc := range []struct {
		name string
		r    record.Record
		want error
	}{
		{"a byte too many", record.Record{PartitionKey: "kk", Data: make([]byte, 9)}, batch.ErrTooLarge},
		{"no key", record.Record{Data: make([]byte, 9)}, batch.ErrKey},
		{"just fits", record.Record{PartitionKey: "k", Data: make([]byte, 9)}, nil},
	} {
		if _, err := b.Add(tc.r); !errors.Is(err, tc.want) {
			t.Errorf("%s: Add = %v, want %v", tc.name, err, tc.want)
		}
	}
	wide := batch.New(batch.Limits{Records: 500, RequestBytes: batch.MaxRequestBytes, RecordBytes: batch.DefaultRecordBytes})
	if _, err := wide.Add(record.Record{PartitionKey: strings.Repeat("é", 256)}); err != nil {
		t.Errorf("256 characters of two bytes: %v, want none", err)
	}
	if _, err := wide.Add(record.Record{PartitionKey: strings.Repeat("k", 257)}); !errors.Is(err, batch.ErrKey) {
		t.Errorf("257 characters: %v, want ErrKey", err)
	}
}

package batch_test

import (
	"fmt"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/pace"
	"kreplay/pkg/record"
)

// Three records, at most two a second. The caller brings the time and the stream.
func ExampleDispatcher() {
	rate, err := pace.ConstantRate(2)
	if err != nil {
		fmt.Println(err)
		return
	}
	d := batch.New(batch.Config{
		Limits: batch.Limits{Records: batch.MaxRecords, RequestBytes: batch.MaxRequestBytes, RecordBytes: batch.DefaultRecordBytes},
		Rate:   rate, Requests: 4,
	})
	for seq := range uint64(3) {
		if err := d.Offer(&record.Record{Seq: seq, PartitionKey: "user-1", Data: []byte("login")}); err != nil {
			fmt.Println(err)
			return
		}
	}
	d.End()
	for now := time.Duration(0); !d.Done(); {
		r, wait := d.Take(now)
		if r == nil {
			now += wait
			continue
		}
		fmt.Println(now.Round(100*time.Millisecond), len(r.Recs))
		d.Settle(now, r, []record.Outcome{{Fate: record.Acked, Shard: "shardId-000000000000"}})
	}
	// Output:
	// 0s 1
	// 500ms 1
	// 1s 1
}

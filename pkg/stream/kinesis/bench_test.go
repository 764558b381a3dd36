package kinesis_test

import (
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

// 500 records of 400 bytes a call, 8 calls in flight, to local without limits;
// client and server share the machine. sdk is the SDK's own loop with its retries.
func BenchmarkPut(b *testing.B) {
	const size, batch = 400, 500
	recs := streamtest.Records(0, batch, size)
	b.Run("client", func(b *testing.B) {
		p := serve(b, local.Config{Retain: 32 << 20})
		c := kinesis.New(config(p.URL()), streamName, kinesis.Options{Requests: 8})
		b.Cleanup(c.Close)
		inFlight(b, func() int {
			out, err := c.Put(b.Context(), recs)
			if err != nil {
				b.Error(err)
			}
			return streamtest.Fates(out)[record.Acked]
		})
		b.ReportMetric(float64(stored(p)-b.N*batch), "extra")
	})
	b.Run("sdk", func(b *testing.B) {
		p := serve(b, local.Config{Retain: 32 << 20})
		c := sdk.NewFromConfig(config(p.URL()))
		name := streamName
		inFlight(b, func() int {
			in := &sdk.PutRecordsInput{StreamName: &name, Records: make([]types.PutRecordsRequestEntry, len(recs))}
			for i := range recs {
				in.Records[i] = types.PutRecordsRequestEntry{Data: recs[i].Data, PartitionKey: &recs[i].PartitionKey}
			}
			out, err := c.PutRecords(b.Context(), in)
			if err != nil {
				b.Error(err)
				return 0
			}
			return len(out.Records) - int(*out.FailedRecordCount)
		})
		b.ReportMetric(float64(stored(p)-b.N*batch), "extra")
	})
}

// inFlight measures put, which is called by 8 goroutines and returns how many of 500 were stored.
func inFlight(b *testing.B, put func() int) {
	turns := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range turns {
				if n := put(); n != 500 {
					b.Errorf("%d of 500 stored", n)
				}
			}
		})
	}
	b.SetBytes(500 * 400)
	b.ReportAllocs()
	for b.Loop() {
		turns <- struct{}{}
	}
	close(turns)
	wg.Wait()
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
}

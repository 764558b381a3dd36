//go:build unix

package replay_test

import (
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/batch"
	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

const (
	benchUsers    = 5000 // 40 records each: enough that the syncs of a run directory do not count
	benchInFlight = 8    // requests
)

// Both send the smoke scenario's records to local without limits, on the same
// cores: kreplay generates, batches, sends and accounts for each attempt; sdk is
// the stock client with its own retries, on records that were made before. extra
// counts the rows beyond one a record.
func BenchmarkPush(b *testing.B) {
	recs, size := made(b)
	b.Run("kreplay", func(b *testing.B) {
		pipe := start(b, local.Config{Retain: 32 << 20}, nil)
		client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: benchInFlight})
		defer client.Close()
		dir, n := b.TempDir(), 0
		job := smoke(b, benchUsers, fmt.Sprintf("stream.limits.requests=%d", benchInFlight))
		perRecord(b, len(recs), size, func() {
			n++
			led, err := replay.Push(b.Context(), job, pushConfig(filepath.Join(dir, fmt.Sprint(n)), client, ""))
			if err != nil || led.Totals().Acked != uint64(len(recs)) {
				b.Fatal(led, err)
			}
		})
		b.ReportMetric(float64(stored(pipe)-b.N*len(recs)), "extra")
	})
	b.Run("sdk", func(b *testing.B) {
		pipe := start(b, local.Config{Retain: 32 << 20}, nil)
		client := sdk.NewFromConfig(sdkConfig(pipe.URL()))
		perRecord(b, len(recs), size, func() { plainLoop(b, client, slices.Values(recs)) })
		b.ReportMetric(float64(stored(pipe)-b.N*len(recs)), "extra")
	})
}

// plainLoop is what one writes with the SDK alone.
func plainLoop(b *testing.B, client *sdk.Client, recs iter.Seq[record.Record]) {
	requests := make(chan []record.Record)
	var senders sync.WaitGroup
	for range benchInFlight {
		senders.Go(func() {
			for recs := range requests {
				in := &sdk.PutRecordsInput{StreamName: aws.String(streamName)}
				for i := range recs {
					in.Records = append(in.Records, types.PutRecordsRequestEntry{Data: recs[i].Data, PartitionKey: &recs[i].PartitionKey})
				}
				if out, err := client.PutRecords(b.Context(), in); err != nil || *out.FailedRecordCount > 0 {
					b.Error(out, err)
				}
			}
		})
	}
	part := make([]record.Record, 0, batch.MaxRecords)
	for r := range recs {
		if part = append(part, r); len(part) == batch.MaxRecords {
			requests <- part
			part = make([]record.Record, 0, batch.MaxRecords)
		}
	}
	if len(part) > 0 {
		requests <- part
	}
	close(requests)
	senders.Wait()
}

// Verify reads the lake's objects, tells which record each row is, and settles
// the account, on one core.
func BenchmarkVerify(b *testing.B) {
	for _, delimiter := range []string{"", "\n"} {
		b.Run(fmt.Sprintf("delimiter=%q", delimiter), func(b *testing.B) {
			job, dir := smoke(b, benchUsers, "stream.newline=false"), b.TempDir()
			run, lake := filepath.Join(dir, "run"), filepath.Join(dir, "lake")
			pipe := start(b, local.Config{Lake: lake, Compression: "gzip", Delimiter: delimiter, BufferInterval: time.Hour}, nil)
			client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{})
			defer client.Close()
			if _, err := replay.Push(b.Context(), job, pushConfig(run, client, lake)); err != nil {
				b.Fatal(err)
			}
			if err := pipe.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			recs, size := made(b)
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			perRecord(b, len(recs), size, func() {
				res, err := replay.Verify(b.Context(), replay.VerifyConfig{Dir: run, Quiet: time.Nanosecond, Max: time.Second, Afresh: true})
				if err != nil {
					b.Fatal(err)
				}
				if rep := res.Report(); rep.Verdict != report.Pass || res.Stages[0].Tally.Delivered != uint64(len(recs)) {
					b.Fatal(rep.Verdict, rep.Reasons)
				}
			})
		})
	}
}

// perRecord measures do, which handles n records of size bytes. cpu-ns/record is
// of the whole process, and does not depend on what else the machine does.
func perRecord(b *testing.B, n int, size int64, do func()) {
	b.SetBytes(size)
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		do()
	}
	all := float64(b.N * n)
	b.ReportMetric(float64(cpu(b)-before)/all, "cpu-ns/record")
	b.ReportMetric(all/b.Elapsed().Seconds(), "records/s")
}

// cpu is what the process has used so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// made returns the records of a benchmark and the bytes of their data.
func made(b *testing.B) (recs []record.Record, size int64) {
	plan, err := smoke(b, benchUsers).Plan(generate.Run{})
	if err != nil {
		b.Fatal(err)
	}
	for r := range plan.Records(generate.Slice{}) {
		recs, size = append(recs, r), size+int64(len(r.Data))
	}
	return recs, size
}

func stored(p *local.Pipeline) (n int) {
	for _, c := range p.Counts() {
		n += int(c.Records)
	}
	return n
}

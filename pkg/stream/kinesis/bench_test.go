package kinesis_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

const benchSize, benchBatch, benchInFlight = 400, 500, 8

// putters are the client and, beside it in the same run, the SDK's own loop.
func putters(b *testing.B, url string) map[string]func() int {
	recs := streamtest.Records(0, benchBatch, benchSize)
	put := func(wire kinesis.Wire) func() int {
		c := kinesis.New(config(url), streamName, kinesis.Options{Requests: benchInFlight, Wire: wire})
		b.Cleanup(c.Close)
		return func() int {
			out, err := c.Put(b.Context(), recs)
			if err != nil {
				b.Error(err)
			}
			return streamtest.Fates(out)[record.Acked]
		}
	}
	own := sdk.NewFromConfig(config(url))
	name := streamName
	return map[string]func() int{
		"client": put(kinesis.JSON),
		"cbor":   put(kinesis.CBOR),
		"sdk": func() int {
			in := &sdk.PutRecordsInput{StreamName: &name, Records: make([]types.PutRecordsRequestEntry, len(recs))}
			for i := range recs {
				in.Records[i] = types.PutRecordsRequestEntry{Data: recs[i].Data, PartitionKey: &recs[i].PartitionKey}
			}
			out, err := own.PutRecords(b.Context(), in)
			if err != nil {
				b.Error(err)
				return 0
			}
			return len(out.Records) - int(*out.FailedRecordCount)
		},
	}
}

// 500 records of 400 bytes a call, 8 calls in flight, to local without limits;
// client and server share the process.
func BenchmarkPut(b *testing.B) {
	for _, name := range []string{"client", "cbor", "sdk"} {
		b.Run(name, func(b *testing.B) {
			p := serve(b, local.Config{Retain: 32 << 20})
			inFlight(b, putters(b, p.URL())[name])
			b.ReportMetric(float64(stored(p)-b.N*benchBatch), "extra")
		})
	}
}

// The same to a server in another process that stores nothing: user and system
// time of this process a record.
func BenchmarkClientCPU(b *testing.B) {
	url := nullServer(b)
	for _, name := range []string{"client", "sdk"} {
		b.Run(name, func(b *testing.B) {
			put := putters(b, url)[name]
			if n := put(); n != benchBatch {
				b.Fatalf("%d of %d stored", n, benchBatch)
			}
			before := cpu(b)
			inFlight(b, put)
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N*benchBatch), "cpu-ns/record")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// inFlight measures put, which is called by 8 goroutines and returns how many of 500 were stored.
func inFlight(b *testing.B, put func() int) {
	turns := make(chan struct{})
	var wg sync.WaitGroup
	for range benchInFlight {
		wg.Go(func() {
			for range turns {
				if n := put(); n != benchBatch {
					b.Errorf("%d of %d stored", n, benchBatch)
				}
			}
		})
	}
	b.SetBytes(benchBatch * benchSize)
	b.ReportAllocs()
	for b.Loop() {
		turns <- struct{}{}
	}
	close(turns)
	wg.Wait()
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "records/s")
}

// nullServerEnv makes the test binary a server that acks 500 records a request and keeps none.
const nullServerEnv = "KREPLAY_TEST_NULL_SERVER"

func nullServer(b *testing.B) (url string) {
	server := exec.CommandContext(b.Context(), os.Args[0])
	server.Env = append(os.Environ(), nullServerEnv+"=1")
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	alive, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = alive.Close()
		_ = server.Wait()
	})
	url, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// serveNothing answers until stdin ends.
func serveNothing() error {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var entries []string
	for i := range benchBatch {
		entries = append(entries, fmt.Sprintf(`{"SequenceNumber":"4957%052d","ShardId":"shardId-%012d"}`, i, i%4))
	}
	answer := `{"EncryptionType":"NONE","FailedRecordCount":0,"Records":[` + strings.Join(entries, ",") + `]}`
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = ln.Close()
	}()
	if _, err := fmt.Printf("http://%s\n", ln.Addr()); err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = io.WriteString(w, answer)
	})}
	return server.Serve(ln)
}

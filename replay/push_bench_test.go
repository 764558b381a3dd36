//go:build unix

package replay_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// wide is the smoke scenario with records of about 400 bytes.
func wide(b testing.TB, users int, set ...string) *replay.Job {
	b.Helper()
	files := editable(b)
	for name, f := range files {
		if !strings.HasSuffix(name, ".ndjson") {
			continue
		}
		var out []byte
		for line := range bytes.Lines(f.Data) {
			line = bytes.TrimRight(bytes.TrimSpace(line), "}")
			out = fmt.Appendf(out, "%s,\"pad\":%q}\n", line, strings.Repeat("x", 185))
		}
		f.Data = out
	}
	job, err := replay.Check(files, "smoke", append(set, fmt.Sprintf("population.users=%d", users)))
	if err != nil {
		b.Fatal(err)
	}
	return job
}

// elsewhere serves the embedded pipeline without limits in a process of its own.
func elsewhere(b *testing.B) (url string) {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	child := exec.CommandContext(b.Context(), exe, server, "stdin")
	out, err := child.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	alive, err := child.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = alive.Close()
		_ = child.Wait()
	})
	url, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// peak is the most memory that the process has had so far, in MB.
func peak(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseFloat(strings.Fields(kb)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return n / 1000
		}
	}
	return 0
}

// Records of 400 bytes, generated, sent over loopback to another process, acked
// and accounted for: user and system time of this process alone, and its memory.
func BenchmarkPushClient(b *testing.B) {
	const users = 10_000 // 400,000 records
	for _, tc := range []struct {
		name string
		set  []string
		wire kinesis.Wire
	}{
		{"plain", nil, kinesis.JSON},
		{"cbor", nil, kinesis.CBOR},
		{"scheduled", []string{"time.speedup=1000000"}, kinesis.JSON},
		{"ordered", []string{"stream.order=user"}, kinesis.JSON},
	} {
		b.Run(tc.name, func(b *testing.B) {
			client := kinesis.New(sdkConfig(elsewhere(b)), streamName, kinesis.Options{Requests: benchInFlight, Wire: tc.wire})
			defer client.Close()
			job := wide(b, users, append(tc.set, fmt.Sprintf("stream.limits.requests=%d", benchInFlight))...)
			dir, n := b.TempDir(), 0
			perRecord(b, 40*users, 40*users*400, func() {
				n++
				led, err := replay.Push(b.Context(), job, pushConfig(filepath.Join(dir, fmt.Sprint(n)), client, ""))
				if err != nil || led.Totals().Acked != 40*users {
					b.Fatal(led, err)
				}
			})
			b.ReportMetric(peak(b), "MB-peak")
			size, err := os.Stat(filepath.Join(dir, "1", "ledger.bin"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(size.Size())/(40*users), "ledger-B/record")
		})
	}
}

// The SDK's own loop beside it: the same records out of the same generator, with
// no account of what became of them.
func BenchmarkPushClientSDK(b *testing.B) {
	const users = 10_000
	client := sdk.NewFromConfig(sdkConfig(elsewhere(b)))
	job := wide(b, users)
	plan, err := job.Plan(generate.Run{ID: "sdk"})
	if err != nil {
		b.Fatal(err)
	}
	perRecord(b, 40*users, 40*users*400, func() { plainLoop(b, client, plan.Records(generate.Slice{})) })
	b.ReportMetric(peak(b), "MB-peak")
}

// At the shards' limits, and where shards throttle at a quarter of them: what
// part of the busiest shard's limit is used, and attempts a record.
func BenchmarkPushShardLimit(b *testing.B) {
	for _, limit := range []int{1000, 250} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			for b.Loop() {
				begun := time.Now()
				p := push(b, smoke(b, 500), local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 4}}, Limits: true, ShardRecords: limit}, sharded)
				if p.err != nil {
					b.Fatal(p.err)
				}
				stats, err := replay.ReadStats(p.run)
				if err != nil {
					b.Fatal(err)
				}
				hot := slices.MaxFunc(stats.Shards, func(x, y replay.ShardStats) int { return int(x.Records) - int(y.Records) })
				b.ReportMetric(100*float64(hot.Records)/float64(limit)/time.Since(begun).Seconds(), "%-used")
				b.ReportMetric(float64(p.led.Attempts.Records())/20_000, "attempts/record")
			}
		})
	}
}

// 200,000 records without faults, then with 2 % of the answers lost, 1 % of the
// connections reset behind the store and 0.1 % of the entries failed.
func BenchmarkPushFaults(b *testing.B) {
	for name, faults := range map[string]local.Faults{"clean": {}, "faults": {Seed: 1, LostPercent: 2, ResetPercent: 1, FailPercent: 0.05, FailStoredPercent: 0.05}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p := push(b, smoke(b, benchUsers, "stream.limits.requests=16"), local.Config{Faults: faults, Retain: 32 << 20}, nil)
				if p.err != nil || p.led.Totals().Acked != 40*benchUsers || p.led.Check() != nil {
					b.Fatal(p.err, p.led)
				}
				b.ReportMetric(float64(p.led.Attempts.Records())/(40*benchUsers), "attempts/record")
			}
		})
	}
}

// A schedule of 20,000 records a second on a stream with twice the room: how far
// off a second is at p95, and how late records are at p99.
func BenchmarkPushSchedule(b *testing.B) {
	const users, seconds = 5000, 10 // 200,000 records
	for b.Loop() {
		job := smoke(b, users, "time.arrivals=even", "time.span=10000s", "time.speedup=1000", "stream.limits.requests=16")
		var perSecond [60]int
		turn := make(chan time.Time, 1)
		turn <- time.Time{}
		p := push(b, job, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 40}}, Limits: true, Retain: 32 << 20}, func(to *replay.PushConfig, _ *local.Pipeline, c *kinesis.Client) {
			to.Target.Shards = c.Shards
			to.Target.Sink = sinkFunc(func(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
				begun := <-turn
				if begun.IsZero() {
					begun = time.Now()
				}
				perSecond[min(int(time.Since(begun)/time.Second), len(perSecond)-1)] += len(recs)
				turn <- begun
				return c.Put(ctx, recs)
			})
		})
		stats, err := replay.ReadStats(p.run)
		if err != nil || p.err != nil {
			b.Fatal(err, p.err)
		}
		due, err := dueBySecond(job)
		if err != nil {
			b.Fatal(err)
		}
		var off []float64
		for i := 1; i < seconds; i++ { // users arrive during the first
			off = append(off, 100*abs(float64(perSecond[i]-due[i]))/float64(due[i]))
		}
		slices.Sort(off)
		b.ReportMetric(off[len(off)*95/100], "%-off-p95")
		b.ReportMetric(stats.Slip.P99, "slip-p99-ms")
	}
}

func abs(x float64) float64 { return max(x, -x) }

// dueBySecond counts records by the second in which they are due.
func dueBySecond(job *replay.Job) (perSecond [60]int, err error) {
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		return perSecond, err
	}
	for r := range plan.Records(generate.Slice{}) {
		perSecond[min(int(r.Due/time.Second), len(perSecond)-1)]++
	}
	return perSecond, nil
}

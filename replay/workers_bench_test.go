package replay

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/batch"
	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
	"kreplay/scenarios"
)

// The goal of issue 6 is 100 million records in less than a minute and less than 1 GB:
//
//	go test ./replay -run '^$' -bench ManyWorkers -benchtime 1x -crew.records 100000000
var (
	crewRecords = flag.Uint64("crew.records", 1_000_000, "records of BenchmarkManyWorkers")
	crewWorkers = flag.Uint64("crew.workers", 200, "workers of BenchmarkManyWorkers")
)

// BenchmarkManyWorkers reads the run directories of many workers as one run and
// settles them against rows that are all there: what verify does beside reading
// the lake. One attempt in a thousand got no answer and was made again.
func BenchmarkManyWorkers(b *testing.B) {
	const perUser = 40
	job, err := Check(scenarios.FS, "smoke", []string{fmt.Sprintf("population.users=%d", *crewRecords/perUser)})
	if err != nil {
		b.Fatal(err)
	}
	plan, err := job.Plan(generate.Run{ID: "crew", Anchor: time.Unix(1_790_000_000, 0).UTC()})
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for i := range *crewWorkers {
		synthetic(b, job, plan, filepath.Join(dir, fmt.Sprintf("worker-%d", i+1)), generate.Slice{Index: i + 1, Of: *crewWorkers})
	}
	for b.Loop() {
		begun := time.Now()
		res, err := open([]string{dir}, false)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begun).Seconds(), "s-ledgers")
		acc := account.New(res.Plan)
		seen := time.Now()
		for user := range res.Plan.UsersOf(generate.Slice{}) {
			for event := range uint32(perUser) {
				acc.See(generate.Match{Kind: generate.Planned, User: user, Event: event, Intact: true}, account.Place{})
			}
		}
		b.ReportMetric(time.Since(seen).Seconds(), "s-rows")
		settled := time.Now()
		res.Ledger.look(acc)
		tally, err := acc.Settle(res.Ledger.fates(), true, func(account.Difference) error { return nil })
		if err != nil || tally.Delivered != plan.Total() || res.Ledger.Check() != nil {
			b.Fatalf("%+v, %v, %v", tally.States, err, res.Ledger.Check())
		}
		b.ReportMetric(time.Since(settled).Seconds(), "s-settle")
		_ = acc.Close()
	}
	b.ReportMetric(peakMB(b), "peak-MB")
}

// synthetic leaves the run directory of a worker whose records are all acked.
func synthetic(b *testing.B, job *Job, plan *generate.Plan, dir string, s generate.Slice) {
	b.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := job.snapshot(dir); err != nil {
		b.Fatal(err)
	}
	cfg := PushConfig{RunID: "crew", Slice: s, Target: Target{Stream: "s"}}
	m := manifest(job, plan, cfg, time.Unix(1_790_000_000, 0))
	w, err := ledger.Create(dir, m)
	if err != nil {
		b.Fatal(err)
	}
	recs := make([]record.Record, 0, batch.MaxRecords)
	outs := make([]record.Outcome, batch.MaxRecords)
	send := func(unknown bool) {
		for i := range recs {
			outs[i] = record.Outcome{Fate: record.Acked}
		}
		if unknown {
			outs[0] = record.Outcome{Fate: record.Unknown, Code: "InternalFailure"}
		}
		request, err := w.Begin(recs)
		if err == nil {
			err = w.Answer(request, outs[:len(recs)])
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for seq := uint64(0); seq < m.Planned; {
		recs = recs[:0]
		for len(recs) < batch.MaxRecords && seq < m.Planned {
			recs = append(recs, record.Record{Seq: seq})
			seq++
		}
		again := seq%(2*batch.MaxRecords) == 0
		send(again)
		if again {
			recs = recs[:1]
			send(false)
		}
	}
	if err := w.Close(ledger.Complete); err != nil {
		b.Fatal(err)
	}
}

// peakMB is the most memory that the process had, as the kernel saw it.
func peakMB(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}

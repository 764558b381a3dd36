package account

import (
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// A billion records in less than 300 MB, at 5 million a second and core or more:
//
//	go test ./pkg/account -run '^$' -bench Billion -benchtime 1x -timeout 1h -account.records 1000000000
var billion = flag.Uint64("account.records", 10_000_000, "records of BenchmarkBillion and BenchmarkSee")

// sightings are made up of numbers alone: row n of the lake is a record, and some
// records are lost, there twice or thrice, or mutated.
type sightings struct {
	plan     *generate.Plan
	perUser  uint64
	first    []uint32 // of the class of each event
	alone    []bool   // the event is a class of its own
	window   uint64   // records among which the order is random; a power of two
	rare     uint64   // one record in so many of each kind
	distinct uint64
}

func newSightings(b *testing.B, window uint64) *sightings {
	b.Helper()
	const perUser = 43
	plan := smokePlan(b, int(*billion/perUser))
	s := &sightings{plan: plan, perUser: uint64(plan.Cohort(0).Events), window: 1, distinct: plan.Distinct()}
	for event := range uint32(s.perUser) {
		first := classOf(plan, 0, event)
		s.first = append(s.first, first)
		s.alone = append(s.alone, len(plan.Cohort(0).Members(int(first))) == 1)
	}
	for s.window < min(window, s.distinct) {
		s.window *= 2
	}
	s.rare = max(s.distinct/1000, 1000) // a thousand of each kind
	return s
}

// fate says what becomes of a record: so many rows, and whether the first is mutated.
func (s *sightings) fate(n uint64) (rows int, mutated bool) {
	if !s.alone[n%s.perUser] {
		return 1, false
	}
	switch h := mixed(n) % s.rare; h {
	case 0:
		return 0, false
	case 1, 2:
		return int(h) + 1, false
	case 3:
		return 1, true
	}
	return 1, false
}

func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// records yields the numbers of all records of a part, in the lake's order.
func (s *sightings) records(from, to uint64) iter.Seq[uint64] {
	mask := s.window - 1
	return func(yield func(uint64) bool) {
		for i := from; i < to; i++ {
			// A bijection of the numbers below window, that looks random.
			x := i & mask
			x = (x*0x9E3779B97F4A7C15 + 0x1234567) & mask
			x ^= x >> 15
			x = (x * 0xD1342543DE82EF95) & mask
			x ^= x >> 13
			if n := i&^mask | x; n < s.distinct && !yield(n) {
				return
			}
		}
	}
}

// end is where the last window ends.
func (s *sightings) end() uint64 { return (s.distinct + s.window - 1) &^ (s.window - 1) }

func (s *sightings) see(a *Account, n uint64) {
	user, event := uint32(n/s.perUser), s.first[n%s.perUser]
	rows, mutated := s.fate(n)
	for range rows {
		a.See(generate.Match{Kind: generate.Planned, User: user, Event: event, Intact: !mutated}, Place{Object: "raw/2026/09/14/part-1.gz", Offset: int64(n)})
	}
}

// planted is what has to be named, by record number and kind, and how often.
func (s *sightings) planted() map[string]int {
	want := map[string]int{}
	for n := range s.distinct {
		switch rows, mutated := s.fate(n); {
		case rows == 0:
			want[fmt.Sprint(KindMissing, n)] = 1
		case mutated:
			want[fmt.Sprint(KindMutated, n)] = 1
		case rows > 1:
			want[fmt.Sprint(KindDuplicate, n)] = rows - 1
		}
	}
	return want
}

// BenchmarkBillion is the account of a whole run: rows scattered as in a lake that is
// written as it is sent, then in no order at all. Whatever was planted has to be named,
// and nothing else.
func BenchmarkBillion(b *testing.B) {
	b.Run("window=1Mi", func(b *testing.B) { wholeRun(b, 1<<20) })
	b.Run("random", func(b *testing.B) { wholeRun(b, 1<<62) })
}

func wholeRun(b *testing.B, window uint64) {
	s := newSightings(b, window)
	for b.Loop() {
		debug.FreeOSMemory()
		forgetPeak(b)
		a := New(s.plan)
		a.Folder = b.TempDir()
		begun := coreSeconds(b)
		for n := range s.records(0, s.end()) {
			s.see(a, n)
		}
		b.ReportMetric(float64(s.distinct)/(coreSeconds(b)-begun)/1e6, "Mids/core-s-see")
		begun = coreSeconds(b)
		named := map[string]int{}
		tally, err := a.Settle(alone(batches(s.plan)), true, func(d Difference) error {
			named[fmt.Sprint(d.Kind, uint64(d.ID.User)*s.perUser+uint64(d.ID.Event))]++
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		spent := coreSeconds(b) - begun
		b.ReportMetric(spent, "core-s-settle")
		b.ReportMetric(float64(s.distinct)/spent/1e6, "Mids/core-s-settle")
		b.ReportMetric(peakMB(b), "peak-MB")
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
		for what, n := range s.planted() {
			if named[what] != n {
				b.Fatalf("%s: named %d times, planted %d", what, named[what], n)
			}
			delete(named, what)
		}
		if len(named) > 0 || tally.Missing+tally.Mutated+tally.Delivered != s.distinct {
			b.Fatalf("named, not planted: %v; %+v", named, tally)
		}
	}
}

// batches is a ledger as a push leaves it: a request in a thousand had no answer.
func batches(plan *generate.Plan) iter.Seq[ledger.Span] {
	const request = 500
	return func(yield func(ledger.Span) bool) {
		for first := uint64(0); first < plan.Total(); first += request {
			span := ledger.Span{First: first, Count: min(request, plan.Total()-first), Fate: record.Acked}
			if first/request%1000 == 0 {
				span.Unknowns = 1
			}
			if !yield(span) {
				return
			}
		}
	}
}

// BenchmarkSee is one pass over the lake by one reader and by two, who take objects
// of 4,096 rows in turn: in the order of sending, scattered, and in no order.
func BenchmarkSee(b *testing.B) {
	for _, order := range []struct {
		name   string
		window uint64
	}{{"ordered", 1}, {"window=1Mi", 1 << 20}, {"random", 1 << 62}} {
		s := newSightings(b, order.window)
		for _, readers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/readers=%d", order.name, readers), func(b *testing.B) { pass(b, s, readers) })
		}
	}
}

func pass(b *testing.B, s *sightings, readers int) {
	const object = 4096
	b.ReportAllocs()
	begun, spent := time.Now(), coreSeconds(b)
	for b.Loop() {
		a := New(s.plan)
		var next atomic.Uint64
		var g sync.WaitGroup
		for range readers {
			g.Go(func() {
				for from := next.Add(object) - object; from < s.end(); from = next.Add(object) - object {
					for n := range s.records(from, min(from+object, s.end())) {
						s.see(a, n)
					}
				}
			})
		}
		g.Wait()
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
	}
	seen := float64(s.distinct) * float64(b.N) / 1e6
	b.ReportMetric(seen/(coreSeconds(b)-spent), "Mids/core-s")
	b.ReportMetric(seen/time.Since(begun).Seconds(), "Mids/s")
}

// coreSeconds is the time that this process had cores for, its collector's included:
// on a machine that does other work too, the clock on the wall says little.
func coreSeconds(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return time.Duration(time.Now().UnixNano()).Seconds()
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	ticks := 0.0
	for _, field := range strings.Fields(rest)[11:13] { // user and system, in hundredths of a second
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return ticks / 100
}

// forgetPeak has the kernel count the peak from now on.
func forgetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Logf("the peak is that of all that ran before, too: %v", err)
	}
}

// peakMB is the most memory that the process had since, in MB of a million bytes.
func peakMB(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", "self", "status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb * 1024 / 1e6
}

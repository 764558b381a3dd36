package replay_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kreplay/pkg/batch"
	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/replay"
	"kreplay/scenarios"
)

const (
	killedUsers   = 200
	killedSenders = 4
	kills         = 50
)

// Kill the sender at any moment: the books of what it leaves behind balance,
// what was stored is never called absent, what was acked is there, and nothing
// is blamed on the pipeline.
func TestKilledPushBalances(t *testing.T) {
	var stored, undecided, doubled atomic.Uint64
	t.Run("kills", func(t *testing.T) {
		for seed := range uint64(kills) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				k := kill(t, seed)
				k.check(t)
				stored.Add(k.stored)
				undecided.Add(k.res.Stages[0].Tally.Undecided)
				doubled.Add(k.res.Stages[0].Tally.Producer)
			})
		}
	})
	t.Logf("in %d kills: %d records stored without an answer, %d undecided, %d doubled", kills, stored.Load(), undecided.Load(), doubled.Load())
	// Whether a lost answer is sent again before the kill is chance; TestLostAnswersAreChargedToTheProducer has that for certain.
	if !t.Failed() && min(stored.Load(), undecided.Load()) == 0 {
		t.Error("the kills never met a request in flight, which is the point of this test")
	}
}

// killed is a push that did not end.
type killed struct {
	res    *replay.Result
	rows   map[string]uint64 // of the lake, by their text
	stored uint64            // records with a row and without an ack
}

// kill pushes from a process of its own until the trap springs. Every other
// seed loses answers; some entries are refused.
func kill(t *testing.T, seed uint64) *killed {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	dir := t.TempDir()
	run, lake := filepath.Join(dir, "run"), filepath.Join(dir, "lake")
	cfg := local.Config{Lake: lake, BufferInterval: time.Hour, BufferBytes: 1 << 20, Delimiter: "\n",
		Faults: local.Faults{Seed: seed, Of: 40 * killedUsers, Throttle: rng.IntN(300), LostPercent: float64(seed % 2 * 20)}}
	trap := newTrap(rng)
	pipe := start(t, cfg, trap.listen)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	child := exec.CommandContext(t.Context(), exe, sender, pipe.URL(), run, lake, streamName)
	child.Stderr = &stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	trap.victim <- child.Process
	if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
		t.Fatalf("the sender ended by itself: %v\n%s", err, stderr.Bytes())
	}
	if err := pipe.Close(); err != nil { // delivers all that reached the stream
		t.Fatal(err)
	}
	res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: run, Quiet: time.Nanosecond, Max: time.Second, Samples: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return &killed{res: res, rows: lines(t, lake)}
}

func (k *killed) check(t *testing.T) {
	t.Helper()
	led, tally, rep := k.res.Ledger.Workers[0], k.res.Stages[0].Tally, k.res.Report()
	if err := led.Check(); err != nil {
		t.Error(err)
	}
	if err := tally.Check(); err != nil {
		t.Error(err)
	}
	if blamed := []uint64{tally.Missing, tally.InFlight, tally.Mutated, tally.Pipeline, tally.Strangers, tally.Foreign, tally.Damaged}; slices.Max(blamed) > 0 {
		t.Errorf("missing, in flight, mutated, duplicates, strangers, foreign, damaged: %d; want none", blamed)
	}
	if rep.Verdict != report.Inconclusive {
		t.Errorf("verdict %s, want inconclusive: the push did not end", rep.Verdict)
	}
	if led.Clean || led.Window > killedSenders*batch.MaxRecords {
		t.Errorf("clean %v, window %d; want false, at most one request for each of %d senders", led.Clean, led.Window, killedSenders)
	}
	var delivered, extra uint64
	fates := slices.Collect(led.Fates())
	for r := range k.res.Plan.Records(generate.Slice{}) {
		for r.Seq >= fates[0].First+fates[0].Count {
			fates = fates[1:]
		}
		span, rows := fates[0], k.rows[string(bytes.TrimSpace(r.Data))]
		switch {
		case span.Fate == record.Acked && rows == 0:
			t.Errorf("record %d is acked, and in no object", r.Seq)
		case span.Fate != record.Acked && span.Fate != record.Unknown && rows > 0:
			t.Errorf("record %d is %v, but was stored", r.Seq, span.Fate)
		case r.Seq >= led.Next && (rows > 0 || span.Fate != record.Unsent):
			t.Errorf("record %d is %v with %d rows, though nothing from %d on was sent", r.Seq, span.Fate, rows, led.Next)
		case rows > 1+uint64(span.Unknowns):
			t.Errorf("record %d has %d rows, but only %d attempts without an answer", r.Seq, rows, span.Unknowns)
		}
		if rows > 0 {
			delivered, extra = delivered+1, extra+rows-1
			if span.Fate == record.Unknown {
				k.stored++
			}
		}
	}
	if tally.Delivered != delivered || tally.Producer != extra {
		t.Errorf("%d delivered, %d duplicates by the producer; want %d, %d", tally.Delivered, tally.Producer, delivered, extra)
	}
}

// lines counts the lines of a folder's files.
func lines(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	count := map[string]uint64{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		for line := range bytes.Lines(data) {
			count[string(bytes.TrimSpace(line))]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// A trap is a listener that kills the sender when enough has come in or gone
// out: in the middle of a request, behind it, before an answer, or within one.
type trap struct {
	net.Listener
	reads, writes atomic.Int64 // left: bytes of requests, writes of answers
	victim        chan *os.Process
	size          int64 // bytes of all records in base64
}

func (t *trap) set(reads, writes int64) {
	t.reads.Store(reads)
	t.writes.Store(writes)
}

// wholePush is what all senders have to send: bytes of all records in base64,
// and at least so many requests.
var wholePush = sync.OnceValues(func() (size, requests int64) {
	job, err := replay.Check(scenarios.FS, "smoke", []string{fmt.Sprintf("population.users=%d", killedUsers)})
	if err != nil {
		panic(err)
	}
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		panic(err)
	}
	for r := range plan.Records(generate.Slice{}) {
		size += int64(base64.StdEncoding.EncodedLen(len(r.Data)))
	}
	return size, int64(plan.Total() / batch.MaxRecords)
})

// newTrap springs before the push can end: there are at least as many bytes as
// the records have in base64, and as many writes as requests.
func newTrap(rng *rand.Rand) *trap {
	size, requests := wholePush()
	trap := &trap{victim: make(chan *os.Process, 1), size: size}
	trap.reads.Store(size * 2)
	trap.writes.Store(size)
	if rng.IntN(3) > 0 {
		trap.reads.Store(1 + rng.Int64N(size))
	} else {
		trap.writes.Store(1 + rng.Int64N(requests))
	}
	return trap
}

func (t *trap) listen(l net.Listener) net.Listener {
	t.Listener = l
	return t
}

func (t *trap) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return trapped{c, t}, nil
}

// spend kills the sender when n uses up what is left.
func (t *trap) spend(left *atomic.Int64, n int) {
	if now := left.Add(int64(-n)); now <= 0 && now+int64(n) > 0 {
		_ = (<-t.victim).Kill() // that it died is checked by who waits for it
	}
}

type trapped struct {
	net.Conn
	trap *trap
}

func (c trapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.trap.spend(&c.trap.reads, n)
	return n, err
}

func (c trapped) Write(b []byte) (int, error) {
	c.trap.spend(&c.trap.writes, 1)
	return c.Conn.Write(b)
}

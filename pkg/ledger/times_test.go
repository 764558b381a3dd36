package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

// sending is a request with the ms at which it began; outs is nil without an answer.
type sending struct {
	ms   int64
	recs []record.Record
	outs []record.Outcome
}

// sentAt is what Times promises, over a plain list of requests.
func sentAt(requests []sending, seq uint64) uint32 {
	first, last := int64(-1), int64(-1)
	for _, r := range requests {
		for i := range r.recs {
			switch {
			case r.recs[i].Seq != seq:
			case r.outs == nil || r.outs[i].Fate == record.Unknown:
				last = max(last, r.ms, 0)
			case r.outs[i].Fate == record.Acked && (first < 0 || r.ms < first):
				first = max(r.ms, 0)
			}
		}
	}
	if first >= 0 {
		return uint32(first) + 1
	}
	return uint32(last + 1)
}

// segmentOf draws one segment: its bytes, which may break off within a frame, and
// the requests that can be read from it.
func segmentOf(t *rapid.T, m *model) (text []byte, read []sending) {
	var e encoder
	var requests []sending
	var open []int
	text = []byte(header)
	ends := []int{len(text)}
	states := [][]sending{nil}
	frame := func(payload []byte) {
		text = appendFrame(text, payload)
		ends, states = append(ends, len(text)), append(states, slices.Clone(requests))
	}
	ms := rapid.Int64Range(-5, 1000).Draw(t, "opened")
	var outs [][]record.Outcome
	for range rapid.IntRange(0, 12).Draw(t, "steps") {
		ms += rapid.Int64Range(-1, 50).Draw(t, "ms")
		if len(open) > 0 && rapid.Bool().Draw(t, "answer") {
			i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			n := open[i]
			open = slices.Delete(open, i, i+1)
			requests[n].outs = outs[n]
			frame(e.answer(nil, ms, uint64(n), outs[n]))
			continue
		}
		recs, o := m.request(t)
		requests, outs, open = append(requests, sending{ms: ms, recs: recs}), append(outs, o), append(open, len(requests))
		frame(e.begin(nil, ms, recs))
	}
	cut := rapid.IntRange(0, len(ends)-1).Draw(t, "frames")
	rest := text[ends[cut]:min(len(text), ends[cut]+rapid.IntRange(0, 4).Draw(t, "torn"))]
	return append(slices.Clone(text[:ends[cut]]), rest...), states[cut]
}

// Whatever is sent, in however many segments, torn or not: of any choice of
// records Times says when a plain list of requests has them sent.
func TestTimesAreThoseOfTheRequests(t *testing.T) {
	tmp, runs := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		dir := filepath.Join(tmp, fmt.Sprint(runs))
		if err := os.Mkdir(dir, 0o700); err != nil {
			rt.Fatal(err)
		}
		m := &model{planned: rapid.Uint64Range(1, 80).Draw(rt, "planned")}
		man := Manifest{Planned: m.planned}
		if err := man.complete(time.Unix(0, 0)); err != nil {
			rt.Fatal(err)
		}
		if err := writeManifest(dir, man); err != nil {
			rt.Fatal(err)
		}
		var requests []sending
		for n := range rapid.IntRange(1, 3).Draw(rt, "segments") {
			text, read := segmentOf(rt, m)
			requests = append(requests, read...)
			if err := os.WriteFile(filepath.Join(dir, SegmentFile(n+1)), text, 0o600); err != nil {
				rt.Fatal(err)
			}
		}
		a, err := Open(dir)
		if err != nil {
			rt.Fatal(err)
		}
		var list []Sent
		for seq := range m.planned {
			if rapid.IntRange(0, 3).Draw(rt, "asked") > 0 {
				list = append(list, Sent{Seq: seq, Place: uint32(seq * 7), At: 99})
			}
		}
		if err := a.Times(list); err != nil {
			rt.Fatal(err)
		}
		for _, s := range list {
			if want := sentAt(requests, s.Seq); s.At != want || s.Place != uint32(s.Seq*7) {
				rt.Fatalf("seq %d: sent at %d, want %d", s.Seq, s.At, want)
			}
		}
	})
}

// What is looked for is found from anywhere.
func TestNearestFromAnywhere(t *testing.T) {
	var list []Sent
	for seq := range uint64(100) {
		list = append(list, Sent{Seq: 3 * seq})
	}
	for at := range len(list) + 1 {
		for seq := range uint64(302) {
			if got, want := nearest(list, at, seq), min(int(seq+2)/3, 100); got != want {
				t.Fatalf("from %d: seq %d is at %d, want %d", at, seq, got, want)
			}
		}
	}
}

// Times of a ledger that is not readable any more are an error that names it.
func TestTimesWithoutTheLedger(t *testing.T) {
	a := &Account{Dir: t.TempDir()}
	if err := a.Times([]Sent{{}}); err == nil {
		t.Error("no error")
	}
}

// A tenth of the records is asked for; every request holds records of 20 runs.
func BenchmarkTimes(b *testing.B) {
	const planned, per = 2_000_000, 500
	dir := b.TempDir()
	w, err := Create(dir, Manifest{Planned: planned})
	if err != nil {
		b.Fatal(err)
	}
	outs := make([]record.Outcome, per)
	for first := uint64(0); first < planned; first += 20 * per {
		for k := range uint64(20) {
			var recs []record.Record
			for run := range uint64(20) {
				for i := range uint64(per / 20) {
					recs = append(recs, record.Record{Seq: first + run*per + k*per/20 + i})
				}
			}
			for i := range outs {
				outs[i] = record.Outcome{Fate: record.Acked}
			}
			n, err := w.Begin(recs)
			if err == nil {
				err = w.Answer(n, outs)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := w.Close(Complete); err != nil {
		b.Fatal(err)
	}
	a, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	var list []Sent
	for seq := uint64(0); seq < planned; seq += 10 {
		list = append(list, Sent{Seq: seq})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Times(list); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/planned, "ns/record")
	if list[1].At == 0 {
		b.Fatal(fmt.Sprint(list[:2]))
	}
}

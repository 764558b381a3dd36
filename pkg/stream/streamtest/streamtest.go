// Package streamtest checks that a sink keeps the contract of stream.Sink.
package streamtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// Sink runs the suite. fresh returns a sink that stores all it is given, with a
// count of the records stored so far, and registers its cleanup.
func Sink(t *testing.T, fresh func(t *testing.T) (stream.Sink, func() int)) {
	laws := []struct {
		name string
		law  func(*testing.T, stream.Sink, func() int)
	}{
		{"one outcome per record in order", ordered},
		{"no record no outcome", empty},
		{"a record may come twice", twice},
		{"records are left as they were", untouched},
		{"cancelled records are not acked", cancelled},
		{"concurrent puts keep their own order", concurrent},
		{"acked is stored", stored},
	}
	for _, l := range laws {
		t.Run(l.name, func(t *testing.T) {
			s, count := fresh(t)
			l.law(t, s, count)
		})
	}
}

// Records makes n records of about size bytes whose events count from first.
func Records(first, n, size int) []record.Record {
	recs := make([]record.Record, n)
	for i := range recs {
		event := first + i
		data := fmt.Appendf(nil, `{"event":%d,"pad":"`, event)
		data = append(data, bytes.Repeat([]byte{'x'}, max(0, size-len(data)-2))...)
		recs[i] = record.Record{
			ID:  record.ID{Run: 7, User: uint32(event % 97), Event: uint32(event)},
			Seq: uint64(event), PartitionKey: fmt.Sprintf("user-%d", event%97), Data: append(data, `"}`...),
		}
	}
	return recs
}

// Halves is a sink that puts the halves of its records as a pair, at once.
type Halves struct{ stream.Pairer }

// Put implements [stream.Sink].
func (h Halves) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	a, b := recs[:len(recs)/2], recs[len(recs)/2:]
	putA, putB := h.Pair(a, b)
	var outA []record.Outcome
	var errA error
	var first sync.WaitGroup
	first.Go(func() { outA, errA = putA(ctx) })
	outB, errB := putB(ctx)
	first.Wait()
	return slices.Concat(outA, outB), errors.Join(errA, errB)
}

// Check reports what is wrong with out as the outcomes of recs, whatever their fates.
func Check(t testing.TB, recs []record.Record, out []record.Outcome) {
	t.Helper()
	if len(out) != len(recs) {
		t.Errorf("%d outcomes for %d records", len(out), len(recs))
		return
	}
	for i, o := range out {
		if o.ID != recs[i].ID {
			t.Errorf("outcome %d: got record %v, want %v", i, o.ID, recs[i].ID)
		}
		acked := o.Fate == record.Acked
		if o.Fate == record.Unsent || acked != (o.Shard != "") || acked != (o.Code == "") || acked != (o.Err == nil) {
			t.Errorf("outcome %d: %+v: want a shard when acked, code and error when not", i, o)
		}
	}
}

// Fates counts the outcomes of each fate.
func Fates(out []record.Outcome) map[record.Fate]int {
	n := map[record.Fate]int{}
	for _, o := range out {
		n[o.Fate]++
	}
	return n
}

func put(t *testing.T, s stream.Sink, recs []record.Record) []record.Outcome {
	t.Helper()
	out, err := s.Put(t.Context(), recs)
	if err != nil {
		t.Errorf("put %d records: %v", len(recs), err)
	}
	Check(t, recs, out)
	return out
}

func ordered(t *testing.T, s stream.Sink, _ func() int) {
	first := 0
	for _, n := range []int{1, 2, 3, 500} {
		put(t, s, Records(first, n, 100))
		first += n
	}
}

func empty(t *testing.T, s stream.Sink, count func() int) {
	put(t, s, nil)
	put(t, s, []record.Record{})
	if n := count(); n != 0 {
		t.Errorf("stored %d, want 0", n)
	}
}

func twice(t *testing.T, s stream.Sink, count func() int) {
	recs := Records(0, 1, 100)
	out := put(t, s, append(recs, recs...))
	if n := count(); n != Fates(out)[record.Acked] {
		t.Errorf("stored %d, want one for each of %v", n, Fates(out))
	}
}

func untouched(t *testing.T, s stream.Sink, _ func() int) {
	recs, want := Records(0, 50, 200), Records(0, 50, 200)
	put(t, s, recs)
	for i, r := range recs {
		if r.ID != want[i].ID || r.Seq != want[i].Seq || r.PartitionKey != want[i].PartitionKey || !bytes.Equal(r.Data, want[i].Data) {
			t.Errorf("record %d: got %+v, want %+v", i, r, want[i])
		}
	}
}

// cancelled allows an error beside the outcomes: the caller's own.
func cancelled(t *testing.T, s stream.Sink, count func() int) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	unknown := 0
	for i, ctx := range []context.Context{gone, late} {
		recs := Records(i*20, 20, 100)
		out, _ := s.Put(ctx, recs)
		Check(t, recs, out)
		if n := Fates(out); n[record.Unknown]+n[record.Refused] != len(recs) {
			t.Errorf("%v: got %v, want unknown or refused", ctx.Err(), n)
		}
		unknown += Fates(out)[record.Unknown]
	}
	if n := count(); n > unknown {
		t.Errorf("stored %d, want at most the %d unknown", n, unknown)
	}
}

func concurrent(t *testing.T, s stream.Sink, count func() int) {
	const putters, puts, size = 16, 8, 60
	all := make([][]record.Outcome, putters)
	var wg sync.WaitGroup
	for p := range putters {
		wg.Go(func() {
			for i := range puts {
				all[p] = append(all[p], put(t, s, Records((p*puts+i)*size, size, 100))...)
			}
		})
	}
	wg.Wait()
	between(t, slices.Concat(all...), count())
}

func stored(t *testing.T, s stream.Sink, count func() int) {
	var all []record.Outcome
	for i := range 10 {
		all = append(all, put(t, s, Records(i*100, 100, 300))...)
		between(t, all, count())
	}
}

// between: all acked records are stored, none that was refused is, and an
// unknown one may be.
func between(t *testing.T, out []record.Outcome, n int) {
	t.Helper()
	fates := Fates(out)
	if least, most := fates[record.Acked], fates[record.Acked]+fates[record.Unknown]; n < least || n > most {
		t.Errorf("stored %d, want %d to %d: %v", n, least, most, fates)
	}
	if fates[record.Acked] == 0 {
		t.Errorf("nothing was acked: %v", fates)
	}
}

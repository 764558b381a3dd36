package ledger_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// A copy that lacks its end vouches for its acks and for nothing else; a whole
// one says what the original says. The books balance in both.
func TestCopyVouchesForItsAcksOnly(t *testing.T) {
	dir, w := create(t, 10)
	for first, o := range map[uint64]record.Outcome{
		0: {Fate: record.Acked}, 2: {Fate: record.Refused, Code: "throttled"}, 4: {Fate: record.Unknown, Code: "timeout"},
	} {
		recs, outs := request(first, 2, o)
		must(t, attempt(w)(recs, outs))
	}
	lagging := func() *ledger.Account {
		a, err := ledger.OpenCopy(dir)
		must(t, err)
		must(t, a.Check())
		return a
	}
	a := lagging()
	if got, want := a.Totals(), (ledger.Totals{Acked: 2, Unknown: 8}); got != want || a.Clean || a.Window != 8 || a.Next != 10 {
		t.Errorf("got %+v, window %d, next %d; want %+v, 8, 10", got, a.Window, a.Next, want)
	}
	for s := range a.Fates() {
		if s.Fate != record.Acked && s.Unknowns != math.MaxUint32 {
			t.Errorf("%+v: want any number of attempts", s)
		}
	}
	must(t, w.Close(ledger.Stopped))
	want := open(t, dir)
	if got := lagging(); got.Totals() != want.Totals() || got.Window != 0 || got.Attempts != want.Attempts {
		t.Errorf("whole copy: got %+v, want %+v", got.Totals(), want.Totals())
	}
	// Wherever the copy ends, what it does not vouch for is unknown.
	text, err := os.ReadFile(filepath.Join(dir, ledger.LedgerFile))
	must(t, err)
	for n := range text {
		must(t, os.WriteFile(filepath.Join(dir, ledger.LedgerFile), text[:n], 0o600))
		a := lagging()
		if got := a.Totals(); got.Acked+got.Unknown != 10 || got.Acked > 2 {
			t.Errorf("cut at %d: %+v, want acked and unknown only, 10 together", n, got)
		}
	}
}

// A run that goes on from a copy that lacks its end says for ever that its
// records may have been sent any number of times, also when all is acked at last.
// Only what the copy vouched for is not among them.
func TestResumedCopySaysWhatItLacks(t *testing.T) {
	dir, w := create(t, 6)
	recs, outs := request(0, 2, record.Outcome{Fate: record.Acked})
	must(t, attempt(w)(recs, outs))
	must(t, w.Sync()) // and then the machine is lost
	w, err := ledger.ResumeCopy(dir)
	must(t, err)
	recs, outs = request(2, 3, record.Outcome{Fate: record.Acked})
	must(t, attempt(w)(recs, outs))
	must(t, w.Close(ledger.Stopped))
	a := open(t, dir)
	must(t, a.Check())
	if got, want := a.Totals(), (ledger.Totals{Acked: 5, Unknown: 1}); got != want || !a.Clean || a.Window != 4 || a.Next != 6 || a.Segments != 2 {
		t.Errorf("%+v, clean %v, window %d, next %d, %d segments; want %+v, clean, 4, 6, 2", got, a.Clean, a.Window, a.Next, a.Segments, want)
	}
	for s := range a.Fates() {
		if want := map[bool]uint32{true: 0, false: math.MaxUint32}[s.First < 2]; s.Unknowns != want {
			t.Errorf("%+v: want %d unknown attempts", s, want)
		}
	}
	// The same once more: the window is that of the last loss, not the sum.
	w, err = ledger.ResumeCopy(dir)
	must(t, err)
	recs, outs = request(5, 1, record.Outcome{Fate: record.Acked})
	must(t, attempt(w)(recs, outs))
	must(t, w.Close(ledger.Complete))
	a = open(t, dir)
	must(t, a.Check())
	if a.Totals().Acked != 6 || a.Window != 1 || a.Attempts.Unknown != 1 {
		t.Errorf("%+v, window %d, %d unknown attempts; want all acked, 1, 1", a.Totals(), a.Window, a.Attempts.Unknown)
	}
}

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

package replay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"kreplay/pkg/ledger"
)

// The ledger is synced a second after the push has begun, and when that fails
// the push does.
func TestLedgerIsKeptSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := ledger.Create(t.TempDir(), ledger.Manifest{Run: "r", Planned: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(ledger.Stopped); err != nil { // so that it cannot be synced
			t.Fatal(err)
		}
		ended, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		begun := time.Now()
		err = (&push{ledger: w}).keepSynced(ended)
		if took := time.Since(begun); err == nil || took != time.Second {
			t.Errorf("%v after %v, want the sync's error after a second", err, took)
		}
	})
}

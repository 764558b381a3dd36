package ledger

import (
	"errors"
	"os"
	"testing"
	"time"

	"kreplay/pkg/record"
)

// syncing is a file that does something while it is synced.
type syncing struct {
	memory
	sync func() error
}

func (f *syncing) Sync() error { return f.sync() }

// Nothing is sent before the start of a segment is on stable storage: one that
// cannot be synced is neither created nor resumed.
func TestStartIsSynced(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir, Manifest{Planned: 1})
	if err != nil || w.Close(Stopped) != nil {
		t.Fatal("no run to go on with: ", err)
	}
	openFile = func(string, int, os.FileMode) (*os.File, error) { // a pipe takes the header, and cannot be synced
		r, w, err := os.Pipe()
		t.Cleanup(func() { _ = r.Close() })
		return w, err
	}
	defer func() { openFile = os.OpenFile }()
	fresh := t.TempDir()
	if _, err := Create(fresh, Manifest{Planned: 1}); err == nil {
		t.Error("created")
	}
	if left, err := os.ReadDir(fresh); err != nil || len(left) > 0 {
		t.Errorf("%v, %v; want an empty directory, to be used again", left, err)
	}
	if _, err := Resume(dir); err == nil {
		t.Error("resumed")
	}
}

// The end too is on stable storage when Close returns.
func TestCloseSyncs(t *testing.T) {
	f := &syncing{}
	synced := 0
	f.sync = func() error { synced = f.Len(); return nil }
	if err := newWriter(f, Manifest{}, time.Now()).Close(Complete); err != nil {
		t.Fatal(err)
	}
	if synced == 0 || synced != f.Len() {
		t.Errorf("%d of %d bytes are synced", synced, f.Len())
	}
}

// Senders write while the file is synced, however long that takes.
func TestSyncHoldsUpNobody(t *testing.T) {
	f := &syncing{}
	w := newWriter(f, Manifest{Planned: 1}, time.Now())
	f.sync = func() error {
		if !w.mu.TryLock() {
			return errors.New("the writer is locked")
		}
		w.mu.Unlock()
		_, err := w.Begin([]record.Record{{}})
		return err
	}
	if err := w.Sync(); err != nil {
		t.Error(err)
	}
}

// After a failed sync nobody knows what is on disk: nothing more is written,
// though the next sync may say that all is well.
func TestFailedSync(t *testing.T) {
	f, broken := &syncing{}, errors.New("input/output error")
	w := newWriter(f, Manifest{Planned: 1}, time.Now())
	f.sync = func() error { return broken }
	first := w.Sync()
	f.sync = func() error { return nil }
	_, begin := w.Begin([]record.Record{{}})
	for name, err := range map[string]error{"the sync": first, "Begin": begin, "the next sync": w.Sync(), "Close": w.Close(Complete)} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v, want the error of the sync", name, err)
		}
	}
	if f.Len() > 0 {
		t.Errorf("%d bytes were written after it", f.Len())
	}
}

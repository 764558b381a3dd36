package replay

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
)

// However a ledger grows and whenever its copy is fetched, what was fetched is what
// the copy holds: also where a part was sent again and had become longer.
func TestCopyIsBroughtUpToDate(t *testing.T) {
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs++; runs > 30 { // each syncs some files
			return
		}
		store, here, again := openStore(t), t.TempDir(), t.TempDir()
		put := func(key string, text []byte) {
			if err := put(t.Context(), store, key, bytes.NewReader(text)); err != nil {
				rt.Fatal(err)
			}
		}
		whole, part := map[string][]byte{}, map[string]int64{}
		put(ledger.ManifestFile, []byte("{}"))
		c := CopyTo(here, store)
		segment := 1
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			name := ledger.SegmentFile(segment)
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0: // a part more
				part[name] = int64(len(whole[name]))
				fallthrough
			case 1: // the last one again, longer
				whole[name] = append(whole[name], rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(rt, "bytes")...)
				put(partKey(name, part[name]), whole[name][part[name]:])
			case 2:
				if len(whole[name]) > 0 {
					segment++
				}
			case 3:
				put(StatsFile, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "stats"))
			case 4:
				if err := c.Update(t.Context()); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if err := errors.Join(c.Update(t.Context()), Fetch(t.Context(), store, again)); err != nil {
			rt.Fatal(err)
		}
		for name, want := range whole {
			for _, dir := range []string{here, again} {
				if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
					rt.Fatalf("%s: got %q, %v, want %q", name, got, err, want)
				}
			}
		}
		x, errX := os.ReadFile(filepath.Join(here, StatsFile))
		y, errY := os.ReadFile(filepath.Join(again, StatsFile))
		if !bytes.Equal(x, y) || (errX == nil) != (errY == nil) {
			rt.Fatalf("%s: got %q, %v, want %q, %v", StatsFile, x, errX, y, errY)
		}
	})
}

func openStore(t *testing.T) *dir.Store {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// However a ledger grows, its parts follow each other and make all of it; leave
// one out or take one of another length, and it is noticed.
func TestPartsFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ends []int64
		var keys []string
		done := int64(0)
		for range rapid.IntRange(1, 5).Draw(t, "growths") {
			size := done + rapid.Int64Range(0, 3*partBytes).Draw(t, "more")
			for offset, n := range cuts(done, size) {
				if offset != done || n < 1 || n > partBytes {
					t.Fatalf("part of %d bytes at %d, want 1 to %d at %d", n, offset, partBytes, done)
				}
				keys, ends = append(keys, partKey(ledger.LedgerFile, offset)), append(ends, done)
				done += n
			}
			if done != size {
				t.Fatalf("the parts end at %d, want %d", done, size)
			}
		}
		for i, key := range keys {
			if err := follows(key, ends[i]); err != nil {
				t.Fatal(err)
			}
			if follows(key, ends[i]+1) == nil || ends[i] > 0 && follows(key, ends[i]-1) == nil {
				t.Fatalf("%s after other than %d bytes: no error", key, ends[i])
			}
			if i > 0 && strings.Compare(keys[i-1], key) >= 0 {
				t.Fatalf("%s stands after %s", keys[i-1], key)
			}
		}
		for _, bad := range []string{"ledger.bin.d/1", "ledger.bin.d/x", "ledger.bin.d/-0000000000000000001"} {
			if follows(bad, 0) == nil {
				t.Fatalf("%s: no error", bad)
			}
		}
	})
}

// away is a store that can be away.
type away struct {
	object.Store
	down atomic.Bool
}

func (a *away) Create(ctx context.Context, key string) (object.Writer, error) {
	if a.down.Load() {
		return nil, errors.New("the store is away")
	}
	return a.Store.Create(ctx, key)
}

// What is in the ledger is in the copy a few seconds later, also when the store
// was away meanwhile, and all of it at the end, also when the run was stopped.
func TestMirrorFollowsTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := t.TempDir(), t.TempDir()
		files, err := dir.Open(to)
		must(t, err)
		defer func() { _ = files.Close() }()
		store := &away{Store: files}
		path := filepath.Join(from, ledger.LedgerFile)
		must(t, os.Mkdir(filepath.Join(from, snapshotDir), 0o755))
		must(t, os.WriteFile(filepath.Join(from, snapshotDir, "scenario.yaml"), []byte("kreplay: 1"), 0o600))
		must(t, os.WriteFile(filepath.Join(from, ledger.ManifestFile), []byte("{}"), 0o600))
		var want []byte
		rng := rand.New(rand.NewPCG(1, 1))
		grow := func() {
			b := make([]byte, 1+rng.IntN(1000))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			want = append(want, b...)
			must(t, os.WriteFile(path, want, 0o600))
		}
		copied := func() []byte {
			into := t.TempDir()
			must(t, Fetch(t.Context(), store, into))
			b, err := os.ReadFile(filepath.Join(into, ledger.LedgerFile))
			must(t, err)
			return b
		}
		grow()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m, err := startMirror(ctx, store, from, false)
		must(t, err)
		if got := copied(); !bytes.Equal(got, want) {
			t.Errorf("before anything is sent: %d bytes in the copy, want %d", len(got), len(want))
		}
		for i := range 10 {
			grow()
			store.down.Store(i%3 == 1)
			time.Sleep(mirrorEvery + time.Millisecond)
			synctest.Wait()
			if got := copied(); i%3 != 1 && !bytes.Equal(got, want) {
				t.Errorf("%d: %d bytes in the copy, want %d", i, len(got), len(want))
			}
		}
		store.down.Store(true)
		grow()
		cancel()
		if err := m.end(ctx); err == nil || !strings.Contains(err.Error(), from) {
			t.Errorf("a copy without its end: got %v, want where the whole is", err)
		}
		store.down.Store(false)
		must(t, m.end(ctx))
		if got := copied(); !bytes.Equal(got, want) {
			t.Errorf("at the end: %d bytes in the copy, want %d", len(got), len(want))
		}
		if _, err := startMirror(t.Context(), store, from, false); err == nil || !strings.Contains(err.Error(), "--run-dir") {
			t.Errorf("a place that holds a run: got %v, want a refusal", err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

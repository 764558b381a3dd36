package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
)

// A run directory in an object store is a copy of a local one. The manifest and
// the snapshot are there before anything is sent. The ledger's segments only
// grow, so they are copied as parts, each named by the offset of its first byte;
// a part that is sent twice has the same name, and at least the same bytes. When the
// machine is lost, the copy lags by what was sent since the last part:
// [ledger.OpenCopy] then says that nothing is known of these records.
const partsDir = ".d" // behind the name of a segment

const (
	mirrorEvery = 5 * time.Second  // between two parts: what a lost machine costs
	mirrorMost  = 30 * time.Second // for the last part
	mirrorLast  = 4 * time.Second  // likewise when interrupted: what is in flight took up to 20 s, and AWS Batch and Kubernetes kill after 30 s
	partBytes   = 4 << 20          // of one part at most
)

func partKey(segment string, offset int64) string {
	return fmt.Sprintf("%s%s/%020d", segment, partsDir, offset)
}

// segmentOf is the segment that a part belongs to.
func segmentOf(key string) (segment string, ok bool) {
	segment, ok = strings.CutSuffix(path.Dir(key), partsDir)
	return segment, ok && !strings.Contains(segment, "/") && strings.HasPrefix(segment, "ledger.") && strings.HasSuffix(segment, ".bin")
}

// cuts yields the parts that take a copy of done bytes to size: offset, length.
func cuts(done, size int64) iter.Seq2[int64, int64] {
	return func(yield func(int64, int64) bool) {
		for done < size {
			n := min(size-done, partBytes)
			if !yield(done, n) {
				return
			}
			done += n
		}
	}
}

// follows says whether the part in key begins where the ones before it end.
func follows(key string, end int64) error {
	offset, err := strconv.ParseInt(path.Base(key), 10, 64)
	segment, _ := segmentOf(key)
	switch {
	case err != nil || partKey(segment, offset) != key:
		return fmt.Errorf("%s: not a part of a ledger", key)
	case offset > end:
		return fmt.Errorf("%s: bytes %d to %d of the ledger are missing; was the copy pruned?", key, end, offset-1)
	case offset < end:
		return fmt.Errorf("%s: bytes %d to %d of the ledger are there twice; do two runs share the place?", key, offset, end-1)
	}
	return nil
}

// mirror copies a run directory as it grows. A nil mirror copies nothing.
type mirror struct {
	store  object.Store
	dir    string
	done   map[string]int64 // bytes of each segment that are in the store
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startMirror copies what a run directory holds before anything is sent, and
// then goes on copying its ledger until end is called. resume: the store has a
// copy of what the run was before it was resumed.
func startMirror(ctx context.Context, store object.Store, dir string, resume bool) (*mirror, error) {
	if store == nil {
		return nil, nil
	}
	m := &mirror{store: store, dir: dir, done: map[string]int64{}}
	begin := m.begin
	if resume {
		begin = m.again
	}
	if err := begin(ctx); err != nil {
		return nil, fmt.Errorf("replay: copy of the run directory: %w", err)
	}
	following, cancel := context.WithCancel(ctx)
	m.cancel = cancel
	m.wg.Go(func() { m.follow(following) })
	return m, nil
}

// begin ends with the manifest: without it there is no run in the store.
func (m *mirror) begin(ctx context.Context) error {
	r, err := m.store.Open(ctx, ledger.ManifestFile)
	if err == nil {
		return errors.Join(errors.New("there is a run already; choose another --run-dir"), r.Close())
	}
	if !errors.Is(err, object.ErrNotExist) {
		return err
	}
	err = filepath.WalkDir(filepath.Join(m.dir, snapshotDir), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		key, err := filepath.Rel(m.dir, name)
		if err != nil {
			return err
		}
		return upload(ctx, m.store, m.dir, filepath.ToSlash(key))
	})
	if err == nil {
		err = m.grow(ctx)
	}
	if err == nil {
		err = upload(ctx, m.store, m.dir, ledger.ManifestFile)
	}
	return err
}

// follow copies the ledger as it grows. What fails is tried again the next
// time, and in the end; a store that is away for a while stops no push.
func (m *mirror) follow(ctx context.Context) {
	tick := time.NewTicker(mirrorEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = m.grow(ctx) // end says what is missing then
		case <-ctx.Done():
			return
		}
	}
}

// again makes sure that the copy is one of this run, and finds out how far it goes.
func (m *mirror) again(ctx context.Context) error {
	r, err := m.store.Open(ctx, ledger.ManifestFile)
	if err != nil {
		return err
	}
	there, err := io.ReadAll(r)
	here, errHere := os.ReadFile(filepath.Join(m.dir, ledger.ManifestFile))
	if err := errors.Join(err, r.Close(), errHere); err != nil {
		return err
	}
	if !bytes.Equal(there, here) {
		return errors.New("it is one of another run")
	}
	for info, err := range m.store.List(ctx, "") {
		if err != nil {
			return err
		}
		segment, ok := segmentOf(info.Key)
		if !ok {
			continue
		}
		if err := follows(info.Key, m.done[segment]); err != nil {
			return err
		}
		m.done[segment] += info.Size
	}
	return m.grow(ctx)
}

// grow copies what the ledger has grown by.
func (m *mirror) grow(ctx context.Context) error {
	for n := 1; ; n++ {
		segment := ledger.SegmentFile(n)
		err := m.growSegment(ctx, segment)
		if n > 1 && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the copy ends at byte %d of %s: %w", m.done[segment], segment, err)
		}
	}
}

func (m *mirror) growSegment(ctx context.Context, segment string) error {
	f, err := os.Open(filepath.Join(m.dir, segment))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if m.done[segment] > info.Size() {
		return errors.New("there is more in the copy")
	}
	for offset, n := range cuts(m.done[segment], info.Size()) {
		if err := put(ctx, m.store, partKey(segment, offset), io.NewSectionReader(f, offset, n)); err != nil {
			return err
		}
		m.done[segment] = offset + n
	}
	return nil
}

// end copies the rest of a ledger that is closed, also when ctx has ended.
func (m *mirror) end(ctx context.Context) error {
	if m == nil {
		return nil
	}
	m.cancel()
	m.wg.Wait()
	most := mirrorMost
	if ctx.Err() != nil {
		most = mirrorLast
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	if err := m.grow(ctx); err != nil {
		return fmt.Errorf("replay: the copy of the run directory is not whole; the whole is in %s: %w", m.dir, err)
	}
	return Upload(ctx, m.store, m.dir, StatsFile)
}

// Upload copies files of a run directory that are there into its copy: what
// Verify and the reports left.
func Upload(ctx context.Context, store object.Store, dir string, names ...string) error {
	for _, name := range names {
		if err := upload(ctx, store, dir, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("replay: copy of the run directory: %w", err)
		}
	}
	return nil
}

func upload(ctx context.Context, store object.Store, dir, key string) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(key)))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return put(ctx, store, key, f)
}

func put(ctx context.Context, store object.Store, key string, r io.Reader) error {
	w, err := store.Create(ctx, key)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Close()
}

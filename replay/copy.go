package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
)

// A Copy is what a place in an object store holds of a run, brought to a local
// directory: a run directory with the parts of its ledger put together, or those of
// workers.
type Copy struct {
	store object.Store
	dir   string
	runs  map[string]*fetch // by the worker's folder, with its slash; empty: of a run that was not divided
}

// CopyTo returns a Copy in dir, an empty directory, that has nothing yet.
func CopyTo(dir string, store object.Store) *Copy {
	return &Copy{store: store, dir: dir, runs: map[string]*fetch{}}
}

// Update fetches what the place has and the directory has not. Reports and what
// verifies left are left where they are.
func (c *Copy) Update(ctx context.Context) error {
	for _, f := range c.runs {
		f.listed = nil
	}
	for info, err := range c.store.List(ctx, "") {
		if err != nil {
			return fmt.Errorf("replay: copy of a run directory: %w", err)
		}
		name := workerOf(info.Key)
		f := c.runs[name]
		if f == nil {
			f = &fetch{store: c.store, name: name, here: map[string]string{}, parts: map[string][]part{}}
			c.runs[name] = f
		}
		info.Key = strings.TrimPrefix(info.Key, name)
		f.add(info)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetches)
	n := 0
	for _, name := range sortedKeys(c.runs) {
		if f := c.runs[name]; f.run {
			n++
			g.Go(func() error { return f.into(ctx, c.dir) })
		}
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("replay: copy of a run directory: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("replay: no run directory there: no %s: %w", ledger.ManifestFile, object.ErrNotExist)
	}
	return nil
}

// Fetch fills dir, an empty directory, from the copy of a run directory, or from a
// place that holds those of workers.
func Fetch(ctx context.Context, store object.Store, dir string) error {
	return CopyTo(dir, store).Update(ctx)
}

// fetches is how many run directories are fetched at a time.
const fetches = 16

// workerOf returns the worker's folder that a key lies in, with its slash; empty: none.
func workerOf(key string) string {
	name, _, ok := strings.Cut(key, "/")
	if matched, _ := path.Match(workerPattern, name); ok && matched { // the pattern is a good one
		return name + "/"
	}
	return ""
}

// fetch is one run directory to be fetched.
type fetch struct {
	store  object.Store
	name   string        // empty, or a folder with its slash
	listed []object.Info // keys below name, in order
	run    bool          // a manifest is there
	root   *os.Root
	here   map[string]string // files that were fetched, with their ETags
	parts  map[string][]part // of each segment, likewise
}

// part is one of a ledger's segment, as it was fetched.
type part struct {
	key, etag string
	size      int64
}

func (f *fetch) add(info object.Info) {
	_, part := segmentOf(info.Key)
	switch {
	case info.Key == ledger.ManifestFile:
		f.run = true
	case info.Key != StatsFile && !part && !strings.HasPrefix(info.Key, snapshotDir+"/"):
		return
	}
	f.listed = append(f.listed, info)
}

func (f *fetch) into(ctx context.Context, dir string) (err error) {
	dir = filepath.Join(dir, filepath.FromSlash(f.name))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if f.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	defer func() { _ = f.root.Close() }()
	nth := map[string]int{} // part of its segment
	for _, info := range f.listed {
		segment, part := segmentOf(info.Key)
		if !part {
			if err := f.file(ctx, info); err != nil {
				return err
			}
			continue
		}
		if err := f.part(ctx, segment, nth[segment], info); err != nil {
			return err
		}
		nth[segment]++
	}
	return nil
}

func (f *fetch) file(ctx context.Context, info object.Info) error {
	if f.here[info.Key] == info.ETag {
		return nil
	}
	_, err := f.copy(ctx, info.Key, info.Key, 0)
	if err == nil {
		f.here[info.Key] = info.ETag
	}
	return err
}

// part appends the nth part of a segment, unless it is there. One that was sent
// again may have become longer since it was fetched.
func (f *fetch) part(ctx context.Context, segment string, nth int, info object.Info) error {
	have := f.parts[segment]
	if nth < len(have) && have[nth].key == info.Key && have[nth].etag == info.ETag {
		return nil
	}
	have = have[:min(nth, len(have))]
	var end int64
	for _, p := range have {
		end += p.size
	}
	if err := follows(info.Key, end); err != nil {
		return err
	}
	n, err := f.copy(ctx, info.Key, segment, end)
	f.parts[segment] = append(have, part{info.Key, info.ETag, n})
	return err
}

// copy writes an object into a file from there on; what was behind is dropped.
func (f *fetch) copy(ctx context.Context, key, name string, at int64) (int64, error) {
	r, err := f.store.Open(ctx, f.name+key)
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	if err := f.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return 0, err
	}
	w, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return 0, err
	}
	var n int64
	if err = w.Truncate(at); err == nil {
		_, err = w.Seek(at, io.SeekStart)
	}
	if err == nil {
		n, err = io.Copy(w, r)
	}
	return n, errors.Join(err, w.Close())
}

// What verifies leave in a run directory is copied as it is. What was found and the
// state that counts on it are two objects; the state knows a sum of what was found,
// so that those of two verifies that ended at a time are not taken for one.

// FetchState brings what a verify left in the copy of a run directory, if one did.
func FetchState(ctx context.Context, store object.Store, dir string) error {
	f := &fetch{store: store, here: map[string]string{}}
	for info, err := range store.List(ctx, findingsDir+"/") {
		if err != nil {
			return fmt.Errorf("replay: copy of what a verify left: %w", err)
		}
		if isState(info.Key) {
			f.listed = append(f.listed, info)
		}
	}
	if err := f.into(ctx, dir); err != nil && !errors.Is(err, object.ErrNotExist) {
		return fmt.Errorf("replay: copy of what a verify left: %w", err)
	}
	return nil
}

// UploadState brings what a verify left to the copy of its run directory. The last
// one wins.
func UploadState(ctx context.Context, store object.Store, dir string) error {
	list, err := os.ReadDir(filepath.Join(dir, findingsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replay: %w", err)
	}
	for _, e := range list {
		name, ok := strings.CutSuffix(e.Name(), stateSuffix)
		if !ok {
			continue
		}
		stage := findingsDir + "/" + name
		if err := Upload(ctx, store, dir, stage+foundSuffix, stage+stateSuffix); err != nil {
			return err
		}
	}
	return nil
}

func isState(key string) bool {
	return path.Dir(key) == findingsDir && (strings.HasSuffix(key, stateSuffix) || strings.HasSuffix(key, foundSuffix)) && !strings.HasPrefix(path.Base(key), ".")
}

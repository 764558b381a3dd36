// Package dir keeps objects as files below one directory.
package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"syscall"

	"kreplay/pkg/object"
)

// Store is an object.Store of files. A key is a path below the root and never
// leaves it, not through a symbolic link either. A link to a file below the
// root is that file; any other link ends a listing with an error, because to
// leave it out would hide objects. Unlike in an object service, "a" and "a/b"
// cannot both be objects.
type Store struct{ root *os.Root }

// Open opens the directory root, which must exist. The caller closes the store.
func Open(root string) (*Store, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	return &Store{root: r}, nil
}

// Close releases the directory. Readers and writers that are open go on; a
// writer can no longer publish.
func (s *Store) Close() error { return s.root.Close() }

// Open implements object.Store.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	f, err := s.OpenAt(ctx, key)
	if err != nil {
		return nil, err
	}
	return f.(io.ReadCloser), nil
}

// file is an object that is open.
type file struct {
	*os.File
	ctx  context.Context
	size int64
}

func (f file) Size() int64 { return f.size }

func (f file) ReadAt(p []byte, off int64) (int, error) {
	if err := context.Cause(f.ctx); err != nil {
		return 0, fmt.Errorf("dir: read %s: %w", f.Name(), err)
	}
	return f.File.ReadAt(p, off)
}

// OpenAt implements object.Seeker.
func (s *Store) OpenAt(ctx context.Context, key string) (object.ReaderAt, error) {
	if err := admit(ctx, key); err != nil {
		return nil, err
	}
	// Stat first: opening a pipe would wait for its writer.
	info, err := s.root.Stat(key)
	switch {
	case errors.Is(err, syscall.ENOTDIR): // "a/b" where "a" is an object
		return nil, fmt.Errorf("dir: %s: %w", key, object.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("dir: open %s: %w", key, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("dir: %s: not a regular file: %w", key, object.ErrNotExist)
	}
	f, err := s.root.Open(key)
	if err != nil {
		return nil, fmt.Errorf("dir: open %s: %w", key, err)
	}
	return file{f, ctx, info.Size()}, nil
}

// List implements object.Store. It holds the names of one directory per level.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		w := walk{ctx: ctx, root: s.root, prefix: prefix, yield: yield}
		if err := w.dir("."); err != nil && !errors.Is(err, errStop) {
			yield(object.Info{}, err)
		}
	}
}

// errStop ends a walk whose consumer has seen enough.
var errStop = errors.New("stop")

type walk struct {
	ctx    context.Context
	root   *os.Root
	prefix string
	yield  func(object.Info, error) bool
}

// dir walks one directory; name is "." or a key without a trailing slash.
func (w *walk) dir(name string) error {
	entries, err := w.entries(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := context.Cause(w.ctx); err != nil {
			return fmt.Errorf("dir: list %q: %w", w.prefix, err)
		}
		key := sortKey(e)
		if name != "." {
			key = name + "/" + key
		}
		if err := w.entry(key, e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(key string, e fs.DirEntry) error {
	if strings.HasPrefix(e.Name(), object.Temporary) {
		return nil
	}
	if e.IsDir() {
		if strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key) {
			return w.dir(strings.TrimSuffix(key, "/"))
		}
		return nil
	}
	if !strings.HasPrefix(key, w.prefix) {
		return nil
	}
	info, err := w.root.Stat(key) // follows a link, but not out of the root
	link := e.Type()&fs.ModeSymlink != 0
	switch {
	case errors.Is(err, fs.ErrNotExist) && !link:
		return nil // removed meanwhile
	case err != nil:
		return fmt.Errorf("dir: list %s: %w", key, err)
	case info.IsDir() && link:
		return fmt.Errorf("dir: list %s: symbolic link to a directory", key)
	case !info.Mode().IsRegular():
		return nil
	}
	if !w.yield(object.Info{Key: key, Size: info.Size(), Modified: info.ModTime(), ETag: etag(info)}, nil) {
		return errStop
	}
	return nil
}

// etag is made of what changes when a file is written or replaced: its size,
// its time, and, where the system tells it, its inode.
func etag(info fs.FileInfo) string {
	return fmt.Sprintf("%x-%x-%x", info.Size(), info.ModTime().UnixNano(), inode(info))
}

// entries returns the names of a directory in the order of the keys below them.
func (w *walk) entries(name string) ([]fs.DirEntry, error) {
	f, err := w.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // removed meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("dir: list %s: %w", name, err)
	}
	defer func() { _ = f.Close() }()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("dir: list %s: %w", name, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(sortKey(a), sortKey(b)) })
	return entries, nil
}

// sortKey is what keys at or below an entry begin with. With the slash, "a-b"
// stands before "a/b", as the order of keys wants, and not after it.
func sortKey(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

// admit refuses what is cancelled or cannot be a key.
func admit(ctx context.Context, key string) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("dir: %s: %w", key, err)
	}
	return object.CheckKey(key)
}

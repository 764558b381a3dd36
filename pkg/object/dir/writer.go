package dir

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path"

	"kreplay/pkg/object"
)

// Create implements object.Store. The temporary file lies beside the final
// one, so that the rename stays within one file system.
func (s *Store) Create(ctx context.Context, key string) (object.Writer, error) {
	if err := admit(ctx, key); err != nil {
		return nil, err
	}
	folder := path.Dir(key)
	if err := s.root.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("dir: create %s: %w", key, err)
	}
	temp := path.Join(folder, object.Temporary+rand.Text())
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("dir: create %s: %w", key, err)
	}
	return &writer{ctx: ctx, root: s.root, key: key, temp: temp, file: f}, nil
}

// writer is an object on its way. file is nil once it is closed or aborted.
type writer struct {
	ctx       context.Context
	root      *os.Root
	key, temp string
	file      *os.File
	err       error // first failure of a Write; Close then refuses to publish
}

func (w *writer) Write(p []byte) (int, error) {
	if w.file == nil {
		return 0, fmt.Errorf("dir: write %s: %w", w.key, object.ErrDone)
	}
	if w.err == nil {
		w.err = context.Cause(w.ctx)
	}
	if w.err != nil {
		return 0, fmt.Errorf("dir: write %s: %w", w.key, w.err)
	}
	n, err := w.file.Write(p)
	if err != nil {
		w.err = err
		return n, fmt.Errorf("dir: write %s: %w", w.key, err)
	}
	return n, nil
}

func (w *writer) Close() error {
	if w.file == nil {
		return fmt.Errorf("dir: close %s: %w", w.key, object.ErrDone)
	}
	if w.err == nil {
		w.err = context.Cause(w.ctx)
	}
	if w.err == nil {
		w.err = w.publish()
	}
	if w.err == nil {
		return nil
	}
	_ = w.Abort() // the failure that led here says more
	return fmt.Errorf("dir: close %s: %w", w.key, w.err)
}

func (w *writer) publish() error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	if err := w.root.Rename(w.temp, w.key); err != nil {
		return err
	}
	w.file = nil
	return w.syncFolder()
}

// syncFolder makes the new name survive a crash of the machine.
func (w *writer) syncFolder() error {
	folder, err := w.root.Open(path.Dir(w.key))
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	return folder.Sync()
}

func (w *writer) Abort() error {
	if w.file == nil {
		return nil
	}
	_ = w.file.Close() // closed already when publish got so far; it goes anyway
	w.file = nil
	if err := w.root.Remove(w.temp); err != nil {
		return fmt.Errorf("dir: abort %s: %w", w.key, err)
	}
	return nil
}

package replay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"kreplay/pkg/account"
)

// findings are the differences that the reading of a stage itself finds: damage,
// misplaced rows, error records. They wait on disk, in the order in which they
// were found, for the stage to be judged. It is safe for concurrent use.
type findings struct {
	mu      sync.Mutex
	file    *os.File
	buf     *bufio.Writer
	private bool // another verify has the run's
}

// findingsDir is where they are, below the run directory.
const findingsDir = "verify"

// newFindings opens the findings of a stage, with what an earlier verify left in
// them. Where another one is at work on them they are others, which go with close.
func newFindings(dir, stage string) (*findings, error) {
	path := filepath.Join(dir, findingsDir, stage+".found")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if lock(f) {
		return &findings{file: f, buf: bufio.NewWriter(f)}, nil
	}
	_ = f.Close()
	if f, err = os.CreateTemp(filepath.Dir(path), ".tmp-found-"); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return &findings{file: f, buf: bufio.NewWriter(f), private: true}, nil
}

func (f *findings) add(d account.Difference) error {
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err = f.buf.Write(append(text, '\n'))
	return err
}

// each reads them back, from the first one on.
func (f *findings) each(visit func(account.Difference) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.buf.Flush(); err != nil {
		return err
	}
	size, err := f.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	for in := json.NewDecoder(io.NewSectionReader(f.file, 0, size)); ; {
		var d account.Difference
		if err := in.Decode(&d); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("replay: %s: %w", f.file.Name(), err)
		}
		if err := visit(d); err != nil {
			return err
		}
	}
}

// clear drops them all.
func (f *findings) clear() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf.Reset(f.file)
	_, err := f.file.Seek(0, io.SeekStart)
	return errors.Join(err, f.file.Truncate(0))
}

// sync brings them to the disk, and returns how many bytes they are.
func (f *findings) sync() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(f.buf.Flush(), f.file.Sync()); err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	return f.file.Seek(0, io.SeekCurrent)
}

// keep drops all behind so many bytes.
func (f *findings) keep(size int64) error {
	info, err := f.file.Stat()
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if size < 0 || info.Size() < size {
		return fmt.Errorf("%w: %s has %d bytes, not the %d that belong to it", errUnfit, f.file.Name(), info.Size(), size)
	}
	_, err = f.file.Seek(size, io.SeekStart)
	return errors.Join(err, f.file.Truncate(size))
}

// close gives the file back; the next verify may go on from it.
func (f *findings) close() error {
	err := f.file.Close()
	if f.private {
		err = errors.Join(err, os.Remove(f.file.Name()))
	}
	return err
}

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

	"github.com/zeebo/xxh3"

	"kreplay/pkg/account"
)

// findings are the differences that the reading of a stage itself finds: damage,
// misplaced rows, error records. They wait on disk, in the order in which they
// were found, for the stage to be judged. It is safe for concurrent use.
type findings struct {
	mu      sync.Mutex
	file    *os.File
	sum     *xxh3.Hasher // of all of them
	buf     *bufio.Writer
	private bool // another verify has the run's
}

// findingsDir is where they are, below the run directory, beside the stage's state.
const (
	findingsDir = "verify"
	foundSuffix = ".found"
	stateSuffix = ".state"
)

// newFindings opens the findings of a stage, with what an earlier verify left in
// them. Where another one is at work on them they are others, which go with close.
func newFindings(dir, stage string) (*findings, error) {
	path := filepath.Join(dir, findingsDir, stage+foundSuffix)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if lock(f) {
		return &findings{file: f, buf: bufio.NewWriter(f), sum: xxh3.New()}, nil
	}
	_ = f.Close()
	if f, err = os.CreateTemp(filepath.Dir(path), ".tmp-found-"); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return &findings{file: f, buf: bufio.NewWriter(f), sum: xxh3.New(), private: true}, nil
}

func (f *findings) add(d account.Difference) error {
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	text = append(text, '\n')
	_, _ = f.sum.Write(text) // a hash does not fail
	_, err = f.buf.Write(text)
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
	f.sum.Reset()
	_, err := f.file.Seek(0, io.SeekStart)
	return errors.Join(err, f.file.Truncate(0))
}

// sync brings them to the disk, and returns how many bytes they are, and their sum.
func (f *findings) sync() (size int64, sum uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(f.buf.Flush(), f.file.Sync()); err != nil {
		return 0, 0, fmt.Errorf("replay: %w", err)
	}
	size, err = f.file.Seek(0, io.SeekCurrent)
	return size, f.sum.Sum64(), err
}

// keep drops all behind so many bytes, which have to have that sum.
func (f *findings) keep(size int64, sum uint64) error {
	f.sum.Reset()
	if n, err := io.Copy(f.sum, io.NewSectionReader(f.file, 0, max(size, 0))); err != nil {
		return fmt.Errorf("replay: %w", err)
	} else if n != size || f.sum.Sum64() != sum {
		return fmt.Errorf("%w: the first %d bytes of %s are not those that belong to it", errUnfit, size, f.file.Name())
	}
	_, err := f.file.Seek(size, io.SeekStart)
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

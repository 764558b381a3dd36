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
	mu   sync.Mutex
	file *os.File
	buf  *bufio.Writer
}

// findingsDir is where they are, below the run directory.
const findingsDir = "verify"

func newFindings(dir, stage string) (*findings, error) {
	path := filepath.Join(dir, findingsDir, stage+".found")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return &findings{file: f, buf: bufio.NewWriter(f)}, nil
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

// close removes the file: what it held is in the list of differences.
func (f *findings) close() error {
	return errors.Join(f.file.Close(), os.Remove(f.file.Name()))
}

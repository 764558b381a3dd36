package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"kreplay/pkg/record"
)

// A Writer appends to the ledger of a run. It may be used by many goroutines at
// once; each call writes at most one frame with one write, before it returns, so
// what returned survives the death of the process. Only Sync and Close make it
// survive the death of the machine: of what was sent since, a ledger knows nothing
// after a power cut.
//
// Subtle: after a write has failed the file may end in half a frame, so nothing
// is written behind it any more. Every later call returns the same error, and
// Close writes no end frame: a reader then takes what is not acked for unknown,
// which is the truth.
type Writer struct {
	planned uint64
	started time.Time
	opened  time.Time // with a monotonic reading

	mu      sync.Mutex
	file    file
	err     error // of a write, or errClosed
	enc     encoder
	payload []byte
	frame   []byte
}

// file is what a Writer needs of *os.File.
type file interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

var errClosed = errors.New("ledger: closed")

// Create starts the ledger of a run in dir, which must exist. It refuses a
// directory that already holds one. Nothing is to be sent before it returns.
func Create(dir string, m Manifest) (*Writer, error) {
	now := time.Now()
	if err := m.complete(now); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, ManifestFile)); err == nil {
		return nil, holdsOne(dir)
	}
	// Of two who create at once, one wins here.
	f, path, err := createSegment(dir, 1)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, holdsOne(dir)
	case err != nil:
		return nil, err
	}
	w := newWriter(f, m, now)
	if err := w.write([]byte(header)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	err = w.Sync()
	if err == nil { // a manifest alone would hold a run that never was
		err = writeManifest(dir, m)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return w, nil
}

// Clear makes dir ready for Create: it refuses a directory that holds a run, and
// removes what a Create that was killed leaves. Nothing is sent before there is a
// manifest, so that is a ledger without one, which ends within its header. Only one
// process may clear a directory and create there.
func Clear(dir string) error {
	for _, name := range []string{ManifestFile, SegmentFile(2)} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return holdsOne(dir)
		}
	}
	path := filepath.Join(dir, LedgerFile)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("ledger: %w", err)
	case !strings.HasPrefix(header, string(text)):
		return holdsOne(dir)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("ledger: what a start left: %w", err)
	}
	return nil
}

// Resume goes on with the run of a directory, in a new segment: the ones that
// are there stay as they are, torn or not. Only one process may write to a run.
func Resume(dir string) (*Writer, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	n, err := segments(dir)
	if err != nil {
		return nil, err
	}
	f, _, err := createSegment(dir, n+1)
	if err != nil {
		return nil, err
	}
	w := newWriter(f, m, time.Now())
	if err := w.write([]byte(header)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := errors.Join(w.Sync(), syncDir(dir)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// ResumeCopy is Resume where dir was fetched from a copy that may lack the end of
// what was sent; see OpenCopy. The new segment says so, for whoever reads it.
func ResumeCopy(dir string) (*Writer, error) {
	w, err := Resume(dir)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.put(w.enc.lost(w.payload[:0], w.ms())); err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return w, nil
}

// openFile is where a test hands over a file that cannot be synced.
var openFile = os.OpenFile

func createSegment(dir string, n int) (*os.File, string, error) {
	path := filepath.Join(dir, SegmentFile(n))
	f, err := openFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return nil, path, fmt.Errorf("ledger: %w", err)
	}
	return f, path, nil
}

// segments counts those of a run.
func segments(dir string) (n int, err error) {
	for {
		_, err := os.Lstat(filepath.Join(dir, SegmentFile(n+1)))
		if errors.Is(err, fs.ErrNotExist) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("ledger: %w", err)
		}
		n++
	}
}

func holdsOne(dir string) error {
	return fmt.Errorf("ledger: %s: already holds the ledger of a run; choose another --run-dir", dir)
}

func newWriter(f file, m Manifest, now time.Time) *Writer {
	return &Writer{planned: m.Planned, started: m.Started, opened: now, file: f}
}

// Begin writes that recs are about to be sent in one request, and returns its
// number for Answer. Call it before the first byte is sent: after a crash it is
// known what may have been stored, and that nothing else can have been.
func (w *Writer) Begin(recs []record.Record) (request uint64, err error) {
	if len(recs) == 0 {
		return 0, errors.New("ledger: begin: a request without records")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	for i := range recs {
		if recs[i].Seq >= w.planned {
			return 0, fmt.Errorf("ledger: begin: seq %d: only %d records are planned", recs[i].Seq, w.planned)
		}
	}
	request = w.enc.sum.Requests
	return request, w.put(w.enc.begin(w.payload[:0], w.ms(), recs))
}

// Answer writes the outcomes of a request, one for each record in order. Call
// it after every attempt, before anything is sent again.
func (w *Writer) Answer(request uint64, outs []record.Outcome) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if n, begun := w.enc.flight[request]; !begun || n != len(outs) {
		return fmt.Errorf("ledger: answer to request %d: %d outcomes for %d records", request, len(outs), n)
	}
	for i := range outs {
		if outs[i].Fate > record.Refused {
			return fmt.Errorf("ledger: answer to request %d: fate %v is not that of an attempt", request, outs[i].Fate)
		}
	}
	return w.put(w.enc.answer(w.payload[:0], w.ms(), request, outs))
}

// Sync returns when all that was written before is on stable storage. It is not
// called beside Close.
func (w *Writer) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.mu.Unlock() // senders go on writing meanwhile
	err := w.file.Sync()
	w.mu.Lock()
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("ledger: sync: %w", err)
	}
	return w.err
}

// Close says why the run ended, and closes the ledger. A request without an
// answer is an error, and leaves the ledger as a crash does.
func (w *Writer) Close(end End) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, errClosed) {
		return w.err
	}
	if w.err == nil && len(w.enc.flight) > 0 {
		w.err = fmt.Errorf("ledger: close: %d requests have no answer", len(w.enc.flight))
	}
	if w.err == nil {
		payload, err := w.enc.close(w.payload[:0], w.ms(), end)
		if err != nil {
			return err
		}
		if w.put(payload) == nil {
			if err := w.file.Sync(); err != nil {
				w.err = fmt.Errorf("ledger: sync: %w", err)
			}
		}
	}
	err := w.err
	w.err = errClosed
	if e := w.file.Close(); e != nil {
		err = errors.Join(err, fmt.Errorf("ledger: %w", e))
	}
	return err
}

// ms returns the milliseconds since the run started, by the monotonic clock.
func (w *Writer) ms() int64 {
	return (w.opened.Sub(w.started) + time.Since(w.opened)).Milliseconds()
}

// put writes payload, which may be the Writer's own buffer, as one frame.
func (w *Writer) put(payload []byte) error {
	w.payload = payload
	if len(payload) > maxFrame {
		w.err = fmt.Errorf("ledger: frame of %d bytes: the limit is %d", len(payload), maxFrame)
		return w.err
	}
	w.frame = appendFrame(w.frame[:0], payload)
	return w.write(w.frame)
}

func (w *Writer) write(b []byte) error {
	if _, err := w.file.Write(b); err != nil {
		w.err = fmt.Errorf("ledger: %w", err)
	}
	return w.err
}

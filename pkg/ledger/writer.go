package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"kreplay/pkg/record"
)

// A Writer appends to the ledger of a run. It may be used by many goroutines at
// once; each call writes at most one frame with one write, before it returns, so
// what returned survives the death of the process. Only Sync and Close make it
// survive the death of the machine.
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
	path := filepath.Join(dir, LedgerFile)
	// Of two who create at once, one wins here.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, holdsOne(dir)
	case err != nil:
		return nil, fmt.Errorf("ledger: %w", err)
	}
	w := newWriter(f, m, now)
	if err := w.write([]byte(header)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	if err := errors.Join(w.Sync(), writeManifest(dir, m)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return w, nil
}

func holdsOne(dir string) error {
	return fmt.Errorf("ledger: %s: already holds the ledger of a run; choose another --run-dir", dir)
}

func newWriter(f file, m Manifest, now time.Time) *Writer {
	return &Writer{planned: m.Planned, started: m.Started, opened: now, file: f}
}

// Mark says that every record whose seq is below next may be sent from now on.
// Call it before the first of them is. A mark below an earlier one changes nothing.
func (w *Writer) Mark(next uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if next <= w.enc.next || w.err != nil {
		return w.err
	}
	if next > w.planned {
		return fmt.Errorf("ledger: mark %d: only %d records are planned", next, w.planned)
	}
	return w.put(w.enc.mark(w.payload[:0], next))
}

// Attempt writes the outcomes of one request, one for each of recs in order.
// Call it after every attempt, before anything is sent again.
func (w *Writer) Attempt(recs []record.Record, outs []record.Outcome) error {
	if len(recs) != len(outs) {
		return fmt.Errorf("ledger: attempt: %d outcomes for %d records", len(outs), len(recs))
	}
	if len(recs) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	for i, r := range recs {
		if r.Seq >= w.enc.next {
			return fmt.Errorf("ledger: attempt at seq %d: not below the mark %d", r.Seq, w.enc.next)
		}
		if outs[i].Fate > record.Refused {
			return fmt.Errorf("ledger: attempt at seq %d: fate %v is not that of an attempt", r.Seq, outs[i].Fate)
		}
	}
	return w.put(w.enc.attempt(w.payload[:0], w.ms(), recs, outs))
}

// Sync returns when all that was written is on stable storage.
func (w *Writer) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if err := w.file.Sync(); err != nil {
		w.err = fmt.Errorf("ledger: sync: %w", err)
	}
	return w.err
}

// Close says why the run ended, and closes the ledger. Every attempt must have
// been written: of what is marked and has no attempt, a reader will say that it
// was never sent.
func (w *Writer) Close(end End) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, errClosed) {
		return w.err
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

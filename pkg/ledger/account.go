package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// CodeCrash stands for the answer that a crash kept from being written.
const CodeCrash = "crash"

// An Account is what a ledger says of a run. It is not written to after Open.
type Account struct {
	Dir      string // where it was read, for Times
	Manifest Manifest
	Next     uint64    // nothing at or above this seq was ever sent
	Clean    bool      // the last segment ended in order; otherwise the run crashed or goes on
	Reason   End       // why it ended; empty unless Clean
	Ended    time.Time // of the last attempt, or of the end

	// Attempts counts what was written and the window.
	Attempts Attempts
	// Window counts the records of requests that were in flight when the run
	// crashed, once for each time. Each of them is an unknown attempt.
	Window   uint64
	Codes    map[string]uint64 // attempts at records by code, the window left out
	Cut      int64             // bytes behind the last valid frame of a segment: a torn write, or damage
	Segments int               // files: one more than the run was resumed

	pieces []piece
	codes  []string // by number; 0 is no code
	totals Totals
	ledger Attempts // as summed up by the writer, of the segments that it closed
	read   Attempts // of the same segments
}

// A Span is a range of records of one fate: First <= seq < First+Count.
type Span struct {
	First, Count uint64
	Fate         record.Fate // final
	Unknowns     uint32      // unknown attempts at each of the records, whatever the final fate
	Code         string      // of the last attempt of that fate; empty when acked or unsent
}

// Totals counts planned records by their final fate.
type Totals struct {
	Acked, Refused, Unknown, Unsent uint64
}

// Open reads the account of a run directory, as far as it is readable: a torn
// tail is no error, for what it held had not been sent, but counted in Cut. A
// ledger that still grows may be opened; it reads as if it had crashed now.
func Open(dir string) (*Account, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	a := newAccount(m)
	a.Dir = dir
	var l layers
	if err := a.readSegments(&l); err != nil {
		return nil, err
	}
	a.settle(l.all())
	return a, nil
}

// readSegments adds all segments of the run directory.
func (a *Account) readSegments(l *layers) error {
	for {
		path := filepath.Join(a.Dir, SegmentFile(a.Segments+1))
		f, err := os.Open(path)
		if a.Segments > 0 && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		err = a.segment(bufio.NewReaderSize(f, 1<<18), l)
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("ledger: %s: %w", path, err)
		}
	}
}

// OpenCopy reads the account from a copy of a run directory that may lag behind
// the original, such as one that is written to an object store as the run goes
// on. Unless the copy has the end, each record without an ack in it may have
// been sent since, any number of times.
func OpenCopy(dir string) (*Account, error) {
	a, err := Open(dir)
	if err != nil || a.Clean {
		return a, err
	}
	a.Next, a.totals = a.Manifest.Planned, Totals{}
	a.settle(merge(a.pieces, a.everything()))
	return a, nil
}

// everything is the window of all that is planned and not acked, in place of
// any before: each of them may have been sent any number of times.
func (a *Account) everything() (layer []piece) {
	lost := state{fate: record.Unknown, code: a.number(CodeCrash), unknowns: math.MaxUint32}
	a.Attempts.Unknown -= a.Window
	a.Window = 0
	defer func() { a.Attempts.Unknown += a.Window }()
	for s := range a.Fates() {
		if s.Fate != record.Acked {
			layer = push(layer, piece{s.First, s.First + s.Count, lost})
			a.Window += s.Count
		}
	}
	return layer
}

var errForeign = errors.New("not a ledger of kreplay")

func newAccount(m Manifest) *Account {
	return &Account{Manifest: m, Ended: m.Started, Codes: map[string]uint64{}, codes: []string{""}}
}

// segment adds a segment. It is Open without the file system.
func (a *Account) segment(r *bufio.Reader, l *layers) error {
	a.Segments++
	a.Clean, a.Reason = false, ""
	d := &decoder{a: a, layers: l, codes: []uint32{0}, flight: map[uint64]inFlight{}}
	whole, err := readHeader(r)
	if err != nil {
		return err
	}
	if !whole.ok {
		a.Cut += whole.n
		return nil
	}
	frames := reader{r: r}
	for offset := whole.n; ; {
		payload, n, err := frames.next()
		if err != nil {
			return err
		}
		if payload == nil || d.closed {
			rest, err := io.Copy(io.Discard, r)
			if err != nil {
				return err
			}
			a.Cut += n + rest
			break
		}
		if err := d.frame(payload); err != nil {
			return fmt.Errorf("frame at byte %d: %w", offset, err)
		}
		offset += n
	}
	if !d.closed {
		d.crashed()
	}
	return nil
}

// number is the place of a code.
func (a *Account) number(code string) uint32 {
	i := slices.Index(a.codes, code)
	if i < 0 {
		i = len(a.codes)
		a.codes = append(a.codes, code)
	}
	return uint32(i)
}

// headerRead says how much of the header there was.
type headerRead struct {
	n  int64
	ok bool
}

func readHeader(r io.Reader) (headerRead, error) {
	buf := make([]byte, len(header))
	n, err := io.ReadFull(r, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return headerRead{}, err
	}
	got := string(buf[:n])
	if common := min(n, len(magic)); got[:common] != magic[:common] {
		return headerRead{}, errForeign
	}
	if n == len(header) && got != header {
		return headerRead{}, fmt.Errorf("format %d; this kreplay reads format %d", got[len(magic)], format)
	}
	return headerRead{int64(n), n == len(header)}, nil
}

// settle counts final fates.
func (a *Account) settle(pieces []piece) {
	a.pieces = pieces
	for s := range a.Fates() {
		switch s.Fate {
		case record.Acked:
			a.totals.Acked += s.Count
		case record.Refused:
			a.totals.Refused += s.Count
		case record.Unknown:
			a.totals.Unknown += s.Count
		case record.Unsent:
			a.totals.Unsent += s.Count
		}
	}
}

// Fates yields the final fate of every planned record, in order and without
// gaps, as the longest ranges that are alike.
func (a *Account) Fates() iter.Seq[Span] {
	return func(yield func(Span) bool) {
		seq := uint64(0)
		for _, p := range a.pieces {
			if seq < p.first && !yield(Span{First: seq, Count: p.first - seq, Fate: record.Unsent}) {
				return
			}
			if !yield(Span{p.first, p.end - p.first, p.fate, p.unknowns, a.codes[p.code]}) {
				return
			}
			seq = p.end
		}
		if seq < a.Manifest.Planned {
			yield(Span{First: seq, Count: a.Manifest.Planned - seq, Fate: record.Unsent})
		}
	}
}

// Totals counts planned records by their final fate.
func (a *Account) Totals() Totals { return a.totals }

// Throttled counts the attempts at records that met a throughput limit.
func (a *Account) Throttled() (n uint64) {
	for code, attempts := range a.Codes {
		if stream.Throttled(code) {
			n += attempts
		}
	}
	return n
}

// Check says whether the books balance. A sum that does not is kreplay's bug.
func (a *Account) Check() error {
	t := a.totals
	if sum := t.Acked + t.Refused + t.Unknown + t.Unsent; sum != a.Manifest.Planned {
		return fmt.Errorf("ledger: broken books: %d planned, but %d acked + %d refused + %d unknown + %d unsent = %d",
			a.Manifest.Planned, t.Acked, t.Refused, t.Unknown, t.Unsent, sum)
	}
	if a.ledger != a.read {
		return fmt.Errorf("ledger: broken books: attempts read %+v, but written %+v", a.read, a.ledger)
	}
	if t.Acked > a.Attempts.Acked || t.Unknown > a.Attempts.Unknown || t.Refused > a.Attempts.Refused {
		return fmt.Errorf("ledger: broken books: final fates %+v, but attempts %+v", t, a.Attempts)
	}
	return nil
}

package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kreplay/pkg/record"
)

// CodeCrash stands for the answer that a crash kept from being written.
const CodeCrash = "crash"

// An Account is what a ledger says of a run. It is not written to after Open.
type Account struct {
	Manifest Manifest
	Next     uint64    // nothing at or above this seq was ever sent
	Clean    bool      // the run ended in order; otherwise it crashed or goes on
	Reason   End       // why it ended; empty unless Clean
	Ended    time.Time // of the last attempt, or of the end

	// Attempts counts what was written and the window.
	Attempts Attempts
	// Window counts the records below Next without an ack in a ledger that is
	// not Clean. Each may have been in flight, and has one unknown attempt more.
	Window uint64
	Codes  map[string]uint64 // attempts at records by code, the window left out
	Cut    int64             // bytes behind the last valid frame: a torn write, or damage

	pieces []piece
	codes  []string // by number; 0 is no code
	totals Totals
	ledger Attempts // as summed up by the writer when it closed
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
	path := filepath.Join(dir, LedgerFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	a, err := read(bufio.NewReaderSize(f, 1<<18), m)
	if err != nil {
		return nil, fmt.Errorf("ledger: %s: %w", path, err)
	}
	return a, nil
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
	a.Next = a.Manifest.Planned
	a.Attempts.Unknown -= a.Window
	a.Window, a.totals = 0, Totals{}
	a.settle(a.pieces, math.MaxUint32)
	return a, nil
}

var errForeign = errors.New("not a ledger of kreplay")

// read reads a ledger file. It is Open without the file system.
func read(r *bufio.Reader, m Manifest) (*Account, error) {
	a := &Account{Manifest: m, Ended: m.Started, Codes: map[string]uint64{}, codes: []string{""}}
	d := &decoder{a: a}
	whole, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if !whole.ok {
		a.Cut = whole.n
		a.settle(d.layers.all(), 1)
		return a, nil
	}
	frames := reader{r: r}
	for offset := whole.n; ; {
		payload, n, err := frames.next()
		if err != nil {
			return nil, err
		}
		if payload == nil || a.Clean {
			rest, err := io.Copy(io.Discard, r)
			if err != nil {
				return nil, err
			}
			a.Cut = n + rest
			break
		}
		if err := d.frame(payload); err != nil {
			return nil, fmt.Errorf("frame at byte %d: %w", offset, err)
		}
		offset += n
	}
	a.settle(d.layers.all(), 1)
	return a, nil
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

// settle adds the crash window, with so many unknown attempts at each of its
// records, and counts final fates.
func (a *Account) settle(pieces []piece, lost uint32) {
	if !a.Clean {
		pieces = merge(pieces, a.window(pieces, lost))
	}
	a.pieces = pieces
	a.Attempts.Unknown += a.Window
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

// window returns unknown attempts at all that is marked and not acked.
func (a *Account) window(pieces []piece, attempts uint32) (layer []piece) {
	code := slices.Index(a.codes, CodeCrash)
	if code < 0 {
		code = len(a.codes)
		a.codes = append(a.codes, CodeCrash)
	}
	lost := state{fate: record.Unknown, code: uint32(code), unknowns: attempts}
	seq := uint64(0)
	add := func(end uint64) {
		if seq < end {
			layer = push(layer, piece{seq, end, lost})
			a.Window += end - seq
		}
	}
	for _, p := range pieces {
		if p.fate == record.Acked {
			add(p.first)
			seq = p.end
		}
	}
	add(a.Next)
	return layer
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
	for _, code := range [...]string{
		"ProvisionedThroughputExceededException", "ThrottlingException", "LimitExceededException", "KMSThrottlingException",
	} {
		n += a.Codes[code]
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
	if a.Clean && a.ledger != a.Attempts {
		return fmt.Errorf("ledger: broken books: attempts read %+v, but written %+v", a.Attempts, a.ledger)
	}
	if t.Acked > a.Attempts.Acked || t.Unknown > a.Attempts.Unknown || t.Refused > a.Attempts.Refused {
		return fmt.Errorf("ledger: broken books: final fates %+v, but attempts %+v", t, a.Attempts)
	}
	return nil
}

package ledger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"kreplay/pkg/record"
)

// The file is the header, then frames of: length of the payload (uvarint),
// payload, CRC-32C of both (little endian). A payload is a kind and its fields;
// ms are milliseconds since the frame before it, first is relative to the end
// of the run before it, both zigzag:
//
//	mark     next − next before (uvarint)
//	attempt  ms, number of runs, runs of: first, count, code<<2|fate
//	end      ms, reason, requests, attempts acked, refused, unknown
//
// A code is 0 for none, else 1 + its place in order of appearance; one that was
// not seen before is followed by its length and text.
const (
	magic  = "kreplay ledger\n"
	format = 1
	header = magic + string(rune(format))

	maxFrame = 1 << 24 // bytes of payload
	maxCode  = 128     // bytes of a code; more is cut off
	maxCodes = 1000    // distinct codes; more are written as otherCode
)

const otherCode = "other"

const (
	kindMark    = 'm'
	kindAttempt = 'a'
	kindEnd     = 'e'
)

// An End says why a run ended.
type End string

// The ends. A run without one crashed, or is still under way.
const (
	Complete End = "complete" // all that was planned was attempted
	Stopped  End = "stopped"  // by a signal, a guard or an error; every attempt is written
)

var ends = [...]End{Complete, Stopped}

// Attempts counts attempts at records by their fate, and the requests that
// carried them.
type Attempts struct {
	Requests, Acked, Refused, Unknown uint64
}

// Records returns the attempts at records: acked + refused + unknown.
func (a Attempts) Records() uint64 { return a.Acked + a.Refused + a.Unknown }

func (a *Attempts) add(f record.Fate, n uint64) {
	switch f {
	case record.Acked:
		a.Acked += n
	case record.Refused:
		a.Refused += n
	case record.Unknown:
		a.Unknown += n
	case record.Unsent: // no attempt has it
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends payload as a frame.
func appendFrame(dst, payload []byte) []byte {
	start := len(dst)
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	dst = append(dst, payload...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// encoder makes payloads. It holds what later payloads are relative to, so all
// that it makes has to be written, in order.
type encoder struct {
	next  uint64
	end   uint64 // of the last run
	ms    int64
	codes map[string]uint64
	sum   Attempts
}

func (e *encoder) mark(dst []byte, next uint64) []byte {
	dst = binary.AppendUvarint(append(dst, kindMark), next-e.next)
	e.next = next
	return dst
}

// attempt encodes one request. It is the caller who knows that recs and outs
// are of the same length and that no seq is at or above the mark.
func (e *encoder) attempt(dst []byte, ms int64, recs []record.Record, outs []record.Outcome) []byte {
	dst = e.time(append(dst, kindAttempt), ms)
	runs := uint64(0)
	for i := 0; i < len(recs); i += runLength(recs[i:], outs[i:]) {
		runs++
	}
	dst = binary.AppendUvarint(dst, runs)
	for i := 0; i < len(recs); {
		n := runLength(recs[i:], outs[i:])
		dst = binary.AppendVarint(dst, int64(recs[i].Seq-e.end)) //nolint:gosec // wraps, and back
		e.end = recs[i].Seq + uint64(n)
		dst = binary.AppendUvarint(dst, uint64(n))
		dst = e.fate(dst, outs[i])
		e.sum.add(outs[i].Fate, uint64(n))
		i += n
	}
	e.sum.Requests++
	return dst
}

// runLength counts the leading records of consecutive seq and equal fate and code.
func runLength(recs []record.Record, outs []record.Outcome) int {
	n := 1
	for n < len(recs) && recs[n].Seq == recs[n-1].Seq+1 && outs[n].Fate == outs[0].Fate &&
		(outs[n].Fate == record.Acked || outs[n].Code == outs[0].Code) {
		n++
	}
	return n
}

func (e *encoder) time(dst []byte, ms int64) []byte {
	dst = binary.AppendVarint(dst, ms-e.ms)
	e.ms = ms
	return dst
}

func (e *encoder) fate(dst []byte, o record.Outcome) []byte {
	code := o.Code
	if o.Fate == record.Acked || code == "" {
		return binary.AppendUvarint(dst, uint64(o.Fate))
	}
	if len(code) > maxCode {
		code = code[:maxCode]
	}
	n, known := e.codes[code]
	if !known && len(e.codes) >= maxCodes {
		code = otherCode
		n, known = e.codes[code]
	}
	if known {
		return binary.AppendUvarint(dst, n<<2|uint64(o.Fate))
	}
	if e.codes == nil {
		e.codes = map[string]uint64{}
	}
	n = uint64(len(e.codes)) + 1
	e.codes[code] = n
	dst = binary.AppendUvarint(dst, n<<2|uint64(o.Fate))
	dst = binary.AppendUvarint(dst, uint64(len(code)))
	return append(dst, code...)
}

func (e *encoder) close(dst []byte, ms int64, reason End) ([]byte, error) {
	dst = e.time(append(dst, kindEnd), ms)
	for i, r := range ends {
		if r != reason {
			continue
		}
		for _, v := range [...]uint64{uint64(i), e.sum.Requests, e.sum.Acked, e.sum.Refused, e.sum.Unknown} {
			dst = binary.AppendUvarint(dst, v)
		}
		return dst, nil
	}
	return nil, fmt.Errorf("ledger: end %q: neither %s nor %s", reason, Complete, Stopped)
}

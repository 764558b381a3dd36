package ledger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"kreplay/pkg/record"
)

// A segment is the header, then frames of: length of the payload (uvarint),
// payload, CRC-32C of both (little endian). A payload is a kind and its fields;
// ms are milliseconds since the frame before it, zigzag:
//
//	begin   ms, then to the end, runs of: (first − end of the run before it, zigzag)<<1|more, and with more: count−2
//	answer  ms, how many requests back, runs over the request's records of: count, code<<2|fate
//	lost    ms; first in a segment: all that is not acked may have been sent, any number of times
//	end     ms, reason, requests, attempts acked, refused, unknown
//
// Requests count from the segment's first. A code is 0 for none, else 1 + its
// place in order of appearance in the segment; one that was not seen before is
// followed by its length and text.
const (
	magic  = "kreplay ledger\n"
	format = 2
	header = magic + string(rune(format))

	maxFrame = 1 << 24 // bytes of payload
	maxCode  = 128     // bytes of a code; more is cut off
	maxCodes = 1000    // distinct codes; more are written as otherCode
)

const otherCode = "other"

const (
	kindBegin  = 'b'
	kindAnswer = 'a'
	kindLost   = 'l'
	kindEnd    = 'e'
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

func (a *Attempts) plus(b Attempts) {
	a.Requests += b.Requests
	a.Acked += b.Acked
	a.Refused += b.Refused
	a.Unknown += b.Unknown
}

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
	end    uint64 // of the last run
	ms     int64
	codes  map[string]uint64
	flight map[uint64]int // records of the requests that have no answer yet
	sum    Attempts
}

// begin encodes a request before it is sent.
func (e *encoder) begin(dst []byte, ms int64, recs []record.Record) []byte {
	dst = e.time(append(dst, kindBegin), ms)
	for i := 0; i < len(recs); {
		n := 1
		for i+n < len(recs) && recs[i+n].Seq == recs[i+n-1].Seq+1 {
			n++
		}
		gap := int64(recs[i].Seq - e.end) // wraps, and back
		key := uint64(gap<<1^gap>>63) << 1
		if n == 1 {
			dst = binary.AppendUvarint(dst, key)
		} else {
			dst = binary.AppendUvarint(dst, key|1)
			dst = binary.AppendUvarint(dst, uint64(n-2))
		}
		e.end = recs[i].Seq + uint64(n)
		i += n
	}
	if e.flight == nil {
		e.flight = map[uint64]int{}
	}
	e.flight[e.sum.Requests] = len(recs)
	e.sum.Requests++
	return dst
}

// answer encodes what became of a request. It is the caller who knows that the
// request is in flight and has as many records as outs.
func (e *encoder) answer(dst []byte, ms int64, request uint64, outs []record.Outcome) []byte {
	dst = e.time(append(dst, kindAnswer), ms)
	dst = binary.AppendUvarint(dst, e.sum.Requests-request)
	for i := 0; i < len(outs); {
		n := runLength(outs[i:])
		dst = binary.AppendUvarint(dst, uint64(n))
		dst = e.fate(dst, outs[i])
		e.sum.add(outs[i].Fate, uint64(n))
		i += n
	}
	delete(e.flight, request)
	return dst
}

// runLength counts the leading outcomes of equal fate and code.
func runLength(outs []record.Outcome) int {
	n := 1
	for n < len(outs) && outs[n].Fate == outs[0].Fate && (outs[n].Fate == record.Acked || outs[n].Code == outs[0].Code) {
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

func (e *encoder) lost(dst []byte, ms int64) []byte { return e.time(append(dst, kindLost), ms) }

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

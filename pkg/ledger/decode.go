package ledger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"time"

	"kreplay/pkg/record"
)

// reader takes frames off a file.
type reader struct {
	r   *bufio.Reader
	buf []byte
}

// next returns the next payload, valid until the call after, and the bytes of
// its frame. Without a valid frame payload is nil and n is what was read of it.
func (f *reader) next() (payload []byte, n int64, err error) {
	f.buf = f.buf[:0]
	size := uint64(0)
	for shift := 0; ; shift += 7 {
		b, err := f.r.ReadByte()
		if err != nil {
			return nil, int64(len(f.buf)), tail(err)
		}
		f.buf = append(f.buf, b)
		size |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
		if shift == 21 { // the limit on frames leaves no fifth byte
			return nil, int64(len(f.buf)), nil
		}
	}
	if size > maxFrame {
		return nil, int64(len(f.buf)), nil
	}
	start := len(f.buf)
	end := start + int(size)
	if cap(f.buf) < end+crc32.Size {
		f.buf = append(make([]byte, 0, 2*(end+crc32.Size)), f.buf...)
	}
	f.buf = f.buf[:end+crc32.Size]
	got, err := io.ReadFull(f.r, f.buf[start:])
	n = int64(start + got)
	if err != nil {
		return nil, n, tail(err)
	}
	if crc32.Checksum(f.buf[:end], castagnoli) != binary.LittleEndian.Uint32(f.buf[end:]) {
		return nil, n, nil
	}
	return f.buf[start:end:end], n, nil
}

// tail takes the end of the file for no error.
func tail(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// decoder is the inverse of encoder; it adds the frames of one segment to an account.
type decoder struct {
	a      *Account
	layers *layers
	end    uint64
	ms     int64
	codes  []uint32            // place in the account's codes, by the segment's number
	flight map[uint64]inFlight // requests without an answer
	sum    Attempts
	closed bool
	rest   []byte // of the payload
	broken bool   // a number was asked for and not there
}

// span is a range of seqs: first <= seq < end.
type span struct{ first, end uint64 }

// inFlight is a request without an answer.
type inFlight struct {
	begun int64 // ms since the run started
	spans []span
}

// frame adds one payload. Its checksum holds, so an error means that another
// program wrote it, or a newer one.
func (d *decoder) frame(payload []byte) error {
	if len(payload) == 0 {
		return errForeign
	}
	d.rest = payload[1:]
	var err error
	switch payload[0] {
	case kindBegin:
		err = d.begin()
	case kindAnswer:
		err = d.answer()
	case kindLost:
		d.lost()
	case kindEnd:
		err = d.close()
	default:
		return fmt.Errorf("kind %q is unknown to this kreplay", payload[0])
	}
	if err == nil && (d.broken || len(d.rest) > 0) {
		err = errForeign
	}
	return err
}

func (d *decoder) begin() error {
	d.time()
	var spans []span
	for len(d.rest) > 0 {
		key := d.uvarint()
		gap, count := key>>1, uint64(1)
		if key&1 == 1 {
			count = d.uvarint() + 2
		}
		first := d.end + uint64(int64(gap>>1)^-int64(gap&1)) // wraps, and back
		planned := d.a.Manifest.Planned
		if d.broken || first >= planned || count > planned-first {
			return fmt.Errorf("request with %d records from seq %d: only %d are planned", count, first, planned)
		}
		d.end = first + count
		spans = append(spans, span{first, d.end})
		d.a.Next = max(d.a.Next, d.end)
	}
	if len(spans) == 0 {
		return errForeign
	}
	d.flight[d.sum.Requests] = inFlight{d.ms, spans}
	d.sum.Requests++
	d.a.Attempts.Requests++
	return nil
}

func (d *decoder) answer() error {
	d.time()
	request := d.sum.Requests - d.uvarint()
	of, begun := d.flight[request]
	spans := of.spans
	if !begun || d.broken {
		return errForeign
	}
	delete(d.flight, request)
	for len(d.rest) > 0 {
		count, key := d.uvarint(), d.uvarint()
		s, err := d.state(key, count)
		if err != nil {
			return err
		}
		for count > 0 {
			if len(spans) == 0 {
				return fmt.Errorf("answer to request %d: %d outcomes too many", request, count)
			}
			n := min(count, spans[0].end-spans[0].first)
			d.layers.attempt(piece{spans[0].first, spans[0].first + n, s}, of.begun)
			count -= n
			if spans[0].first += n; spans[0].first == spans[0].end {
				spans = spans[1:]
			}
		}
	}
	if len(spans) > 0 {
		return fmt.Errorf("answer to request %d: outcomes are missing", request)
	}
	return nil
}

// state is what a run of outcomes says.
func (d *decoder) state(key, count uint64) (state, error) {
	fate, number := record.Fate(key&3), key>>2
	if d.broken || count == 0 || fate > record.Refused || fate == record.Acked && number > 0 {
		return state{}, errForeign
	}
	if number == uint64(len(d.codes)) {
		if err := d.code(); err != nil {
			return state{}, err
		}
	}
	if number >= uint64(len(d.codes)) {
		return state{}, errForeign
	}
	s := state{fate: fate, code: d.codes[number]}
	if fate == record.Unknown {
		s.unknowns = 1
	}
	if number > 0 {
		d.a.Codes[d.a.codes[s.code]] += count
	}
	d.sum.add(fate, count)
	d.a.Attempts.add(fate, count)
	return s, nil
}

// lost gives as many unknown attempts as can be counted to each record that is
// not acked so far. It makes up for what a crash was thought to have lost.
func (d *decoder) lost() {
	d.time()
	d.a.Next = d.a.Manifest.Planned
	if d.layers.note != nil {
		return // when they were sent is in no segment
	}
	d.a.pieces = d.layers.all()
	d.layers.stack = [][]piece{merge(d.a.pieces, d.a.everything())}
	d.a.pieces = nil
}

// crashed gives one unknown attempt to each record of the requests that were in
// flight when the segment broke off.
func (d *decoder) crashed() {
	lost := state{fate: record.Unknown, code: d.a.number(CodeCrash), unknowns: 1}
	for _, request := range slices.Sorted(maps.Keys(d.flight)) {
		for _, s := range d.flight[request].spans {
			d.layers.attempt(piece{s.first, s.end, lost}, d.flight[request].begun)
			d.a.Window += s.end - s.first
			d.a.Attempts.Unknown += s.end - s.first
		}
	}
}

// code reads one that is seen for the first time.
func (d *decoder) code() error {
	n := d.uvarint()
	if n == 0 || n > maxCode || n > uint64(len(d.rest)) || len(d.codes) > maxCodes+1 {
		return errForeign
	}
	number := d.a.number(string(d.rest[:n]))
	if slices.Contains(d.codes, number) {
		return errForeign
	}
	d.codes = append(d.codes, number)
	d.rest = d.rest[n:]
	return nil
}

func (d *decoder) close() error {
	d.time()
	reason := d.uvarint()
	if reason >= uint64(len(ends)) {
		return errForeign
	}
	if len(d.flight) > 0 {
		return fmt.Errorf("end: %d requests have no answer", len(d.flight))
	}
	d.closed = true
	d.a.Clean, d.a.Reason = true, ends[reason]
	d.a.ledger.plus(Attempts{d.uvarint(), d.uvarint(), d.uvarint(), d.uvarint()})
	d.a.read.plus(d.sum)
	return nil
}

func (d *decoder) time() {
	d.ms += d.varint()
	d.a.Ended = d.a.Manifest.Started.Add(time.Duration(d.ms) * time.Millisecond)
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	return v * uint64(d.take(n))
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	return v * int64(d.take(n))
}

// take drops n bytes and returns 1, or 0 when there was no number.
func (d *decoder) take(n int) int {
	if n <= 0 {
		d.broken, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return 1
}

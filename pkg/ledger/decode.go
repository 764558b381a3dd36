package ledger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
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

// decoder is the inverse of encoder; it adds frames to an account.
type decoder struct {
	a      *Account
	layers layers
	end    uint64
	ms     int64
	rest   []byte // of the payload
	broken bool   // a number was asked for and not there
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
	case kindMark:
		err = d.mark()
	case kindAttempt:
		err = d.attempt()
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

func (d *decoder) mark() error {
	by := d.uvarint()
	if by > d.a.Manifest.Planned-d.a.Next {
		return fmt.Errorf("mark %d above %d: only %d records are planned", by, d.a.Next, d.a.Manifest.Planned)
	}
	d.a.Next += by
	return nil
}

func (d *decoder) attempt() error {
	d.time()
	d.a.Attempts.Requests++
	for runs := d.uvarint(); runs > 0 && !d.broken; runs-- {
		if err := d.run(); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) run() error {
	first := d.end + uint64(d.varint()) //nolint:gosec // wraps, and back
	count := d.uvarint()
	key := d.uvarint()
	fate, number := record.Fate(key&3), key>>2
	if d.broken || count == 0 || fate > record.Refused || fate == record.Acked && number > 0 {
		return errForeign
	}
	if next := d.a.Next; first >= next || count > next-first {
		return fmt.Errorf("attempt at %d records from seq %d: not below the mark %d", count, first, next)
	}
	d.end = first + count
	if number == uint64(len(d.a.codes)) {
		if err := d.code(); err != nil {
			return err
		}
	}
	if number >= uint64(len(d.a.codes)) {
		return errForeign
	}
	s := state{fate: fate, code: uint32(number)}
	if fate == record.Unknown {
		s.unknowns = 1
	}
	if number > 0 {
		d.a.Codes[d.a.codes[number]] += count
	}
	d.a.Attempts.add(fate, count)
	d.layers.add(piece{first, d.end, s})
	return nil
}

// code reads one that is seen for the first time.
func (d *decoder) code() error {
	n := d.uvarint()
	if n == 0 || n > maxCode || n > uint64(len(d.rest)) || len(d.a.codes) > maxCodes+1 {
		return errForeign
	}
	text := string(d.rest[:n])
	if slices.Contains(d.a.codes, text) {
		return errForeign
	}
	d.a.codes = append(d.a.codes, text)
	d.rest = d.rest[n:]
	return nil
}

func (d *decoder) close() error {
	d.time()
	reason := d.uvarint()
	if reason >= uint64(len(ends)) {
		return errForeign
	}
	d.a.Clean, d.a.Reason = true, ends[reason]
	d.a.ledger = Attempts{d.uvarint(), d.uvarint(), d.uvarint(), d.uvarint()}
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

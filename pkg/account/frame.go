package account

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// What is saved stands in frames: length, checksum, bytes. A checksum is of all the
// bytes so far, so that a frame which is lost, changed or elsewhere is noticed before
// it is used. An empty frame is the end.
const (
	frameSize   = 64 << 10
	frameHeader = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type frameWriter struct {
	w   io.Writer
	sum uint32
	buf []byte // header and bytes
	err error
}

func newFrameWriter(w io.Writer) *frameWriter {
	return &frameWriter{w: w, buf: make([]byte, frameHeader, frameHeader+frameSize)}
}

func (f *frameWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && f.err == nil {
		room := min(cap(f.buf)-len(f.buf), len(p))
		f.buf, p = append(f.buf, p[:room]...), p[room:]
		if len(f.buf) == cap(f.buf) {
			f.frame()
		}
	}
	return n - len(p), f.err
}

func (f *frameWriter) number(n uint64) {
	var buf [binary.MaxVarintLen64]byte
	_, _ = f.Write(buf[:binary.PutUvarint(buf[:], n)])
}

func (f *frameWriter) text(s string) {
	f.number(uint64(len(s)))
	_, _ = f.Write([]byte(s))
}

func (f *frameWriter) frame() {
	bytes := f.buf[frameHeader:]
	f.sum = crc32.Update(f.sum, castagnoli, bytes)
	binary.LittleEndian.PutUint32(f.buf, uint32(len(bytes)))
	binary.LittleEndian.PutUint32(f.buf[4:], f.sum)
	if f.err == nil {
		_, f.err = f.w.Write(f.buf)
	}
	f.buf = f.buf[:frameHeader]
}

// end writes what is left, and the end.
func (f *frameWriter) end() error {
	if len(f.buf) > frameHeader {
		f.frame()
	}
	f.frame()
	return f.err
}

var errDamaged = errors.New("it is damaged")

// frameReader reads what a frameWriter wrote, and not a byte beyond its end.
type frameReader struct {
	r    io.Reader
	sum  uint32
	buf  [frameSize]byte
	left []byte // of the frame
	done bool
}

func (f *frameReader) Read(p []byte) (int, error) {
	if len(f.left) == 0 {
		if err := f.frame(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}

func (f *frameReader) frame() error {
	if f.done {
		return io.EOF
	}
	var header [frameHeader]byte
	if _, err := io.ReadFull(f.r, header[:]); err != nil {
		return unexpected(err)
	}
	length := binary.LittleEndian.Uint32(header[:])
	if length > frameSize {
		return fmt.Errorf("%w: a frame of %d bytes", errDamaged, length)
	}
	f.left = f.buf[:length]
	if _, err := io.ReadFull(f.r, f.left); err != nil {
		return unexpected(err)
	}
	f.sum = crc32.Update(f.sum, castagnoli, f.left)
	if want := binary.LittleEndian.Uint32(header[4:]); f.sum != want {
		return fmt.Errorf("%w: checksum %08x, want %08x", errDamaged, f.sum, want)
	}
	if length == 0 {
		f.done = true
		return io.EOF
	}
	return nil
}

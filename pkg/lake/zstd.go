package lake

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is the longest window in bytes that a frame may ask for: what a
// decoder holds in memory. RFC 8878, 3.1.1.1.2, wants 8 MiB at least; zstd's
// levels up to 19 need no more.
const maxWindow = 32 << 20

const (
	zstdMagic = 0xfd2fb528 // RFC 8878, 3.1.1
	skipMagic = 0x184d2a50 // to 0x184d2a5f: a frame that is no data, 3.1.2
	skipMask  = 0xfffffff0
)

func isZstd(head []byte) bool {
	return len(head) >= 4 && (binary.LittleEndian.Uint32(head) == zstdMagic || binary.LittleEndian.Uint32(head)&skipMask == skipMagic)
}

// unzstd reads zstd frames.
type unzstd struct {
	frame   frame
	decoder *zstd.Decoder
	spoiled bool // the checksum is known not to match; the last block is still to be read
}

func newUnzstd() *unzstd {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic(err) // the options are constants
	}
	return &unzstd{decoder: d}
}

func (u *unzstd) begin(from *bufio.Reader) error {
	u.spoiled = false
	if err := u.frame.begin(from); err != nil {
		return err
	}
	return u.decoder.Reset(&u.frame)
}

func (u *unzstd) Read(p []byte) (int, error) {
	n, err := u.decoder.Read(p)
	if n == 0 && errors.Is(err, zstd.ErrCRCMismatch) {
		if !u.spoiled {
			u.spoiled = true
			n, _ = u.decoder.Read(p) // the last block comes behind the error
		}
		if n == 0 {
			err = errChecksum
		}
	}
	return n, err
}

func (u *unzstd) release() {
	u.frame = frame{}
	_ = u.decoder.Reset(nil) // which cannot fail: it is not closed
}

// frame gives the bytes of one frame, as its block headers tell them: the
// decoder would read on into what follows it.
type frame struct {
	from     *bufio.Reader
	left     int64 // of what was announced
	blocks   bool  // more of them come
	checksum bool  // comes behind the last block
}

func (f *frame) begin(from *bufio.Reader) error {
	var h zstd.Header
	head, err := from.Peek(zstd.HeaderMaxSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := h.Decode(head); err != nil {
		return err
	}
	*f = frame{from: from, left: int64(h.HeaderSize), blocks: !h.Skippable, checksum: h.HasCheckSum}
	if h.Skippable {
		f.left += int64(h.SkippableSize)
	}
	if h.WindowSize > maxWindow {
		return fmt.Errorf("its window is %d bytes, the longest read is %d", h.WindowSize, maxWindow)
	}
	return nil
}

func (f *frame) Read(p []byte) (int, error) {
	if f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.from.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, cmpEOF(err)
}

// next looks at the header of the next block, RFC 8878, 3.1.1.2.
func (f *frame) next() error {
	switch {
	case f.blocks:
		head, err := f.from.Peek(3)
		if err != nil {
			return cmpEOF(err)
		}
		h := int64(head[0]) | int64(head[1])<<8 | int64(head[2])<<16
		f.blocks, f.left = h&1 == 0, 3+h>>3
		if h>>1&3 == 1 { // one byte, repeated
			f.left = 3 + 1
		}
	case f.checksum:
		f.checksum, f.left = false, 4
	default:
		return io.EOF
	}
	return nil
}

// cmpEOF is err, but that the end comes too early.
func cmpEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

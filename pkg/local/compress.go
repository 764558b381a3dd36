package local

import (
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// extensions are what names of objects end with, by compression.
var extensions = map[string]string{"": "", "none": "", "gzip": ".gz", "zstd": ".zst", "snappy": ".snappy", "hadoop-snappy": ".hsnappy"}

// packer is a compressor that can be used again. What was flushed can be read.
type packer interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

func newPacker(compression string) (packer, error) {
	switch compression {
	case "gzip":
		return gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	case "zstd":
		return zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	case "snappy":
		return s2.NewWriter(io.Discard, s2.WriterSnappyCompat(), s2.WriterConcurrency(1)), nil
	}
	return &hadoop{}, nil
}

// hadoop writes snappy as Hadoop frames it: blocks of the length of their text and
// chunks with theirs, both big-endian.
type hadoop struct{ w io.Writer }

const hadoopBlock = 256 << 10 // io.compression.codec.snappy.buffersize

func (h *hadoop) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		text := p[n:min(n+hadoopBlock, len(p))]
		chunk := s2.EncodeSnappy(nil, text)
		head := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
		head = binary.BigEndian.AppendUint32(head, uint32(len(chunk)))
		if _, err = h.w.Write(append(head, chunk...)); err == nil {
			n += len(text)
		}
	}
	return n, err
}

func (h *hadoop) Flush() error      { return nil }
func (h *hadoop) Close() error      { return nil }
func (h *hadoop) Reset(w io.Writer) { h.w = w }

// store returns the bytes to write. A cut stream ends after a flush, so that
// every reader gets exactly plain out of it before it finds the damage.
func (o *press) store(plain []byte, compression string, cut bool) ([]byte, error) {
	if compression == "" || compression == "none" {
		return plain, nil
	}
	o.stored.Reset()
	if len(plain) == 0 && !cut {
		return nil, nil // all records were dropped
	}
	if o.packer == nil {
		var err error
		if o.packer, err = newPacker(compression); err != nil {
			return nil, err
		}
	}
	o.packer.Reset(&o.stored)
	if _, err := o.packer.Write(plain); err != nil {
		return nil, err
	}
	end := o.packer.Close
	if cut {
		end = o.packer.Flush
	}
	err := end()
	return o.stored.Bytes(), err
}

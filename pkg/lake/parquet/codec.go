package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

var errLength = errors.New("not as long decompressed as its header says")

// unzstd decodes frames that have a page's length at most; it may be used concurrently.
var unzstd = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxPage), zstd.WithDecoderMaxWindow(MaxPage))
})

// decompress fills dst, which has the length that the data must have, from src.
func decompress(codec format.CompressionCodec, dst, src []byte) error {
	n := 0
	var err error
	switch codec {
	case format.Uncompressed:
		if n = len(src); n == len(dst) {
			copy(dst, src)
		}
	case format.Snappy: // S2 is snappy and more
		if n, err = s2.DecodedLen(src); err == nil && n == len(dst) {
			_, err = s2.Decode(dst, src)
		}
	case format.Zstd:
		var d *zstd.Decoder
		if d, err = unzstd(); err == nil {
			var out []byte
			out, err = d.DecodeAll(src, dst[:0:len(dst)])
			n = len(out)
		}
	case format.Gzip:
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(src)); err == nil {
			n, err = fill(dst, z)
		}
	case format.Brotli:
		n, err = fill(dst, brotli.NewReader(bytes.NewReader(src)))
	case format.Lz4Raw:
		n, err = lz4.UncompressBlock(src, dst)
	case format.Lz4:
		if n, err = hadoopLZ4(dst, src); err != nil || n != len(dst) {
			n, err = lz4.UncompressBlock(src, dst) // as some writers understood the format
		}
	default:
		return fmt.Errorf("codec %v is not known", codec)
	}
	if err == nil && n != len(dst) {
		err = errLength
	}
	return err
}

// fill reads dst from r, and that r ends there.
func fill(dst []byte, r io.Reader) (int, error) {
	n, err := io.ReadFull(r, dst)
	if err != nil {
		return n, err
	}
	var more [1]byte
	switch _, err = io.ReadFull(r, more[:]); {
	case errors.Is(err, io.EOF):
		return n, nil
	case err == nil:
		return n + 1, nil
	}
	return n, err
}

// hadoopLZ4 reads blocks with their two lengths before them.
func hadoopLZ4(dst, src []byte) (n int, err error) {
	for len(src) > 0 {
		if len(src) < 8 {
			return n, io.ErrUnexpectedEOF
		}
		plain, packed := binary.BigEndian.Uint32(src), binary.BigEndian.Uint32(src[4:])
		src = src[8:]
		if uint64(plain) > uint64(len(dst)-n) || uint64(packed) > uint64(len(src)) {
			return n, errLength
		}
		got, err := lz4.UncompressBlock(src[:packed], dst[n:n+int(plain)])
		if err != nil || got != int(plain) {
			return n, errors.Join(err, errLength)
		}
		n, src = n+got, src[packed:]
	}
	return n, nil
}

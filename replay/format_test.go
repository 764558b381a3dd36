package replay_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"kreplay/pkg/local"
)

// formats are what Firehose, channels and transforms write beside gzip.
var formats = map[string]func(testing.TB, []byte) []byte{
	"zstd": packZstd,
	"snappy": func(t testing.TB, plain []byte) []byte {
		return packed(t, plain, func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) })
	},
	"hadoop": packHadoop,
	"zstd in gzip": func(t testing.TB, plain []byte) []byte {
		return packed(t, packZstd(t, plain), func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	},
}

func packed(t testing.TB, plain []byte, open func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var out bytes.Buffer
	w := open(&out)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// packZstd writes two frames.
func packZstd(t testing.TB, plain []byte) []byte {
	t.Helper()
	z := <-encoder
	defer func() { encoder <- z }()
	var out []byte
	for _, part := range [][]byte{plain[:len(plain)/3], plain[len(plain)/3:]} {
		out = append(out, packed(t, part, func(w io.Writer) io.WriteCloser { z.Reset(w); return z })...)
	}
	return out
}

// encoder holds the one that compresses all objects, one after another: to make
// one takes longer than a small object does.
var encoder = func() chan *zstd.Encoder {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		panic(err)
	}
	one := make(chan *zstd.Encoder, 1)
	one <- z
	return one
}()

// packHadoop writes blocks of one chunk each, as Hadoop's SnappyCodec does.
func packHadoop(_ testing.TB, plain []byte) (out []byte) {
	for block := range slices.Chunk(plain, 10_000) {
		chunk := snappy.Encode(nil, block)
		out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
		out = binary.BigEndian.AppendUint32(out, uint32(len(chunk)))
		out = append(out, chunk...)
	}
	return out
}

// repack writes each object of a lake, error records too, in another format,
// but for those that are cut short.
func repack(t testing.TB, lake string, planted []local.Planted, pack func(testing.TB, []byte) []byte) {
	t.Helper()
	cut := map[string]bool{}
	for _, p := range planted {
		cut[p.Object] = cut[p.Object] || p.Kind == local.Truncated
	}
	err := filepath.WalkDir(lake, func(path string, e fs.DirEntry, err error) error {
		key, _ := filepath.Rel(lake, path) // path is below lake
		if err != nil || e.IsDir() || cut[filepath.ToSlash(key)] {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
			zr, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				return err
			}
			if data, err = io.ReadAll(zr); err != nil {
				return err
			}
		}
		return os.WriteFile(path, pack(t, data), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

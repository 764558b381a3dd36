package lake

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// packers compress one member in each format.
var packers = map[string]func(data []byte) []byte{
	"gzip":   member(gzip.NewWriter(nil)),
	"zstd":   member(newZstd(nil)),
	"snappy": member(snappy.NewBufferedWriter(nil)),
	"s2":     member(s2.NewWriter(nil)),
	"hadoop": func(data []byte) []byte { return hadoop(data, 100, 3) },
}

func newGzip(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }

func newS2(w io.Writer) io.WriteCloser { return s2.NewWriter(w, s2.WriterConcurrency(1)) }

func newZstd(w io.Writer) *zstd.Encoder {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
	if err != nil {
		panic(err)
	}
	return z
}

type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

// member compresses one after another with w: to make a compressor takes far
// longer than the few bytes that most tests have for it.
func member(w compressor) func([]byte) []byte {
	return func(data []byte) []byte {
		var out bytes.Buffer
		w.Reset(&out)
		if _, err := w.Write(data); err != nil {
			panic(err)
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		return out.Bytes()
	}
}

// hadoop writes blocks of size bytes at most, in so many chunks each, as
// Hadoop's BlockCompressorStream does.
func hadoop(data []byte, size, parts int) []byte {
	if len(data) == 0 {
		return make([]byte, 4)
	}
	var out []byte
	for block := range slices.Chunk(data, size) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
		for chunk := range slices.Chunk(block, (len(block)+parts-1)/parts) {
			packed := snappy.Encode(nil, chunk)
			out = binary.BigEndian.AppendUint32(out, uint32(len(packed)))
			out = append(out, packed...)
		}
	}
	return out
}

// pack compresses data in so many members of about equal length, with sep between them.
func pack(format string, data []byte, members int, sep string) []byte {
	var out []byte
	for i := range members {
		member := packers[format](data[len(data)*i/members : len(data)*(i+1)/members])
		if len(out) > 0 && len(member) > 0 { // an empty snappy stream is no bytes at all
			out = append(out, sep...)
		}
		out = append(out, member...)
	}
	return out
}

// Whatever the formats, their nesting and their members, the rows come out.
func TestEveryFormatIsKnownByContent(t *testing.T) {
	names := []string{"gzip", "zstd", "snappy", "s2", "hadoop"}
	rapid.Check(t, func(t *rapid.T) {
		x := drawText(t)
		stored := x.plain
		for range rapid.IntRange(1, 3).Draw(t, "layers") {
			sep := rapid.SampledFrom([]string{"", "\n", "\r\n"}).Draw(t, "between members")
			members := rapid.IntRange(1, min(3, max(1, len(stored)))).Draw(t, "members") // what begins with an empty Hadoop member is no Hadoop data
			stored = pack(rapid.SampledFrom(names).Draw(t, "format"), stored, members, sep)
		}
		f := scanBytes(t, stored, 0, chunks(rapid.IntRange(1, 64).Draw(t, "chunk")))
		f.covers(t, x.plain)
		if len(f.damage) > 0 || len(f.rows) != len(x.rows) {
			t.Fatalf("%d rows, damage %s, want %d rows", len(f.rows), f.spans(), len(x.rows))
		}
	})
}

// Members of every length come out whole: the lengths in their headers carry.
func TestEveryLengthInEveryFormat(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1200) // text that does not become shorter
	for i := range noise {
		noise[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[dice.IntN(64)]
	}
	for name := range packers {
		for n := range noise {
			plain := []byte(`{"a":"` + string(noise[n:]) + `"}`)
			f := scanBytes(t, pack(name, plain, 2, ""), 0, nil)
			if f.covers(t, plain); len(f.rows) != 1 || len(f.damage) > 0 {
				t.Fatalf("%s, %d bytes: %d rows, damage %s, want 1", name, len(plain), len(f.rows), f.spans())
			}
		}
	}
}

// In every format: an object cut anywhere gives the rows of what can still be
// decompressed, never fewer than a shorter cut gave, and says once that it is
// cut, but where another reader would not notice either: in Hadoop's format
// between blocks, and in the zero bytes that the next block begins with.
func TestCutAnywhereInEveryFormat(t *testing.T) {
	var plain []byte
	for i := range 12 {
		plain = append(plain, event(i)...)
	}
	for name := range packers {
		stored, prev, silent := pack(name, plain, 2, ""), 0, 0
		for cut := 12; cut < len(stored); cut++ {
			f := scanBytes(t, stored[:cut], 0, nil)
			f.covers(t, plain[:f.stats.Plain])
			said := strings.Count(f.spans(), "+0 ")
			if noticed := reference(name, stored[:cut]) != nil; said > 1 || noticed != (said == 1) && name != "hadoop" {
				t.Fatalf("%s cut at %d of %d: damage %q; another reader notices: %v", name, cut, len(stored), f.spans(), noticed)
			}
			if silent += 1 - said; len(f.rows) < prev {
				t.Fatalf("%s cut at %d: %d rows, fewer than %d of a shorter cut", name, cut, len(f.rows), prev)
			}
			prev = len(f.rows)
		}
		if most := 4 * (len(plain)/100 + 1); silent > most {
			t.Errorf("%s: %d cuts not noticed, want at most %d", name, silent, most)
		}
	}
}

// reference reads stored as the format's library does by itself.
func reference(name string, stored []byte) (err error) {
	var r io.Reader
	switch from := bytes.NewReader(stored); name {
	case "gzip":
		r, err = gzip.NewReader(from)
	case "zstd":
		err = libraryZstd.Reset(from)
		r = libraryZstd
	default:
		librarySnappy.Reset(from)
		r = librarySnappy
	}
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return err
}

var (
	librarySnappy  = s2.NewReader(nil)
	libraryZstd, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)) // its only errors are those of options
)

// One spoiled byte anywhere in compressed data is a finding, or harmless: rows
// that are not those written are never given out without one.
func TestSpoiledByteIsFoundInEveryFormat(t *testing.T) {
	plain := []byte(event(1) + event(2) + event(3))
	for name := range packers {
		if name == "hadoop" { // it has no checksum
			continue
		}
		want := scanBytes(t, plain, 0, nil).data()
		stored := pack(name, plain, 2, "")
		for at := range stored {
			spoiled := bytes.Clone(stored)
			spoiled[at] ^= 0x10
			f := scanBytes(t, spoiled, 0, nil)
			if len(f.damage) == 0 && !slices.Equal(f.data(), want) {
				t.Errorf("%s, byte %d of %d spoiled: rows %q and no damage", name, at, len(stored), f.data())
			}
		}
	}
}

func TestDamageInEveryFormat(t *testing.T) {
	a, b := []byte(`{"a":1}`), []byte(`{"b":2}`)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	z, s, h := packers["zstd"], packers["snappy"], packers["hadoop"]
	flip := func(data []byte, at int) []byte { d := bytes.Clone(data); d[(at+len(d))%len(d)] ^= 0x55; return d }
	skippable := []byte("\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz")
	tests := []struct {
		name   string
		stored []byte
		rows   int
		spans  string
	}{
		{"zstd checksum, next frame", join(flip(z(a), -1), z(b)), 2, "7+0 zstd frame 1: checksum or length does not match"},
		{"zstd skippable frames", join(skippable, z(a), skippable, z(b), skippable), 2, ""},
		{"zstd garbage", join(z(a), []byte("garbage")), 1, "7+0 zstd frame 1: no zstd data after frame 1"},
		{"zstd magic only", z(a)[:4], 0, "0+0 zstd frame 1: unexpected EOF"},
		{"zstd window", []byte("\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00"), 0, "0+0 zstd frame 1: its window is 4123168604160 bytes, the longest read is 33554432"},
		{"zstd reserved block", join(z(a)[:6], []byte("\x07\x00\x00\x00\x00\x00")), 0, "0+0 zstd frame 1: invalid input: reserved block type encountered"},
		{"gzip, then zstd", join(zip(a, 1), z(b)), 1, "7+0 gzip member 1: no gzip data after member 1"},
		{"snappy checksum", join(flip(s(a), 14), s(b)), 0, "0+0 snappy stream 1: s2: corrupt input, crc mismatch"},
		{"snappy streams", join(s(a), []byte("\n"), s(b), []byte("\n")), 2, ""},
		{"snappy reserved chunk", join(s(a), []byte("\x02\x01\x00\x00x")), 1, "7+0 snappy stream 1: s2: unsupported input"},
		{"snappy cut in a header", join(s(a), []byte("\x00\x01")), 1, "7+0 snappy stream 1: unexpected EOF"},
		{"hadoop empty", make([]byte, 4), 0, ""},
		{"hadoop padding", join(h(a), make([]byte, 8), h(b), make([]byte, 4)), 2, ""},
		{"hadoop chunk beyond its block", join(h(a), []byte("\x00\x00\x00\x02\x00\x00\x00\x05\x01\x00x12")), 1,
			"7+0 Hadoop snappy block 2: s2: corrupt input"},
		{"hadoop chunks beyond", join(h(a), []byte("\x00\x00\x00\x02\x00\x00\x00\x03\x01\x00{\x00\x00\xff\xff")), 1,
			"7+1 cut short; 8+0 Hadoop snappy block 2: a chunk of 65535 bytes, where 1 of the block are left"},
		{"hadoop text beyond", join(h(a), []byte("\x00\x00\x00\x02\x00\x00\x00\x03\x01\x00{\x00\x00\x00\x04\x02\x04}}")), 1,
			"7+1 cut short; 8+0 Hadoop snappy block 2: a chunk of 2 decompressed bytes, where 1 of the block are left"},
		{"hadoop garbage", join(h(a), []byte("garbage, and more")), 1, "7+0 Hadoop snappy block 1: no Hadoop snappy data after block 1"},
		{"parquet", []byte("PAR1\x15\x04xxPAR1"), 0, "0+0 Parquet: footer of 2021131285 bytes in a file of 12"},
		{"parquet, cut", []byte("PAR1xxx"), 0, "0+0 Parquet: cut short: no footer, so its rows are not known"},
		{"parquet, encrypted", []byte("PARExxxxxxxxPARE"), 0, "0+0 Parquet: encrypted, which kreplay does not read"},
		{"zip", []byte("PK\x03\x04\x14\x00xx"), 0, "0+8 a ZIP archive, which kreplay does not read"},
		{"parquet in gzip", zip([]byte("PAR1xxx"), 1), 0, "0+7 a Parquet file within an object, which kreplay does not read"},
		{"UTF-16", []byte("\xff\xfe{\x00}\x00"), 0, "0+6 UTF-16 text, which kreplay does not read"},
	}
	for _, test := range tests {
		f := scanBytes(t, test.stored, 0, nil)
		if len(f.rows) != test.rows || f.spans() != test.spans {
			t.Errorf("%s: got %d rows, damage %q, want %d, %q", test.name, len(f.rows), f.spans(), test.rows, test.spans)
		}
	}
}

package lake

import (
	"bytes"
	"io"
	"testing"
)

// Whatever an object holds: no panic, the books close, how it is read and
// whether it is gzipped makes no difference.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"a":1}{"b":2}`, "{\"a\":1}\r\n\n{\"b\":\"}{\\\"\"}", `{"a":"b}{"c":1}{"d":2}`, "[{},{}]\n{}",
		"x{\"a\":\n{}\n{", "\x1f\x8b\x08", `{"a":{"b":[1,{"c":2}{"d":3}`, "{\"long\":\"" + string(make([]byte, 99)) + "\"}{}",
		string(zip([]byte(`{"a":1}{"b":2}`), 2)),
	} {
		f.Add([]byte(seed), uint8(3), uint8(40))
	}
	f.Fuzz(func(t *testing.T, data []byte, chunk, longest uint8) {
		most := int(longest) + 1
		if isBomb(data) {
			t.Skip()
		}
		if formatOf(data[:min(len(data), headSize)]) != nil {
			scanBytes(t, data, most, chunks(int(chunk)+1))
			return
		}
		plain := scanBytes(t, data, most, nil)
		plain.covers(t, data)
		for name, other := range map[string]found{
			"in chunks": scanBytes(t, data, most, chunks(int(chunk)+1)), "gzipped": scanBytes(t, zip(data, 2), most, nil),
		} {
			other.covers(t, data)
			if other.spans() != plain.spans() || len(other.rows) != len(plain.rows) {
				t.Errorf("%s: %d rows, damage %s; want %d rows, damage %s",
					name, len(other.rows), other.spans(), len(plain.rows), plain.spans())
			}
		}
		for _, r := range plain.rows {
			if len(r.Data) > most || r.Data[0] != '{' || r.Data[len(r.Data)-1] != '}' {
				t.Errorf("row %q (longest %d)", r.Data, most)
			}
		}
	})
}

// fuzzBytes bounds what an input decompresses to: what is much longer takes seconds,
// and TestBombs reads it.
const fuzzBytes = 1 << 20

func isBomb(data []byte) bool {
	src := newSource(bytes.NewReader(data))
	defer src.release()
	if err := src.unwrap(); err != nil {
		return false
	}
	n, _ := io.CopyN(io.Discard, src.out, fuzzBytes)
	return n == fuzzBytes
}

// decoded fuzzes one decoder: whatever follows its magic, no panic, the books
// close, and how it is read makes no difference.
func decoded(f *testing.F, name string) {
	for _, text := range []string{"", "{}", `{"a":1}{"b":2}` + "\n", "{\"long\":\"" + string(make([]byte, 99)) + "\"}{}"} {
		f.Add(pack(name, []byte(text), 2, ""), uint8(3))
		f.Add(pack(name, pack("gzip", []byte(text), 1, ""), 2, "\n"), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, chunk uint8) {
		if isBomb(data) {
			t.Skip()
		}
		want := scanBytes(t, data, 1<<10, nil)
		got := scanBytes(t, data, 1<<10, chunks(int(chunk)+1))
		got.stats.Bytes, want.stats.Bytes = 0, 0 // where the data break, what was read ahead differs
		if got.spans() != want.spans() || len(got.rows) != len(want.rows) || got.stats != want.stats {
			t.Errorf("in chunks: %+v, damage %s; want %+v, damage %s", got.stats, got.spans(), want.stats, want.spans())
		}
		last := int64(0)
		for _, r := range want.rows {
			if r.Offset < last || r.Offset+int64(len(r.Data)) > want.stats.Plain {
				t.Errorf("row at %d of %d, behind %d", r.Offset, want.stats.Plain, last)
			}
			last = r.Offset + int64(len(r.Data))
		}
		for _, d := range want.damage {
			if d.Reason == "" || d.Offset < 0 || d.Offset+d.Length > want.stats.Plain {
				t.Errorf("damage %+v of %d bytes", d, want.stats.Plain)
			}
		}
	})
}

func FuzzGzip(f *testing.F)   { decoded(f, "gzip") }
func FuzzZstd(f *testing.F)   { decoded(f, "zstd") }
func FuzzSnappy(f *testing.F) { decoded(f, "snappy") }
func FuzzHadoop(f *testing.F) { decoded(f, "hadoop") }

package lake

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"kreplay/pkg/object"
)

// repeat reads as text again and again, size bytes in all.
func repeat(text string, size int64) io.Reader {
	for len(text) < 64<<10 { // a byte at a time it would take longer than what is tested
		text += text
	}
	return io.LimitReader(&repeated{text: text}, size)
}

type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], r.text[r.at:])
		n, r.at = n+c, (r.at+c)%len(r.text)
	}
	return n, nil
}

// bomb compresses size bytes of text to far fewer.
func bomb(t *testing.T, format, text string, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch format {
	case "gzip":
		w = newGzip(&out)
	case "zstd":
		w = newZstd(&out)
	case "s2":
		w = newS2(&out)
	}
	if _, err := io.Copy(w, repeat(text, size)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// heapOf returns how many bytes more the heap holds at most while f runs, as
// far as the calls of its argument see.
func heapOf(f func(look func())) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, uint64(0)
	f(func() {
		runtime.GC()
		runtime.ReadMemStats(&m)
		if m.HeapAlloc > before {
			most = max(most, m.HeapAlloc-before)
		}
	})
	return most
}

// A few bytes that decompress to 32 MB take no more memory than the longest
// row and what the decoder needs, be it white space, rows, or one endless value.
// What the splitter holds does not depend on the format, so each text is not
// tried in each.
func TestBombsTakeBoundedMemory(t *testing.T) {
	const size, longest, most = 32 << 20, 1 << 20, 16 << 20
	texts := map[string]string{"white space": "\n", "rows": `{"a":1}` + strings.Repeat("\n", 4089), "one string": "x"}
	for format, names := range map[string][]string{"gzip": {"one string"}, "zstd": {"rows", "one string"}, "s2": {"white space", "one string"}} {
		for _, name := range names {
			text := texts[name]
			stored := bomb(t, format, text, size)
			if name == "one string" {
				stored = append(pack(format, []byte(`{"a":"`), 1, ""), stored...)
			}
			heap := heapOf(func(look func()) {
				calls := 0
				reads := func(r io.Reader) io.Reader {
					return readerFunc(func(p []byte) (int, error) {
						if calls++; calls%8 == 0 {
							look()
						}
						return r.Read(p[:min(len(p), 4096)])
					})
				}
				f := scanBytes(t, stored, longest, reads)
				look()
				switch name {
				case "rows":
					if len(f.rows) != size/4096 || len(f.damage) > 0 {
						t.Errorf("%s, %s: %d rows, damage %s", format, name, len(f.rows), f.spans())
					}
				case "one string":
					if want := fmt.Sprintf("0+%d value longer than %d bytes", size+6, longest); f.spans() != want {
						t.Errorf("%s, %s: damage %s, want %s", format, name, f.spans(), want)
					}
				default:
					if len(f.rows)+len(f.damage) > 0 || f.stats.Plain != size {
						t.Errorf("%s, %s: %d rows, damage %s", format, name, len(f.rows), f.spans())
					}
				}
			})
			if heap > most {
				t.Errorf("%s, %s: %d MB of heap for %d bytes stored, want at most %d", format, name, heap>>20, len(stored), most>>20)
			}
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What is odd and still a row comes out with its bytes; what is none is damage
// with a reason; what follows is read.
func TestHostileRows(t *testing.T) {
	tests := []struct{ name, row, reason string }{
		{"invalid UTF-8", "{\"a\":\"\xff\xfe\xc3\x28\"}", ""},
		{"lone surrogate", `{"a":"\ud800","b":"\udc00x"}`, ""},
		{"duplicate keys", `{"a":1,"a":2,"a":{"a":3}}`, ""},
		{"empty keys", `{"":{"":[]}}`, ""},
		{"huge number", `{"a":1e999999,"b":` + strings.Repeat("9", 5000) + `}`, ""},
		{"2^53+1", `{"a":9007199254740993}`, ""},
		{"NaN", `{"a":NaN}`, "byte that cannot stand outside of a string"},
		{"Infinity", `{"a":-Infinity}`, "byte that cannot stand outside of a string"},
		{"single quotes", `{'a':1}`, "byte that cannot stand outside of a string"},
		{"comment", `{"a":1/*}*/}`, "byte that cannot stand outside of a string"},
		{"NUL", "{\"a\":\"\x00\"}", "control byte in a string"},
		{"deep", `{"a":` + strings.Repeat(`[`, 50_000) + strings.Repeat(`]`, 50_000) + `}`, "nested too deep"},
		{"deep objects", strings.Repeat(`{"a":`, 50_000) + "1" + strings.Repeat(`}`, 50_000), "nested too deep"},
		{"never closed", strings.Repeat(`{"x":"`, 4_000), "byte that cannot stand outside of a string"},
	}
	const after = `{"after":1}`
	for _, test := range tests {
		for _, sep := range []string{"\n", "\r\n"} {
			plain := []byte(test.row + sep + after + sep)
			f := scanBytes(t, plain, 0, nil)
			f.covers(t, plain)
			got := f.data()
			switch {
			case len(got) == 0 || got[len(got)-1] != after:
				t.Errorf("%s: the row behind it is lost: %.200s", test.name, f.spans())
			case test.reason == "" && (len(got) != 2 || got[0] != test.row || len(f.damage) > 0):
				t.Errorf("%s: got %.200q, damage %.200s, want it as a row", test.name, got, f.spans())
			case test.reason != "" && (len(got) != 1 || len(f.damage) != 1 || f.damage[0].Reason != test.reason):
				t.Errorf("%s: got %d rows, damage %.200s, want one of reason %s", test.name, len(got), f.spans(), test.reason)
			}
		}
	}
}

// A line of 100 MB is one finding, and the rows about it are read.
func TestLongLine(t *testing.T) {
	const size = 100 << 20
	long := func(io.Reader) io.Reader {
		return io.MultiReader(strings.NewReader(`{"a":1}`+"\n"+`{"l":"`), repeat("x", size), strings.NewReader("\"}\n{\"b\":2}\n"))
	}
	heap := heapOf(func(look func()) {
		f := scanBytes(t, nil, 0, long)
		look()
		if want := fmt.Sprintf("8+%d value longer than 16777216 bytes", size+8); len(f.rows) != 2 || f.spans() != want {
			t.Errorf("%d rows, damage %s, want 2 and %s", len(f.rows), f.spans(), want)
		}
	})
	if heap > 3*MaxValue {
		t.Errorf("%d MB of heap, want at most %d", heap>>20, 3*MaxValue>>20)
	}
}

// Of 100,000 tiny objects, some empty, each row is read and memory stays.
func TestManyTinyObjects(t *testing.T) {
	const objects = 100_000
	m := memory{data: make(map[string][]byte, objects)}
	shapes := [][]byte{nil, []byte("{}"), zip(nil, 1), zip([]byte("{}{}"), 1), packers["zstd"]([]byte("{}\n")), []byte("\n"), packers["snappy"]([]byte("{}"))}
	want := uint64(0)
	for i := range objects {
		m.data[fmt.Sprintf("p/%06d", i)] = shapes[i%len(shapes)]
		want += []uint64{0, 1, 0, 2, 1, 0, 1}[i%len(shapes)]
	}
	n := 0
	heap := heapOf(func(look func()) {
		stats, err := ScanAll(t.Context(), m, Sweep{Workers: 2, Row: ignore, Damage: func(d Damage) error { return fmt.Errorf("damage %+v", d) }, Keep: func(object.Info) bool {
			if n++; n%20_000 == 0 {
				look()
			}
			return true
		}})
		if err != nil || stats.Rows != want || stats.Objects != objects {
			t.Errorf("%+v, %v, want %d rows in %d objects", stats, err, want, objects)
		}
	})
	if most := uint64(objects * 200); heap > most {
		t.Errorf("%d bytes of heap, want at most %d", heap, most)
	}
}

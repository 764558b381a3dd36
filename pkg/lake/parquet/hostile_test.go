package parquet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// accounted is the law of the books: rows and losses come in order, apart, and
// with those whose number nobody knows cover all that the footer tells.
func accounted(t *testing.T, f told, total int64) {
	t.Helper()
	have, unknown := int64(len(f.rows)), false
	for _, l := range f.lost {
		have += l.Count
		unknown = unknown || l.Count == 0
		if l.Reason == "" {
			t.Errorf("a loss without a reason: %+v", l)
		}
	}
	if have != total && !unknown {
		t.Errorf("%d rows and losses of %d: %s", have, total, f.losses())
	}
	if !slices.IsSorted(f.numbers) || !slices.IsSortedFunc(f.lost, func(a, b Lost) int { return int(a.First - b.First) }) {
		t.Errorf("not in order: %s", f.losses())
	}
	for _, l := range f.lost {
		if at, _ := slices.BinarySearch(f.numbers, l.First); at < len(f.numbers) && f.numbers[at] < l.First+l.Count {
			t.Errorf("row %d is in a loss: %s", f.numbers[at], f.losses())
		}
	}
}

// One flipped bit in the pages costs rows of its row group only, which are named;
// what comes out is as it was written, because every page has a checksum.
func TestFlippedBitsAreFound(t *testing.T) {
	const n, size = 120, 30
	want := make([]string, n)
	for i := range want {
		want[i] = wantEvent(i)
	}
	for _, version := range []int{1, 2} {
		file := write(t, events(n), size, lib.DataPageVersion(version), lib.PageBufferSize(80), lib.Compression(&lib.Snappy))
		footer := len(file) - 8 - int(binary.LittleEndian.Uint32(file[len(file)-8:]))
		dice := rand.New(rand.NewPCG(1, uint64(version)))
		exact, wrong := 0, 0
		for range 120 {
			at, bit := 4+dice.IntN(footer-4), dice.IntN(8)
			spoiled := bytes.Clone(file)
			spoiled[at] ^= 1 << bit
			f := read(t, spoiled, Options{})
			accounted(t, f, n)
			groups := map[int64]bool{}
			for _, l := range f.lost {
				groups[l.First/size] = true
				if l.Count > 0 {
					groups[(l.First+l.Count-1)/size] = true
				}
				if l.Count < size {
					exact++
				}
			}
			if len(groups) > 1 && (len(groups) > 2 || len(f.lost) > 1 || f.lost[0].Count > 0) {
				t.Fatalf("version %d, byte %d bit %d: losses in %d row groups: %s", version, at, bit, len(groups), f.losses())
			}
			for i, row := range f.rows {
				if row != want[f.numbers[i]] {
					wrong++
				}
			}
		}
		if exact == 0 || wrong > 10 { // a page's header has no checksum: the number of rows in it, say, can be wrong
			t.Errorf("version %d: %d losses of less than a row group, want some; %d rows changed", version, exact, wrong)
		}
	}
}

// Bits flipped in the footer: no panic, no excess; what is lost is said.
func TestFlippedFooter(t *testing.T) {
	file := write(t, events(20), 10)
	footer := int(binary.LittleEndian.Uint32(file[len(file)-8:])) + 8
	for at := len(file) - footer; at < len(file); at += 5 {
		spoiled := bytes.Clone(file)
		spoiled[at] ^= 1 << (at / 5 % 8)
		read(t, spoiled, Options{Memory: 64 << 20})
	}
}

// A file cut anywhere has no footer: its rows are lost, and nobody knows how many.
func TestCutAnywhere(t *testing.T) {
	file := write(t, events(5), 10)
	for cut := 4; cut < len(file); cut += 7 {
		if f := read(t, file[:cut], Options{}); len(f.rows) > 0 || len(f.lost) != 1 || f.lost[0].Count != 0 {
			t.Fatalf("cut at %d: %d rows, lost %s", cut, len(f.rows), f.losses())
		}
	}
}

func TestEmptyFile(t *testing.T) {
	if f := read(t, write(t, []event{}, 1), Options{}); len(f.rows)+len(f.lost) > 0 {
		t.Errorf("%d rows, lost %s; want none", len(f.rows), f.losses())
	}
}

func TestEncryptedFile(t *testing.T) {
	for _, plainFooter := range []bool{false, true} {
		file := write(t, events(5), 5, lib.WithEncryption(&lib.EncryptionConfig{FooterKey: make([]byte, 16), EncryptedFooter: !plainFooter}))
		f := read(t, file, Options{})
		if len(f.rows) > 0 || len(f.lost) != 1 || !strings.Contains(f.losses(), "encrypted") {
			t.Errorf("plain footer %v: %d rows, lost %s; want encrypted", plainFooter, len(f.rows), f.losses())
		}
	}
}

// A row that is too long is lost, and no other.
func TestLongRow(t *testing.T) {
	rows := []client{{OS: "a"}, {OS: strings.Repeat("b", 100)}, {OS: "c"}}
	f := read(t, write(t, rows, 3), Options{MaxRow: 60})
	if want := []string{`{"os":"a"}`, `{"os":"c"}`}; !slices.Equal(f.rows, want) || f.losses() != "1+1 row group 1: row longer than 60 bytes" {
		t.Errorf("got %q, lost %s", f.rows, f.losses())
	}
}

// remade changes what the footer says.
func remade(t *testing.T, file []byte, change func(*format.FileMetaData)) []byte {
	t.Helper()
	size := int(binary.LittleEndian.Uint32(file[len(file)-8:]))
	begin := len(file) - 8 - size
	meta := new(format.FileMetaData)
	if err := decode(file[begin:begin+size], meta, nil); err != nil {
		t.Fatal(err)
	}
	change(meta)
	var p thrift.CompactProtocol
	footer, err := thrift.Marshal(&p, meta)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(append(slices.Clone(file[:begin]), footer...), uint32(len(footer))), Magic...)
}

// Footers and pages that claim gigabytes are refused before anything is
// allocated for them.
func TestHostileClaimsAreBounded(t *testing.T) {
	file := write(t, events(20), 10, lib.Compression(&lib.Zstd))
	list := func(n uint64, kind byte) []byte { // a schema of n elements that are not there
		return append(binary.AppendUvarint([]byte{0x15, 2, 0x19, 0xf0 | kind}, n), 0, 0, 0)
	}
	closed := func(footer []byte) []byte {
		return append(binary.LittleEndian.AppendUint32(append([]byte(Magic), footer...), uint32(len(footer))), Magic...)
	}
	page := func(h format.PageHeader) []byte { // one page that is its header only
		var p thrift.CompactProtocol
		head, err := thrift.Marshal(&p, &h)
		if err != nil {
			t.Fatal(err)
		}
		file := write(t, []struct{ S string }{{"a"}}, 1, lib.Compression(&lib.Gzip))
		footer := int(binary.LittleEndian.Uint32(file[len(file)-8:])) + 8
		return remade(t, slices.Concat([]byte(Magic), head, make([]byte, 1<<10), file[len(file)-footer:]), func(m *format.FileMetaData) {
			c := &m.RowGroups[0].Columns[0].MetaData
			c.DataPageOffset, c.DictionaryPageOffset, c.TotalCompressedSize = 4, 0, int64(len(head))+1<<10
		})
	}
	data := func(n int32) thrift.Null[format.DataPageHeader] {
		return thrift.Null[format.DataPageHeader]{Valid: true, V: format.DataPageHeader{NumValues: n}}
	}
	for name, hostile := range map[string][]byte{
		"schema of 2^31 elements": closed(list(1<<31-1, 12)), "list of 2^31 numbers": closed(list(1<<31-1, 5)),
		"many structures": closed(append(list(1<<20, 12), make([]byte, 1<<20)...)),
		"footer of 4 GB":  append(binary.LittleEndian.AppendUint32([]byte("PAR1xxxx"), 1<<32-1), Magic...),
		"rows without pages": remade(t, file, func(m *format.FileMetaData) {
			for i := range m.RowGroups {
				m.RowGroups[i].NumRows = 1 << 60
			}
		}),
		"chunk beyond the file": remade(t, file, func(m *format.FileMetaData) { m.RowGroups[0].Columns[3].MetaData.TotalCompressedSize = 1 << 62 }),
		"deep schema": remade(t, file, func(m *format.FileMetaData) {
			deep := make([]format.SchemaElement, 5000)
			for i := range deep {
				deep[i] = format.SchemaElement{Name: "x", NumChildren: thrift.Null[int32]{V: 1, Valid: true}}
			}
			m.Schema = append(deep, m.Schema...)
		}),
		"no columns":                remade(t, file, func(m *format.FileMetaData) { m.Schema = m.Schema[:1]; m.Schema[0].NumChildren.V = 0 }),
		"page of 2 GB":              page(format.PageHeader{CompressedPageSize: 1<<31 - 1, DataPageHeader: data(1)}),
		"page of 2 GB decompressed": page(format.PageHeader{CompressedPageSize: 1000, UncompressedPageSize: 1<<31 - 1, DataPageHeader: data(1)}),
		"page of 2^31 values":       page(format.PageHeader{CompressedPageSize: 1000, UncompressedPageSize: 1000, DataPageHeader: data(1<<31 - 1)}),
		"page of -1 values":         page(format.PageHeader{CompressedPageSize: 1000, UncompressedPageSize: 1000, DataPageHeader: data(-1)}),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f := read(t, hostile, Options{})
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 || len(f.lost) == 0 {
			t.Errorf("%s: allocated %d bytes, lost %s", name, used, f.losses())
		}
	}
}

// Pages that few bytes would make huge are refused, whatever makes them so.
func TestSmallPagesStaySmall(t *testing.T) {
	l := &leaf{physical: format.ByteArray, defines: 1}
	header := func(e format.Encoding, values int32) *format.PageHeader {
		return &format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.Null[format.DataPageHeader]{Valid: true, V: format.DataPageHeader{NumValues: values, Encoding: e}}}
	}
	levels := func(data ...byte) []byte { // 8 that are there, then data
		return append([]byte{2, 0, 0, 0, 16, 1}, data...)
	}
	run := binary.AppendUvarint(nil, 1<<30)
	for name, test := range map[string]struct {
		h    *format.PageHeader
		data []byte
	}{
		"levels":         {header(format.Plain, 8), append(append([]byte{6, 0, 0, 0}, run...), 1)},
		"indexes":        {header(format.RLEDictionary, 8), levels(append(append([]byte{1}, run...), 0)...)},
		"runs of runs":   {header(format.RLEDictionary, 8), levels(append([]byte{0}, bytes.Repeat(run, 100)...)...)},
		"delta lengths":  {header(format.DeltaLengthByteArray, 8), levels(0x80, 1, 4, 0xff, 0xff, 0xff, 0x7f, 0)},
		"delta blocks":   {header(format.DeltaBinaryPacked, 8), levels(0xff, 0xff, 0xff, 0x7f, 1, 8, 0)},
		"delta prefixes": {header(format.DeltaByteArray, 8), levels(0x80, 1, 4, 2, 0xfe, 0xff, 0xff, 0xff, 0xf, 0, 0, 0, 0, 0)},
	} {
		if _, err := l.bounded(test.h, test.data); err == nil {
			t.Errorf("%s: let pass", name)
		}
	}
	if _, err := l.bounded(header(format.RLEDictionary, 8), levels(1, 16, 0)); err != nil {
		t.Errorf("eight of one index: %v", err)
	}
}

// All columns of a file together hold no more than Memory.
func TestMemoryIsShared(t *testing.T) {
	f := read(t, write(t, events(20), 10), Options{Memory: 5 * window})
	accounted(t, f, 20)
	if len(f.rows) > 0 || !strings.Contains(f.losses(), "needs more than 327680 bytes") {
		t.Errorf("%d rows, lost %s", len(f.rows), f.losses())
	}
}

// broken gives an error of its own behind some bytes.
type broken struct {
	io.ReaderAt
	at  int64
	err error
}

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off <= b.at && b.at < off+int64(len(p)) {
		return 0, b.err
	}
	return b.ReaderAt.ReadAt(p, off)
}

// An error of the store is an error, never damage; so is one of a callback, and a cancelled context.
func TestErrorsAreNoDamage(t *testing.T) {
	file, away := write(t, events(20), 10), errors.New("store is away")
	ctx, cancel := context.WithCancelCause(context.Background())
	nothing := func(Lost) error { return nil }
	for at := int64(0); at < int64(len(file)); at += 37 {
		from := broken{bytes.NewReader(file), at, away}
		rows, lost := 0, 0
		err := Rows(ctx, from, int64(len(file)), Options{Row: func(int64, []byte) error { rows++; return nil }, Lost: func(Lost) error { lost++; return nil }})
		if lost > 0 || err != nil && !errors.Is(err, away) || err == nil && rows < 20 { // not all of a file is read
			t.Fatalf("byte %d: %v, %d losses; want the store's error", at, err, lost)
		}
	}
	own := fmt.Errorf("enough")
	if err := Rows(ctx, bytes.NewReader(file), int64(len(file)), Options{Row: func(int64, []byte) error { return own }, Lost: nothing}); !errors.Is(err, own) {
		t.Errorf("got %v, want the callback's error", err)
	}
	cancel(own)
	if err := Rows(ctx, bytes.NewReader(file), int64(len(file)), Options{Row: func(int64, []byte) error { return nil }, Lost: nothing}); !errors.Is(err, own) {
		t.Errorf("cancelled: got %v", err)
	}
}

// FuzzParquet: no panic, no excess, the books close.
func FuzzParquet(f *testing.F) {
	for _, codec := range codecs {
		f.Add(write(f, events(3), 2, lib.Compression(codec)))
	}
	f.Add(write(f, events(3), 2, lib.DataPageVersion(1)))
	f.Add(write(f, []client{{OS: "x"}}, 2, lib.DataPageVersion(1), lib.Compression(&lib.Uncompressed)))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		err := Rows(context.Background(), bytes.NewReader(data), int64(len(data)), Options{Memory: 32 << 20, Row: func(int64, []byte) error {
			if n++; n > 1<<16 {
				return io.EOF
			}
			return nil
		}, Lost: func(Lost) error { return nil }})
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

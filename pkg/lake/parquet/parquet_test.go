package parquet

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is what Rows called back.
type told struct {
	numbers []int64
	rows    []string
	lost    []Lost
}

func (f told) losses() string {
	var all []string
	for _, l := range f.lost {
		all = append(all, fmt.Sprintf("%d+%d %s", l.First, l.Count, l.Reason))
	}
	return strings.Join(all, "; ")
}

type fatal interface {
	Helper()
	Fatalf(string, ...any)
}

func read(t fatal, file []byte, o Options) told {
	t.Helper()
	return readFrom(t, bytes.NewReader(file), int64(len(file)), o)
}

func readFrom(t fatal, r io.ReaderAt, size int64, o Options) told {
	t.Helper()
	var f told
	o.Row = func(n int64, data []byte) error {
		f.numbers, f.rows = append(f.numbers, n), append(f.rows, string(data))
		return nil
	}
	o.Lost = func(l Lost) error { f.lost = append(f.lost, l); return nil }
	if err := Rows(context.Background(), r, size, o); err != nil {
		t.Fatalf("rows: %v", err)
	}
	return f
}

// event is a row of many types.
type event struct {
	ID     string            `parquet:"id,dict"`
	N      int64             `parquet:"n,delta"`
	Small  uint32            `parquet:"small"`
	Amount int64             `parquet:"amount,decimal(2:12)"`
	F      float64           `parquet:"f"`
	G      float32           `parquet:"g,split"`
	OK     bool              `parquet:"ok"`
	At     int64             `parquet:"at,timestamp(microsecond)"`
	Day    int32             `parquet:"day,date"`
	Note   *string           `parquet:"note,optional"`
	UUID   [16]byte          `parquet:"uuid,uuid"`
	Data   []byte            `parquet:"data"`
	Tags   []string          `parquet:"tags,list"`
	Plain  []int32           `parquet:"plain"`
	Client client            `parquet:"client"`
	Items  []item            `parquet:"items,list"`
	Attrs  map[string]string `parquet:"attrs"`
	JSON   string            `parquet:"json,json"`
	Delta  string            `parquet:"delta,delta"`
}

type client struct {
	OS  string `parquet:"os"`
	Ver *int32 `parquet:"ver,optional"`
}

type item struct {
	ID   int64    `parquet:"id"`
	Sub  []int64  `parquet:"sub,list"`
	Name *string  `parquet:"name,optional"`
	Raw  []string `parquet:"raw"`
}

func events(n int) []event {
	all := make([]event, n)
	for i := range all {
		e := event{
			ID: fmt.Sprintf("id-%d", i%7), N: int64(i) + 1<<60, Small: 1<<32 - 1 - uint32(i), Amount: int64(i) - 5, F: float64(i) / 3, G: float32(i) / 3,
			OK: i%2 == 0, At: 1789344025305001 + int64(i)*1e6, Day: int32(i), Data: []byte{0xff, byte(i)},
			JSON: `{"k":[1,2]}`, Delta: strings.Repeat("pre", i%5) + fmt.Sprint(i), Client: client{OS: "ios\n\"x\""},
		}
		e.UUID[15] = byte(i)
		for k := range i % 4 {
			e.Tags, e.Plain = append(e.Tags, fmt.Sprint("t", k)), append(e.Plain, int32(k))
			it := item{ID: int64(k)}
			for s := range k {
				it.Sub, it.Raw = append(it.Sub, int64(s)), append(it.Raw, fmt.Sprint(s))
			}
			if k == 1 {
				it.Name = new("n")
			}
			e.Items = append(e.Items, it)
		}
		if i%3 == 0 {
			e.Note, e.Client.Ver = new("note"), new(int32(i))
			e.Attrs = map[string]string{"a b": "c"}
		}
		all[i] = e
	}
	return all
}

// wantEvent is row i of events as JSON, written out by hand.
func wantEvent(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"id-%d","n":%d,"small":%d,"amount":`, i%7, i+1<<60, uint32(1<<32-1-i))
	sign, abs := "", i-5
	if abs < 0 {
		sign, abs = "-", -abs
	}
	fmt.Fprintf(&b, `%s%d.%02d,"f":%v,"g":%v,"ok":%v,`, sign, abs/100, abs%100, strconv.FormatFloat(float64(i)/3, 'f', -1, 64), strconv.FormatFloat(float64(float32(i)/3), 'f', -1, 32), i%2 == 0)
	at := time.UnixMicro(1789344025305001 + int64(i)*1e6).UTC().Format("2006-01-02T15:04:05.000000Z")
	fmt.Fprintf(&b, `"at":"%s","day":"%s",`, at, time.Unix(int64(i)*86400, 0).UTC().Format(time.DateOnly))
	if i%3 == 0 {
		b.WriteString(`"note":"note",`)
	}
	fmt.Fprintf(&b, `"uuid":"00000000-0000-0000-0000-0000000000%02x","data":"%s",`, i, base64.StdEncoding.EncodeToString([]byte{0xff, byte(i)}))
	var tags, plain, items []string
	for k := range i % 4 {
		tags, plain = append(tags, fmt.Sprintf(`"t%d"`, k)), append(plain, fmt.Sprint(k))
		var sub, raw []string
		for s := range k {
			sub, raw = append(sub, fmt.Sprint(s)), append(raw, fmt.Sprintf(`"%d"`, s))
		}
		name := ""
		if k == 1 {
			name = `"name":"n",`
		}
		items = append(items, fmt.Sprintf(`{"id":%d,"sub":[%s],%s"raw":[%s]}`, k, strings.Join(sub, ","), name, strings.Join(raw, ",")))
	}
	fmt.Fprintf(&b, `"tags":[%s],"plain":[%s],"client":{"os":"ios\n\"x\""`, strings.Join(tags, ","), strings.Join(plain, ","))
	if i%3 == 0 {
		fmt.Fprintf(&b, `,"ver":%d`, i)
	}
	fmt.Fprintf(&b, `},"items":[%s],"attrs":{`, strings.Join(items, ","))
	if i%3 == 0 {
		b.WriteString(`"a b":"c"`)
	}
	fmt.Fprintf(&b, `},"json":{"k":[1,2]},"delta":"%s%d"}`, strings.Repeat("pre", i%5), i)
	return b.String()
}

// write writes rows as row groups of size rows each.
func write[T any](t testing.TB, rows []T, size int, o ...lib.WriterOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w := lib.NewGenericWriter[T](&out, o...)
	for len(rows) > 0 {
		n := min(size, len(rows))
		for some := range slices.Chunk(rows[:n], 5) { // the library ends pages between writes
			if _, err := w.Write(some); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var codecs = map[string]compress.Codec{
	"plain": &lib.Uncompressed, "snappy": &lib.Snappy, "gzip": &lib.Gzip, "zstd": &lib.Zstd, "brotli": &lib.Brotli, "lz4": &lib.Lz4Raw,
}

// Every type comes out as documented, in every codec, page version and page size.
func TestRowsAreRendered(t *testing.T) {
	const n = 120
	for name, codec := range codecs {
		for _, version := range []int{1, 2} {
			for _, page := range []int{200, 1 << 20} {
				file := write(t, events(n), 50, lib.Compression(codec), lib.DataPageVersion(version), lib.PageBufferSize(page))
				f := read(t, file, Options{})
				if len(f.rows) != n || len(f.lost) > 0 {
					t.Fatalf("%s, version %d, pages of %d: %d rows, lost %s", name, version, page, len(f.rows), f.losses())
				}
				for i, row := range f.rows {
					if want := wantEvent(i); row != want || f.numbers[i] != int64(i) {
						t.Fatalf("%s, version %d: row %d:\n got %s\nwant %s", name, version, f.numbers[i], row, want)
					}
				}
			}
		}
	}
}

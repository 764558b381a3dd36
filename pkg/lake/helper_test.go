package lake

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"kreplay/pkg/object"
)

// memory is a store of what a test wrote; wrap, if set, is put around readers.
type memory struct {
	data    map[string][]byte
	wrap    func(io.Reader) io.Reader
	listErr error
}

func (m memory) List(_ context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m.data)) {
			if strings.HasPrefix(key, prefix) && !yield(object.Info{Key: key, Size: int64(len(m.data[key]))}, nil) {
				return
			}
		}
		if m.listErr != nil {
			yield(object.Info{}, m.listErr)
		}
	}
}

func (m memory) Open(_ context.Context, key string) (io.ReadCloser, error) {
	data, ok := m.data[key]
	if !ok {
		return nil, fmt.Errorf("memory: %s: %w", key, object.ErrNotExist)
	}
	var r io.Reader = bytes.NewReader(data)
	if m.wrap != nil {
		r = m.wrap(r)
	}
	return io.NopCloser(r), nil
}

func (m memory) Create(context.Context, string) (object.Writer, error) { panic("not used") }

// found is what a scan called back, in order.
type found struct {
	rows   []Row
	damage []Damage
	stats  Stats
}

func (f *found) sweep(max int) Sweep {
	return Sweep{
		MaxValue: max,
		Row:      func(r Row) error { r.Data = bytes.Clone(r.Data); f.rows = append(f.rows, r); return nil },
		Damage:   func(d Damage) error { f.damage = append(f.damage, d); return nil },
	}
}

type fatal interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// scanBytes scans stored bytes; max 0 is the default.
func scanBytes(t fatal, stored []byte, max int, wrap func(io.Reader) io.Reader) found {
	t.Helper()
	var f found
	var err error
	f.stats, err = scan(context.Background(), memory{data: map[string][]byte{"k": stored}, wrap: wrap}, "k", f.sweep(max))
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return f
}

// data returns the rows as texts.
func (f found) data() []string {
	var all []string
	for _, r := range f.rows {
		all = append(all, string(r.Data))
	}
	return all
}

// spans returns the damage as offset+length, with the reason.
func (f found) spans() string {
	var all []string
	for _, d := range f.damage {
		all = append(all, fmt.Sprintf("%d+%d %s", d.Offset, d.Length, d.Reason))
	}
	return strings.Join(all, "; ")
}

// covers is the law of the books: rows, white space and damage cover plain,
// without overlap, and rows are its bytes.
func (f found) covers(t fatal, plain []byte) {
	t.Helper()
	type span struct{ at, end int64 }
	var spans []span
	for _, r := range f.rows {
		end := r.Offset + int64(len(r.Data))
		if end > int64(len(plain)) || !bytes.Equal(plain[r.Offset:end], r.Data) {
			t.Fatalf("row at %d: %q is not what the object holds", r.Offset, r.Data)
		}
		rest := plain[end:]
		if want := bytes.HasPrefix(rest, []byte("\n")) || bytes.HasPrefix(rest, []byte("\r\n")); r.Newline != want {
			t.Errorf("row at %d: newline %v, want %v", r.Offset, r.Newline, want)
		}
		spans = append(spans, span{r.Offset, end})
	}
	for _, d := range f.damage {
		if d.Length > 0 {
			spans = append(spans, span{d.Offset, d.Offset + d.Length})
		}
		if d.Reason == "" || d.Object != "k" || d.Length < 0 {
			t.Errorf("damage says too little: %+v", d)
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.at, b.at) })
	last := int64(0)
	for _, s := range append(spans, span{int64(len(plain)), int64(len(plain))}) {
		if s.at < last || s.at > int64(len(plain)) {
			t.Fatalf("overlap or excess at %d (covered up to %d of %d)", s.at, last, len(plain))
		}
		if gap := bytes.Trim(plain[last:s.at], " \t\r\n"); len(gap) > 0 {
			t.Fatalf("not accounted for at %d: %q", last, gap)
		}
		last = s.end
	}
	if !slices.IsSortedFunc(f.rows, func(a, b Row) int { return cmp.Compare(a.Offset, b.Offset) }) ||
		!slices.IsSortedFunc(f.damage, func(a, b Damage) int { return cmp.Compare(a.Offset, b.Offset) }) {
		t.Errorf("not in order")
	}
	if f.stats.Rows != uint64(len(f.rows)) || f.stats.Plain != int64(len(plain)) || f.stats.Objects != 1 {
		t.Errorf("stats: got %+v, want %d rows, %d plain bytes", f.stats, len(f.rows), len(plain))
	}
}

// zip compresses data in members of about equal length.
func zip(data []byte, members int) []byte {
	var out bytes.Buffer
	for i := range members {
		w := gzip.NewWriter(&out)
		_, _ = w.Write(data[len(data)*i/members : len(data)*(i+1)/members]) // to memory
		_ = w.Close()
	}
	return out.Bytes()
}

// event is one line like those of the real lake.
func event(i int) string {
	b, err := json.Marshal(map[string]any{
		"artist": fmt.Sprintf("Artist \"%d\" }{", i), "auth": "Logged In", "itemInSession": i, "length": 655.77751,
		"page": "NextSong", "registration": 1541016707796.0, "song": "Ünïcode \\ / song", "ts": 1541106106796 + i,
		"device": map[string]any{"os": "x", "ids": []int{1, 2, i}}, "userAgent": strings.Repeat("Mozilla/5.0 ", 4), "userId": "15",
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

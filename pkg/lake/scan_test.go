package lake

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func value(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.StringMatching(`[a-z0-9 {}\[\]":,\\/\n\t\x00é世]{0,24}`).AsAny(),
		rapid.String().AsAny(),
		rapid.Float64().AsAny(),
		rapid.Int64().AsAny(),
		rapid.Bool().AsAny(),
		rapid.Just[any](nil),
	}
	if depth > 0 {
		kinds = append(kinds, rapid.SliceOfN(value(depth-1), 0, 3).AsAny(),
			rapid.MapOfN(rapid.String(), value(depth-1), 0, 3).AsAny())
	}
	return rapid.OneOf(kinds...)
}

// rowGen draws one JSON object, compact or over several lines.
var rowGen = rapid.Custom(func(t *rapid.T) string {
	key := rapid.StringMatching(`[a-z{}"\\]{0,6}`)
	m := rapid.MapOfN(key, value(2), 0, 5).Draw(t, "row")
	b, err := json.Marshal(m)
	if rapid.IntRange(0, 9).Draw(t, "pretty") == 0 {
		b, err = json.MarshalIndent(m, "", " ")
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
})

var separator = rapid.SampledFrom([]string{"", "", "\n", "\n", "\r\n", " ", "\n\n", " \t\n", "\n \r\n\n"})

type text struct {
	plain []byte
	rows  []Row
}

func drawText(t *rapid.T) text {
	var x text
	x.plain = []byte(separator.Draw(t, "lead"))
	for _, row := range rapid.SliceOfN(rowGen, 0, 12).Draw(t, "rows") {
		sep := separator.Draw(t, "separator")
		x.rows = append(x.rows, Row{Object: "k", Offset: int64(len(x.plain)), Data: []byte(row),
			Newline: strings.HasPrefix(sep, "\n") || strings.HasPrefix(sep, "\r\n")})
		x.plain = append(append(x.plain, row...), sep...)
	}
	return x
}

// chunks reads n bytes at a time.
func chunks(n int) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader { return chunked{r, n} }
}

type chunked struct {
	r io.Reader
	n int
}

func (c chunked) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

// Rows come out once, in order, with their bytes and offsets, however they are
// separated, compressed and read.
func TestRowsComeOutOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawText(t)
		stored := x.plain
		for range rapid.IntRange(0, 2).Draw(t, "gzip layers") {
			stored = zip(stored, rapid.IntRange(1, 3).Draw(t, "members"))
		}
		longest := 1
		for _, r := range x.rows {
			longest = max(longest, len(r.Data))
		}
		f := scanBytes(t, stored, longest, chunks(rapid.IntRange(1, 64).Draw(t, "chunk")))
		f.covers(t, x.plain)
		if len(f.damage) > 0 {
			t.Fatalf("damage in sound text: %s", f.spans())
		}
		same := func(a, b Row) bool {
			return a.Offset == b.Offset && a.Newline == b.Newline && a.Object == b.Object && bytes.Equal(a.Data, b.Data)
		}
		if !slices.EqualFunc(f.rows, x.rows, same) {
			t.Fatalf("rows:\n got %+v\nwant %+v", f.rows, x.rows)
		}
		if f.stats.Bytes != int64(len(stored)) {
			t.Fatalf("stored bytes: got %d, want %d", f.stats.Bytes, len(stored))
		}
	})
}

// An object cut anywhere still gives every row before the cut, and one span.
func TestCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawText(t)
		cut := rapid.IntRange(0, len(x.plain)).Draw(t, "cut")
		f := scanBytes(t, x.plain[:cut], 0, nil)
		f.covers(t, x.plain[:cut])
		whole := 0
		for _, r := range x.rows {
			if r.Offset+int64(len(r.Data)) <= int64(cut) {
				whole++
			}
		}
		if len(f.rows) != whole || len(f.damage) > 1 {
			t.Fatalf("cut at %d: got %d rows, damage %s, want %d rows", cut, len(f.rows), f.spans(), whole)
		}
	})
}

// A gzip object cut anywhere gives the rows of the bytes that can still be
// decompressed, and says that it is cut.
func TestCutGzipAnywhere(t *testing.T) {
	var plain []byte
	for i := range 30 {
		plain = append(plain, event(i)...)
	}
	for name, stored := range map[string][]byte{"one": zip(plain, 1), "two members": zip(plain, 2), "double": zip(zip(plain, 2), 1)} {
		prev := 0
		for cut := 2; cut < len(stored); cut++ {
			f := scanBytes(t, stored[:cut], 0, nil)
			f.covers(t, plain[:f.stats.Plain])
			said := strings.Contains(f.spans(), "+0 gzip member")
			onMember := name == "two members" && f.stats.Plain == int64(len(plain)/2)
			if once := strings.Count(f.spans(), "gzip member") == 1; !said && !onMember || said && !once {
				t.Fatalf("%s cut at %d: damage %q", name, cut, f.spans())
			}
			if len(f.rows) < prev {
				t.Fatalf("%s cut at %d: %d rows, fewer than %d of a shorter cut", name, cut, len(f.rows), prev)
			}
			prev = len(f.rows)
		}
	}
}

// In text of events, separated or not, one spoiled byte costs its own row and
// no other, but for the documented case, and makes up none.
func TestOneSpoiledByteCostsOneRow(t *testing.T) {
	for _, sep := range []string{"", "\n", " "} {
		var plain []byte
		var ends []int
		var events []string
		for i := range 5 {
			events = append(events, event(i))
			plain = append(append(plain, events[i]...), sep...)
			ends = append(ends, len(plain))
		}
		for at := ends[1]; at < ends[2]-len(sep); at++ {
			for _, c := range []byte("x\"{}[]\\,: \n\x00\xff0") {
				spoiled := bytes.Clone(plain)
				spoiled[at] = c
				f := scanBytes(t, spoiled, 0, nil)
				f.covers(t, spoiled)
				got := f.data()
				for _, i := range []int{0, 1, 3, 4} {
					endLost := i == 3 && sep != "\n" && at == ends[2]-len(sep)-1 && strings.ContainsRune(":[,", rune(c))
					if !slices.Contains(got, events[i]) && !endLost {
						t.Errorf("separator %q, byte %d of %d is %q: row %d lost; %s", sep, at-ends[1], ends[2]-ends[1], c, i, f.spans())
					}
				}
				for _, r := range f.rows {
					inString := r.Offset > 0 && plain[r.Offset-1] == '}' // the }{ in the artist's name
					if c != '{' && c != '}' && !inString && r.Offset > int64(ends[1]) && r.Offset < int64(ends[2]) {
						t.Errorf("separator %q, byte %d is %q: made-up row %s", sep, at-ends[1], c, r.Data)
					}
				}
			}
		}
	}
}

func TestDamage(t *testing.T) {
	a, b, c := `{"a":1}`, `{"b":{"x":[{},{"y":"}{"}]}}`, `{"c":"\"\\"}`
	long := `{"l":"` + strings.Repeat("{", 100) + `"}`
	tests := []struct {
		name, text string
		rows       []string
		spans      string
	}{
		{"empty", "", nil, ""},
		{"blank", " \r\n\t\n", nil, ""},
		{"sound", a + b + "\n" + c, []string{a, b, c}, ""},
		{"garbage first", "xyz" + a + b, []string{a, b}, "0+3 not a JSON object"},
		{"byte order mark", "\ufeff" + a, []string{a}, "0+3 not a JSON object"},
		{"garbage between", a + "\x00\x00\n" + b, []string{a, b}, "7+2 not a JSON object"},
		{"garbage last", a + "\n12 ", []string{a}, "8+2 not a JSON object"},
		{"scalars", "1\n\"{}\"\n" + a + "\ntrue\n" + c, []string{a, c}, "0+6 not a JSON object; 15+4 not a JSON object"},
		{"array", "[" + a + "," + b + "]\n" + c, []string{c}, "0+37 not a JSON object"},
		{"array of lines", "[\n" + a + ",\n" + b + ",\n" + a + "]\n" + c, []string{c}, "0+48 not a JSON object"},
		{"array whose last element has a line", "[\n" + a + ",\n" + b + "\n]\n" + c, []string{b, c}, "0+10 not a JSON object; 39+1 not a JSON object"},
		{"comma between", a + "," + b, []string{a, b}, "7+1 not a JSON object"},
		{"cut short", a + b[:20], []string{a}, "7+20 cut short"},
		{"cut in an escape", a + `{"a":"\`, []string{a}, "7+7 cut short"},
		{"lines cut", a + "\n" + `{"a":` + "\n" + b + "\n" + `{"a` + "\n" + c, []string{a, b, c},
			"8+5 bracket or quote out of place; 42+3 control byte in a string"},
		{"too long", a + long + b, []string{a, b}, "7+108 value longer than 60 bytes"},
		{"too long, cut", a + long[:90], []string{a}, "7+90 value longer than 60 bytes"},
		{"brackets", `{"a":[1}` + a, []string{a}, "0+8 brackets do not match"},
		{"quote out of place", `{"n" "f":1}` + a, []string{a}, "0+11 bracket or quote out of place"},
		{"opening bracket lost", `{"a": "x":1},"c":2}` + a, []string{a}, "0+19 not valid JSON"},
		{"nested object in damaged lines", "{\"a\":x,\n\"b\":\n{\"c\":1},\n\"d\":[\n{},\n {}\n]}\n" + a, []string{a},
			"0+38 byte that cannot stand outside of a string"},
		{"line within a row of lines", "{\"a\":\n" + b + "\n}\n" + a, []string{b, a}, "0+5 a row stands in a line of it; 34+1 not a JSON object"},
		{"line within a row after damage", "x\n{\"a\":[\n" + b + "\n]}\n" + a, []string{b, a}, "0+8 not a JSON object; 37+2 not a JSON object"},
		{"indented line within a row", "{\"a\":\n " + b + "\n}\n" + a, []string{"{\"a\":\n " + b + "\n}", a}, ""},
		{"cut short before a line", "{\"a\":[\n{\"b\":\n" + b + "\n", []string{b}, "0+12 cut short"},
		{"invalid after damage", `x{"a":tru} ` + a, []string{a}, "0+10 not a JSON object"},
		{"newline long before", "x\n{y," + a, nil, "0+12 not a JSON object"},
		{"array without its end", `{"a":[1` + "\n" + a + "\n" + c, []string{a, c}, "0+7 bracket or quote out of place"},
		{"invalid is not seen", `{"a":tru}`, []string{`{"a":tru}`}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, wrap := range []func(io.Reader) io.Reader{nil, iotest.OneByteReader, iotest.DataErrReader} {
				f := scanBytes(t, []byte(test.text), 60, wrap)
				f.covers(t, []byte(test.text))
				if got := f.data(); !slices.Equal(got, test.rows) || f.spans() != test.spans {
					t.Errorf("%q:\n got %q, damage %q\nwant %q, damage %q", test.text, got, f.spans(), test.rows, test.spans)
				}
			}
		})
	}
}

func TestNestedTooDeep(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	f := scanBytes(t, []byte(deep(maxDepth-1)+"\n"+deep(maxDepth)+`{"b":1}`), 0, nil)
	if len(f.rows) != 2 || f.spans() != "20005+20006 nested too deep" {
		t.Errorf("got %d rows, damage %s", len(f.rows), f.spans())
	}
}

func TestDamagedGzip(t *testing.T) {
	a, b := []byte(`{"a":1}`), []byte(`{"b":2}`)
	spoil := func(data []byte, at int) []byte { d := bytes.Clone(data); d[(at+len(d))%len(d)] ^= 0x55; return d }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	tests := []struct {
		name   string
		stored []byte
		rows   int
		spans  string
	}{
		{"checksum", join(spoil(zip(a, 1), -6), zip(b, 1)), 2, "7+0 gzip member 1: checksum or length does not match"},
		{"length", spoil(zip(a, 1), -1), 1, "7+0 gzip member 1: checksum or length does not match"},
		{"newline and padding between members", join(zip(a, 1), []byte("\r\n\x00"), zip(b, 1), []byte("\n")), 2, ""},
		{"garbage after a member", join(zip(a, 1), []byte("garbage")), 1, "7+0 gzip member 1: no gzip data after member 1"},
		{"header", []byte("\x1f\x8b\x01xxxxxxxxxx"), 0, "0+0 gzip member 1: gzip: invalid header"},
		{"two bytes", []byte("\x1f\x8b"), 0, "0+0 gzip member 1: unexpected EOF"},
		{"one byte", []byte("\x1f"), 0, "0+1 not a JSON object"},
		{"three layers", zip(zip(zip(a, 1), 1), 1), 1, ""},
		{"empty member", zip(nil, 1), 0, ""},
		{"members of records, gzipped", zip(join(zip(a, 1), []byte("\n"), zip(b, 1), []byte("\n")), 2), 2, ""},
		{"inner checksum", zip(join(spoil(zip(a, 1), -6), zip(b, 1)), 1), 2, "7+0 gzip member 1: checksum or length does not match"},
	}
	for _, test := range tests {
		f := scanBytes(t, test.stored, 0, nil)
		if len(f.rows) != test.rows || f.spans() != test.spans {
			t.Errorf("%s: got %d rows, damage %q, want %d, %q", test.name, len(f.rows), f.spans(), test.rows, test.spans)
		}
	}
	f := scanBytes(t, zip(zip(zip(zip(a, 1), 1), 1), 1), 0, nil)
	if len(f.rows) != 0 || len(f.damage) != 1 {
		t.Errorf("four layers: got %d rows, damage %q", len(f.rows), f.spans())
	}
}

// stored gzips without compressing, in blocks of 65,535 bytes.
func stored(t *testing.T, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A spoiled deflate stream gives the rows before it and one finding of length 0.
func TestCorruptDeflate(t *testing.T) {
	plain := []byte(strings.Repeat(event(1)+"\n", 300))
	zipped := stored(t, plain)
	zipped[10+5+65535+1] ^= 0xff // length of the second stored block
	f := scanBytes(t, zipped, 0, nil)
	f.covers(t, plain[:65535])
	if len(f.rows) < 200 || !strings.Contains(f.spans(), "65535+0 gzip member 1: flate: corrupt input") {
		t.Errorf("got %d rows, damage %s", len(f.rows), f.spans())
	}
}

// A failing store is an error, not a cut object, also late in gzip data.
func TestFailingStoreIsNoDamage(t *testing.T) {
	boom := errors.New("boom")
	data := stored(t, []byte(strings.Repeat(event(1)+"\n", 3000)))
	for _, at := range []int64{1, 15, 200_000, int64(len(data)) - 4, int64(len(data))} {
		m := memory{data: map[string][]byte{"k": data}, wrap: func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, at), iotest.ErrReader(boom))
		}}
		var f found
		_, err := scan(t.Context(), m, "k", f.sweep(0))
		if !errors.Is(err, boom) || len(f.damage) > 0 {
			t.Errorf("fails at %d: got %v, damage %s, want boom", at, err, f.spans())
		}
	}
}

// Where the buffer ends within the text makes no difference.
func TestBufferEndAnywhere(t *testing.T) {
	const longest = 40
	text := "{\"a\":1}\r\n{\"b\":2}\n{}x{\"c\":{\"d\":1}  ,\"e\":2}{\"f\":[x,\n{\"g\":1}  ,\n{\"h\":1}\n]}\r\n{}\r\n{}"
	want := scanBytes(t, []byte(text), longest, nil)
	for pad := range longest + slack {
		plain := []byte(strings.Repeat(" ", pad) + text)
		f := scanBytes(t, plain, longest, nil)
		f.covers(t, plain)
		if !slices.Equal(f.data(), want.data()) || len(f.damage) != len(want.damage) {
			t.Errorf("after %d spaces: got %q, %s, want %q, %s", pad, f.data(), f.spans(), want.data(), want.spans())
		}
	}
}

// Text made to be looked at again and again is looked at a bounded number of times.
func TestLookingInVainIsBounded(t *testing.T) {
	const longest = 64 << 10
	plain := []byte(strings.Repeat("{\"a\":[1,\n", 50_000) + "\n{\"z\":1}")
	var f found
	s := newSplitter("k", newSource(bytes.NewReader(plain)), f.sweep(longest))
	defer s.release()
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most := int64(5*longest + 8*len(plain)); s.lost.spent > most || s.lost.spent < longest {
		t.Errorf("looked at %d bytes in vain, want at most %d", s.lost.spent, most)
	}
	if len(f.rows) != 1 || len(f.damage) != 1 {
		t.Errorf("got %d rows, damage %s", len(f.rows), f.spans())
	}
}

// A row longer than the buffer is whole, and memory goes no further than the longest.
func TestLongRowGrowsTheBufferUpToTheBound(t *testing.T) {
	row := `{"a":"` + strings.Repeat("x", 3*startSize) + `"}`
	plain := []byte("{}" + row + row + "{}")
	for longest, want := range map[int]int{len(row): 4, len(row) - 1: 2} {
		var f found
		s := newSplitter("k", newSource(bytes.NewReader(plain)), f.sweep(longest))
		if err := s.run(t.Context()); err != nil || len(f.rows) != want || len(s.buf) > longest+slack {
			t.Errorf("longest %d: got %d rows, damage %s, buffer %d, %v, want %d rows", longest, len(f.rows), f.spans(), len(s.buf), err, want)
		}
		s.release()
	}
}

package lake

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func scanCSV(t fatal, stored []byte, max int, wrap func(io.Reader) io.Reader) found {
	t.Helper()
	var f found
	sweep := f.sweep(max)
	sweep.Format = CSV
	var err error
	f.stats, err = scan(context.Background(), memory{data: map[string][]byte{"k": stored}, wrap: wrap}, "k", sweep)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return f
}

func TestCSV(t *testing.T) {
	long := strings.Repeat("x", 70)
	for _, test := range []struct {
		name, text string
		rows       []string
		spans      string
	}{
		{"empty", "", nil, ""},
		{"names only", "a,b\n", nil, ""},
		{"rows", "a,b\n1,2\n3,4\n", []string{`{"a":"1","b":"2"}`, `{"a":"3","b":"4"}`}, ""},
		{"no newline at the end", "a,b\n1,2", []string{`{"a":"1","b":"2"}`}, ""},
		{"CRLF, mark, blank lines", "\ufeff\r\n\"a\",b\r\n\r\n1,\"2\"\r\n\r\n", []string{`{"a":"1","b":"2"}`}, ""},
		{"names as they are", "a.b,\"c[0]\",\"d \"\"e\"\"\"\n1,2,3\n", []string{`{"a.b":"1","c[0]":"2","d \"e\"":"3"}`}, ""},
		{"nothing and empty", "a,b,c\n,\"\",x\n,,\n", []string{`{"b":"","c":"x"}`, `{}`}, ""},
		{"quoted", "a,b\n\"1,\n\r\n2\",\"say \"\"hi\"\"\"\n", []string{`{"a":"1,\n\r\n2","b":"say \"hi\""}`}, ""},
		{"control bytes", "a\n\"\x01\t\\\"\n", []string{`{"a":"\u0001\t\\"}`}, ""},
		{"quote within a cell", "a,b\nx\"y,z\"\n", []string{`{"a":"x\"y","b":"z\""}`}, ""},
		{"names again", "a,b\n1,2\na,b\n3,4\n\"a\",b\n", []string{`{"a":"1","b":"2"}`, `{"a":"3","b":"4"}`, `{"a":"a","b":"b"}`}, ""},
		{"too few, too many", "a,b\n1\n3,4\n5,6,7\n8,9\n", []string{`{"a":"3","b":"4"}`, `{"a":"8","b":"9"}`},
			"4+1 1 cells, and 2 names in the first line; 10+5 3 cells, and 2 names in the first line"},
		{"lone quote", "a,b\n1,\"2\n3,4\n5,\"6\"\n7,8\n", []string{`{"a":"3","b":"4"}`, `{"a":"5","b":"6"}`, `{"a":"7","b":"8"}`},
			"4+4 a quote within a quoted cell, or one that is not closed"},
		{"lone quote, none follows", "a,b\n1,\"2\n3,4\n5,6\n", []string{`{"a":"3","b":"4"}`, `{"a":"5","b":"6"}`}, "4+4 a quote that is not closed"},
		{"lone quote that closes elsewhere", "a,b\n\"1,2\n3,4\n5,6\"\n7,8\n", []string{`{"a":"3","b":"4"}`, `{"a":"5","b":"6\""}`, `{"a":"7","b":"8"}`},
			"4+4 1 cells, and 2 names in the first line"},
		{"not UTF-8", "a,b\n1,\xff\n3,4\n", []string{`{"a":"3","b":"4"}`}, "4+3 not UTF-8"},
		{"too long", "a,b\n1," + long + "\n3,4\n", []string{`{"a":"3","b":"4"}`}, "4+72 row longer than 60 bytes, or a quote that is not closed"},
		{"lone quote, much follows", "a,b\n1,\"2\n" + strings.Repeat("3,4\n", 40), slices.Repeat([]string{`{"a":"3","b":"4"}`}, 40),
			"4+4 row longer than 60 bytes, or a quote that is not closed"},
		{"empty name", "a,,c\n1,2,3\n", nil, `0+10 no names in the first line: column 2 is called "", which is empty or another column's name`},
		{"name twice", "a,a\n1,2\n", nil, `0+7 no names in the first line: column 2 is called "a", which is empty or another column's name`},
		{"one column", "a\n1\n\"\"\n\n2\n", []string{`{"a":"1"}`, `{"a":""}`, `{"a":"2"}`}, ""},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{nil, iotest.OneByteReader, iotest.DataErrReader} {
			for _, stored := range [][]byte{[]byte(test.text), zip([]byte(test.text), 1)} {
				f := scanCSV(t, stored, 60, wrap)
				if got := f.data(); !slices.Equal(got, test.rows) || f.spans() != test.spans {
					t.Errorf("%s: got %q, damage %q\nwant %q, damage %q", test.name, got, f.spans(), test.rows, test.spans)
				}
			}
		}
	}
}

// What encoding/csv writes comes out, cell by cell, with the offset at which
// its row begins, in whatever compression and members.
func TestCSVRoundTrip(t *testing.T) {
	cellGen := rapid.OneOf(rapid.StringMatching(`[a-z,"\n\\ é]{0,8}`), rapid.Just(""), rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "\r") && utf8.ValidString(s) }))
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z.]{1,4}`), 2, 5, rapid.ID).Draw(t, "names")
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.UseCRLF = rapid.Bool().Draw(t, "CRLF")
		write := func(cells []string) int64 {
			at := int64(b.Len())
			if err := w.Write(cells); err != nil {
				t.Fatal(err)
			}
			w.Flush()
			return at
		}
		write(names)
		var want []map[string]string
		var offsets []int64
		for range rapid.IntRange(0, 8).Draw(t, "rows") {
			if rapid.IntRange(0, 5).Draw(t, "names again") == 0 {
				write(names)
			}
			cells := rapid.SliceOfN(cellGen, len(names), len(names)).Draw(t, "row")
			if slices.Equal(cells, names) {
				continue
			}
			offsets = append(offsets, write(cells))
			row := map[string]string{}
			for i, c := range cells {
				if w.UseCRLF { // encoding/csv writes it within cells too
					c = strings.ReplaceAll(c, "\n", "\r\n")
				}
				if c != "" {
					row[names[i]] = c
				}
			}
			want = append(want, row)
		}
		plain := b.Bytes()
		stored := zip(plain, rapid.IntRange(1, 3).Draw(t, "members"))
		if rapid.Bool().Draw(t, "plain") {
			stored = plain
		}
		f := scanCSV(t, stored, 0, chunks(rapid.IntRange(1, 64).Draw(t, "chunk")))
		if len(f.damage) > 0 || len(f.rows) != len(want) {
			t.Fatalf("%q: %d rows, want %d, damage %s", plain, len(f.rows), len(want), f.spans())
		}
		for i, r := range f.rows {
			var got map[string]string
			if err := json.Unmarshal(r.Data, &got); err != nil || !maps.Equal(got, want[i]) || r.Offset != offsets[i] {
				t.Errorf("%q: row %d at %d: %s\nwant %q at %d", plain, i, r.Offset, r.Data, want[i], offsets[i])
			}
		}
	})
}

// One spoiled byte costs its row and no other, whatever it becomes, but for a
// newline that becomes something else, which costs the row behind it too.
func TestSpoiledCSVCostsOneRow(t *testing.T) {
	row := func(i int) string {
		return strings.Repeat(string(rune('a'+i)), 3) + `,"x ""y"", z",` + string(rune('0'+i))
	}
	plain, ends := []byte("n,text,k\n"), []int{}
	for i := range 5 {
		plain = append(append(plain, row(i)...), '\n')
		ends = append(ends, len(plain))
	}
	clean := scanCSV(t, plain, 0, nil).data()
	for at := ends[1]; at < ends[2]; at++ {
		for _, c := range []byte("x\",\n\r\x00\xff") {
			spoiled := bytes.Clone(plain)
			spoiled[at] = c
			f := scanCSV(t, spoiled, 0, nil)
			for _, i := range []int{0, 1, 3, 4} {
				if !slices.Contains(f.data(), clean[i]) && (i != 3 || at != ends[2]-1) {
					t.Errorf("byte %d is %q: row %d lost: %q, damage %s", at-ends[1], c, i, f.data(), f.spans())
				}
			}
		}
	}
}

// Quotes made to be looked through again and again take a bounded time.
func TestLookingForQuotesInVainIsBounded(t *testing.T) {
	const longest = 4 << 10
	plain := []byte("a,b\n" + strings.Repeat("1,\"\"\"\n\n", 30_000))
	var f found
	sweep := f.sweep(longest)
	s := &csvSplitter{splitter: newSplitter("k", newSource(bytes.NewReader(plain)), sweep)}
	s.max = longest
	defer s.release()
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most := int64(6*longest + 9*len(plain)); s.vain > most {
		t.Errorf("looked at %d bytes in vain, want at most %d", s.vain, most)
	}
}

// Text that looks like CSV is damage without the key, and the damage names it.
func TestCSVIsSuggested(t *testing.T) {
	for text, want := range map[string]bool{
		"user_id,ts\n1,2\n": true, "\"a\",\"b c\"\r\n1,2\r\n": true, "hello, world: x\n": false, "just text\n": false, "[{\"a\":1},\n{}]\n": false, "a,b": false,
	} {
		f := scanBytes(t, []byte(text), 0, nil)
		if got := strings.Contains(f.spans(), "format: csv"); got != want {
			t.Errorf("%q: suggested %v, want %v: %s", text, got, want, f.spans())
		}
	}
}

// FuzzCSV: no panic, rows and damage in order and apart, and how it is read
// makes no difference.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "a,b\n\"1\n2\",\"\"\n", "\ufeffa\r\n\"\"\"\r\n", "a,b\n1,\"2\n3,4\n5,\"6\"\n"} {
		f.Add([]byte(seed), uint8(3), uint8(40))
	}
	f.Fuzz(func(t *testing.T, data []byte, chunk, longest uint8) {
		if formatOf(data[:min(len(data), headSize)]) != nil || isParquet(data) {
			return
		}
		want := scanCSV(t, data, int(longest)+1, nil)
		got := scanCSV(t, data, int(longest)+1, chunks(int(chunk)+1))
		if got.spans() != want.spans() || !slices.Equal(got.data(), want.data()) {
			t.Errorf("in chunks: %q, damage %s; want %q, damage %s", got.data(), got.spans(), want.data(), want.spans())
		}
		last := int64(0)
		for _, r := range want.rows {
			if r.Offset < last || !json.Valid(r.Data) {
				t.Errorf("row %q at %d, behind %d", r.Data, r.Offset, last)
			}
			last = r.Offset + 1
		}
		last = 0
		for _, d := range want.damage {
			if d.Offset < last || d.Offset+d.Length > int64(len(data)) || d.Reason == "" {
				t.Errorf("damage %+v of %d bytes, behind %d", d, len(data), last)
			}
			last = d.Offset + d.Length
			for _, r := range want.rows {
				if r.Offset >= d.Offset && r.Offset < last {
					t.Errorf("row at %d in damage %+v", r.Offset, d)
				}
			}
		}
	})
}

package lake

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Rows that are known come out as they do when nobody knows them: with the same
// damage around them, wherever buffers end, and whatever follows them.
func TestKnownRowsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawText(t)
		plain := bytes.Clone(text.plain)
		for range rapid.IntRange(0, 3).Draw(t, "spoiled") {
			if len(plain) == 0 {
				break
			}
			at := rapid.IntRange(0, len(plain)-1).Draw(t, "at")
			if rapid.Bool().Draw(t, "cut") {
				plain = slices.Delete(plain, at, min(at+rapid.IntRange(1, 9).Draw(t, "lost"), len(plain)))
			} else {
				plain[at] = rapid.SampledFrom([]byte("{}[]\",: x\n\x00")).Draw(t, "byte")
			}
		}
		max := rapid.SampledFrom([]int{0, 40, 1 << 10}).Draw(t, "max")
		size := rapid.IntRange(1, 64).Draw(t, "chunk")
		want := scanBytes(t, plain, max, chunks(size))

		knows := map[string]bool{} // what may be known: JSON objects
		for _, row := range text.rows {
			knows[string(row.Data)] = rapid.Bool().Draw(t, "known")
		}
		var got found
		sweep := got.sweep(max)
		row, known := sweep.Row, 0
		sweep.Known = func(b []byte, offset int64) (int, error) {
			known = 0
			for row := range knows {
				if knows[row] && bytes.HasPrefix(b, []byte(row)) {
					known = len(row)
				}
			}
			if known == 0 {
				return 0, nil
			}
			rest := plain[int(offset)+known:]
			return known, row(Row{Object: "k", Offset: offset, Data: b[:known], Newline: newline(rest)})
		}
		sweep.Row = func(r Row) error {
			if known > 0 {
				t.Fatalf("%q: %d bytes were known", r.Data, known)
			}
			return row(r)
		}
		var err error
		if got.stats, err = sweep.Scan(context.Background(), memory{data: map[string][]byte{"k": plain}, wrap: chunks(size)}, "k"); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(found{})); d != "" {
			t.Fatalf("%q: (-without +with)\n%s", plain, d)
		}
	})
}

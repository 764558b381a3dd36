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

// What is wrong with compressed bytes is told of before the known rows behind it.
func TestBreaksComeBeforeKnownRows(t *testing.T) {
	a, b := []byte(`{"a":1}`), []byte(`{"b":2}`)
	broken := zip(a, 1)
	broken[len(broken)-8] ^= 1 // its checksum
	for _, known := range []bool{false, true} {
		var got []string
		sweep := Sweep{
			Row:    func(r Row) error { got = append(got, string(r.Data)); return nil },
			Damage: func(d Damage) error { got = append(got, d.Reason); return nil },
		}
		if known {
			sweep.Known = func(row []byte, _ int64) (int, error) {
				got = append(got, string(row[:len(a)]))
				return len(a), nil
			}
		}
		if _, err := sweep.Scan(t.Context(), memory{data: map[string][]byte{"k": append(broken, zip(b, 1)...)}}, "k"); err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got[0] != string(a) || got[2] != string(b) {
			t.Errorf("known: %v: %q, want the break between the rows", known, got)
		}
	}
}

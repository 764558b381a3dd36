package lake

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// others are lines that no row is, and that look as if they began, went on with, or
// ended one.
var others = []string{
	`[]`, `"text"`, `42`, `null`, "INFO started", "id,name,score", `1,"a ""b""",2`, "", "\r", " ", "\x00\x01\x0a\x02{\xff", "\x08\x96\x01\x12\x07{}",
	`{`, `}`, `[`, `]`, `"`, `,`, `:`, `\`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":[`, `{"a":[1,`, `{"a":"`, `{"a":"x\`, `{"a":{"b":`, `{"a":1,`, `{"a":1`,
	`"}`, `]}`, `}]}`, `,{}`, `:{}`, `{},`, `{}]`, `{}}`, `{}"`, `{"a":tru}`, `{"a":1}}`, `"x":{`, `,"b":1}`, `[{`, `}]`, `  {"a":`, `{"a": `, `x{"a":1}`, `{"a":1}x`,
}

func foreignLine(t *rapid.T) string {
	if rapid.IntRange(0, 3).Draw(t, "random") == 0 {
		return rapid.StringMatching(`[{}\[\]":, x1\\\r\x00é]{0,12}`).Draw(t, "line")
	}
	return rapid.SampledFrom(others).Draw(t, "line")
}

// A row that has a line for itself comes out, whatever others write in the lines
// about it; and a span's bytes are shown before it is told of.
func TestOthersLinesCostNoRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := []byte("{}\n") // text may look compressed
		var want []string
		var at []int64
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		for range rapid.IntRange(1, 30).Draw(t, "lines") {
			line := foreignLine(t)
			if rapid.Bool().Draw(t, "ours") {
				line = rowGen.Filter(func(s string) bool { return !strings.Contains(s, "\n") }).Draw(t, "row")
				want, at = append(want, line), append(at, int64(len(plain)))
			}
			plain = append(append(plain, line...), end...)
		}
		if rapid.Bool().Draw(t, "no last newline") {
			plain = bytes.TrimSuffix(plain, []byte(end))
		}
		var f found
		var part []byte
		sweep := f.sweep(1 << 10)
		sweep.Unread = func(b []byte) { part = append(part, b...) }
		damage := sweep.Damage
		sweep.Damage = func(d Damage) error {
			if got, want := bytes.TrimRight(part, " \t\r\n"), plain[d.Offset:d.Offset+d.Length]; !bytes.Equal(got, want) {
				t.Errorf("%d+%d: shown %q, want %q", d.Offset, d.Length, got, want)
			}
			part = part[:0]
			return damage(d)
		}
		var err error
		m := memory{data: map[string][]byte{"k": plain}, wrap: chunks(rapid.IntRange(1, 64).Draw(t, "chunk"))}
		if f.stats, err = sweep.Scan(context.Background(), m, "k"); err != nil {
			t.Fatal(err)
		}
		f.covers(t, plain)
		for i, row := range want {
			if !slices.ContainsFunc(f.rows, func(r Row) bool { return r.Offset == at[i] && string(r.Data) == row }) {
				t.Errorf("the row %s at %d is lost in %q: %s", row, at[i], plain, f.spans())
			}
		}
	})
}

// Without newlines, text of others between rows costs none of them if it has no
// brace, begins with nothing that goes on with a value, and ends with nothing that
// wants one.
func TestOthersTextWithoutNewlines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain, want := []byte(`{"a":1}`), []string{`{"a":1}`} // text may look compressed
		for range rapid.IntRange(1, 20).Draw(t, "pieces") {
			row := rowGen.Filter(func(s string) bool { return s != "{}" }).Draw(t, "row")
			if rapid.IntRange(0, 2).Draw(t, "ours") > 0 {
				want, plain = append(want, row), append(plain, row...)
				continue
			}
			piece := rapid.OneOf(rapid.SampledFrom([]string{"[]", `"text"`, "42", "null", "id,name\n", "\x08\x96\x01\x12\x07", `"`, "[[1,2],3]"}),
				rapid.StringMatching(`[\[x1" \x00é-][\[\]":, x1\\\r\n\x00é]{0,9}[\]x1" \x00é]`)).Draw(t, "text")
			if strings.Trim(piece, " \r\n") == piece || strings.HasSuffix(piece, "\n") {
				plain = append(plain, piece...)
			}
		}
		f := scanBytes(t, plain, 0, chunks(rapid.IntRange(1, 64).Draw(t, "chunk")))
		f.covers(t, plain)
		if got := f.data(); !slices.Equal(got, want) {
			t.Errorf("%q:\n got %q\nwant %q; %s", plain, got, want, f.spans())
		}
	})
}

// A thousand of others' lines to one row, and a thousand rows to one of them: each
// row comes out, and what is looked at in vain stays within its budget.
func TestOthersLinesByVolume(t *testing.T) {
	for _, line := range append(slices.Clone(others), strings.Repeat("x", 300)) {
		for _, ratio := range []struct{ theirs, ours, times int }{{1000, 1, 40}, {1, 1000, 4}} {
			var plain []byte
			for range ratio.times {
				plain = append(plain, strings.Repeat(line+"\n", ratio.theirs)...)
				plain = append(plain, strings.Repeat(`{"ours":[{}]}`+"\n", ratio.ours)...)
			}
			ours := 0
			var f found
			sweep := f.sweep(64 << 10)
			sweep.Row = func(r Row) error {
				if string(r.Data) == `{"ours":[{}]}` {
					ours++
				}
				return nil
			}
			s := newSplitter("k", newSource(bytes.NewReader(plain)), sweep)
			if err := s.run(t.Context()); err != nil || ours != ratio.ours*ratio.times {
				t.Errorf("%q, %d:%d: %d rows, %v, want %d", line, ratio.theirs, ratio.ours, ours, err, ratio.ours*ratio.times)
			}
			if most := int64(5*(64<<10) + 8*len(plain)); s.lost.spent > most {
				t.Errorf("%q: looked at %d bytes in vain, want at most %d of %d", line, s.lost.spent, most, len(plain))
			}
			s.release()
		}
	}
}

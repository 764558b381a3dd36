package lake

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
)

func benchText(sep string) []byte {
	var b []byte
	for i := range 20_000 {
		b = append(append(b, event(i)...), sep...)
	}
	return b
}

// BenchmarkScan is in decompressed bytes; gunzip alone is what decompression costs.
func BenchmarkScan(b *testing.B) {
	lines, joined := benchText("\n"), benchText("")
	ctx := context.Background()
	for _, c := range []struct {
		name          string
		plain, stored []byte
	}{
		{"plain lines", lines, lines}, {"plain joined", joined, joined},
		{"gzip lines", lines, zip(lines, 1)}, {"gzip joined", joined, zip(joined, 1)},
	} {
		b.Run(c.name, func(b *testing.B) {
			store := memory{data: map[string][]byte{"k": c.stored}}
			b.SetBytes(int64(len(c.plain)))
			b.ReportAllocs()
			for b.Loop() {
				stats, err := Scan(ctx, store, "k", ignore, ignoreDamage)
				if err != nil || stats.Rows != 20_000 {
					b.Fatal(stats, err)
				}
			}
		})
	}
	b.Run("gunzip alone", func(b *testing.B) {
		stored := zip(lines, 1)
		b.SetBytes(int64(len(lines)))
		b.ReportAllocs()
		zr := new(gzip.Reader)
		buf := make([]byte, startSize)
		for b.Loop() {
			if err := zr.Reset(bytes.NewReader(stored)); err != nil {
				b.Fatal(err)
			}
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{zr}, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMatch is one row in memory, without reading.
func BenchmarkMatch(b *testing.B) {
	row := []byte(event(1))
	var m matcher
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for b.Loop() {
		if _, f := m.match(row); f != whole {
			b.Fatal(f)
		}
	}
}

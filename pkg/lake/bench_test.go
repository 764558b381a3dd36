package lake

import (
	"context"
	"testing"
)

func benchText(sep string) []byte {
	var b []byte
	for i := range 20_000 {
		b = append(append(b, event(i)...), sep...)
	}
	return b
}

// BenchmarkScan is in decompressed bytes, without what decompression costs: BenchmarkSpeed has that.
func BenchmarkScan(b *testing.B) {
	lines, joined := benchText("\n"), benchText("")
	ctx := context.Background()
	for _, c := range []struct {
		name  string
		plain []byte
	}{{"lines", lines}, {"undelimited", joined}} {
		b.Run(c.name, func(b *testing.B) {
			store := memory{data: map[string][]byte{"k": c.plain}}
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

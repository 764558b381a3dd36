package lake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// speedBytes is how much text BenchmarkSpeed reads, decompressed, in speedObjects objects.
const (
	speedBytes   = 64 << 20
	speedObjects = 16
)

// action is an action log of a game, as dice have it: ids, times and amounts
// differ, names and shapes repeat; about 400 bytes.
func action(dice *rand.Rand, b []byte) []byte {
	types := [...]string{"login", "purchase", "gacha_draw", "quest_clear", "battle_end", "logout"}
	countries := [...]string{"JP", "US", "KR", "TW", "DE"}
	b = fmt.Appendf(b, `{"log_type":"%s","event_id":"%08x-%04x-4%03x-a%03x-%012x","user_id":"%d","session_id":"%016x","ts":%d,`,
		types[dice.IntN(len(types))], dice.Uint32(), dice.Uint32()&0xffff, dice.Uint32()&0xfff, dice.Uint32()&0xfff, dice.Uint64()&0xffffffffffff,
		1_000_000_000_000_000+dice.Uint64N(1e6), dice.Uint64(), 1789344025305+dice.Int64N(86_400_000))
	return fmt.Appendf(b, `"client":{"os":"%s","version":"2.%d.%d","country":"%s"},"amount":%d,"currency":"gem","level":%d,`+
		`"items":[{"id":%d,"rarity":"SSR"},{"id":%d,"rarity":"R"}],"note":"said \"hello\" at stage %d","ok":true,"ref":null}`,
		[...]string{"ios", "android"}[dice.IntN(2)], dice.IntN(30), dice.IntN(10), countries[dice.IntN(len(countries))], dice.IntN(10_000), dice.IntN(200),
		dice.IntN(9000), dice.IntN(9000), dice.IntN(40))
}

// speedLake generates objects of lines or of rows without anything between.
func speedLake(tb testing.TB, sep string) (stored [][]byte, size int64, rows uint64) {
	tb.Helper()
	dice := rand.New(rand.NewPCG(1, 2))
	var plain []byte
	for range speedObjects {
		plain = plain[:0]
		for len(plain) < speedBytes/speedObjects {
			plain = append(action(dice, plain), sep...)
			rows++
		}
		size += int64(len(plain))
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(plain); err != nil {
			tb.Fatal(err)
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
		stored = append(stored, out.Bytes())
	}
	return stored, size, rows
}

// BenchmarkSpeed puts three speeds side by side, on one core, in decompressed
// bytes: gunzip alone, rows of lines, rows with nothing between. The last two
// have to be 70 % and 50 % of the first at least. The three take turns at each
// object, and of each the fastest time counts, so that what else the machine
// does is in none of them.
func BenchmarkSpeed(b *testing.B) {
	lines, size, rows := speedLake(b, "\n")
	joined, joinedSize, joinedRows := speedLake(b, "")
	ways := []*way{
		{name: "gunzip", objects: lines, size: size, read: gunzipAlone()},
		{name: "lines", objects: lines, size: size, rows: rows, read: scanRows},
		{name: "undelimited", objects: joined, size: joinedSize, rows: joinedRows, read: scanRows},
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, w := range ways {
			w.seen = 0
		}
		for i := range speedObjects {
			for _, w := range ways {
				if err := w.time(i); err != nil {
					b.Fatal(err)
				}
			}
		}
		for _, w := range ways {
			if w.seen != w.rows {
				b.Fatalf("%s: %d rows of %d", w.name, w.seen, w.rows)
			}
		}
	}
	for _, w := range ways {
		b.ReportMetric(w.speed(), w.name+"-MB/s")
	}
	for _, w := range ways[1:] {
		b.ReportMetric(w.speed()/ways[0].speed(), w.name+"/gunzip")
	}
}

// way is one way to read the objects.
type way struct {
	name       string
	objects    [][]byte
	size       int64
	rows, seen uint64
	read       func(stored []byte) (uint64, error)
	best       [speedObjects]time.Duration
}

func (w *way) time(i int) error {
	began := time.Now()
	n, err := w.read(w.objects[i])
	if d := time.Since(began); w.best[i] == 0 || d < w.best[i] {
		w.best[i] = d
	}
	w.seen += n
	return err
}

// speed is in MB a second.
func (w *way) speed() float64 {
	var all time.Duration
	for _, d := range w.best {
		all += d
	}
	return float64(w.size) / 1e6 / all.Seconds()
}

func gunzipAlone() func([]byte) (uint64, error) {
	zr, buf := new(gzip.Reader), make([]byte, startSize)
	return func(stored []byte) (uint64, error) {
		if err := zr.Reset(bytes.NewReader(stored)); err != nil {
			return 0, err
		}
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{zr}, buf)
		return 0, err
	}
}

func scanRows(stored []byte) (uint64, error) {
	stats, err := Scan(context.Background(), memory{data: map[string][]byte{"k": stored}}, "k", ignore, ignoreDamage)
	return stats.Rows, err
}

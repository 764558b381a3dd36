//go:build cgo

package duckdb

import (
	"fmt"
	"testing"

	"kreplay/pkg/expect"
	"kreplay/pkg/expect/expecttest"
)

// Rows of 18 members, half of them text, into a table and one sum over them:
// what a stage's rows cost beyond being read.
func BenchmarkLoad(b *testing.B) {
	const rows = 100_000
	var row []byte
	line := func(i int) []byte {
		row = fmt.Appendf(row[:0], `{"artist":"The Prodigy","auth":"Logged In","firstName":"Lily","gender":"F","itemInSession":%d,"lastName":"Koch","length":260.07465,"level":"paid","location":"Chicago-Naperville-Elgin, IL-IN-WI","method":"PUT","page":"NextSong","registration":1541048010796.0,"sessionId":818,"song":"The Big Gundown","status":200,"ts":%d,"userAgent":"\"Mozilla\/5.0 (X11; Linux x86_64) AppleWebKit\/537.36 (KHTML, like Gecko) Chrome\/36.0.1985.125 Safari\/537.36\"","userId":"%d"}`,
			i%100, 1542837407796+i, i)
		return row
	}
	table := expect.TableOf("NextSong", [][]byte{line(0)})
	b.SetBytes(int64(rows * len(line(rows))))
	for b.Loop() {
		e := open(b)
		loader, err := e.Load(b.Context(), expect.Delivered, []expect.Table{table})
		if err != nil {
			b.Fatal(err)
		}
		for i := range rows {
			if err := loader.Add("NextSong", line(i)); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := loader.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		if got := expecttest.Rows(b, e, expect.Delivered, `select sum(length), count(distinct "userId") from "NextSong"`); got != "26007465.00000,100000" {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

package duckdb_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the other reader and writer

	"kreplay/pkg/lake"
	"kreplay/pkg/object/dir"
)

// made is a table of many types, i being a row's number; rows of seven have nulls.
const made = `select i, (i::hugeint * 12345678901234567890)::decimal(38, 0) as huge, (i * 37 % 250)::utinyint as tiny, (i / 7)::double as f,
	((i - 50) * 1.37)::decimal(9, 2) as small, (i * 1.000000001)::decimal(38, 9) as big,
	timestamp '2026-09-14 01:02:03.000004' + to_seconds(i) as moment, (timestamp '2026-09-14 01:02:03.5' + to_hours(i::int))::timestamptz as utc,
	date '2026-01-01' + i::int as day, time '01:02:03.25' as clock, i % 2 = 0 as ok, 'said "é", \ ' || i as note,
	if(i % 7 = 0, null, 'x' || i) as gone, uuid '11111111-2222-4333-8444-555555555555' as id, [i, i + 1, null] as list,
	{'a': i, 'b': {'c': ['x', 'y' || i], 'd': null::int}} as nested, map {'k' || i: i, 'z': null} as named
	from range(700) t(i)`

// made as text, as DuckDB itself writes each value in JSON or as text.
const madeAsText = `select i::text as i, huge::text as huge, tiny::text as tiny, f, small::text as small, big::text as big,
	strftime(moment, '%Y-%m-%dT%H:%M:%S.%f') as moment, strftime(utc at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%f') || 'Z' as utc,
	day::text as day, ok, note, gone, id::text as id, to_json(list)::text as list from (` + made + `) order by i::bigint`

func database(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func run(t testing.TB, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// wants reads rows of DuckDB as values of JSON; nulls are left out.
func wants(t testing.TB, db *sql.DB, text string) (all []map[string]any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := map[string]any{}
		for i, v := range values {
			if v != nil {
				row[names[i]] = v
			}
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// What DuckDB writes as Parquet is read back equal: numbers digit by digit,
// times, lists, in every codec that it has.
func TestParquetOfDuckDBIsReadBack(t *testing.T) {
	db, at := database(t), t.TempDir()
	want := wants(t, db, madeAsText)
	for _, o := range []string{"compression uncompressed", "compression snappy", "compression gzip", "compression zstd, row_group_size 300",
		"compression lz4_raw", "compression brotli", "compression snappy, parquet_version v2"} {
		run(t, db, fmt.Sprintf("copy (%s) to '%s' (format parquet, %s)", made, filepath.Join(at, "o.parquet"), o))
		got := scan(t, at, lake.Auto, "o.parquet")
		if len(got) != len(want) {
			t.Fatalf("%s: %d rows, want %d", o, len(got), len(want))
		}
		for i, w := range want {
			g := got[i]
			for name, v := range w {
				raw := strings.Trim(string(g[name]), `"`)
				switch x := v.(type) {
				case bool, float64:
					raw, v = string(g[name]), fmt.Sprint(x)
					if f, ok := x.(float64); ok {
						var read float64
						if err := json.Unmarshal(g[name], &read); err != nil || read != f {
							t.Fatalf("%s: row %d: %s: got %s, want %v", o, i, name, raw, f)
						}
						continue
					}
				case string:
					if name == "note" {
						if err := json.Unmarshal(g[name], &raw); err != nil {
							t.Fatal(err)
						}
					}
					if name == "moment" || name == "utc" { // a fraction of zero is left out
						v = strings.Replace(x, ".000000", "", 1)
					}
				}
				if raw != v {
					t.Fatalf("%s: row %d: %s: got %s, want %v", o, i, name, raw, v)
				}
			}
			if _, is := g["gone"]; is != (i%7 != 0) {
				t.Errorf("%s: row %d: gone is %s", o, i, g["gone"])
			}
			nested, named := fmt.Sprintf(`{"a":%d,"b":{"c":["x","y%d"]}}`, i, i), fmt.Sprintf(`{"k%d":%d,"z":null}`, i, i)
			if string(g["nested"]) != nested || string(g["named"]) != named || string(g["clock"]) != `"01:02:03.250000"` {
				t.Fatalf("%s: row %d: got %s, %s, %s", o, i, g["nested"], g["named"], g["clock"])
			}
		}
	}
}

// What DuckDB writes as CSV is read back as it casts values to text.
func TestCSVOfDuckDBIsReadBack(t *testing.T) {
	db, at := database(t), t.TempDir()
	text := "select columns(*)::text from (select *, '' as empty, e'two\\nlines, \"x\"' as lines from (" + made + "))"
	want := wants(t, db, text)
	run(t, db, fmt.Sprintf("copy (%s) to '%s' (format csv, header, compression gzip)", text, filepath.Join(at, "o.csv.gz")))
	got := scan(t, at, lake.CSV, "o.csv.gz")
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i, g := range got {
		row := map[string]any{}
		for name, raw := range g {
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			row[name] = v
		}
		if !reflect.DeepEqual(row, want[i]) {
			t.Fatalf("row %d: got %v\nwant %v", i, row, want[i])
		}
	}
}

func scan(t testing.TB, at string, format lake.Format, key string) (rows []map[string]json.RawMessage) {
	t.Helper()
	store, err := dir.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	_, err = format.Scan(t.Context(), store, key, func(r lake.Row) error {
		var row map[string]json.RawMessage
		err := json.Unmarshal(r.Data, &row)
		rows = append(rows, row)
		return err
	}, func(d lake.Damage) error { return fmt.Errorf("damage %s: %s", d.Extent(), d.Reason) })
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// BenchmarkLakeFormats reads rows like those of the smoke template, as Parquet and
// CSV, beside what DuckDB needs to count them, and to read all of their bytes.
func BenchmarkLakeFormats(b *testing.B) {
	const n = 200_000
	db, at := database(b), b.TempDir()
	run(b, db, "set threads = 1")
	run(b, db, fmt.Sprintf(`create table t as select uuid()::text as event_id, (1000000000000000 + i %% 1000000)::text as user_id, i as seq, 'ios' as os, 'JP' as country,
		1789344025305 + i * 13 as ts, (i %% 10000 / 100)::decimal(9, 2) as amount, 'said "hello" at stage ' || i %% 40 as note, {'id': i, 'rarity': 'SSR'} as item,
		[i, i + 1] as list from range(%d) r(i)`, n))
	for _, c := range []struct {
		name, key, options, read string
		format                   lake.Format
	}{
		{"parquet", "o.parquet", "format parquet, compression snappy", "read_parquet", lake.Auto},
		{"csv", "o.csv", "format csv, header", "read_csv", lake.CSV},
	} {
		run(b, db, fmt.Sprintf("copy t to '%s' (%s)", filepath.Join(at, c.key), c.options))
		info, err := os.Stat(filepath.Join(at, c.key))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			store, err := dir.Open(at)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = store.Close() }()
			b.SetBytes(info.Size())
			b.ReportAllocs()
			for b.Loop() {
				stats, err := c.format.Scan(context.Background(), store, c.key, func(lake.Row) error { return nil },
					func(d lake.Damage) error { return fmt.Errorf("damage: %s", d.Reason) })
				if err != nil || stats.Rows != n {
					b.Fatal(stats.Rows, err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			for metric, query := range map[string]string{"duckdb-count-ms": "select count(*) from %s('%s')", "duckdb-json-ms": "select sum(length(to_json(x)::text)) from %s('%s') x"} {
				began := time.Now()
				run(b, db, fmt.Sprintf(query, c.read, filepath.Join(at, c.key)))
				b.ReportMetric(float64(time.Since(began).Milliseconds()), metric)
			}
		})
	}
}

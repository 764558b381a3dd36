// Package expecttest is the contract of [expect.Engine] as a test suite.
package expecttest

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/expect"
)

// Run tests the engine that open makes; open closes it when the test ends.
func Run(t *testing.T, open func(testing.TB) expect.Engine) {
	for name, law := range map[string]func(*testing.T, func(testing.TB) expect.Engine){
		"sums of decimals are exact":         sumsAreExact,
		"numbers come back to the digit":     numbersComeBack,
		"any key and name is a column":       anyKey,
		"what does not fit is null":          misfits,
		"any row loads":                      anyRow,
		"a set sees its own rows":            setsAreApart,
		"a result is a table":                resultsAreTables,
		"check finds faults and runs none":   checkRunsNothing,
		"a query is one select":              oneSelect,
		"a cancelled query ends":             cancelled,
		"loading ends with the first query":  sealed,
		"too many rows are refused":          tooManyRows,
		"rows from many goroutines all come": concurrent,
	} {
		t.Run(name, func(t *testing.T) { law(t, open) })
	}
}

// Load fills one table of a set.
func Load(t testing.TB, e expect.Engine, set expect.Set, logType string, rows ...string) []expect.Misfit {
	t.Helper()
	lines := make([][]byte, len(rows))
	for i, r := range rows {
		lines[i] = []byte(r)
	}
	return load(t, e, set, expect.TableOf(logType, lines), rows)
}

func load(t testing.TB, e expect.Engine, set expect.Set, table expect.Table, rows []string) []expect.Misfit {
	t.Helper()
	return loadAll(t, e, set, []sample{{table, rows}})
}

// A sample is a table and what goes in.
type sample struct {
	table expect.Table
	rows  []string
}

func loadAll(t testing.TB, e expect.Engine, set expect.Set, samples []sample) []expect.Misfit {
	t.Helper()
	var tables []expect.Table
	for _, s := range samples {
		tables = append(tables, s.table)
	}
	loader, err := e.Load(t.Context(), set, tables)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		for _, r := range s.rows {
			if err := loader.Add(s.table.LogType, []byte(r)); err != nil {
				t.Fatalf("add %s: %v", r, err)
			}
		}
	}
	misfits, err := loader.Close(t.Context())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return misfits
}

// examples is how many draws of a property share an engine.
const examples = 100

// Rows runs a query and joins what it returns: values with commas, rows with
// semicolons.
func Rows(t testing.TB, e expect.Engine, set expect.Set, sql string) string {
	t.Helper()
	r, err := e.Query(t.Context(), set, "", sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var rows []string
	for _, row := range r.Rows {
		var values []string
		for _, v := range row {
			values = append(values, v.String())
		}
		rows = append(rows, strings.Join(values, ","))
	}
	return strings.Join(rows, ";")
}

func same(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

// sumsAreExact: sum in SQL is the sum of fractions, flat, nested and in lists, with
// decimals that no binary float holds.
func sumsAreExact(t *testing.T, open func(testing.TB) expect.Engine) {
	draw := rapid.Custom(func(t *rapid.T) []string {
		scale := rapid.IntRange(0, 12).Draw(t, "scale")
		values := rapid.SliceOfN(rapid.Int64Range(-9e17, 9e17), 1, 40).Draw(t, "values")
		var texts []string
		for _, v := range values {
			texts = append(texts, decimal(v, scale))
		}
		return texts
	})
	e := open(t)
	var samples []sample
	var sums []*big.Rat
	for i := range examples {
		sum, rows, lines := new(big.Rat), []string{}, [][]byte{}
		for _, text := range draw.Example(i) {
			row := fmt.Sprintf(`{"x":%[1]s,"o":{"y":%[1]s},"l":[%[1]s,%[1]s]}`, text)
			rows, lines = append(rows, row), append(lines, []byte(row))
			n, _ := new(big.Rat).SetString(text)
			sum.Add(sum, n)
		}
		samples, sums = append(samples, sample{expect.TableOf(fmt.Sprint("t", i), lines), rows}), append(sums, sum)
	}
	if m := loadAll(t, e, expect.Delivered, samples); len(m) > 0 {
		t.Fatalf("misfits: %+v", m)
	}
	for i, sum := range sums {
		got := Rows(t, e, expect.Delivered, fmt.Sprintf("select sum(x), sum(o.y), (select sum(u) from (select unnest(l) as u from t%[1]d)) from t%[1]d", i))
		for k, text := range strings.Split(got, ",") {
			want := new(big.Rat).Set(sum)
			if k == 2 {
				want.Add(want, sum)
			}
			if n, ok := new(big.Rat).SetString(text); !ok || n.Cmp(want) != 0 {
				t.Fatalf("sum %d of %v: got %s, want %s", k, samples[i].rows, text, want.FloatString(12))
			}
		}
	}
}

func decimal(v int64, scale int) string {
	text := strconv.FormatInt(max(v, -v), 10)
	if len(text) <= scale {
		text = strings.Repeat("0", scale+1-len(text)) + text
	}
	if scale > 0 {
		text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	}
	if v < 0 {
		text = "-" + text
	}
	return text
}

func numbersComeBack(t *testing.T, open func(testing.TB) expect.Engine) {
	numbers := []string{
		"0", "9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "18446744073709551615",
		"12345678901234567890123456789012345678", "-99999999999999999999999999999999999999",
		"118222.73207", "0.1", "0.00000000000000000000000000000000000001", "99999999999999999999.999999999999999999",
		"1e3", "1.5E-7", "123456789012345678901234567890123456789012345", "1e400",
	}
	e := open(t)
	var samples []sample
	for i, text := range numbers {
		row := `{"x":` + text + `}`
		samples = append(samples, sample{expect.TableOf(fmt.Sprint("n", i), [][]byte{[]byte(row)}), []string{row}})
	}
	loadAll(t, e, expect.Delivered, samples)
	for i, text := range numbers {
		got := Rows(t, e, expect.Delivered, fmt.Sprint("select x from n", i))
		want, _ := new(big.Rat).SetString(text)
		if n, ok := new(big.Rat).SetString(got); !ok || n.Cmp(want) != 0 {
			t.Errorf("%s came back as %s", text, got)
		}
	}
}

func anyKey(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	Load(t, e, expect.Delivered, `odd "log" type.v1; drop`, `{"a b":1,"a.b":2,"":3,"q\"q":4,"select":5,"A":6,"a":7,"rowid":8,"é'\\":9,"n\u0000l":10,"_":11,"dup":1,"dup":12,"_2":13,"o":{"":1,"X":2,"x":3,"s p":4}}`)
	same(t, "columns", Rows(t, e, expect.Delivered,
		`select "a b", "a.b", "__2", "q""q", "select", "A", "a_2", "rowid", "é'\", "n�l", "_", dup, "_2", o."_", o."X", o."x_2", o."s p" from "odd ""log"" type.v1; drop"`),
		"1,2,3,4,5,6,7,8,9,10,11,12,13,1,2,3,4")

	draw := rapid.Custom(func(t *rapid.T) map[string]int64 {
		return rapid.MapOfN(rapid.String(), rapid.Int64Range(-1e17, 1e17), 1, 8).Draw(t, "members")
	})
	e = open(t)
	var samples []sample
	for i := range examples {
		var parts []string
		for k, v := range draw.Example(i) {
			parts = append(parts, quoteJSON(k)+":"+strconv.FormatInt(v, 10))
		}
		row := "{" + strings.Join(parts, ",") + "}"
		samples = append(samples, sample{expect.TableOf(fmt.Sprint(i, rapid.String().Example(i)), [][]byte{[]byte(row)}), []string{row}})
	}
	if m := loadAll(t, e, expect.Delivered, samples); len(m) > 0 {
		t.Fatalf("misfits: %+v", m)
	}
	for i, s := range samples {
		for _, c := range s.table.Columns {
			got := Rows(t, e, expect.Delivered, "select "+expect.Quote(c.Name)+" from "+expect.Quote(s.table.Name))
			if want := strconv.FormatInt(draw.Example(i)[c.Key], 10); got != want {
				t.Fatalf("%s: key %q is column %q and holds %s, want %s", s.rows, c.Key, c.Name, got, want)
			}
		}
	}
}

// quoteJSON writes any text as JSON.
func quoteJSON(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		if r < ' ' || r == '"' || r == '\\' || r == 0x7f {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

func misfits(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	table := expect.TableOf("t", [][]byte{[]byte(`{"i":1,"d":1.25,"s":"a","b":true,"o":{"x":1},"l":[1]}`), []byte(`{"j":{"x":1}}`), []byte(`{"j":[1.10]}`)})
	got := load(t, e, expect.Delivered, table, []string{
		`{"i":1.5,"d":1.255,"s":{"z":1},"b":1,"o":7,"l":[1,"x",null,2],"j":"text"}`,
		`{"i":99999999999999999999,"d":12345678901234567.1,"s":5,"b":"true","o":{"x":"y"},"l":{},"j":{"y":12345678901234567890.10}}`,
		`{"i":1e3,"d":-0.50,"s":"\ud800 \ud83d\ude00 ` + "\xff" + `","b":false,"o":{"x":5,"new":1},"l":[],"j":"\ud800"}`,
		`not json`, `[1]`, `{"i":5.0,"d":1e1,"s":null}`, `{"s":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`,
	})
	same(t, "rows", Rows(t, e, expect.Delivered, "select i, d, s, b, o.x, len(l), list_sum(l), j from t order by rowid"),
		`NULL,NULL,NULL,NULL,NULL,4,3,"text";`+
			`NULL,NULL,5,NULL,NULL,NULL,NULL,{"y":12345678901234567890.10};`+
			"1000,-0.50,\uFFFD \U0001F600 \uFFFD,false,5,0,NULL,\"\\ufffd\";"+
			`NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL;NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL;`+
			`5,10.00,NULL,NULL,NULL,NULL,NULL,NULL;NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL`)
	counts := map[string]uint64{}
	for _, m := range got {
		counts[m.Column] += m.Count
		if m.LogType != "t" || m.Reason == "" || m.Example == "" || len(m.Example) > 110 {
			t.Errorf("misfit is not described: %+v", m)
		}
	}
	same(t, "misfits", fmt.Sprint(counts), fmt.Sprint(map[string]uint64{"": 2, "b": 2, "d": 2, "i": 2, "l": 1, "l[]": 1, "o": 2, "o.x": 1, "s": 2}))
}

// anyRow: whatever became of a row's bytes, it is a row, and the load goes on.
func anyRow(t *testing.T, open func(testing.TB) expect.Engine) {
	base := `{"i":1,"d":1.25,"s":"é\ud83d\ude00\n","b":true,"o":{"x":[1,2.5]},"l":["a"],"j":1}`
	table := expect.TableOf("t", [][]byte{[]byte(base), []byte(`{"j":{"x":1}}`)})
	draw := rapid.Custom(func(t *rapid.T) string {
		row := []byte(base)
		for range rapid.IntRange(1, 3).Draw(t, "flips") {
			at := rapid.IntRange(0, len(row)-1).Draw(t, "at")
			row[at] = rapid.SampledFrom([]byte("\"\\{}[],:0159-.eEudD\x00\n\xff /tn")).Draw(t, "byte")
		}
		return string(row)
	})
	e := open(t)
	rows := make([]string, 50*examples)
	for i := range rows {
		rows[i] = draw.Example(i)
	}
	load(t, e, expect.Delivered, table, rows)
	same(t, "rows", Rows(t, e, expect.Delivered, "select count(*) from t"), strconv.Itoa(len(rows)))
}

func setsAreApart(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	Load(t, e, expect.Delivered, "login", `{"n":1}`, `{"n":1}`)
	Load(t, e, expect.Expected, "login", `{"n":1}`)
	same(t, "delivered", Rows(t, e, expect.Delivered, "select count(*) from login"), "2")
	same(t, "expected", Rows(t, e, expect.Expected, "select count(*) from login"), "1")
	same(t, "across", Rows(t, e, expect.Delivered, "select n from delivered.login except all select n from expected.login"), "1")
}

func resultsAreTables(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	Load(t, e, expect.Delivered, "purchase", `{"country":"JP","amount":0.10}`, `{"country":"US","amount":0.20}`, `{"country":"JP","amount":5}`)
	r, err := e.Query(t.Context(), expect.Delivered, "Revenue by country", "select country, sum(amount) as total from purchase group by 1 order by 2 desc, 1; ")
	if err != nil || !r.Ordered || !r.Columns[1].Numeric || r.Columns[0].Numeric || r.Rows[0][0].Text != "JP" {
		t.Fatalf("got %+v, %v", r, err)
	}
	same(t, "table", Rows(t, e, expect.Delivered, `select sum(total) from "Revenue by country"`), "5.30")
	r, err = e.Query(t.Context(), expect.Delivered, "", "with x as (select 1 as n order by 1) select n, null, 'nan'::double, true from x -- and that is it")
	if err != nil || r.Ordered || fmt.Sprint(r.Rows) != "[[1 NULL nan true]]" || r.Rows[0][2].Kind != expect.Float || r.Rows[0][3].Kind != expect.Bool {
		t.Fatalf("got %+v, %v", r, err)
	}
	same(t, "empty", Rows(t, e, expect.Delivered, "select * from purchase where false"), "")
	if _, err := e.Query(t.Context(), expect.Delivered, "purchase", "select 1"); !isQueryError(err) {
		t.Errorf("a query called as a log type is: got %v, want a QueryError", err)
	}
	if _, err := e.Query(t.Context(), expect.Delivered, "broken", "select cast('x' as integer)"); !isQueryError(err) {
		t.Errorf("a conversion that fails: got %v, want a QueryError", err)
	}
	if _, err := e.Query(t.Context(), expect.Delivered, "broken", "select 1"); err != nil {
		t.Errorf("a query that failed has kept its name: %v", err)
	}
}

func isQueryError(err error) bool {
	var q *expect.QueryError
	return errors.As(err, &q) && !errors.Is(err, expect.ErrEngine)
}

func checkRunsNothing(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	Load(t, e, expect.Delivered, "login", `{"user_id":1}`)
	columns, err := e.Check(t.Context(), expect.Delivered, "slow", "select count(*) as n, 'a' as s from range(1000000000000) a, login order by 1;")
	if err != nil || fmt.Sprint(columns) != "[{n BIGINT true} {s VARCHAR false}]" {
		t.Fatalf("got %v, %v", columns, err)
	}
	if _, err := e.Check(t.Context(), expect.Delivered, "next", "select n + 1 from slow"); err != nil {
		t.Errorf("a checked query is no table: %v", err)
	}
	for _, f := range []struct {
		sql       string
		line, col int
		word      string
	}{
		{"selec 1", 1, 1, "syntax error"},
		{"select 1 +\n  from login", 2, 3, "syntax error"},
		{"select 'é' as x,\n  usr_id from login", 2, 3, "user_id"},
		{"select 1\nfrom\n  logins", 3, 3, "login"},
		{"select 1\n)", 2, 1, "syntax error"},
		{"", 0, 0, "0 statements"}, {" -- nothing", 0, 0, "0 statements"},
	} {
		_, err := e.Check(t.Context(), expect.Delivered, "f", f.sql)
		var q *expect.QueryError
		if !errors.As(err, &q) || q.Query != "f" || q.Line != f.line || q.Col != f.col || !strings.Contains(q.Msg, f.word) {
			t.Errorf("%q: got %v, want %d:%d and %q", f.sql, err, f.line, f.col, f.word)
		}
	}
}

func oneSelect(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	Load(t, e, expect.Delivered, "login", `{"n":1}`)
	for _, sql := range []string{
		"drop table login", "select 1; select 2", "select 1; drop table login", "drop table login; select 1", "insert into login values (2)", "delete from login",
		"set threads = 1", "attach 'x.db'", "copy login to '/tmp/kreplay-must-not-exist'", "install httpfs", "pragma database_list",
		"select * from read_csv('/etc/passwd')", "select * from '/etc/hostname'", "select content from read_text('/etc/passwd')",
		"select * from glob('/*')", "select * from sniff_csv('/etc/passwd')", "select * from parquet_metadata('/tmp/x')",
		"select * from query('drop table login')", "select * from query('select * from read_text(''/etc/passwd'')')", "create table x as select 1",
		"explain select 1", "begin", "commit", "select * from read_json('http://127.0.0.1:1/x')", "select ?",
	} {
		if _, err := e.Query(t.Context(), expect.Delivered, "", sql); !isQueryError(err) {
			t.Errorf("%s: got %v, want a QueryError", sql, err)
		}
	}
	same(t, "login", Rows(t, e, expect.Delivered, "select sum(n) from login"), "1")
}

func cancelled(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	Load(t, e, expect.Delivered, "login", `{"n":1}`)
	Load(t, e, expect.Expected, "login", `{"n":1}`)
	cause := errors.New("long enough")
	ctx, stop := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
	defer stop()
	started := time.Now()
	_, err := e.Query(ctx, expect.Delivered, "slow", "select count(*) from range(1000000000) a, range(1000000000) b where a.range + b.range = 1")
	if took := time.Since(started); !errors.Is(err, cause) || took > 10*time.Second {
		t.Errorf("got %v after %v, want %v soon", err, took, cause)
	}
	if _, err := e.Query(ctx, expect.Delivered, "", "select 1"); !errors.Is(err, cause) {
		t.Errorf("with a ctx that has ended: got %v, want %v", err, cause)
	}
	same(t, "afterwards", Rows(t, e, expect.Delivered, "select count(*) from login"), "1")
	if _, err := e.Query(t.Context(), expect.Delivered, "slow", "select 1"); err != nil {
		t.Errorf("a cancelled query has kept its name: %v", err)
	}
}

func sealed(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	Load(t, e, expect.Delivered, "login", `{"n":1}`)
	Rows(t, e, expect.Delivered, "select 1")
	if _, err := e.Load(t.Context(), expect.Expected, []expect.Table{expect.TableOf("login", nil)}); err == nil {
		t.Error("a set was loaded after a query")
	}
	e = open(t)
	loader, err := e.Load(t.Context(), expect.Delivered, []expect.Table{expect.TableOf("login", nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := loader.Add("logout", []byte("{}")); err == nil {
		t.Error("a row of an unknown log type was taken")
	}
}

func tooManyRows(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	Load(t, e, expect.Delivered, "login", `{"n":1}`)
	if r, err := e.Query(t.Context(), expect.Delivered, "", fmt.Sprintf("select * from range(%d)", expect.MaxRows)); err != nil || len(r.Rows) != expect.MaxRows {
		t.Errorf("got %d rows and %v", len(r.Rows), err)
	}
	if _, err := e.Query(t.Context(), expect.Delivered, "", fmt.Sprintf("select * from range(%d)", expect.MaxRows+1)); !isQueryError(err) {
		t.Errorf("got %v, want a QueryError", err)
	}
}

func concurrent(t *testing.T, open func(testing.TB) expect.Engine) {
	e := open(t)
	loader, err := e.Load(t.Context(), expect.Delivered, []expect.Table{expect.TableOf("a", [][]byte{[]byte(`{"n":1,"s":"x"}`)}), expect.TableOf("b", [][]byte{[]byte(`{"n":1}`)})})
	if err != nil {
		t.Fatal(err)
	}
	const workers, each = 4, 1000
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			var err error
			for i := range each {
				row := fmt.Appendf(nil, `{"n":%d,"s":"%d"}`, w*each+i, w)
				err = errors.Join(err, loader.Add("a", row), loader.Add("b", row))
			}
			errs <- err
		}()
	}
	for range workers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	misfits, err := loader.Close(t.Context())
	if err != nil || len(misfits) != 1 || misfits[0].Count != workers*each || misfits[0].LogType != "b" {
		t.Fatalf("got %+v, %v", misfits, err)
	}
	n := workers * each
	for i := range 2 * workers {
		go func() {
			set, name := []expect.Set{expect.Delivered, expect.Expected}[i%2], fmt.Sprint("q", i)
			_, err := e.Query(t.Context(), set, name, "select count(*) as n from range(100000)")
			if err == nil {
				_, err = e.Query(t.Context(), set, "", "select n from "+name)
			}
			errs <- err
		}()
	}
	for range 2 * workers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	same(t, "a and b", Rows(t, e, expect.Delivered, "select (select count(distinct n) from a), (select sum(n) from b)"), fmt.Sprintf("%d,%d", n, n*(n-1)/2))
}

package expect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/expect"
	"kreplay/pkg/expect/duckdb"
	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
)

func open(t *testing.T) expect.Engine {
	t.Helper()
	return openWith(t, 0)
}

func openWith(t *testing.T, memory int64) expect.Engine {
	t.Helper()
	if !duckdb.Present {
		t.Skip("built without the SQL engine")
	}
	e, err := duckdb.Open(t.Context(), duckdb.Options{Dir: t.TempDir(), Memory: memory, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// feed loads what a plan regenerates into both sets, what is delivered through
// change, which may drop a row (no data), alter it, or leave it.
func feed(t *testing.T, e expect.Engine, p *generate.Plan, tables []expect.Table, change func(logType, row string) string) {
	t.Helper()
	feedSet(t, p, asPlanned, loader(t, e, expect.Expected, tables))
	feedSet(t, p, change, loader(t, e, expect.Delivered, tables))
}

func asPlanned(_, row string) string { return row }

func loader(t *testing.T, e expect.Engine, set expect.Set, tables []expect.Table) expect.Loader {
	t.Helper()
	l, err := e.Load(t.Context(), set, tables)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func feedSet(t *testing.T, p *generate.Plan, change func(logType, row string) string, l expect.Loader) {
	t.Helper()
	for r := range p.Records(generate.Slice{}) {
		row := change(p.LogType(r.ID), string(r.Data))
		if row == "" {
			continue
		}
		if err := l.Add(p.LogType(r.ID), []byte(row)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func equals(t *testing.T, text string) expect.Equals {
	t.Helper()
	e, err := expect.ParseEquals(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// summary is one line a finding.
func summary(findings []expect.Finding) []string {
	var lines []string
	for _, f := range findings {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s: %s want %s got %s: %s", f.Name, f.Verdict, f.Want, f.Got, f.Reason)))
	}
	return lines
}

func judge(t *testing.T, e expect.Engine, facts expect.Facts, list []expect.Expectation) []expect.Finding {
	t.Helper()
	findings, err := expect.Judge(t.Context(), e, facts, list)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

func queries(t *testing.T) []expect.Expectation {
	t.Helper()
	return []expect.Expectation{
		{Name: "DAU", SQL: "select count(distinct user_id) from login where user_id <> ''", Equals: equals(t, "users()")},
		{Name: "revenue", SQL: "select country, count(*) as logins, avg(level) as level from login group by 1 order by 1", Equals: expect.Oracle()},
		{Name: "spent", SQL: "select sum(amount) from purchase", Equals: equals(t, "sum('purchase.amount')"), Tolerance: expect.ToleranceOf(5, 3)},
		{Name: "prices", SQL: "select sum(i.price) from (select unnest(items) as i from purchase)", Equals: equals(t, "sum('purchase.items.price')")},
		{Name: "coins", SQL: "select sum(coins) from purchase", Equals: equals(t, "sum('purchase.coins')")},
		{Name: "whales", SQL: `select count(distinct who.user_id) from "shop.open"`, Equals: equals(t, "users('whales')")},
		{Name: "split", SQL: "select (select sum(logins) from revenue) - (select count(*) from login)", Equals: equals(t, "0")},
		{Name: "first", SQL: "select min(country) from login", Equals: equals(t, "'JP'"), Owner: "analytics"},
		{Name: "nothing", SQL: "select sum(level) from login where false", Equals: equals(t, "null")},
		{Name: "any", SQL: "select bool_or(level = 7) from login", Equals: equals(t, "true")},
		{Name: "again", SQL: `select * from "first"`, Equals: expect.Oracle()}, // a formula's query is a table in both sets
	}
}

// What the plan regenerates passes every expectation and every automatic check.
func TestWhatWasPlannedPasses(t *testing.T) {
	for _, copies := range []scenario.Share{0, scenario.Whole / 10} {
		p, facts := expect.GamePlan(t, func(sc *scenario.Scenario) {
			sc.Population.Users = 1234
			sc.Inject.Duplicate = copies
		})
		tables := facts.Tables()
		list := append(facts.Automatic(tables), queries(t)...)
		if faults, err := expect.Check(t.Context(), open(t), tables, facts, list); err != nil || len(faults) > 0 {
			t.Fatalf("check: %v, %v", faults, err)
		}
		e := open(t)
		feed(t, e, p, tables, asPlanned)
		findings := judge(t, e, facts, list)
		if len(findings) != len(list) || len(list) != 4+1+11 {
			t.Errorf("%d findings of %d expectations", len(findings), len(list))
		}
		for i, f := range findings {
			if f.Verdict != expect.Pass || f.Reason != "" || f.SQL != list[i].SQL || f.Owner != list[i].Owner || f.Want == "" || f.Got == "" {
				t.Errorf("copies %d: %+v", copies, f)
			}
		}
	}
}

// What was planted in the delivered rows is what is found, with want and got.
func TestWhatIsPlantedFails(t *testing.T) {
	p, facts := expect.GamePlan(t, nil)
	tables := facts.Tables()
	e := open(t)
	lost, dear := false, false
	feed(t, e, p, tables, func(logType, row string) string {
		switch {
		case logType == "login" && !lost && strings.Contains(row, `"US"`):
			lost = true
			return ""
		case logType == "purchase" && !dear && strings.Contains(row, "118222.73207"):
			dear = true
			return strings.Replace(row, "118222.73207", "118222.73707", 1) // five thousandths
		case logType == "shop.open":
			return strings.Replace(row, `"user_id":1`, `"user_id":"1`, 1) // no JSON any more
		}
		return row
	})
	list := append(facts.Automatic(tables), queries(t)...)
	got := summary(judge(t, e, facts, list))
	want := []string{
		"count of login: fail want 80 got 79: off by -1",
		"count of purchase: pass want 88 got 88:",
		"count of shop.open: pass want 8 got 8:",
		"count of twins: pass want 64 got 64:",
		"distinct users: pass want 40 got 40:",
		"DAU: pass want 40 got 40:",
		"revenue: fail want US, 8, 7.0 got US, 7, 7.0: 1 of 2 rows differ (2 delivered)",
		"spent: pass want 945879.45656 got 945879.46156:",
		"prices: pass want 220 got 220.00:",
		"coins: pass want 211 got 211.00:",
		"whales: fail want 8 got 0: off by -8",
		"split: pass want 0 got 0:",
		"first: pass want JP got JP:",
		"nothing: pass want NULL got NULL:",
		"any: pass want true got true:",
		"again: pass want JP got JP:",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
}

// A query that fails fails its expectation, with the reason, and no other.
func TestQueriesThatFail(t *testing.T) {
	p, facts := expect.GamePlan(t, nil)
	tables := facts.Tables()
	e := open(t)
	feed(t, e, p, tables, asPlanned)
	slow := "select count(*) from range(1000000000) a, range(1000000000) b where a.range + b.range = 1"
	findings := judge(t, e, facts, []expect.Expectation{
		{Name: "slow", SQL: slow, Equals: equals(t, "1"), Max: 50 * time.Millisecond},
		{Name: "after slow", SQL: "select * from slow", Equals: equals(t, "1")},
		{Name: "cast", SQL: "select sum(cast(country as integer)) from login", Equals: equals(t, "1")},
		{Name: "null", SQL: "select sum(level) from login where false", Equals: equals(t, "0")},
		{Name: "no row", SQL: "select level from login where false", Equals: equals(t, "0")},
		{Name: "rows", SQL: "select country from login", Equals: equals(t, "'JP'")},
		{Name: "columns", SQL: "select 1, 2", Equals: equals(t, "1")},
		{Name: "text", SQL: "select '40'", Equals: equals(t, "users()")},
		{Name: "number", SQL: "select 5", Equals: equals(t, "'5'")},
		{Name: "NaN", SQL: "select 'nan'::double", Equals: equals(t, "0")},
		{Name: "third", SQL: "select 1/3", Equals: equals(t, "1/3")},
		{Name: "last", SQL: "select 1", Equals: equals(t, "1")},
	})
	got := summary(findings)
	for i, want := range []string{
		"slow: fail want 1 got : stopped after max_seconds 0.05: it took longer than it may",
		"after slow: fail want 1 got : query after slow: line 1, column 15: Table with name slow does not exist!",
		"cast: fail want 1 got : query cast: ",
		"null: fail want 0 got NULL: the query returned NULL",
		"no row: fail want 0 got no rows: 0 is one value, but the query returned 0 rows of 1 column",
		"rows: fail want 'JP' got JP; US; ",
		"columns: fail want 1 got 1, 2: 1 is one value, but the query returned 1 row of 2 columns",
		"text: fail want 40 got 40: 40 is no number (VARCHAR)",
		"number: fail want 5 got 5: got 5, a value of type INTEGER",
		"NaN: fail want 0 got nan: nan is no number (DOUBLE)",
		"third: pass want 1/3 (0.333333…) got 0.3333333333333333",
		"last: pass want 1 got 1",
	} {
		if i != 5 && !strings.HasPrefix(got[i], want) || i == 5 && !strings.HasPrefix(got[i], "rows: fail want 'JP' got ") {
			t.Errorf("got %s, want %s", got[i], want)
		}
	}
	if s := findings[0].Seconds; s < 0.05 || s > 10 {
		t.Errorf("the slow query took %g s", s)
	}
	cause := errors.New("interrupted")
	ctx, stop := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
	defer stop()
	if _, err := expect.Judge(ctx, e, facts, []expect.Expectation{{Name: "again", SQL: slow, Equals: equals(t, "1")}}); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}

// An engine that could not work proves nothing (law 5), and goes on.
func TestEngineThatCannotWorkIsInconclusive(t *testing.T) {
	p, facts := expect.GamePlan(t, nil)
	e := openWith(t, 128<<20)
	feed(t, e, p, facts.Tables(), asPlanned)
	got := summary(judge(t, e, facts, []expect.Expectation{
		{Name: "list", SQL: "select len(list(range)) from range(60000000)", Equals: equals(t, "60000000")},
		{Name: "DAU", SQL: "select count(distinct user_id) from login where user_id <> ''", Equals: equals(t, "users()")},
	}))
	if !strings.HasPrefix(got[0], "list: inconclusive want 60000000 got : the SQL engine could not work: ") || got[1] != "DAU: pass want 40 got 40:" {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

// Check reports every fault at once, each with its place, before anything is sent.
func TestCheckFindsAllFaults(t *testing.T) {
	_, facts := expect.GamePlan(t, nil)
	file := func(name string, line, col int) scenario.Pos { return scenario.Pos{File: name, Line: line, Col: col} }
	list := []scenario.Query{
		{Name: "Login", SQL: "select 1", Equals: "1", Pos: file("s", 1, 5)},
		{Name: "syntax", SQL: "select\n  1 +\nfrom login", Equals: "users('wales') + smu('x')", Pos: file("s", 2, 5), SQLPos: file("q.sql", 1, 1), EqualsPos: file("s", 2, 90)},
		{Name: "name", SQL: "select usr_id from login", Equals: "oracle", Pos: file("s", 3, 5), SQLPos: file("s", 3, 20)},
		{Name: "wide", SQL: "select 1 as a, 'x' as b", Equals: "1", Pos: file("s", 4, 5), EqualsPos: file("s", 4, 40),
			Tolerance: []scenario.Tolerance{{Column: "b"}, {Column: "c"}}},
		{Name: "text", SQL: "select 'x'", Equals: "5", Pos: file("s", 5, 5), EqualsPos: file("s", 5, 40)},
		{Name: "SYNTAX", SQL: "select 1", Equals: "1", Pos: file("s", 6, 5)},
		{Name: "", SQL: "select 1", Equals: "1", Pos: file("s", 7, 5)},
		{Name: "drop", SQL: "drop table login", Equals: "1", Pos: file("s", 8, 5), SQLPos: file("s", 8, 20)},
		{Name: "good", SQL: "select a + 1 from wide", Equals: "2", Pos: file("s", 9, 5)},
	}
	expectations, err := expect.FromScenario(list)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := expect.Check(t.Context(), open(t), facts.Tables(), facts, expectations)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"s:1:5: expect.queries.Login.name: a log type is called so already",
		`s:2:96: expect.queries.syntax.equals: no cohort "wales"; did you mean "whales"?`,
		`s:2:107: expect.queries.syntax.equals: no function smu; did you mean "sum"?`,
		`q.sql:3:1: expect.queries.syntax.sql: syntax error at or near "from"`,
		`s:3:27: expect.queries.name.sql: Referenced column "usr_id" not found in FROM clause!; Candidate bindings: "user_id"`,
		"s:4:40: expect.queries.wide.equals: 1 is one value, but the query returns 2 columns",
		"s:4:5: expect.queries.wide.tolerance: column b is VARCHAR: only numbers have a tolerance",
		`s:4:5: expect.queries.wide.tolerance: the query returns no column "c"; known: a, b`,
		"s:5:40: expect.queries.text.equals: 5 is a number, but the query returns VARCHAR",
		"s:6:5: expect.queries.SYNTAX.name: another query is called so already",
		`s:7:5: expect.queries..name: "" can be no table's name`,
		"s:8:20: expect.queries.drop.sql: want a SELECT",
	}, "\n")
	placed := expect.Places(faults, list)
	for i, line := range strings.Split(want, "\n") {
		if i >= len(placed) || !strings.HasPrefix(placed[i].Error(), line) {
			t.Fatalf("got\n%v\nwant\n%s", placed, want)
		}
	}
	if len(placed) != strings.Count(want, "\n")+1 {
		t.Errorf("got\n%v\nwant\n%s", placed, want)
	}
	_, err = expect.FromScenario([]scenario.Query{{Name: "a", Equals: "1 +", EqualsPos: file("s", 1, 10)}, {Name: "b", Equals: "(", EqualsPos: file("s", 2, 10)}})
	if err == nil || err.Error() != "s:1:13: expect.queries.a.equals: want a number, a function or '(', got the end\ns:2:11: expect.queries.b.equals: want a number, a function or '(', got the end" {
		t.Errorf("got %v", err)
	}
}

func TestFromScenario(t *testing.T) {
	list, err := expect.FromScenario([]scenario.Query{{
		Name: "a", SQL: "select 1", Equals: "oracle", Owner: "me", MaxSeconds: scenario.Decimal{Digits: 25, Scale: 1},
		Tolerance: []scenario.Tolerance{{Amount: scenario.Decimal{Digits: 5, Scale: 3}}, {Column: "r", Amount: scenario.Decimal{Digits: 1, Scale: 2}, Relative: true}},
	}})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	e := list[0]
	if e.Max != 2500*time.Millisecond || e.Tolerance.String() != "0.005" || e.Columns["r"].String() != "1%" || !e.Equals.Oracle() || !expect.NeedOracle(list) {
		t.Errorf("got %+v", e)
	}
}

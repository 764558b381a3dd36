package expect

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
)

// The facts are what counting and adding up every single record gives.
func TestFactsAreThoseOfTheRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, facts := plan(t, func(sc *scenario.Scenario) {
			sc.Population.Users = rapid.Uint64Range(1, 90).Draw(t, "users")
			sc.Seed = rapid.Uint64().Draw(t, "seed")
			sc.Inject.Duplicate = scenario.Share(rapid.Uint64Range(0, uint64(scenario.Whole)).Draw(t, "copies"))
			sc.Population.Cohorts[3].Until = rapid.SampledFrom([]string{"", "login", "purchase"}).Draw(t, "until")
		})
		counts, sums, values := map[string]int64{}, map[string]*big.Rat{}, map[string]map[string]bool{}
		for r := range p.Records(generate.Slice{}) {
			logType := p.LogType(r.ID)
			counts[logType]++
			d := json.NewDecoder(strings.NewReader(string(r.Data)))
			d.UseNumber()
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatal(err)
			}
			scalars(logType, v, func(field string, v any) {
				text, _ := v.(string)
				if n, ok := v.(json.Number); ok {
					x, _ := new(big.Rat).SetString(n.String())
					if sums[field] == nil {
						sums[field] = new(big.Rat)
					}
					sums[field].Add(sums[field], x)
					text = x.RatString()
				}
				if values[field] == nil {
					values[field] = map[string]bool{}
				}
				values[field][text] = true
			})
		}
		for logType, n := range counts {
			same(t, "count of "+logType, value(facts, "count('"+logType+"')"), big.NewInt(n).String())
		}
		for _, field := range []string{"purchase.amount", "purchase.coins", "purchase.items.price", "login.level", "shop.open.open", "shop.open.a.b"} {
			if sums[field] != nil {
				same(t, "sum of "+field, value(facts, "sum('"+field+"')"), exactText(sums[field]))
			}
		}
		for _, field := range []string{
			"login.user_id", "purchase.uid", "shop.open.who.user_id", "login.session_id", "purchase.event_id",
			"login.country", "login.level", "purchase.amount", "purchase.coins", "purchase.items.price", "shop.open.a.b",
		} {
			if values[field] != nil {
				same(t, "distinct "+field, value(facts, "distinct('"+field+"')"), big.NewInt(int64(len(values[field]))).String())
			}
		}
	})
}

func same(t fataler, what, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %s, want %s", what, got, want)
	}
}

func scalars(path string, v any, visit func(string, any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			scalars(path+"."+k, member, visit)
		}
	case []any:
		for _, elem := range v {
			scalars(path, elem, visit)
		}
	case nil:
	default:
		visit(path, v)
	}
}

// A million users take no longer than one.
func TestFactsOfManyUsers(t *testing.T) {
	_, facts := plan(t, users(1e9))
	same(t, "users", value(facts, "users()"), "1000000000")
	same(t, "revenue", value(facts, "sum('purchase.amount') - users('whales') * 118222.93207 - 3 * (users('newbies') + users('idlers') + users('nobody'))"), "0")
}

// What the plan cannot know says so, what is misspelt says what is near.
func TestFactsFaults(t *testing.T) {
	_, facts := plan(t, nil)
	for formula, want := range map[string]string{
		"sum('login.ts')":                             "column 5: login.ts has the role time: its values differ from user to user, and the plan knows no closed form; use `equals: oracle`",
		"sum('purchase.no')":                          "column 5: purchase.no has the role counter",
		"distinct('login.ts')":                        "column 10: login.ts has the role time",
		"sum('login.country')":                        `column 5: login.country holds "JP", which is no number`,
		"1 + users('wales')":                          `column 11: no cohort "wales"; did you mean "whales"?`,
		"count('purchases')":                          `column 7: no log type "purchases"; did you mean "purchase"?`,
		"sum('purchase.amout')":                       `column 5: purchase has no field "amout"; did you mean "amount"?`,
		"sum('purchse.amount')":                       `column 5: no log type "purchse"; did you mean "purchase"?`,
		"sum('amount')":                               `column 5: "amount" is no field: want a log type, a dot and a field`,
		"sum('shop.open.opne')":                       `column 5: shop.open has no field "opne"; did you mean "open"?`,
		"sum('twins.n')":                              "column 5: twins: a record holds a key twice",
		"distinct('twins.mixed')":                     "holds a key twice",
		"user() + smu('a.b') + 1 / 'a'":               "column 27: want a number, a function or '(', got '\\''",
		"user() + smu('a.b') / 0":                     "column 1: no function user; did you mean \"users\"?\ncolumn 10: no function smu; did you mean \"sum\"?",
		"users() / (count('login') - count('login'))": "column 9: division by zero",
		"count()":                                     "column 1: count wants a name",
		"count('')":                                   "column 7: the name is empty",
	} {
		if got := value(facts, formula); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", formula, got, want)
		}
	}
	_, facts = plan(t, func(sc *scenario.Scenario) {
		sc.Population.Users = 1
		sc.Population.Cohorts = sc.Population.Cohorts[1:2]
	})
	for i := range facts.cohorts[0].records {
		facts.cohorts[0].records[i] = []byte(`{"x":null}`)
	}
	if got := value(facts, "sum('login.x')"); !strings.Contains(got, "equals: null") {
		t.Errorf("the sum of nulls: got %s", got)
	}
}

func TestTablesOfAPlan(t *testing.T) {
	_, facts := plan(t, nil)
	var got []string
	for _, table := range facts.Tables() {
		got = append(got, table.Name+columnNames(table))
	}
	want := []string{
		"login[user_id VARCHAR ts BIGINT session_id VARCHAR country VARCHAR level BIGINT]",
		`purchase[event_id VARCHAR uid VARCHAR ts BIGINT amount DECIMAL(18,5) items STRUCT("price" DECIMAL(18,2))[] no BIGINT coins DECIMAL(18,2)]`,
		`shop.open[who STRUCT("user_id" BIGINT) ts BIGINT open BIGINT a.b BIGINT alias VARCHAR]`,
		"twins[uid VARCHAR ts BIGINT n BIGINT mixed VARCHAR alias VARCHAR]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

package expect

import (
	"fmt"
	"testing/fstest"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// game has cohorts of two templates with decimals, lists, nulls, equal records,
// an id in two forms, and log types and keys whose names hold dots.
var game = fstest.MapFS{
	"game/scenario.yaml": {Data: []byte(`
kreplay: 1
name: game
templates: { whale: whale, newbie: newbie }
rewrite:
  "{user_id,uid}": user
  alias: user U%010d
  "{event_id,session_id}": uuid
  ts: time
  no: counter
  coins: scale spend
population:
  users: 40
  cohorts:
    whales: { template: whale, share: 20%, spend: 3.0 }
    newbies: { template: newbie, share: 77.5%, spend: 0.37 }
    nobody: { template: newbie, share: 0.5%, spend: 1 }
    idlers: { template: newbie, share: 2%, spend: 12.5 }
`)},
	"game/whale/login.ndjson": {Data: []byte(`{"user_id":"15","ts":1541207073,"session_id":"7f89832f-e250-41fb-a07a-48a95482d883","country":"JP","level":null}
{"user_id":"15","ts":1541207093,"session_id":"8f89832f-e250-41fb-a07a-48a95482d883","country":"US","level":7}
`)},
	"game/whale/purchase.ndjson": {Data: []byte(`{"event_id":"04b48064-7ee4-4a23-a74e-6cf210177212","uid":"15","ts":1541207075,"amount":0.10,"items":[{"price":1.5},{"price":2e1}],"no":42,"coins":1.25}
{"event_id":"04b48064-7ee4-4a23-a74e-6cf210177213","uid":"15","ts":1541207076,"amount":118222.73207,"items":[],"no":43}
{"event_id":"04b48064-7ee4-4a23-a74e-6cf210177214","uid":"15","ts":1541207077,"amount":0.1,"items":[],"no":43}
`)},
	"game/whale/shop.open.ndjson": {Data: []byte(`{"who":{"user_id":15},"ts":1541207078,"open":9007199254740993,"a.b":-1,"alias":"15"}
`)},
	"game/newbie/login.ndjson": {Data: []byte(`{"user_id":"99","ts":1541290000,"session_id":"1012f037-b64c-4422-8c38-fb2918f135d3","country":"JP","level":1}
{"user_id":"","ts":1541290000,"session_id":"1012f037-b64c-4422-8c38-fb2918f135d3","country":"JP","level":1}
`)},
	"game/newbie/purchase.ndjson": {Data: []byte(`{"event_id":"04b48064-7ee4-4a23-a74e-6cf210177212","uid":"99","ts":1541290001,"amount":3,"items":[{"price":1.50}],"no":1,"coins":7}
{"event_id":"","uid":"99","ts":1541290002,"amount":null,"items":[{"price":null}],"no":1}
`)},
	"game/newbie/twins.ndjson": {Data: []byte(`{"uid":"99","ts":1541290003,"n":1,"n":2,"mixed":1,"alias":"99"}
{"uid":"99","ts":1541290003,"n":1,"mixed":"1"}
`)},
}

// fataler is what *testing.T and *rapid.T share.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// plan makes a plan of game and its facts.
func plan(t fataler, change func(*scenario.Scenario)) (*generate.Plan, *Planned) {
	t.Helper()
	sc, err := scenario.Load(game, "game", nil)
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]*template.Program{}
	for _, ref := range sc.Templates {
		tmpl, err := template.Read(sc.FS, ref.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if programs[ref.Name], err = template.Compile(tmpl, sc.Rewrite, sc.Time.Zone); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(sc)
	}
	p, err := generate.New(sc, programs, generate.Run{ID: "r"})
	if err != nil {
		t.Fatal(err)
	}
	return p, NewPlanned(p, sc.Rewrite)
}

// value is the formula's number or its fault.
func value(facts Facts, formula string) string {
	f, err := ParseFormula(formula)
	if err != nil {
		return err.Error()
	}
	n, err := f.Eval(facts)
	if err != nil {
		return err.Error()
	}
	return exactText(n)
}

func users(n uint64) func(*scenario.Scenario) {
	return func(sc *scenario.Scenario) { sc.Population.Users = n }
}

func columnNames(t Table) string {
	var list []string
	for _, c := range t.Columns {
		list = append(list, fmt.Sprintf("%s %s", c.Name, c.Type.SQL()))
	}
	return fmt.Sprint(list)
}

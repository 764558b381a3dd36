package generate

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// fataler is what *testing.T, *testing.B and *rapid.T share.
type fataler interface {
	Helper()
	Fatal(...any)
}

// load reads and compiles a scenario as replay.Check does.
func load(t fataler, fsys fs.FS, name string, set ...string) (*scenario.Scenario, map[string]*template.Program) {
	t.Helper()
	sc, err := scenario.Load(fsys, name, set)
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
	return sc, programs
}

func newPlan(t fataler, run Run, fsys fs.FS, name string, set ...string) *Plan {
	t.Helper()
	sc, programs := load(t, fsys, name, set...)
	p, err := New(sc, programs, run)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// compiled keeps scenarios between the draws of a property.
var compiled sync.Map

type checked struct {
	sc       *scenario.Scenario
	programs map[string]*template.Program
}

// sized plans smoke or mixed for a number of users.
func sized(t fataler, name string, users uint64, run Run) *Plan {
	t.Helper()
	known, ok := compiled.Load(name)
	if !ok {
		sc, programs := load(t, folders[name], name)
		known = checked{sc, programs}
		compiled.Store(name, known)
	}
	c, _ := known.(checked)
	sc := *c.sc
	sc.Population.Users = users
	p, err := New(&sc, c.programs, run)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var folders = map[string]fs.FS{"smoke": os.DirFS("../../scenarios"), "social-game": os.DirFS("../../scenarios"), "mixed": mixed}

func smoke(t fataler, users uint64, run Run) *Plan {
	t.Helper()
	return sized(t, "smoke", users, run)
}

// mixed holds what smoke does not: cohorts of two templates, records alike,
// records without time, two records at one time, a record that holds the time of
// another, two units under one name, a uuid that is the user's only id.
var mixed = fstest.MapFS{
	"mixed/scenario.yaml": {Data: []byte(`
kreplay: 1
name: mixed
seed: 7
templates: { whale: whale, newbie: newbie }
rewrite:
  user_id: user
  "{event_id,session_id}": uuid
  ts: time
  login_at: time
  no: counter
population:
  users: 40
  cohorts:
    whales: { template: whale, share: 20% }
    newbies: { template: newbie, share: 77.5% }
    nobody: { template: newbie, share: 0.5% }
    idlers: { template: newbie, share: 2% }
stream: { partition_key: region, newline: true }
`)},
	"mixed/whale/action.ndjson": {Data: []byte(`{"user_id":"15","ts":1541207073,"what":"jump","region":"eu"}
{"user_id":"15","ts":1541207073,"what":"fall","region":""}
{"user_id":"15","ts":1541207074,"what":"jump"}
{"user_id":"15","ts":1541207074,"what":"jump"}
{"ts":1541207074500,"session_id":"7f89832f-e250-41fb-a07a-48a95482d883","what":"run"}
{"user_id":"15","login_at":"2018-11-03 01:04:33","ts":1541207079,"what":"quit"}
{"user_id":"15","ts":1541207080,"login_at":"2018-11-03 01:04:33","what":"stop"}
`)},
	"mixed/whale/empty.ndjson": {Data: nil},
	"mixed/whale/hello.ndjson": {Data: []byte(`{"user_id":"15","hello":1}
{"user_id":"15","hello":2}
`)},
	"mixed/whale/shop.ndjson": {Data: []byte(`{"event_id":"8C47BE83C79B1545A901E9C730FA276E","user_id":"15","ts":1541207075,"no":"0000000042","session_id":"7f89832f-e250-41fb-a07a-48a95482d883"}
{"event_id":"04b48064-7ee4-4a23-a74e-6cf210177212","user_id":"15","ts":1541207075,"no":"0000000043","session_id":"7f89832f-e250-41fb-a07a-48a95482d883"}
`)},
	"mixed/newbie/action.ndjson": {Data: []byte(`{"user_id":"99","ts":1541290000250,"login_at":"2018-11-04T00:06:40.250Z","what":"jump","no":"0000000007"}
`)},
	"mixed/newbie/shop.ndjson": {Data: []byte(`{"event_id":"1012f037-b64c-4422-8c38-fb2918f135d2","user_id":"99","session_id":"1012f037-b64c-4422-8c38-fb2918f135d3","ts":1541290001250}
`)},
}

// drawPlan draws a plan of any run and population.
func drawPlan(t *rapid.T) *Plan {
	run := Run{ID: rapid.StringMatching(`[a-z0-9-]{0,12}`).Draw(t, "run")}
	if rapid.Bool().Draw(t, "moved") {
		run.Anchor = time.Unix(rapid.Int64Range(11e8, 29e8).Draw(t, "anchor"), 5).UTC()
	}
	users := rapid.Uint64Range(1, 60).Draw(t, "users")
	return sized(t, rapid.SampledFrom([]string{"smoke", "mixed"}).Draw(t, "scenario"), users, run)
}

// fingerprint is over all that a record is.
func fingerprint(p *Plan) string {
	h := sha256.New()
	for r := range p.Records(Slice{}) {
		fmt.Fprintf(h, "%v %d %q %q\n", r.ID, r.Seq, r.PartitionKey, r.Data)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

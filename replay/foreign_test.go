package replay_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/report"
	"kreplay/replay"
	"kreplay/scenarios"
)

// strangersBesideUs are rows that other producers write into the lake of a run,
// as much like its own as they can be.
func strangersBesideUs(t *testing.T, res *replay.Result, p acked) (list []string) {
	t.Helper()
	for i, id := range []string{"another", "of-many-workers-2", ""} { // runs of the same scenario, also at the same time
		anchor := res.Ledger.Manifest.Anchor.Add(time.Duration(i) * time.Minute)
		plan, err := res.Job.Plan(generate.Run{ID: id, Anchor: anchor})
		if err != nil {
			t.Fatal(err)
		}
		for r := range plan.Records(generate.Slice{}) {
			list = append(list, string(bytes.TrimSpace(r.Data)))
		}
	}
	err := fs.WalkDir(scenarios.FS, "smoke/templates", func(path string, e fs.DirEntry, err error) error { // the player who was captured plays on
		if err != nil || filepath.Ext(path) != ".ndjson" {
			return err
		}
		data, err := fs.ReadFile(scenarios.FS, path)
		for line := range bytes.Lines(data) {
			list = append(list, string(bytes.TrimSpace(line)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	first, last := res.Plan.Values(0).UserID, res.Plan.Values(uint32(res.Plan.Users-1)).UserID
	users := regexp.MustCompile(fmt.Sprintf(`\b%d\d*\b`, first/100))
	hex := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)
	for i, row := range p.rows { // users next to ours, at the same times; ids that nearly are ours
		beside := []uint64{first - 1, last + 1, first * 10, first / 10, 0}[i%5]
		row = users.ReplaceAllString(row, fmt.Sprint(beside))
		list = append(list, hex.ReplaceAllStringFunc(row, func(id string) string {
			at := (i * 7) % len(id)
			for id[at] == '-' || at == 14 || at == 19 { // version and variant say nothing
				at = (at + 1) % len(id)
			}
			return id[:at] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", id[at])+1+i%15)%16]) + id[at+1:]
		}))
	}
	return append(list, `{"log_type":"login","user_id":null,"ts":1}`, `{"user_id":{"id":1},"event_id":"00000000-0000-4000-8000-000000000000"}`, `{}`, `{"a":1}`)
}

// Other producers' rows, a thousand for each of ours or one for a thousand, are
// counted and in nobody's way.
func TestForeignRowsAreInNobodysWay(t *testing.T) {
	for _, test := range []struct{ users, theirs, ours int }{{1, 1000, 1}, {200, 1, 1000}, {40, 1, 1}} {
		t.Run(fmt.Sprint(test.theirs, ":", test.ours), func(t *testing.T) {
			t.Parallel()
			p := pushAcked(t, test.users, "stages.raw.path=x")
			rng := rand.New(rand.NewPCG(uint64(test.users), 9))
			others := strangersBesideUs(t, p.after(t, time.Hour), p)
			var lake []byte
			foreign := 0
			for i, row := range p.rows {
				lake = append(append(lake, row...), '\n')
				for n := (i+1)*test.theirs/test.ours - i*test.theirs/test.ours; n > 0; n-- {
					lake = append(append(lake, others[(foreign+rng.IntN(3))%len(others)]...), '\n')
					foreign++
				}
			}
			if err := os.WriteFile(filepath.Join(p.raw, "mixed.gz"), packers("gzip members")(t, lake), 0o600); err != nil {
				t.Fatal(err)
			}
			res := p.verify(t)
			s, rep := res.Stages[0].Tally, res.Report()
			if rep.Verdict != report.Pass || s.Foreign != uint64(foreign) || s.Delivered != uint64(len(p.rows)) || s.Rows != s.Foreign+s.Delivered || len(res.Samples) > 0 {
				t.Errorf("%s %q: %d foreign, %d delivered of %d rows; want pass, %d, %d; %d differences such as %+v",
					rep.Verdict, rep.Reasons, s.Foreign, s.Delivered, s.Rows, foreign, len(p.rows), len(res.Samples), slices.Concat(res.Samples, make([]replay.Named, 1))[0])
			}
		})
	}
}

// Nothing is kept of a foreign row, however many there are: the account of a
// hundred thousand takes no more room than that of one of each.
func TestNothingIsKeptOfForeignRows(t *testing.T) {
	p := pushAcked(t, 5)
	res := p.after(t, time.Hour)
	for _, stage := range []string{"dlq", "raw"} { // compared as bytes, and as the scenario says
		rules, scratch := res.Job.Rules(res.Plan, stage), new(generate.Scratch)
		size := func(times int) int {
			acc := account.NewOf(rules)
			for i, row := range strangersBesideUs(t, res, p) {
				m := rules.Identify([]byte(row), generate.AsSent, scratch)
				if m.Kind != generate.Foreign {
					t.Fatalf("%s: %s is %+v, want it foreign", stage, row, m)
				}
				for n := range times {
					acc.See(m, account.Place{Object: "x", Offset: int64(i*times + n)})
				}
			}
			var state bytes.Buffer
			if err := errors.Join(acc.Save(&state), acc.Close()); err != nil {
				t.Fatal(err)
			}
			return state.Len()
		}
		if one, many := size(1), size(128); many > one+8 {
			t.Errorf("%s: %d bytes, and %d bytes for 128 times as many foreign rows", stage, one, many)
		}
	}
}

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

// textBesideUs is what other producers write into the lake of a run that is no row,
// each a line by itself.
var textBesideUs = []string{
	"[]", `"text"`, "42", "null", "INFO server started in 1790000000123456 ms", "id,name,score", `7,"a ""b""",1000004217`, "\x08\x96\x01\x12\x07testing\x00",
	`{"log_type":`, `{"user_id":`, `{"a":[`, `{"a":"`, `{"a":"x\`, "{", "}", "[", "]", `"`, ",", "]}", `"}`, `,{}`, `{"user_id":"10004217","ts":NaN}`, strings.Repeat("x", 3000),
	"06fdf86e-17a4-4c3b-8f00-0123456789ab", "06fdf86e17a44c3b8f000123456789ab", strings.Repeat("deadbeef", 40), "eyJ1c2VyX2lkIjoxMDAwMDA0MjE3fQ==",
}

// Other producers' text, a thousand lines for each of our rows or one for a thousand,
// is counted and in nobody's way, and not one of its bytes is kept; in objects of
// its own it is no sign of the run. A row of ours that cannot be read is a finding all the same, and says whose it is.
func TestForeignTextIsInNobodysWay(t *testing.T) {
	for _, test := range []struct{ users, theirs, ours int }{{1, 1000, 1}, {200, 1, 1000}, {40, 1, 1}} {
		t.Run(fmt.Sprint(test.theirs, ":", test.ours), func(t *testing.T) {
			t.Parallel()
			p := pushAcked(t, test.users, "stages.raw.path=x")
			rng := rand.New(rand.NewPCG(uint64(test.users), 9))
			var lake, own []byte
			theirs := 0
			for i, row := range p.rows {
				lake = append(append(lake, row...), '\n')
				for n := (i+1)*test.theirs/test.ours - i*test.theirs/test.ours; n > 0; n-- {
					line := textBesideUs[rng.IntN(len(textBesideUs))]
					lake, own = append(append(lake, line...), '\n'), append(append(own, line...), '\n')
					theirs++
				}
			}
			write := func(name string, data []byte) {
				if err := os.WriteFile(filepath.Join(p.raw, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("mixed.gz", packers("gzip members")(t, lake))
			write("own", own)
			res := p.verify(t)
			s, rep := res.Stages[0], res.Report()
			if rep.Verdict != report.Pass || s.Tally.Delivered != uint64(len(p.rows)) || s.Tally.Damaged > 0 || res.Total > 0 {
				t.Errorf("%s %q: %d delivered, %d damaged, %d differences; want pass, %d, none", rep.Verdict, rep.Reasons, s.Tally.Delivered, s.Tally.Damaged, res.Total, len(p.rows))
			}
			if f := s.ForeignSpans; f.Spans == 0 || f.Spans > uint64(2*theirs) || f.Bytes > uint64(2*len(own)) || len(f.Samples) != min(5, int(f.Spans)) {
				t.Errorf("%d foreign spans, %d bytes, %d named, of %d lines", f.Spans, f.Bytes, len(f.Samples), theirs)
			}

			half := cutShort(p.rows[len(p.rows)/2])
			write("worse", []byte("text\n"+half+"\n[]\n"))
			res = p.verify(t)
			id := res.Plan.ID(0, 0)
			for r := range res.Plan.Records(generate.Slice{}) {
				if strings.HasPrefix(string(r.Data), half) {
					id = r.ID
				}
			}
			if s := res.Stages[0].Tally; s.Damaged != 1 || res.Report().Verdict != report.Fail || len(res.Samples) != 1 ||
				!strings.Contains(res.Samples[0].Detail, "an id of record "+id.String()) && !strings.Contains(res.Samples[0].Detail, fmt.Sprintf("an id of user %d", id.User)) {
				t.Errorf("%d damaged, %s, %+v; want 1, fail, of %s", s.Damaged, res.Report().Verdict, res.Samples, id)
			}
		})
	}
}

// What is compressed and breaks off, or is of a format that is not read, may have
// held our rows: nobody can tell, so it stays a finding.
func TestWhatWasNotSeenIsAFinding(t *testing.T) {
	p := pushAcked(t, 2, "stages.raw.path=x")
	all := packers("gzip members")(t, []byte(strings.Join(p.rows, "\n")))
	other := packers("gzip members")(t, bytes.Repeat([]byte("others' text\n"), 100))
	for name, data := range map[string][]byte{
		"cut": other[:len(other)-9], "checksum": append(bytes.Clone(other[:len(other)-1]), other[len(other)-1]+1), "zip": []byte("PK\x03\x04others"), "Parquet": []byte("PAR1othersPAR1"),
	} {
		for file, data := range map[string][]byte{"all.gz": all, "other": data} {
			if err := os.WriteFile(filepath.Join(p.raw, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		res := p.verify(t)
		if s := res.Stages[0].Tally; s.Damaged != 1 || s.Delivered != uint64(len(p.rows)) || res.Report().Verdict != report.Fail {
			t.Errorf("%s: %d damaged, %d delivered, %s; want 1, all, fail", name, s.Damaged, s.Delivered, res.Report().Verdict)
		}
	}
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

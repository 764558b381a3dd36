package replay_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"kreplay/pkg/report"
	"kreplay/replay"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/local"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// half is what a truncation left of a record; broken says that compressed bytes
// broke off with it.
type half struct {
	text   string
	broken bool
}

// halves are those of a lake, by object.
func halves(t *testing.T, folder string, planted []local.Planted) map[string]half {
	t.Helper()
	store, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	left := map[string]half{}
	for _, p := range planted {
		if p.Kind != local.Truncated || p.Data != nil {
			continue
		}
		var x half
		_, err := lake.Sweep{
			Row:    func(lake.Row) error { x.text = ""; return nil },
			Damage: func(d lake.Damage) error { x.broken = x.broken || d.Blind; return nil },
			Unread: func(part []byte) { x.text += string(part) },
		}.Scan(t.Context(), store, p.Object)
		if err != nil {
			t.Fatal(err)
		}
		left[p.Object] = x
	}
	return left
}

// isOurs says whether half a record tells that it is one of the first plan, and none
// of the others: whether an id is whole. Where ids stand is that of the record that it is most like.
func isOurs(half string, plans ...*generate.Plan) bool {
	like, ours := -1, false
	for _, p := range plans {
		for r := range p.Records(generate.Slice{}) {
			same := 0
			for i := range min(len(half), len(r.Data)) {
				if half[i] == r.Data[i] {
					same++
				}
			}
			if same <= like {
				continue
			}
			like, ours = same, false
			program := p.Cohort(r.ID.User).Program
			_ = template.Walk(r.Data, func(f template.Field) error {
				_, role, _ := program.Field(int(r.ID.Event), f.Path())
				end := f.End
				if f.Kind == template.String { // without its last quote
					end--
				}
				ours = ours || p == plans[0] && end <= len(half) && slices.Contains([]scenario.RoleKind{scenario.User, scenario.UUID, scenario.Peer}, role)
				return nil
			})
		}
	}
	return ours
}

// Wrapped rows tell whose they are through what wraps them, be it base64 that was
// cut; others' rows without a payload, and their payloads, are in nobody's way.
func TestForeignSpansOfWrappedRows(t *testing.T) {
	for _, encoding := range []string{"base64", "text"} {
		p := pushAcked(t, 2, "stages.raw.path=x", "stages.raw.payload=data.record", "stages.raw.encoding="+encoding)
		wrap := func(text string) string {
			coded, err := json.Marshal(text)
			if encoding == "base64" {
				coded, err = json.Marshal([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf(`{"part":7,"data":{"record":%s}}`, coded)
		}
		var lines []string
		for i, row := range p.rows {
			others := []string{`{"a":1}`, wrap("[]"), wrap("text"), wrap(`{"user_id":`), `{"data":{"record":7}}`, "[]", `{"data":{"record":"*"}}`}
			lines = append(lines, wrap(row), others[i%len(others)])
		}
		own := wrap(p.rows[3])
		for name, test := range map[string]struct {
			line string
			want uint64 // damaged
		}{
			"others only": {"", 0}, "cut short": {own[:len(own)-30], 1}, "in the payload": {wrap(cutShort(p.rows[3])), 1},
			"spoiled": {strings.Replace(own, `"data":`, `"data";`, 1), 1}, "beginning lost": {own[31:], 1}, "more than it": {strings.Replace(own, `"}}`, `*"}}`, 1), 1},
		} {
			if err := os.WriteFile(filepath.Join(p.raw, "one"), []byte(strings.Join(append(lines, test.line), "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			res := p.verify(t)
			s := res.Stages[0]
			if s.Tally.Damaged != test.want || s.Tally.Delivered != uint64(len(p.rows)) || s.ForeignSpans.Spans == 0 || name == "others only" && (res.Report().Verdict != report.Pass || res.Total > 0) {
				t.Errorf("%s, %s: %d damaged, %d delivered, %d foreign spans, %s %+v; want %d, %d, some", encoding, name, s.Tally.Damaged, s.Tally.Delivered, s.ForeignSpans.Spans,
					res.Report().Verdict, res.Samples, test.want, len(p.rows))
			}
		}
	}
}

// In CSV a line of others that has other cells is foreign, and one of ours damage
// that says whose it is, though no name stands before its ids.
func TestForeignSpansOfCSV(t *testing.T) {
	l := playIn(t, "", smoke(t, 3, keysOf(local.CSV)...), func(c *local.Config) { c.Format, c.Compression = local.CSV, "none" })
	lake := filepath.Join(filepath.Dir(l.dir), "lake")
	edit := func(change func(lines []string) []string) *replay.Result {
		t.Helper()
		err := filepath.WalkDir(lake, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			lines := change(strings.Split(string(data), "\n"))
			return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
		res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: l.dir, Quiet: time.Nanosecond, Max: time.Second, Samples: 1 << 20, Afresh: true})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := edit(func(lines []string) (mixed []string) {
		for i, line := range lines {
			mixed = append(mixed, line, []string{"INFO server started", `{"a":1}`, `"text"`, "[]", "7,8", `a "lone`}[i%6])
		}
		return mixed
	})
	if s := res.Stages[0]; res.Report().Verdict != report.Pass || s.ForeignSpans.Spans < 100 || s.Tally.Delivered != s.Tally.Planned || res.Total > 0 {
		t.Errorf("%s, %d foreign spans, %d of %d delivered, %+v", res.Report().Verdict, s.ForeignSpans.Spans, s.Tally.Delivered, s.Tally.Planned, res.Samples)
	}
	res = edit(func(lines []string) []string {
		lines[4] += ",one more"
		lines[8] = strings.Replace(lines[8], "_", "\xff", 1) // in a log type
		return lines
	})
	s := res.Stages[0].Tally
	if s.Damaged != 2 || s.Missing != 2 || !slices.ContainsFunc(res.Samples, func(d replay.Named) bool { return strings.Contains(d.Detail, "stands an id of ") }) {
		t.Errorf("%d damaged, %d missing, %+v; want two and two, and whose they are", s.Damaged, s.Missing, res.Samples)
	}
}

package generate

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// row is a record as the lake gives it back: without the newline behind it.
func row(p *Plan, user, event uint32) []byte {
	return bytes.TrimSuffix(p.Append(nil, user, event), []byte("\n"))
}

// Identify is the inverse of Append: each record is found as the first of its class, intact.
func TestIdentifyInvertsAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, s := drawPlan(t), &Scratch{}
		for r := range p.Records(Slice{}) {
			want := Match{Kind: Planned, User: r.ID.User, Event: uint32(p.Cohort(r.ID.User).Program.Class[r.ID.Event]), Intact: true}
			if got := p.Identify(bytes.TrimSuffix(r.Data, []byte("\n")), s); got != want {
				t.Fatalf("%s is %+v, want %+v", r.Data, got, want)
			}
		}
	})
}

// plain lists the bytes of a row that are neither identity nor structure: letters
// and digits inside scalars of no role, after the first of a number.
func plain(t fataler, line []byte, rules []scenario.Rule, logType string) (at []int) {
	t.Helper()
	err := template.Walk(line, func(f template.Field) error {
		if _, _, ok := scenario.RoleOf(rules, logType, f.Path()); ok || f.Kind != template.String && f.Kind != template.Number {
			return nil
		}
		for i := f.Start + 1; i < f.End; i++ {
			if c := line[i]; line[i-1] != '\\' && (c >= '0' && c <= '9' || c >= 'a' && c <= 'z' && f.Kind == template.String) {
				at = append(at, i)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// One changed byte that is neither identity nor structure leaves the record what
// it is, but not intact, and the detail names the field.
func TestIdentifyNamesTheChangedField(t *testing.T) {
	rules := func() []scenario.Rule { sc, _ := load(t, folders["smoke"], "smoke"); return sc.Rewrite }()
	rapid.Check(t, func(t *rapid.T) {
		p := smoke(t, rapid.Uint64Range(1, 60).Draw(t, "users"), Run{ID: rapid.StringMatching(`[a-z]*`).Draw(t, "run")})
		user := rapid.Uint32Range(0, uint32(p.Users)-1).Draw(t, "user")
		event := rapid.Uint32Range(0, 39).Draw(t, "event")
		line := row(p, user, event)
		at := rapid.SampledFrom(plain(t, line, rules, p.LogType(p.ID(user, event)))).Draw(t, "at")
		is := byte('x')
		if line[at] <= '9' {
			is = '7'
		}
		if line[at] == is {
			is++
		}
		before := string(line)
		line[at] = is
		got := p.Identify(line, &Scratch{})
		var parts []string // of the detail; the elements of an array have a number in their path
		_ = template.Walk(line, func(f template.Field) error {
			if f.Start <= at && at < f.End {
				parts = []string{string(f.Key), fmt.Sprintf(": want %s, got %s (", before[f.Start:f.End], line[f.Start:f.End])}
			}
			return nil
		})
		for _, part := range parts {
			if !strings.Contains(got.Detail, part) {
				t.Errorf("%s\nwith byte %d changed is\n%s\n%+v, want %s", before, at, line, got, part)
			}
		}
		got.Detail = ""
		if want := (Match{Kind: Planned, User: user, Event: event}); got != want {
			t.Errorf("%s\nwith byte %d changed is\n%s\n%+v, want %+v", before, at, line, got, want)
		}
	})
}

// A longer and a shorter row are the record too, as long as they say which.
func TestIdentifyOfAnotherLength(t *testing.T) {
	p := smoke(t, 10, Run{})
	line := string(row(p, 3, 0))
	for _, c := range []struct{ got, detail string }{
		{line + " ", fmt.Sprintf(`byte %d of %d: want "sh_token\":null}"`, len(line), len(line))},
		{strings.Replace(line, `"streak":1,`, ``, 1), "streak: want 1, got nothing (field lost)"},
		{line[:len(line)-1], fmt.Sprintf("byte %d of %d: ", len(line)-1, len(line))},
		{line[:90], fmt.Sprintf("byte 90 of %d: ", len(line))}, // torn behind its uuid
		{line + line, fmt.Sprintf("byte %d of %d: ", len(line), len(line))},
	} {
		m := p.Identify([]byte(c.got), &Scratch{})
		if m.Kind != Planned || m.User != 3 || m.Event != 0 || m.Intact || !strings.HasPrefix(m.Detail, strings.SplitN(c.detail, `want "sh`, 2)[0]) {
			t.Errorf("%s is %+v, want user 3 event 0, not intact, %s", c.got, m, c.detail)
		}
	}
}

// Rows of another run are foreign, by uuid and by user range; so are rows of nobody.
func TestIdentifyForeign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9-]{1,20}`), 2, 2, rapid.ID).Draw(t, "runs")
		name := rapid.SampledFrom([]string{"smoke", "mixed"}).Draw(t, "scenario")
		users := rapid.Uint64Range(1, 60).Draw(t, "users")
		ours, theirs := sized(t, name, users, Run{ID: runs[0]}), sized(t, name, users, Run{ID: runs[1]})
		for r := range theirs.Records(Slice{}) {
			if m := ours.Identify(r.Data, &Scratch{}); m != (Match{Kind: Foreign}) {
				t.Fatalf("run %q takes run %q's %s for %+v, want foreign", runs[0], runs[1], r.Data, m)
			}
		}
	})
	p := newPlan(t, Run{}, mixed, "mixed")
	for _, line := range []string{
		``, `{}`, `null`, `{"user_id":"15","ts":1541207073,"what":"jump","region":"eu"}`, `{"user_id":1000000000000001}`,
		`{"user_id":"999999999999999"}`, `{"user_id":"1000000000000040"}`, `{"user_id":"x"}`, `{"other":"1000000000000001"}`,
	} {
		if m := p.Identify([]byte(line), &Scratch{}); m.Kind != Foreign {
			t.Errorf("%s is %+v, want foreign", line, m)
		}
	}
}

// Our tag or range, but nothing planned: a stranger, and why.
func TestIdentifyStranger(t *testing.T) {
	p := newPlan(t, Run{}, mixed, "mixed")
	uuid := func(user, slot uint32) string {
		return string(record.AppendUUID(nil, record.EncodeUUID(p.Tag, user, slot), 4))
	}
	for _, c := range []struct {
		line string
		want Match
	}{
		{`{"event_id":"` + uuid(40, 1) + `"}`, Match{Kind: Stranger, User: 40, Detail: "user 40 of 40"}},
		{`{"event_id":"` + uuid(1<<32-1, 1) + `"}`, Match{Kind: Stranger, User: 1<<32 - 1, Detail: "user 4294967295 of 40"}},
		{`{"event_id":"` + uuid(0, 3) + `"}`, Match{Kind: Stranger, Detail: "its uuid names slot 3, which the user does not play"}},
		{`{"user_id":"1000000000000000","ts":1541207072,"what":"jump"}`, Match{Kind: Stranger, Detail: "the user has no such event"}},
		{`{"user_id":"1000000000000000","ts":1541207075,"what":"jump"}`, Match{Kind: Stranger, Detail: "the user has no such event"}}, // shop's time, which uuids name
		{`{"session_id":"` + uuid(0, 0) + `","ts":1541207074501,"what":"run"}`, Match{Kind: Stranger, Detail: "the user has no such event"}},
		{`{"user_id":"1000000000000002"}`, Match{Kind: Stranger, User: 2, Detail: "the user has no such event"}}, // a newbie has no record without time
	} {
		if got := p.Identify([]byte(c.line), &Scratch{}); got != c.want {
			t.Errorf("%s is %+v, want %+v", c.line, got, c.want)
		}
	}
}

// A uuid of ours is authentic and a number is not: where the two name different users, the uuid is believed.
func TestIdentifyBelievesTheUUID(t *testing.T) {
	p := newPlan(t, Run{}, mixed, "mixed")
	for event, e := range p.Cohort(0).Program.Events {
		if !bytes.Contains(e.Line, []byte(`"run"`)) {
			continue
		}
		line := bytes.Replace(row(p, 0, uint32(event)), []byte(`"what"`), []byte(`"user_id":"1000000000000002","what"`), 1)
		if got := p.Identify(line, &Scratch{}); got.Kind != Planned || got.User != 0 || got.Event != uint32(event) || got.Intact {
			t.Errorf("%s is %+v, want user 0 event %d, not intact", line, got, event)
		}
	}
}

// Any time that does not exist, of any record that only user and time tell: a stranger.
func TestIdentifyTimeThatIsNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := smoke(t, 20, Run{ID: "x"})
		c, user := p.Cohort(0), rapid.Uint32Range(0, 19).Draw(t, "user")
		v := p.Values(user)
		v.Shift += rapid.Int64Range(1, 1e6).Draw(t, "shift")
		for event, named := range c.named() {
			if named {
				continue
			}
			line := c.Program.Append(nil, event, &v)
			if len(c.byTime[c.Program.Events[event].Time+(v.Shift-c.shift)*1e9]) > 0 {
				continue // that is the time of another
			}
			want := Match{Kind: Stranger, User: user, Detail: "the user has no such event"}
			if got := p.Identify(line, &Scratch{}); got != want {
				t.Errorf("%s is %+v, want %+v", line, got, want)
			}
		}
	})
}

// Among records at one time the one most like the row is the one that was changed; a
// time of another record in the row does not hide its own.
func TestIdentifyAmongCandidates(t *testing.T) {
	p := newPlan(t, Run{}, mixed, "mixed")
	for event := range p.Cohort(0).Program.Events {
		line := string(row(p, 0, uint32(event)))
		what := strings.NewReplacer(`"jump"`, `"jumq"`, `"fall"`, `"falk"`, `"quit"`, `"quiz"`, `"stop"`, `"step"`, `"run"`, `"ran"`, `"hello"`, `"hallo"`, `"no":"0`, `"no":"1`)
		got := p.Identify([]byte(what.Replace(line)), &Scratch{})
		if class := uint32(p.Cohort(0).Program.Class[event]); got.Kind != Planned || got.User != 0 || got.Event != class || got.Intact || !strings.Contains(got.Detail, "want ") {
			t.Errorf("%s is %+v, want event %d, not intact", what.Replace(line), got, class)
		}
	}
}

// Neither Append nor Identify of an intact row allocates once its memory is there.
func TestAllocations(t *testing.T) {
	for _, name := range []string{"smoke", "mixed"} {
		p, s := sized(t, name, 40, Run{ID: "x"}), &Scratch{}
		var rows [][]byte
		for user := range uint32(40) {
			for event := range p.Cohort(user).Program.Events {
				rows = append(rows, row(p, user, uint32(event)))
			}
		}
		var buf []byte
		appends := testing.AllocsPerRun(3, func() {
			for user := range uint32(40) {
				for event := range p.Cohort(user).Program.Events {
					buf = p.Append(buf[:0], user, uint32(event))
				}
			}
		})
		identifies := testing.AllocsPerRun(3, func() {
			for _, r := range rows {
				if !p.Identify(r, s).Intact {
					t.Fatalf("%s is not intact", r)
				}
			}
		})
		if appends != 0 {
			t.Errorf("%s: %v allocations to append %d records, want none", name, appends, len(rows))
		}
		t.Logf("%s: %v allocations to identify %d rows", name, identifies, len(rows))
	}
}

// Whatever the row, Identify ends and says something that holds.
func FuzzIdentify(f *testing.F) {
	plans := []*Plan{smoke(f, 40, Run{}), sized(f, "mixed", 40, Run{})}
	for _, p := range plans {
		for event := range p.Cohort(0).Program.Events {
			line := row(p, 0, uint32(event))
			f.Add(line)
			f.Add(line[:len(line)/2])
		}
	}
	f.Add([]byte(`{"user_id":"1000000000000000","ts":-9223372036854775808,"login_at":"0001-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"user_id":"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, p := range plans {
			m := p.Identify(line, &Scratch{})
			switch {
			case m.Kind == Foreign && m != Match{}, m.Kind == Stranger && (m.Intact || m.Detail == ""):
				t.Errorf("%q is %+v", line, m)
			case m.Kind != Planned:
			case uint64(m.User) >= p.Users || int(m.Event) >= len(p.Cohort(m.User).Program.Events):
				t.Errorf("%q is %+v, which is not planned", line, m)
			case m.Intact != bytes.Equal(line, row(p, m.User, m.Event)) || m.Intact == (m.Detail != ""):
				t.Errorf("%q is %+v, the record is %q", line, m, row(p, m.User, m.Event))
			}
		}
	})
}

// Identify tells smoke's rows at this many a second.
func BenchmarkIdentify(b *testing.B) {
	p, s := smoke(b, 200, Run{ID: "x"}), &Scratch{}
	var rows [][]byte
	var size int64
	for r := range p.Records(Slice{}) {
		rows = append(rows, bytes.TrimSuffix(r.Data, []byte("\n")))
		size += int64(len(rows[len(rows)-1]))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range rows {
			if !p.Identify(r, s).Intact {
				b.Fatalf("%s is not intact", r)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(rows))/b.Elapsed().Seconds(), "records/s")
}

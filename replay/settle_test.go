package replay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/object/s3"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/replay"
)

// Objects that come in whatever batches at whatever moments give the account of
// one scan at the end, and each is opened once unless one was replaced.
func TestReadAsTheyComeIsReadAtTheEnd(t *testing.T) {
	p := pushAcked(t, 3)
	rapid.Check(t, func(rt *rapid.T) {
		raw, dlq, replaced := drawLake(rt, &p)
		after := time.Duration(rapid.Int64Range(0, int64(5*quiet)).Draw(rt, "after"))
		cfg := replay.VerifyConfig{Quiet: quiet, Max: time.Hour, Workers: rapid.IntRange(1, 4).Draw(rt, "workers")}
		res, err := p.in(t, after, cfg, raw, dlq)
		if err != nil {
			rt.Fatal(err)
		}
		opened := raw.most()
		end, err := p.in(t, 2*time.Hour, cfg, raw, dlq)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(outcomeOf(end), outcomeOf(res)); diff != "" {
			rt.Fatalf("at the end (-), as they came (+):\n%s", diff)
		}
		if opened > 1+replaced {
			rt.Fatalf("an object was opened %d times, %d were replaced", opened, replaced)
		}
		if !res.Stages[0].Settled || !res.Stages[1].Settled {
			rt.Fatal("not settled")
		}
	})
}

// half is a lake in which the second half of the rows comes later.
func (p *acked) half(later time.Duration) *scripted {
	n := len(p.rows) / 2
	return &scripted{script: []episode{
		{key: "a", data: strings.Join(p.rows[:n], "\n"), from: p.ended},
		{key: "b", data: strings.Join(p.rows[n:], "\n"), from: p.ended.Add(later)},
	}}
}

// An object that was replaced after it had been read is not counted twice; the
// account is started afresh and a note says so.
func TestReplacedObjectIsReadAfresh(t *testing.T) {
	p := pushAcked(t, 2)
	raw := p.half(3 * time.Second)
	raw.script = append(raw.script, episode{key: "a", data: raw.script[0].data + "\n" + p.rows[0], from: p.ended.Add(7 * time.Second)})
	res, err := p.in(t, 0, replay.VerifyConfig{Quiet: 5 * time.Second, Max: time.Hour}, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	tally := res.Stages[0].Tally
	if notes := strings.Join(res.Notes, "; "); tally.Delivered != 80 || tally.Duplicates() != 1 || !strings.Contains(notes, "raw: a was replaced after it had been read: its account was started afresh") {
		t.Errorf("%d delivered, %d duplicates, notes %q; want 80, 1, a note on a", tally.Delivered, tally.Duplicates(), notes)
	}
	if raw.most() > 2 {
		t.Errorf("opened %v, want none more than twice", raw.opened)
	}
}

// Objects that are made into one after they had been read are not counted twice.
func TestCompactedObjectsAreReadAfresh(t *testing.T) {
	p := pushAcked(t, 2)
	raw := p.half(3 * time.Second)
	both, at := raw.script[0].data+"\n"+raw.script[1].data, p.ended.Add(7*time.Second)
	raw.script[0].until, raw.script[1].until = at, at
	raw.script = append(raw.script, episode{key: "c", data: both, from: at})
	res, err := p.in(t, 0, replay.VerifyConfig{Quiet: 5 * time.Second, Max: time.Hour}, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	if rep, notes := res.Report(), strings.Join(res.Notes, "; "); rep.Verdict != report.Pass || !strings.Contains(notes, "raw: 2 objects that had been read are gone: its account was started afresh") {
		t.Errorf("%s %q, notes %q; want pass, a note", rep.Verdict, rep.Reasons, notes)
	}
}

// A stage that changes for ever proves nothing, and is given up.
func TestAlwaysReplacedIsInconclusive(t *testing.T) {
	p := pushAcked(t, 2)
	raw := p.half(0)
	for i := range 5000 {
		raw.script = append(raw.script, episode{key: "a", data: raw.script[0].data, from: p.ended.Add(time.Duration(i) * time.Second)})
	}
	res, err := p.in(t, 0, replay.VerifyConfig{Quiet: 5 * time.Second, Max: time.Minute}, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	if rep := res.Report(); rep.Verdict != report.Pass && rep.Verdict != report.Inconclusive {
		t.Errorf("%s %q", rep.Verdict, rep.Reasons)
	}
}

// Who does not wait until all has come learns nothing.
func TestImpatientWaitIsInconclusive(t *testing.T) {
	p := pushAcked(t, 2)
	res, err := p.in(t, 0, replay.VerifyConfig{Quiet: time.Minute, Max: 30 * time.Second}, p.half(40*time.Second), &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	rep := res.Report()
	if s := res.Stages[0]; rep.Verdict != report.Inconclusive || s.Tally.InFlight != 40 || s.Tally.Missing != 0 || s.Settled {
		t.Errorf("%s %q, %+v; want inconclusive, 40 in flight", rep.Verdict, rep.Reasons, s.Tally.States)
	}
}

// What cannot be listed proves nothing about the pipeline, and says why.
func TestForbiddenStageIsInconclusive(t *testing.T) {
	p := pushAcked(t, 2)
	raw := p.half(0)
	raw.fail = errors.New("access is denied: s3:ListBucket")
	res, err := p.in(t, time.Minute, replay.VerifyConfig{Quiet: time.Second, Max: time.Minute}, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	if rep := res.Report(); rep.Verdict != report.Inconclusive || !strings.Contains(rep.Reasons[0], raw.fail.Error()) || res.Stages[0].Tally.Missing != 0 {
		t.Errorf("%s %q; want inconclusive, and why", rep.Verdict, rep.Reasons)
	}
}

// Others write into a shared lake all the time. What they write is no reason to
// wait; what is of the run, or may be, is.
func TestOthersObjectsDoNotKeepAStageFromSettling(t *testing.T) {
	p := pushAcked(t, 2)
	stranger := rowOfNobody(t, p.run)
	for name, test := range map[string]struct {
		row     string
		settled bool
	}{
		"foreign":  {`{"log_type":"login","user_id":"7","note":"another producer's"}`, true},
		"empty":    {"", false}, // nobody can tell whose it is
		"stranger": {stranger, false},
		"planned":  {p.rows[0], false},
		"damage":   {cutShort(p.rows[0]), false},
		"text":     {"[]\n\"text\"\n42\nan,other,producer's\n{\"log_type\":", true},
	} {
		raw := p.half(3 * time.Second)
		for i := range 300 {
			raw.script = append(raw.script, episode{key: fmt.Sprintf("z%03d", i), data: test.row, from: p.ended.Add(time.Duration(i) * time.Second)})
		}
		res, err := p.in(t, 0, replay.VerifyConfig{Quiet: quiet, Max: 2 * time.Minute}, raw, &scripted{})
		if err != nil {
			t.Fatal(err)
		}
		s := res.Stages[0]
		if s.Settled != test.settled || s.Tally.Delivered != 80 {
			t.Errorf("%s: settled %v, %d delivered; want %v, 80", name, s.Settled, s.Tally.Delivered, test.settled)
		}
		if rep := res.Report(); test.settled && (rep.Verdict != report.Pass || len(raw.lists) > 4) {
			t.Errorf("%s: %s %q after %d listings; want pass after 4 at most", name, rep.Verdict, rep.Reasons, len(raw.lists))
		}
	}
}

// Records that are lost are missing, not in flight, however much others write, and
// the stage is judged once the run's own rows have been quiet.
func TestMissingIsSettledInASharedLake(t *testing.T) {
	p := pushAcked(t, 2)
	raw := p.half(3 * time.Second)
	raw.script = raw.script[:1]
	for i := range 3600 {
		raw.script = append(raw.script, episode{key: fmt.Sprintf("z%04d", i), data: `{"user_id":"7"}`, from: p.ended.Add(time.Duration(i) * time.Second)})
	}
	res, err := p.in(t, 0, replay.VerifyConfig{Quiet: quiet, Max: time.Hour}, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	if s := res.Stages[0]; !s.Settled || s.Tally.Missing != 40 || len(raw.lists) > 6 {
		t.Errorf("settled %v, %d missing after %d listings; want settled, 40, at most 6", s.Settled, s.Tally.Missing, len(raw.lists))
	}
}

// rowOfNobody is a row with the run's tag that is no planned record's.
func rowOfNobody(t *testing.T, run string) string {
	t.Helper()
	led, err := ledger.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	uuid := record.AppendUUID(nil, record.EncodeUUID(led.Manifest.Tag, 1<<20, 0), record.UUIDForm(4))
	return fmt.Sprintf(`{"log_type":"login","event_id":"%s"}`, uuid)
}

// Where one of the run's folders may not be listed, or where none but them may be and
// rows are missing in them, nothing is held against the pipeline.
func TestAForbiddenFolderIsInconclusive(t *testing.T) {
	p := pushAcked(t, 2, "stages.raw.path=x", "stages.raw.partition=dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/")
	folder := p.ended.UTC().Format("dt=2006-01-02/hour=15/")
	for _, test := range []struct {
		denied  string
		passed  int
		rows    int
		verdict report.Verdict
	}{
		{"", 0, 80, report.Pass},
		{"dt=1999/", 0, 80, report.Pass},
		{folder, 0, 80, report.Inconclusive},
		{folder, 3, 80, report.Pass},
		{folder, 3, 70, report.Inconclusive}, // no more when it is listed once more, before conviction
		{"/", 0, 80, report.Pass},            // all of the stage may not be listed, and need not be
		{"/", 0, 70, report.Inconclusive},
		{"", 0, 70, report.Fail},
	} {
		raw := &scripted{denied: test.denied, passed: test.passed, script: []episode{{key: folder + "a", data: strings.Join(p.rows[:test.rows], "\n"), from: p.ended}}}
		res, err := p.in(t, time.Minute, replay.VerifyConfig{Quiet: time.Second, Max: time.Minute}, raw, &scripted{})
		if err != nil {
			t.Fatal(err)
		}
		rep := res.Report()
		told := strings.Contains(strings.Join(rep.Reasons, "; "), "access is denied")
		if rep.Verdict != test.verdict || told != (test.verdict == report.Inconclusive) {
			t.Errorf("%q denied after %d, %d rows: %s %q; want %s", test.denied, test.passed, test.rows, rep.Verdict, rep.Reasons, test.verdict)
		}
	}
}

// What comes after the stage was judged is neither lost nor a duplicate, and the
// report says that it was late.
func TestLateObjectsAreJudgedAnew(t *testing.T) {
	p := pushAcked(t, 2)
	for name, max := range map[string]time.Duration{"in time": time.Hour, "when the time to wait is over": time.Nanosecond} {
		raw := p.half(time.Second)
		raw.script[1].unlisted = 1
		res, err := p.in(t, time.Minute, replay.VerifyConfig{Quiet: 5 * time.Second, Max: max}, raw, &scripted{})
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(res.Report().Notes, "; ")
		if rep := res.Report(); rep.Verdict != report.Pass || res.Total != 0 || raw.most() != 1 {
			t.Errorf("%s: %s %q, %d differences, opened %v; want pass, none, once each", name, rep.Verdict, rep.Reasons, res.Total, raw.opened)
		}
		if want := "raw: 1 objects came after the stage had been quiet for 5s; 40 records that were missing then are delivered"; !strings.Contains(notes, want) {
			t.Errorf("%s: notes %q, want %q", name, notes, want)
		}
	}
}

// What the pipeline says that it holds is neither missing nor settled, however long it takes.
func TestHeldRecordsAreWaitedFor(t *testing.T) {
	p := pushAcked(t, 2)
	for most, want := range map[time.Duration]report.Verdict{time.Hour: report.Pass, 30 * time.Second: report.Inconclusive} {
		raw := p.half(0)
		comes := p.ended.Add(time.Minute)
		raw.script[1].from = comes
		held := func() int {
			if time.Now().Before(comes) {
				return 40
			}
			return 0
		}
		res, err := p.in(t, 0, replay.VerifyConfig{Quiet: quiet, Max: most, Pending: held}, raw, &scripted{})
		if err != nil {
			t.Fatal(err)
		}
		if s := res.Stages[0].Tally; res.Report().Verdict != want || s.Missing > 0 {
			t.Errorf("waiting %v at most: %s, %+v; want %s, none missing", most, res.Report().Verdict, s.States, want)
		}
	}
}

// A deliverer that starts again and writes its last object once more has made
// duplicates, and lost nothing.
func TestRestartedDelivererMakesDuplicates(t *testing.T) {
	p := pushAcked(t, 2)
	raw := p.half(3 * time.Second)
	again := raw.script[1]
	again.key, again.from = "b-again", p.ended.Add(9*time.Second)
	raw.script = append(raw.script, again)
	res, err := p.in(t, 0, replay.VerifyConfig{Quiet: quiet, Max: time.Hour}, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	if s := res.Stages[0].Tally; s.Delivered != 80 || s.Pipeline != 40 || s.Missing != 0 {
		t.Errorf("%d delivered, %d duplicates by the pipeline, %d missing; want 80, 40, 0", s.Delivered, s.Pipeline, s.Missing)
	}
}

// The guard stops at what is missing in the end, not at what is late.
func TestGuardWaitsForWhatIsLate(t *testing.T) {
	p := pushAcked(t, 2, "guard.missing=10")
	raw := p.half(time.Second)
	raw.script[1].unlisted = 1
	cfg := replay.VerifyConfig{Quiet: 5 * time.Second, Max: time.Hour}
	if res, err := p.in(t, time.Minute, cfg, raw, &scripted{}); err != nil || res.Report().Verdict != report.Pass {
		t.Errorf("late: %v, want pass", err)
	}
	raw.script[1].unlisted = 1000
	if _, err := p.in(t, time.Minute, cfg, raw, &scripted{}); !errors.Is(err, replay.ErrGuard) {
		t.Errorf("missing: %v, want ErrGuard", err)
	}
}

// Only the folders of the run's time are listed, unless something is missing
// there; what was there before the run is not read at all.
func TestOnlyTheRunsFoldersAreListed(t *testing.T) {
	p := pushAcked(t, 2, "stages.raw.path=x", "stages.raw.partition=dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/", "expect.delivery.misplaced=40")
	folder := p.ended.UTC().Format("dt=2006-01-02/hour=15/")
	n := len(p.rows) / 2
	lake := func(second string) *scripted {
		return &scripted{script: []episode{
			{key: folder + "a", data: strings.Join(p.rows[:n], "\n"), from: p.ended},
			{key: second, data: strings.Join(p.rows[n:], "\n"), from: p.ended},
			{key: folder + "old", data: p.rows[0], from: p.ended.Add(-time.Hour)},
			{key: "dt=2020-01-01/hour=00/x", data: p.rows[0], from: p.ended.Add(-time.Hour)},
		}}
	}
	cfg := replay.VerifyConfig{Quiet: 5 * time.Second, Max: time.Hour}
	for _, test := range []struct {
		name, second string
		everywhere   bool
		wide         bool
		misplaced    uint64
		note         string
	}{
		{"all in place", folder + "b", false, false, 0, "raw: only the "},
		{"some elsewhere", "dt=2020-01-01/hour=01/y", false, true, 40, "the rest was listed too: 1 objects of its time are there"},
		{"everywhere", folder + "b", true, true, 0, "raw: 2 objects of before the run were left out"},
	} {
		raw := lake(test.second)
		cfg.Everywhere = test.everywhere
		res, err := p.in(t, time.Minute, cfg, raw, &scripted{})
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(res.Notes, "; ")
		s := res.Stages[0]
		if rep := res.Report(); rep.Verdict != report.Pass || s.Misplaced != test.misplaced || s.Tally.Rows != 80 || !strings.Contains(notes, test.note) {
			t.Errorf("%s: %s %q, %d misplaced, %d rows, notes %q; want pass, %d, 80, %q", test.name, rep.Verdict, rep.Reasons, s.Misplaced, s.Tally.Rows, notes, test.misplaced, test.note)
		}
		if wide := slices.Contains(raw.lists, ""); wide != test.wide || raw.most() != 1 {
			t.Errorf("%s: listed %q, opened %v", test.name, raw.lists, raw.opened)
		}
	}
}

// A verify says how many of those that the one before missed have come since.
func TestVerifyComparesWithTheOneBefore(t *testing.T) {
	p := pushAcked(t, 2)
	raw := p.half(time.Hour)
	cfg := replay.VerifyConfig{Quiet: time.Second, Max: time.Minute}
	res, err := p.in(t, time.Minute, cfg, raw, &scripted{})
	if err != nil || res.Stages[0].Tally.Missing != 40 {
		t.Fatalf("%v, %+v", err, res)
	}
	before := res.Report()
	raw.script[1].data = strings.Join(p.rows[len(p.rows)-30:], "\n")
	cfg.Previous = &before
	if res, err = p.in(t, 2*time.Hour, cfg, raw, &scripted{}); err != nil {
		t.Fatal(err)
	}
	if notes, want := strings.Join(res.Notes, "; "), "raw: of 40 records that were missing or in flight when it was last verified, 30 have arrived since"; !strings.Contains(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
}

// A folder that cannot be opened, a bucket that may not be listed and an object
// that may not be read prove nothing: the reason is told.
func TestDeniedIsInconclusive(t *testing.T) {
	p := pushAcked(t, 2)
	const listing = `<ListBucketResult><Contents><Key>raw/a</Key><Size>9</Size><ETag>"1"</ETag><LastModified>2100-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>`
	for name, test := range map[string]struct {
		list bool
		want string
	}{"list": {false, "access is not allowed (AccessDenied); the role needs s3:ListBucket"}, "read": {true, "s3: read s3://lake/raw/a: access is not allowed"}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if test.list && r.URL.Query().Has("list-type") {
				fmt.Fprint(w, listing)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`)
		}))
		open := func(_ context.Context, path string) (object.Store, io.Closer, error) {
			if path == p.dlq {
				return &scripted{}, io.NopCloser(nil), nil
			}
			s, err := s3.New(sdkConfig(server.URL), "s3://lake/raw", s3.Options{})
			return s, s, err
		}
		res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: p.run, Quiet: time.Nanosecond, Max: time.Second, Open: open})
		server.Close()
		if err != nil {
			t.Fatal(err)
		}
		rep := res.Report()
		if rep.Verdict != report.Inconclusive || !strings.Contains(strings.Join(rep.Reasons, "; "), test.want) || res.Stages[0].Tally.Missing != 0 {
			t.Errorf("%s: %s %q; want inconclusive, %q", name, rep.Verdict, rep.Reasons, test.want)
		}
	}
	if err := os.Remove(p.raw); err != nil {
		t.Fatal(err)
	}
	if rep := p.verify(t).Report(); rep.Verdict != report.Inconclusive || !strings.Contains(strings.Join(rep.Reasons, "; "), "raw: the stage could not be read: dir: ") {
		t.Errorf("folder: %s %q; want inconclusive, and why", rep.Verdict, rep.Reasons)
	}
}

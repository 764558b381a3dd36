package replay_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// rejecting is a run whose lake and error stage a test writes itself.
type rejecting struct {
	run, raw, dlq string
	recs          []record.Record
}

// pushSlice sends one worker's share of the smoke scenario; the pipeline delivers nothing.
func pushSlice(t *testing.T, users int, s generate.Slice, set ...string) rejecting {
	t.Helper()
	job := smoke(t, users, set...)
	pipe := start(t, local.Config{}, nil)
	client := kinesis.New(sdkConfig(pipe.URL()), streamName, kinesis.Options{Requests: 4})
	defer client.Close()
	dir := t.TempDir()
	p := rejecting{run: filepath.Join(dir, "run"), raw: filepath.Join(dir, "raw"), dlq: filepath.Join(dir, "dlq")}
	cfg := pushConfig(p.run, client, p.raw)
	cfg.Stages["dlq"], cfg.Slice, cfg.RunID = p.dlq, s, "of-many-workers"
	if _, err := replay.Push(t.Context(), job, cfg); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{p.raw, p.dlq} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// verify accounts for the run; the whole plan's records are then in recs.
func (p *rejecting) verify(t *testing.T) *replay.Result {
	t.Helper()
	return p.after(t, time.Nanosecond)
}

// after is verify that would have to wait for so long, and does not wait.
func (p *rejecting) after(t *testing.T, quiet time.Duration) *replay.Result {
	t.Helper()
	res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: p.run, Quiet: quiet, Max: time.Nanosecond, Samples: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	p.recs = slices.Collect(res.Plan.Records(generate.Slice{}))
	for i := range p.recs {
		p.recs[i].Data = slices.Clone(p.recs[i].Data)
	}
	return res
}

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// errorRecord is what Firehose writes where it could not convert a record.
func errorRecord(data string) string {
	return fmt.Sprintf(`{"attemptsMade":1,"lastErrorCode":"DataFormatConversion.MalformedData","lastErrorMessage":"no","rawData":"%s"}`,
		base64.StdEncoding.EncodeToString([]byte(data)))
}

// Records of other producers and of former runs are nobody's fault; what holds a
// record of this run, or cannot be told, is.
func TestErrorStageTellsWhoseRecordsItHolds(t *testing.T) {
	p := pushSlice(t, 3, generate.Slice{}, "stages.dlq.path=x", "stages.dlq.expect=empty")
	p.verify(t)
	ours, changed := string(p.recs[7].Data), strings.Replace(string(p.recs[8].Data), `"log_type"`, `"log_tYpe"`, 1)
	const foreign = `{"player":"someone else","event":"login"}`
	for _, test := range []struct {
		name   string
		lines  []string
		counts bool
		kinds  []string // of the differences
		detail string
	}{
		{"ours", []string{errorRecord(foreign), errorRecord(ours)}, true, []string{account.KindRejected}, "DataFormatConversion.MalformedData: no"},
		{"ours, as it is", []string{ours}, true, []string{account.KindRejected}, "without a reason"},
		{"ours, changed", []string{errorRecord(changed)}, true, []string{account.KindRejected}, "; changed: log_type: want "},
		{"ours, twice in one error record", []string{errorRecord(ours + ours)}, true, []string{account.KindRejected, account.KindRejected}, "no"},
		{"another producer's", []string{errorRecord(foreign), errorRecord("no JSON")}, false, nil, ""},
		{"none that can be told", []string{foreign}, true, []string{account.KindRejected}, "not as Firehose writes"},
		{"not readable", []string{"oh no"}, true, []string{account.KindDamaged}, "not a JSON object"},
		{"not base64", []string{`{"rawData":"*"}`}, true, []string{account.KindDamaged}, "illegal base64"},
		{"nothing", nil, false, nil, ""},
	} {
		write(t, filepath.Join(p.dlq, "a"), test.lines...)
		res := p.verify(t)
		var kinds []string
		for _, d := range res.Samples {
			if d.Stage != "dlq" {
				continue
			}
			if kinds = append(kinds, d.Kind); !strings.Contains(d.Detail, test.detail) || d.Object != "a" {
				t.Errorf("%s: %+v, want detail %q", test.name, d, test.detail)
			}
		}
		dlq := res.Stages[1]
		rep := res.Report()
		said := slices.ContainsFunc(rep.Reasons, func(s string) bool { return strings.HasPrefix(s, "dlq: 1 objects") })
		if !slices.Equal(kinds, test.kinds) || (dlq.Errors == 1) != test.counts || said != test.counts {
			t.Errorf("%s: differences %q, %d objects, reasons %q; want %q, %v", test.name, kinds, dlq.Errors, rep.Reasons, test.kinds, test.counts)
		}
	}
	write(t, filepath.Join(p.dlq, "a"), errorRecord(ours))
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(p.dlq, "a"), long, long); err != nil {
		t.Fatal(err)
	}
	if res := p.verify(t); res.Stages[1].Errors != 0 || res.Stages[0].Tally.Rejected != 0 {
		t.Errorf("an object of before the run counts: %+v", res.Stages[1])
	}
}

// A record that is in the error records and was delivered after all is delivered.
func TestDeliveredAfterAllIsNotRejected(t *testing.T) {
	p := pushSlice(t, 2, generate.Slice{})
	p.verify(t)
	var rows []string
	for _, r := range p.recs {
		rows = append(rows, strings.TrimSpace(string(r.Data)))
	}
	write(t, filepath.Join(p.raw, "a"), rows[1:]...)
	write(t, filepath.Join(p.dlq, "a"), errorRecord(rows[0]), errorRecord(rows[5]))
	res := p.verify(t)
	if s := res.Stages[0].Tally.States; s.Rejected != 1 || s.Delivered != s.Planned-1 || s.Missing != 0 {
		t.Errorf("%+v, want one rejected, the others delivered", s)
	}
	write(t, filepath.Join(p.raw, "a"), rows...)
	if rep := p.verify(t).Report(); rep.Verdict != report.Pass {
		t.Errorf("%s %q, want pass: all were delivered", rep.Verdict, rep.Reasons)
	}
}

// That nothing is in the error stage yet proves nothing before it has settled.
func TestEmptyErrorStageHasToSettle(t *testing.T) {
	p := pushSlice(t, 2, generate.Slice{}, "stages.dlq.path=x", "stages.dlq.expect=empty")
	p.verify(t)
	var rows []string
	for _, r := range p.recs {
		rows = append(rows, strings.TrimSpace(string(r.Data)))
	}
	write(t, filepath.Join(p.raw, "a"), rows...)
	for quiet, want := range map[time.Duration]report.Verdict{time.Nanosecond: report.Pass, time.Hour: report.Inconclusive} {
		if rep := p.after(t, quiet).Report(); rep.Verdict != want {
			t.Errorf("quiet for %s: %s %q, want %s", quiet, rep.Verdict, rep.Reasons, want)
		}
	}
}

// Of many workers, the error stage is that of their run: its records are rejected,
// whoever sent them. One whose run directory is not there has sent what stands there.
func TestErrorStageOfManyWorkers(t *testing.T) {
	for i := range uint64(3) {
		p := pushSlice(t, 9, generate.Slice{Index: i + 1, Of: 3})
		p.verify(t)
		var lines []string
		for _, r := range p.recs {
			lines = append(lines, errorRecord(string(r.Data)))
		}
		write(t, filepath.Join(p.dlq, "a"), lines...)
		res := p.verify(t)
		raw, dlq := res.Stages[0].Tally, res.Stages[1].Tally
		if raw.Rejected != 9*40 || raw.Planned != 9*40 || dlq.Rejected != 9*40 || dlq.Rows != uint64(len(lines)) {
			t.Errorf("worker %d: %d rejected of %d planned; error stage %d rejected of %d rows", i+1, raw.Rejected, raw.Planned, dlq.Rejected, dlq.Rows)
		}
		if text := strings.Join(res.Report().Reasons, "; "); strings.Contains(text, "never started") || !strings.Contains(text, "sent something") {
			t.Errorf("worker %d: %s; want the others named as having sent something", i+1, text)
		}
	}
}

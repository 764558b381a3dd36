package replay_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"kreplay/pkg/expect"
	"kreplay/pkg/report"
	"kreplay/replay"
)

// counting is an engine that knows the SQL of what is checked unasked only.
type counting struct {
	mu    sync.Mutex
	rows  map[string]int // by the name of their count
	users map[string]bool
	fail  error
}

func (c *counting) Load(context.Context, expect.Set, []expect.Table) (expect.Loader, error) {
	return counts{c}, nil
}

func (c *counting) Check(context.Context, expect.Set, string, string) ([]expect.ResultColumn, error) {
	return nil, errors.ErrUnsupported
}

func (c *counting) Query(_ context.Context, _ expect.Set, name, _ string) (expect.Result, error) {
	n := c.rows[name]
	if name == "distinct users" {
		n = len(c.users)
	}
	return expect.Result{Columns: []expect.ResultColumn{{Name: "n", Type: "BIGINT"}}, Rows: [][]expect.Value{{{Kind: expect.Exact, Text: strconv.Itoa(n)}}}}, c.fail
}

func (c *counting) Close() error { return nil }

type counts struct{ *counting }

func (c counts) Add(logType string, row []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows[expect.CountName(logType)]++
	c.users[gjson.GetBytes(row, "user_id").String()] = true
	return nil
}

func (c counts) Close(context.Context) ([]expect.Misfit, error) { return nil, nil }

// counted opens an engine whose queries fail with an error.
func counted(fail error) func(*replay.Job) replay.OpenEngine {
	return func(*replay.Job) replay.OpenEngine {
		return func(context.Context, string) (expect.Engine, error) {
			return &counting{rows: map[string]int{}, users: map[string]bool{}, fail: fail}, nil
		}
	}
}

// said is what a verify says of expectations, without how long they took.
func said(res *replay.Result) (list []string) {
	rep := res.Report()
	list = append(list, string(rep.Verdict), strings.Join(rep.Reasons, "; "))
	for _, f := range res.Findings {
		list = append(list, fmt.Sprintf("%s %s %s %s %s %q %+v", f.Stage, f.Name, f.Want, f.Got, f.Verdict, f.Reason, f.Explained))
	}
	return list
}

// counted verifies some time after the push, and says what was found.
func (p *acked) counted(t *testing.T, cfg replay.VerifyConfig, raw *scripted) []string {
	t.Helper()
	cfg.Quiet, cfg.Max = time.Second, time.Minute
	res, err := p.in(t, time.Minute, cfg, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	return said(res)
}

// What is checked unasked is told by the next verify as by the one before, which
// has read the rows. Whatever has come, or was not judged, is read again and judged.
func TestUnaskedIsToldAgain(t *testing.T) {
	for _, bad := range []bool{false, true} {
		p := pushAcked(t, 2, "expect.delivery={mutated: 1, pipeline_duplicates: 9}")
		p.resume = true
		raw, verdict := p.half(0), report.Pass
		if bad { // one more user, in a record that may be changed
			id := gjson.Get(p.rows[0], "user_id").Raw
			raw.script[0].data = strings.Replace(raw.script[0].data, id, `"someone"`, 1)
			verdict = report.Fail
		}
		with := replay.VerifyConfig{Engine: counted(nil)}
		last := p.counted(t, with, raw)
		next := func(what string, cfg replay.VerifyConfig, same, again bool) {
			t.Helper()
			raw.opened = nil
			got := p.counted(t, cfg, raw)
			if diff := cmp.Diff(last, got); (diff == "") != same || got[0] != string(verdict) && same || len(raw.opened) > 0 != again {
				t.Errorf("%s: %d objects opened; before (-), now (+), want %s:\n%s", what, len(raw.opened), verdict, diff)
			}
			last = got
		}
		next("once more", with, true, false)
		next("without an engine", replay.VerifyConfig{}, true, false)
		next("once more with one", with, true, false)
		next("afresh", replay.VerifyConfig{Engine: with.Engine, Afresh: true}, true, true)
		raw.script = append(raw.script, episode{key: "c", data: "another's", from: p.ended})
		next("others' rows came", with, true, true)
		if raw.most() > 1 || len(raw.opened) > 1 {
			t.Errorf("opened %v: want what came", raw.opened)
		}
		raw.script = append(raw.script, episode{key: "d", data: p.rows[1], from: p.ended})
		next("a row came twice", with, false, true)
		if len(raw.opened) != 4 {
			t.Errorf("opened %v: want all", raw.opened)
		}
		next("and once more", with, true, false)

		raw.slow = 2 * time.Second
		stopped := with
		stopped.Afresh, stopped.Quiet, stopped.Max = true, time.Second, time.Minute
		if err := p.stopped(t, stop{time.Minute, 3 * time.Second}, stopped, raw, &scripted{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		next("after one that was stopped", with, true, true)
	}
}

// What an engine could not judge is judged by the next verify; what nobody judges
// any more, although an earlier verify has, is said not to be.
func TestUnjudgedIsSaid(t *testing.T) {
	p := pushAcked(t, 2, "expect.delivery.pipeline_duplicates=9")
	p.resume = true
	raw := p.half(0)
	if got := p.counted(t, replay.VerifyConfig{Engine: counted(expect.ErrEngine)}, raw); got[0] != string(report.Inconclusive) {
		t.Errorf("%q; want inconclusive", got)
	}
	with := replay.VerifyConfig{Engine: counted(nil)}
	if got := p.counted(t, with, raw); got[0] != string(report.Pass) || len(got) < 4 {
		t.Errorf("%q; want pass, and what was judged", got)
	}
	raw.script = append(raw.script, episode{key: "c", data: p.rows[1], from: p.ended})
	want := "expectations of raw were not judged: no SQL engine was asked"
	if got := p.counted(t, replay.VerifyConfig{}, raw); got[0] != string(report.Inconclusive) || !strings.Contains(got[1], want) {
		t.Errorf("%q; want inconclusive: %s", got, want)
	}
	if got := p.counted(t, with, raw); got[0] != string(report.Pass) {
		t.Errorf("%q; want pass", got)
	}
}

// What was not judged because a worker was absent is judged when its run directory is
// there, and told again; of several stages it is about the same one each time.
func TestUnaskedOfWorkersIsToldAgain(t *testing.T) {
	c := spoiled(t)
	var dirs []string
	for i := range uint64(3) {
		dirs = append(dirs, c.worker("run", i+1, 3))
	}
	dir := t.TempDir()
	verify := func(afresh bool, runs ...string) (*replay.Result, []string) {
		t.Helper()
		res, err := replay.Verify(t.Context(), replay.VerifyConfig{
			Dir: dir, Runs: runs, Stages: map[string]string{"raw": c.lake, "table": c.lake}, Quiet: time.Nanosecond, Max: time.Second, Engine: counted(nil), Afresh: afresh,
		})
		if err != nil {
			t.Fatal(err)
		}
		return res, said(res)
	}
	if res, _ := verify(false, dirs[0], dirs[2]); len(res.Findings) > 0 {
		t.Errorf("%+v judged, although a worker is absent", res.Findings)
	}
	_, first := verify(false, dirs...)
	_, second := verify(false, dirs...)
	_, fresh := verify(true, dirs...)
	if diff := cmp.Diff(first, second) + cmp.Diff(first, fresh); diff != "" || len(first) < 4 || !strings.HasPrefix(first[2], "raw ") {
		t.Errorf("%q, and then:\n%s", first, diff)
	}
}

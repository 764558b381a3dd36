package replay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/report"
	"kreplay/replay"
)

// stop is when a verify begins, after the push, and how long after that it is stopped.
type stop struct{ after, until time.Duration }

// stopped verifies in fake time until it is stopped.
func (p *acked) stopped(t *testing.T, s stop, cfg replay.VerifyConfig, raw, dlq *scripted) (err error) {
	t.Helper()
	cfg.Dir = p.run
	cfg.Open = func(_ context.Context, path string) (object.Store, io.Closer, error) {
		if path == p.dlq {
			return dlq, io.NopCloser(nil), nil
		}
		return raw, io.NopCloser(nil), nil
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(p.ended.Add(s.after)))
		ctx, cancel := context.WithTimeout(t.Context(), s.until)
		defer cancel()
		_, err = replay.Verify(ctx, cfg)
	})
	return err
}

// state is where a verify leaves what it has read of the raw stage.
func (p *acked) state() string { return filepath.Join(p.run, "verify", "raw.state") }

// away is a place that what a verify left is carried to and fetched from.
type away struct {
	store *dir.Store
	run   string
}

func newAway(t *testing.T, run string) away {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return away{store, run}
}

// carry brings what a verify left there and back; mixed leaves what was found, or the
// states, where they are; without first fetches what was there before.
func (a away) carry(first, mixed bool) error {
	if first {
		if err := replay.UploadState(context.Background(), a.store, a.run); err != nil {
			return err
		}
	}
	left := filepath.Join(a.run, "verify")
	list, err := os.ReadDir(left)
	if err != nil {
		return err
	}
	for _, e := range list {
		if mixed && strings.HasSuffix(e.Name(), ".state") {
			continue
		}
		if err := os.Remove(filepath.Join(left, e.Name())); err != nil {
			return err
		}
	}
	before := map[string][]byte{}
	states, _ := filepath.Glob(filepath.Join(left, "*.state"))
	for _, name := range states {
		if before[name], err = os.ReadFile(name); err != nil {
			return err
		}
	}
	err = replay.FetchState(context.Background(), a.store, a.run)
	for name, text := range before {
		err = errors.Join(err, os.WriteFile(name, text, 0o600))
	}
	return err
}

// A verify that is stopped at any moment, time and again, and gone on with finds
// what one finds that was never stopped, and opens no object twice; also where
// what it left was carried to a store and back. What was left by several, one state
// and what another one found, makes it read again and find the same.
func TestStoppedVerifyGoesOn(t *testing.T) {
	p := pushAcked(t, 3)
	p.resume = true
	gone, runs := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs++; runs > 30 { // each takes a tenth of a second
			return
		}
		raw, dlq, replaced := drawLake(rt, &p)
		raw.slow, dlq.slow = 700*time.Millisecond, 300*time.Millisecond
		there, carried := newAway(t, p.run), true
		cfg := replay.VerifyConfig{Quiet: quiet, Max: time.Hour, Workers: rapid.IntRange(1, 3).Draw(rt, "workers"), Afresh: true}
		after := time.Duration(0)
		for range rapid.IntRange(0, 3).Draw(rt, "stops") {
			until := time.Duration(rapid.Int64Range(0, int64(40*time.Second)).Draw(rt, "until"))
			if err := p.stopped(t, stop{after, until}, cfg, raw, dlq); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				rt.Fatal(err)
			}
			after += until
			cfg.Afresh = false
			switch way := rapid.IntRange(0, 3).Draw(rt, "way"); way {
			case 0:
			default:
				carried = carried && way == 1
				if err := there.carry(way == 1, way == 3); err != nil {
					rt.Fatal(err)
				}
			}
		}
		res, err := p.in(t, after, cfg, raw, dlq)
		if err != nil {
			rt.Fatal(err)
		}
		if strings.Contains(strings.Join(res.Notes, "; "), "were not read again") {
			gone++
		}
		opened := raw.most()
		cfg.Afresh = true
		end, err := p.in(t, 2*time.Hour, cfg, raw, dlq)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(outcomeOf(end), outcomeOf(res)); diff != "" {
			rt.Fatalf("never stopped (-), stopped (+):\n%s\n%q", diff, res.Notes)
		}
		if carried && opened > 1+replaced {
			rt.Fatalf("an object was opened %d times, %d were replaced", opened, replaced)
		}
	})
	if gone == 0 {
		t.Error("no verify went on from another one")
	}
}

// A state that is damaged, or of another stage, is not used, and a note says why.
func TestUnfitStateIsNotUsed(t *testing.T) {
	p := pushAcked(t, 2)
	p.resume = true
	raw := p.half(0)
	cfg := replay.VerifyConfig{Quiet: time.Second, Max: time.Minute}
	verify := func() (*replay.Result, int) {
		raw.opened = nil
		res, err := p.in(t, time.Minute, cfg, raw, &scripted{})
		if err != nil {
			t.Fatal(err)
		}
		if rep := res.Report(); rep.Verdict != report.Pass {
			t.Fatalf("%s %q", rep.Verdict, rep.Reasons)
		}
		return res, len(raw.opened)
	}
	verify()
	if _, n := verify(); n != 0 {
		t.Fatalf("%d objects read again, want none", n)
	}
	whole, err := os.ReadFile(p.state())
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs++; runs > 30 {
			return
		}
		bad := append([]byte(nil), whole...)
		if rapid.Bool().Draw(rt, "cut") {
			bad = bad[:rapid.IntRange(0, len(bad)-1).Draw(rt, "length")]
		} else {
			bad[rapid.IntRange(0, len(bad)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "flip"))
		}
		if err := os.WriteFile(p.state(), bad, 0o600); err != nil {
			rt.Fatal(err)
		}
		res, n := verify()
		if n != 2 || !strings.Contains(strings.Join(res.Notes, "; "), "raw: what an earlier verify had read is not used: ") {
			rt.Fatalf("%d objects read, notes %q; want 2, and why", n, res.Notes)
		}
	})
	cfg.Stages = map[string]string{"raw": "elsewhere", "dlq": p.dlq}
	if res, n := verify(); n != 2 || !strings.Contains(strings.Join(res.Notes, "; "), "the path was "+p.raw+" and is elsewhere") {
		t.Errorf("%d objects read, notes %q; want 2, and why", n, res.Notes)
	}
}

// What another verify found does not belong to a state, however long it is.
func TestStateKnowsWhatWasFound(t *testing.T) {
	p := pushAcked(t, 2)
	p.resume = true
	raw := p.half(0)
	short := cutShort(p.rows[0])
	raw.script[0].data += "\n" + short
	said := fmt.Sprintf("%d bytes", len(short))
	verify := func() (res *replay.Result, opened int) {
		raw.opened = nil
		res, err := p.in(t, time.Minute, replay.VerifyConfig{Quiet: time.Second, Max: time.Minute}, raw, &scripted{})
		if err != nil {
			t.Fatal(err)
		}
		if res.Stages[0].Tally.Damaged != 1 || res.Total != 1 || !strings.Contains(res.Samples[0].Detail, said) {
			t.Fatalf("%+v, %+v; want a row of damage", res.Stages[0].Tally, res.Samples)
		}
		return res, len(raw.opened)
	}
	verify()
	if _, n := verify(); n != 0 {
		t.Fatalf("%d objects read again, want none", n)
	}
	found := filepath.Join(p.run, "verify", "raw.found")
	text, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(found, []byte(strings.Replace(string(text), said, "9"+said[1:], 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if res, n := verify(); n != 2 || !strings.Contains(strings.Join(res.Notes, "; "), "are not those that belong to it") {
		t.Errorf("%d objects read, notes %q; want 2, and why", n, res.Notes)
	}
}

// A verify that is killed in the middle of an object loses what it has read since
// it was last saved, and no more.
func TestKilledVerifyGoesOnFromItsLastSave(t *testing.T) {
	p := pushAcked(t, 1)
	p.resume = true
	raw := &scripted{slow: 8 * time.Second} // longer than what is being read may go on
	for i, row := range p.rows {
		raw.script = append(raw.script, episode{key: fmt.Sprintf("%02d", i), data: row, from: p.ended})
	}
	cfg := replay.VerifyConfig{Quiet: time.Second, Max: time.Hour, Workers: 2}
	if err := p.stopped(t, stop{time.Minute, 75 * time.Second}, cfg, raw, &scripted{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	before := len(raw.opened)
	res, err := p.in(t, time.Hour, cfg, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	twice := 0
	for _, n := range raw.opened {
		twice += n - 1
	}
	if rep := res.Report(); rep.Verdict != report.Pass || before < 16 || twice > 10 || raw.most() > 2 {
		t.Errorf("%s %q; %d opened before the kill, %d of them again; want pass, 16, not more than 10", rep.Verdict, rep.Reasons, before, twice)
	}
}

// Two verifies of one run do not disturb each other.
func TestTwoVerifiesAtATime(t *testing.T) {
	p := pushAcked(t, 2)
	p.resume = true
	raw := p.half(0)
	other, err := os.OpenFile(filepath.Join(p.run, "verify", "raw.found"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	raw.script[0].data += "\n" + cutShort(p.rows[0]) // damage has to wait somewhere else
	res, err := p.in(t, time.Minute, replay.VerifyConfig{Quiet: time.Second, Max: time.Minute}, raw, &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	if s := res.Stages[0].Tally; s.Damaged != 1 || res.Total != 1 || !strings.Contains(strings.Join(res.Notes, "; "), "another verify of the run is at work") {
		t.Errorf("%+v, %d differences, notes %q", s, res.Total, res.Notes)
	}
	if left, _ := filepath.Glob(filepath.Join(p.run, "verify", ".tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

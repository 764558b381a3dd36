package replay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/object"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/replay"
)

// hiding acks records and shows them as objects some time after these were made.
type hiding struct {
	lake *scripted
	hide time.Duration
}

func (h *hiding) Put(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
	out := make([]record.Outcome, len(recs))
	var rows []string
	for i := range recs {
		out[i] = record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: "0"}
		rows = append(rows, string(bytes.TrimSpace(recs[i].Data)))
	}
	made := time.Now().Add(time.Second)
	h.lake.mu.Lock()
	defer h.lake.mu.Unlock()
	h.lake.script = append(h.lake.script, episode{
		key: made.Format("150405.000000000-") + recs[0].ID.String(), data: strings.Join(rows, "\n"), modified: made, from: made.Add(h.hide),
	})
	return out, nil
}

// looping runs 20 users' records, pushed in two minutes, in fake time.
func looping(t *testing.T, hide time.Duration, clock stream.Offset, lake *scripted) (run string, res *replay.Result) {
	t.Helper()
	run = filepath.Join(t.TempDir(), "run")
	job := smoke(t, 20, "time.speedup=10", "time.arrivals=even", "time.span=1200s")
	cfg := replay.RunConfig{Push: pushConfig(run, &hiding{lake, hide}, "lake"), Verify: following(lake)}
	cfg.Push.Target.Offset = func() stream.Offset { return clock }
	res, err := replay.Run(t.Context(), job, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return run, res
}

func following(lake *scripted) replay.VerifyConfig {
	return replay.VerifyConfig{Quiet: time.Minute, Max: 5 * time.Minute, Open: func(context.Context, string) (object.Store, io.Closer, error) { return lake, io.NopCloser(nil), nil }}
}

// In a run it is known of each object when it became visible, to within the time
// between two listings, however long ago it says that it was made. A clock that
// differs from the stream's is put right on both ends.
func TestRunSeesObjectsBecomeVisible(t *testing.T) {
	for _, clock := range []stream.Offset{{}, {Low: time.Hour, High: time.Hour + time.Second, Answers: 9}} {
		synctest.Test(t, func(t *testing.T) {
			lake := &scripted{}
			run, res := looping(t, 20*time.Second, clock, lake)
			l, listed := res.Stages[0].Lag, res.Stages[0].Listed
			if rep := res.Report(); rep.Verdict != report.Pass || l.All.Count != 800 || l.Visible.Count != 800 {
				t.Fatalf("%s %q, %+v; want pass, and visible known of all", rep.Verdict, rep.Reasons, l)
			}
			if v := l.Visible; v.P50 < 21*time.Second || v.Max > 21*time.Second+listed.Within+time.Millisecond || v.P50 == v.Max {
				t.Errorf("visible after %v to %v, within %v; want 21 s and up to the time between two listings more", v.P50, v.Max, listed.Within)
			}
			if listed.Within > 2100*time.Millisecond || listed.Every() > 2100*time.Millisecond || listed.Count < 60 || uint64(len(lake.lists)) < listed.Count {
				t.Errorf("%+v, every %v, of %d listings; want one in 2 s", listed, listed.Every(), len(lake.lists))
			}
			v := res.Report().Stages[0].LagDetail.Visible
			if v == nil || v.Records != 800 || v.MS.Max != float64(l.Visible.Max.Milliseconds()) || v.Listings != listed.Count || v.Within <= 0 {
				t.Errorf("the report says %+v of %+v", v, l.Visible)
			}

			cfg := following(lake) // goes on from what was read
			cfg.Dir, cfg.Follow = run, clock.Known()
			again, err := replay.Verify(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(l, again.Stages[0].Lag); diff != "" || again.Stages[0].Listed.Within < listed.Within {
				t.Errorf("the run's (-), of a verify that goes on from it (+):\n%s%+v", diff, again.Stages[0].Listed)
			}
			cfg.Afresh = true
			if again, err = replay.Verify(t.Context(), cfg); err != nil || again.Stages[0].Lag.Visible.Count > 0 || again.Report().Stages[0].LagDetail.Visible != nil {
				t.Errorf("%v, %+v; want nothing known of objects that were there before", err, again.Stages[0].Lag.Visible)
			}
		})
	}
}

// A stage that cannot be listed stops no push; a note says so, and of what was
// there when it could be listed again it is not known when it became visible.
func TestPushGoesOnUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lake := &scripted{fail: errors.New("access is denied: s3:ListBucket")}
		time.AfterFunc(time.Minute, func() {
			lake.mu.Lock()
			defer lake.mu.Unlock()
			lake.fail = nil
		})
		_, res := looping(t, 0, stream.Offset{}, lake)
		rep, l := res.Report(), res.Stages[0].Lag
		if notes := strings.Join(rep.Notes, "; "); rep.Verdict != report.Pass || !strings.Contains(notes, "listings beside the push and the reading failed, the last with: access is denied: s3:ListBucket") {
			t.Errorf("%s %q, notes %q", rep.Verdict, rep.Reasons, notes)
		}
		if l.Visible.Count == 0 || l.Visible.Count == 800 {
			t.Errorf("known of %d of 800 records, want of some", l.Visible.Count)
		}
	})
}

// A verify that watches a lake knows of what comes while it does.
func TestVerifySeesLateObjectsBecomeVisible(t *testing.T) {
	p := pushAcked(t, 2)
	res, err := p.in(t, 0, replay.VerifyConfig{Quiet: time.Minute, Max: time.Hour}, p.half(25*time.Second), &scripted{})
	if err != nil {
		t.Fatal(err)
	}
	l, listed := res.Stages[0].Lag, res.Stages[0].Listed
	if l.All.Count != 2*l.Visible.Count || l.Visible.P50 < l.All.Max || l.Visible.Max > l.All.Max+listed.Within || listed.Within > 10*time.Second {
		t.Errorf("%+v, %+v; want half of the records known to within 10 s", l, listed)
	}
}

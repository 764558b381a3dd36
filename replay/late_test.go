package replay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/account"
	"kreplay/pkg/report"
	"kreplay/replay"
)

// drawLate scripts a lake whose objects come up to 30 hours after the push, below
// the folder of their records' arrival or of their own time. A deliverer that
// starts again writes some of them once more, or a part.
func drawLate(t *rapid.T, p *acked) *scripted {
	raw := &scripted{}
	moment := rapid.OneOf(rapid.Int64Range(0, int64(time.Minute)), rapid.Int64Range(0, int64(2*time.Hour)), rapid.Int64Range(0, int64(30*time.Hour)))
	put := func(rows []string) {
		at := p.ended.Add(time.Duration(moment.Draw(t, "delay")))
		folder := at
		if rapid.Bool().Draw(t, "by arrival") {
			folder = p.ended
		}
		raw.script = append(raw.script, episode{
			key: folder.UTC().Format("dt=2006-01-02/hour=15/") + fmt.Sprint(len(raw.script)), data: strings.Join(rows, "\n"), from: at,
		})
	}
	for rest := p.rows; len(rest) > 0; {
		n := min(rapid.IntRange(1, 30).Draw(t, "rows"), len(rest))
		put(rest[:n])
		if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
			put(rest[rapid.IntRange(0, n-1).Draw(t, "again from"):n])
		}
		rest = rest[n:]
	}
	return raw
}

// came counts the rows of each record in the objects that were read.
func (s *scripted) came() map[string]int {
	rows := map[string]int{}
	for _, e := range s.script {
		if s.opened[e.key+" "+e.info().ETag] > 0 {
			for row := range strings.SplitSeq(e.data, "\n") {
				rows[row]++
			}
		}
	}
	return rows
}

// A record that comes late, after others of its shard, in another hour, after
// midnight, or once more when the deliverer starts again, is missing as long as it
// is not there and a duplicate when it is there twice, in each of several
// verifies; it is never both, and never misplaced. In the end nothing is missing.
func TestLateIsNeverBothLostAndDuplicate(t *testing.T) {
	p := pushAcked(t, 2, "stages.raw.path=x", "stages.raw.partition=dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/")
	p.resume = true
	text := map[string]string{}
	for i, r := range p.recs {
		text[r.ID.String()] = p.rows[i]
	}
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs++; runs > 25 {
			return
		}
		raw := drawLate(rt, &p)
		cfg := replay.VerifyConfig{Quiet: quiet, Max: time.Hour, Afresh: true}
		after := rapid.SliceOfN(rapid.Int64Range(0, int64(31*time.Hour)), 1, 4).Draw(rt, "verifies")
		slices.Sort(after)
		for _, at := range append(after, int64(32*time.Hour)) {
			res, err := p.in(t, time.Duration(at), cfg, raw, &scripted{})
			if err != nil {
				rt.Fatal(err)
			}
			cfg.Afresh = rapid.IntRange(0, 3).Draw(rt, "afresh") == 0
			rows, missing, twice := raw.came(), map[string]bool{}, map[string]int{}
			for _, d := range res.Samples {
				switch row := text[d.ID.String()]; d.Kind {
				case account.KindMissing:
					missing[row] = true
				case account.KindDuplicate:
					twice[row]++
				default:
					rt.Fatalf("found %+v", d)
				}
			}
			lost := false
			for _, row := range p.rows {
				if missing[row] && twice[row] > 0 {
					rt.Fatalf("both missing and a duplicate: %s", row)
				}
				if missing[row] != (rows[row] == 0) || twice[row] != max(0, rows[row]-1) {
					rt.Fatalf("after %v: missing %v, %d duplicates, with %d rows: %s", time.Duration(at), missing[row], twice[row], rows[row], row)
				}
				lost = lost || missing[row]
			}
			s := res.Stages[0]
			if failed := len(missing)+len(twice) > 0; s.Misplaced > 0 || !s.Settled || failed != (res.Report().Verdict == report.Fail) {
				rt.Fatalf("after %v: %s, %d misplaced, settled %v", time.Duration(at), res.Report().Verdict, s.Misplaced, s.Settled)
			}
			if lost && at == int64(32*time.Hour) {
				rt.Fatal("lost, although all has come")
			}
		}
	})
}

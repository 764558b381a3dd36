package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/object"
	"kreplay/pkg/report"
	"kreplay/replay"
)

// scripted is a store whose objects come and go at given times.
type scripted struct {
	mu     sync.Mutex
	script []episode
	opened map[string]int // by key and ETag
	lists  []string       // prefixes
	fail   error          // of every listing
	denied string         // prefix below which listings fail; empty: none
	passed int            // but so many before
	slow   time.Duration  // an object takes so long
}

// episode is an object that is there from a time on; one with the same key that
// begins later takes its place.
type episode struct {
	key      string
	data     string
	from     time.Time
	modified time.Time // zero: from
	until    time.Time // zero: for ever
	unlisted int       // it does not show in so many listings
}

func (e episode) info() object.Info {
	at := e.modified
	if at.IsZero() {
		at = e.from
	}
	return object.Info{Key: e.key, Size: int64(len(e.data)), Modified: at, ETag: fmt.Sprintf("%d-%d", e.from.UnixNano(), len(e.data))}
}

func (s *scripted) now() map[string]episode {
	there := map[string]episode{}
	for _, e := range s.script {
		if !e.until.IsZero() && !time.Now().Before(e.until) {
			continue
		}
		if old, ok := there[e.key]; !e.from.After(time.Now()) && len(s.lists) > e.unlisted && (!ok || e.from.After(old.from)) {
			there[e.key] = e
		}
	}
	return there
}

func (s *scripted) List(_ context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		s.mu.Lock()
		s.lists = append(s.lists, prefix)
		there, fail := s.now(), s.fail
		if s.denied != "" && len(s.lists) > s.passed && strings.HasPrefix(prefix+"/", s.denied) {
			fail = fmt.Errorf("s3: list %s: access is denied", prefix)
		}
		s.mu.Unlock()
		if fail != nil {
			yield(object.Info{}, fail)
			return
		}
		keys := []string{}
		for key := range there {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) && !yield(there[key].info(), nil) {
				return
			}
		}
	}
}

func (s *scripted) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	select {
	case <-time.After(s.slow):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.now()[key]
	if !ok {
		return nil, object.ErrNotExist
	}
	if s.opened == nil {
		s.opened = map[string]int{}
	}
	s.opened[key+" "+e.info().ETag]++
	return io.NopCloser(strings.NewReader(e.data)), nil
}

func (s *scripted) Create(context.Context, string) (object.Writer, error) {
	return nil, errors.ErrUnsupported
}

func (s *scripted) most() (n int) {
	for _, times := range s.opened {
		n = max(n, times)
	}
	return n
}

// acked is a run of the smoke scenario whose stages tests script.
type acked struct {
	rejecting
	ended  time.Time
	rows   []string
	resume bool // a verify goes on from the one before
}

func pushAcked(t *testing.T, users int, set ...string) acked {
	t.Helper()
	p := acked{rejecting: pushSlice(t, users, generate.Slice{}, set...)}
	p.ended = p.after(t, time.Hour).Ledger.Ended
	for _, r := range p.recs {
		p.rows = append(p.rows, string(bytes.TrimSpace(r.Data)))
	}
	return p
}

// outcome is what one verify found, without what depends on the order of reading.
type outcome struct {
	Verdict report.Verdict
	States  account.States
	Rows    uint64
	Damaged uint64
	Away    uint64
	Dups    uint64
	Others  replay.ForeignSpans
	Names   []string
	Reasons []string
}

func outcomeOf(res *replay.Result) outcome {
	rep, raw := res.Report(), res.Stages[0]
	o := outcome{rep.Verdict, raw.Tally.States, raw.Tally.Rows, raw.Tally.Damaged, raw.Misplaced, raw.Tally.Duplicates(), raw.ForeignSpans, nil, rep.Reasons}
	for _, d := range res.Samples {
		name := fmt.Sprintf("%s %s %v %s", d.Stage, d.Kind, d.ID, d.Charge)
		if d.Kind == account.KindRejected || d.Kind == account.KindDamaged {
			name += fmt.Sprint(d.Object, d.Offset)
		}
		o.Names = append(o.Names, name)
	}
	slices.Sort(o.Names)
	return o
}

// in runs verify in fake time, some time after the push.
func (p *acked) in(t *testing.T, after time.Duration, cfg replay.VerifyConfig, raw, dlq *scripted) (res *replay.Result, err error) {
	t.Helper()
	cfg.Dir, cfg.Samples, cfg.Afresh = p.run, 1<<20, cfg.Afresh || !p.resume
	cfg.Open = func(_ context.Context, path string) (object.Store, io.Closer, error) {
		if path == p.dlq {
			return dlq, io.NopCloser(nil), nil
		}
		return raw, io.NopCloser(nil), nil
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(p.ended.Add(after)))
		res, err = replay.Verify(t.Context(), cfg)
	})
	return res, err
}

const quiet = 10 * time.Second

// drawLake scripts a lake and an error stage with faults: objects that come at
// most the quiet time after each other, some of them replaced.
func drawLake(t *rapid.T, p *acked) (raw, dlq *scripted, replaced int) {
	raw, dlq = &scripted{}, &scripted{}
	at := p.ended
	for i, rest := 0, p.rows; len(rest) > 0; i++ {
		n := min(rapid.IntRange(1, 40).Draw(t, "rows"), len(rest))
		var lines []string
		for _, row := range rest[:n] {
			switch rapid.IntRange(0, 19).Draw(t, "fault") {
			case 0:
			case 1:
				lines = append(lines, row, row)
			case 2:
				lines = append(lines, strings.Replace(row, `"log_type"`, `"log_tYpe"`, 1))
			case 3:
				dlq.script = append(dlq.script, episode{key: fmt.Sprint(len(dlq.script)), data: errorRecord(row), from: at})
			case 4:
				lines = append(lines, cutShort(row)) // which is the run's still, so that its object is no reason to settle
			case 5:
				lines = append(lines, row, rapid.SampledFrom(textBesideUs).Draw(t, "text"))
			default:
				lines = append(lines, row)
			}
		}
		rest = rest[n:]
		e := episode{key: fmt.Sprintf("%03d", rapid.IntRange(0, 999).Draw(t, "key")) + fmt.Sprint(i), data: strings.Join(lines, "\n"), from: at}
		raw.script = append(raw.script, e)
		if at = at.Add(time.Duration(rapid.Int64Range(0, int64(quiet)-1).Draw(t, "gap"))); rapid.IntRange(0, 9).Draw(t, "replace") == 0 {
			replaced++
			e.from, e.data = at, e.data+"\n"+rapid.SampledFrom(p.rows).Draw(t, "new")
			raw.script = append(raw.script, e)
		}
	}
	return raw, dlq, replaced
}

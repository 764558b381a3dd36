package replay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// cutting is a Tail that stops who reads it after so many entries, and counts them.
type cutting struct {
	stream.Tail
	left  int64 // below 0: never
	stop  func()
	given *atomic.Int64
}

func (c *cutting) Read(ctx context.Context, take func(stream.Entry) error) (stream.Tip, error) {
	tip, err := c.Tail.Read(ctx, func(e stream.Entry) error {
		if c.given.Add(1) == c.left {
			c.stop()
		}
		return take(e)
	})
	return tip, errors.Join(err, ctx.Err())
}

// cutAt verifies the run and returns how many entries of the stream it was given; it
// is stopped after so many unless that is negative.
func (l *long) cutAt(t *testing.T, cfg replay.VerifyConfig, cut int64) (*replay.Result, int64, error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var given atomic.Int64
	open := cfg.Tail
	cfg.Tail = func(ctx context.Context, to replay.Tailing) (stream.Tail, io.Closer, error) {
		tail, closer, err := open(ctx, to)
		return &cutting{tail, cut, stop, &given}, closer, err
	}
	res, err := replay.Verify(ctx, cfg)
	return res, given.Load(), err
}

// A verify that goes on from one that was stopped anywhere in the stream, time and
// again, finds what one finds that reads it from its beginning, whatever happens to shards
// meanwhile, and is given no entry twice.
func TestStreamIsGoneOnFrom(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 5))
			l := playLong(t, 10+rng.IntN(60), rng, func(c *local.Config) {
				c.Faults.Drop, c.Faults.StreamDrop, c.Faults.StreamDuplicate, c.Faults.StreamCorrupt = rng.IntN(4), rng.IntN(4), rng.IntN(4), rng.IntN(4)
			})
			others := kinesis.New(sdkConfig(l.pipe.URL()), streamName, kinesis.Options{})
			defer others.Close()
			var sum, foreign int64
			for range 1 + rng.IntN(4) {
				if _, n, err := l.cutAt(t, l.cfg, int64(1+rng.IntN(900))); err != nil && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				} else {
					sum += n
				}
				switch rng.IntN(3) {
				case 0:
					if err := l.pipe.Resize(streamName, 1+rng.IntN(4)); err != nil {
						t.Fatal(err)
					}
				case 1:
					if _, err := others.Put(t.Context(), []record.Record{{PartitionKey: "x", Data: []byte(`{"foreign":true}`)}}); err != nil {
						t.Fatal(err)
					}
					foreign++
				}
			}
			res, n, err := l.cutAt(t, l.cfg, -1)
			if err != nil {
				t.Fatal(err)
			}
			cfg := l.cfg
			cfg.Afresh = true
			afresh, all, err := l.cutAt(t, cfg, -1)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(told(afresh), told(res)); diff != "" {
				t.Errorf("read from the beginning (-), gone on (+):\n%s", diff)
			}
			if sum+n != all || foreign > 0 && res.Stages[0].Tally.Foreign != uint64(foreign) {
				t.Errorf("%d and %d entries were given of %d, %d foreign; want each once, %d foreign", sum, n, all, res.Stages[0].Tally.Foreign, foreign)
			}
			if notes := strings.Join(res.Notes, "; "); !strings.Contains(notes, "stream: what an earlier verify had read of ") {
				t.Errorf("notes %q; want that it goes on", notes)
			}
		})
	}
}

// told is what a result says of the stages, without when and how it was found out.
func told(res *replay.Result) (list []any) {
	rep := res.Report()
	list = append(list, rep.Verdict, rep.Reasons, rep.LogTypes, rep.Differences.Total)
	for _, s := range rep.Stages {
		s.LagDetail = nil // of which listing showed what
		list = append(list, s)
	}
	return append(list, outcomeOf(res).Names)
}

// A state of a stream that was deleted and made anew is not used. What is not kept
// any more is no matter where all of the run had been read before, and else proves nothing.
func TestStreamOfAStateIsKnown(t *testing.T) {
	l := playLong(t, 10, nil, func(c *local.Config) { c.Retain = 1 << 40 })
	l.cfg.Stages = map[string]string{"stream": streamName}
	if _, _, err := l.cutAt(t, l.cfg, -1); err != nil {
		t.Fatal(err)
	}
	// faulty reads the stream with marks that are changed, or with an error.
	faulty := func(change func(m *stream.Mark), fault error) replay.VerifyConfig {
		cfg := l.cfg
		cfg.Tail = func(ctx context.Context, to replay.Tailing) (stream.Tail, io.Closer, error) {
			tail, closer, err := l.cfg.Tail(ctx, to)
			return &other{tail, change, fault}, closer, err
		}
		return cfg
	}
	for _, x := range []struct {
		name    string
		cfg     replay.VerifyConfig
		entries int64
		verdict report.Verdict
		note    string
	}{
		{"as it was", l.cfg, 0, report.Pass, "stream: what an earlier verify had read of 3 shards was not read again; --afresh reads it"},
		{"another stream", faulty(func(m *stream.Mark) { m.Created = m.Created.Add(time.Second) }, nil), 400, report.Pass, "it is another stream of the same name: its account was started afresh"},
		{"trimmed since", faulty(nil, stream.ErrTrimmed), 0, report.Pass, "stream: all that it ever held of the run had been read by 20"},
	} {
		t.Run(x.name, func(t *testing.T) {
			res, n, err := l.cutAt(t, x.cfg, -1)
			if err != nil {
				t.Fatal(err)
			}
			if rep := res.Report(); rep.Verdict != x.verdict || n != x.entries || !strings.Contains(strings.Join(res.Notes, "; "), x.note) || rep.Stages[0].Delivered != 400 || rep.Stages[0].Objects != 3 {
				t.Errorf("%s %q, %d entries, %+v, notes %q; want %s, %d, %q", rep.Verdict, rep.Reasons, n, rep.Stages[0], res.Notes, x.verdict, x.entries, x.note)
			}
		})
	}
	// Read to the tip too early, or stopped in the middle, and then trimmed: what was
	// not read proves nothing.
	for _, cut := range []int64{-1, 5} {
		cfg := l.cfg
		cfg.Afresh, cfg.Quiet, cfg.Max = true, time.Hour, time.Nanosecond
		if _, _, err := l.cutAt(t, cfg, cut); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		late := faulty(nil, stream.ErrTrimmed)
		late.Quiet, late.Max = cfg.Quiet, cfg.Max
		res, _, err := l.cutAt(t, late, -1)
		if err != nil {
			t.Fatal(err)
		}
		if rep := res.Report(); rep.Verdict != report.Inconclusive || !errors.Is(res.Stages[0].Err, stream.ErrTrimmed) {
			t.Errorf("cut at %d: %s %q, want inconclusive", cut, rep.Verdict, rep.Reasons)
		}
	}
}

// other is a Tail of which marks are another's, or that cannot be read any more.
type other struct {
	stream.Tail
	change func(*stream.Mark)
	fault  error
}

func (o *other) Resume(marks []stream.Mark) {
	if o.change != nil {
		o.change(&marks[0])
	}
	o.Tail.Resume(marks)
}

func (o *other) Read(ctx context.Context, take func(stream.Entry) error) (stream.Tip, error) {
	if o.fault != nil {
		return stream.Tip{}, o.fault
	}
	return o.Tail.Read(ctx, take)
}

// slow is a stream that gives one entry a second.
type slow struct {
	data  []string
	at    int
	reads int
	came  time.Time
	given *[]int // how often each was given
}

func (s *slow) Read(ctx context.Context, take func(stream.Entry) error) (stream.Tip, error) {
	s.reads++
	for ; s.at < len(s.data); s.at++ {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return stream.Tip{}, context.Cause(ctx)
		}
		(*s.given)[s.at]++
		if err := take(stream.Entry{Stream: "s", Shard: "1", Data: []byte(s.data[s.at]), Arrived: s.came}); err != nil {
			return stream.Tip{}, err
		}
	}
	return stream.Tip{Shards: 1}, nil
}

func (s *slow) Marks() []stream.Mark {
	return []stream.Mark{{Stream: "s", Shards: []stream.ShardMark{{ID: "1", Last: strconv.Itoa(s.at)}}}}
}

func (s *slow) Resume(marks []stream.Mark) { s.at, _ = strconv.Atoi(marks[0].Shards[0].Last) }

// What is read of a stream that takes long is saved meanwhile: a verify that is
// killed loses what it has read since, and no more.
func TestLongStreamIsSavedMeanwhile(t *testing.T) {
	p := pushAcked(t, 3)
	given := make([]int, len(p.rows))
	var tail *slow
	cfg := replay.VerifyConfig{
		Dir: p.run, Stages: map[string]string{"stream": "s"}, Quiet: time.Second, Max: time.Hour,
		Tail: func(context.Context, replay.Tailing) (stream.Tail, io.Closer, error) {
			tail = &slow{data: p.rows, came: p.ended, given: &given}
			return tail, io.NopCloser(nil), nil
		},
	}
	state := filepath.Join(p.run, "verify", "stream.state")
	var saved []byte
	verify := func() *replay.Result {
		var res *replay.Result
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(p.ended.Add(time.Minute)))
			time.AfterFunc(100500*time.Millisecond, func() { saved, _ = os.ReadFile(state) })
			var err error
			if res, err = replay.Verify(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
		})
		if rep := res.Report(); rep.Verdict != report.Pass || rep.Stages[0].Delivered != uint64(len(p.rows)) {
			t.Fatalf("%s %q, %+v", rep.Verdict, rep.Reasons, rep.Stages[0])
		}
		return res
	}
	first := verify()
	for i, n := range given {
		if n != 1 {
			t.Fatalf("entry %d was given %d times", i, n)
		}
	}
	if tail.reads < 4 || len(saved) == 0 {
		t.Fatalf("%d reads, %d bytes saved after 100 s of %d; want several, and some", tail.reads, len(saved), len(p.rows))
	}
	if err := os.WriteFile(state, saved, 0o600); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	clear(given)
	second := verify()
	again := 0
	for _, n := range given {
		again += n
	}
	if want := len(p.rows) - 90; again < want-1 || again > want+1 {
		t.Errorf("%d entries were read again, want %d", again, want)
	}
	if diff := cmp.Diff(told(first), told(second)); diff != "" {
		t.Errorf("never killed (-), killed (+):\n%s", diff)
	}
}

package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errFatal   = errors.New("fatal")
	errJournal = errors.New("journal")
	errStop    = errors.New("stop")
)

// play is what a scripted sink and its caller do.
type play struct {
	fates   [][]record.Fate // of each record by attempt; Acked behind the last
	fatal   int             // number of the call from 1 that fails, 0: none
	journal int             // likewise of Attempt
	latency time.Duration   // of a call
	stop    time.Duration   // when the caller gives up, 0: never
	o       stream.RetryOptions
}

// call is one Put with what Attempt was told of it.
type call struct {
	begin, end time.Duration
	recs       []record.Record
	out        []record.Outcome
	told       bool
	toldRecs   []record.Record
	toldOut    []record.Outcome
}

// run is what came of a play.
type run struct {
	recs  []record.Record
	calls []call
	out   []record.Outcome
	err   error
	end   time.Duration
}

// perform runs inside a synctest bubble.
func (p play) perform(ctx context.Context) *run {
	start := time.Now()
	r := &run{recs: streamtest.Records(0, len(p.fates), 20)}
	tries := make([]int, len(p.fates))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if p.stop > 0 {
		defer time.AfterFunc(p.stop, func() { cancel(errStop) }).Stop()
	}
	sink := sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
		c := call{begin: time.Since(start), recs: slices.Clone(recs)}
		time.Sleep(p.latency)
		for _, rec := range recs {
			i := rec.ID.Event
			c.out = append(c.out, outcome(rec.ID, p.fates[i], tries[i]))
			tries[i]++
		}
		c.end = time.Since(start)
		r.calls = append(r.calls, c)
		if len(r.calls) == p.fatal {
			return slices.Clone(c.out), errFatal
		}
		return slices.Clone(c.out), nil
	})
	p.o.Attempt = func(recs []record.Record, out []record.Outcome) error {
		c := &r.calls[len(r.calls)-1]
		if c.told {
			return errors.New("told twice")
		}
		c.told, c.toldRecs, c.toldOut = true, slices.Clone(recs), slices.Clone(out)
		if len(r.calls) == p.journal {
			return errJournal
		}
		return nil
	}
	r.out, r.err = stream.Retry(sink, p.o).Put(ctx, r.recs)
	r.end = time.Since(start)
	return r
}

// outcome is different for every attempt.
func outcome(id record.ID, fates []record.Fate, try int) record.Outcome {
	code := fmt.Sprintf("%d.%d", id.Event, try)
	if try >= len(fates) || fates[try] == record.Acked {
		return record.Outcome{ID: id, Fate: record.Acked, Shard: code}
	}
	return record.Outcome{ID: id, Fate: fates[try], Code: code, Err: errStop}
}

type sinkFunc func(context.Context, []record.Record) ([]record.Outcome, error)

func (f sinkFunc) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	return f(ctx, recs)
}

func drawPlay(t *rapid.T) play {
	fate := rapid.SampledFrom([]record.Fate{record.Unknown, record.Acked, record.Refused, record.Refused})
	sometimes := func(name string, most int) int {
		return max(0, rapid.IntRange(-most, most).Draw(t, name))
	}
	return play{
		fates:   rapid.SliceOfN(rapid.SliceOfN(fate, 0, 8), 0, 12).Draw(t, "fates"),
		fatal:   sometimes("fatal", 5),
		journal: sometimes("journal", 5),
		latency: time.Duration(rapid.IntRange(0, 30).Draw(t, "latency")) * time.Millisecond,
		stop:    time.Duration(sometimes("stop", 300)) * time.Millisecond,
		o: stream.RetryOptions{
			Base:     time.Duration(rapid.IntRange(1, 40).Draw(t, "base")) * time.Millisecond,
			Most:     time.Duration(rapid.IntRange(1, 200).Draw(t, "most")) * time.Millisecond,
			Attempts: rapid.IntRange(1, 7).Draw(t, "attempts"),
			Hold:     rapid.Bool().Draw(t, "hold"),
		},
	}
}

func holds(t *testing.T, law func(*rapid.T, play, *run)) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlay(rt)
		var r *run
		synctest.Test(t, func(t *testing.T) { r = p.perform(t.Context()) })
		law(rt, p, r)
	})
}

// pending are the records of c that may be sent again.
func (p play) pending(c call) (again []record.Record) {
	for i, o := range c.out {
		if o.Fate == record.Refused || o.Fate == record.Unknown && !p.o.Hold {
			again = append(again, c.recs[i])
		}
	}
	return again
}

func TestLastOutcomesAreReturnedInOrder(t *testing.T) {
	holds(t, func(t *rapid.T, _ play, r *run) {
		last := map[record.ID]record.Outcome{}
		for _, c := range r.calls {
			for _, o := range c.out {
				last[o.ID] = o
			}
		}
		var want []record.Outcome
		for _, rec := range r.recs {
			want = append(want, last[rec.ID])
		}
		if fmt.Sprint(r.out) != fmt.Sprint(want) {
			t.Fatalf("got %v\nwant %v", r.out, want)
		}
	})
}

func TestOnlyPendingRecordsAreResent(t *testing.T) {
	holds(t, func(t *rapid.T, p play, r *run) {
		want := r.recs
		for i, c := range r.calls {
			if diff := cmp.Diff(want, c.recs); diff != "" && len(want)+len(c.recs) > 0 {
				t.Fatalf("call %d (-want +got):\n%s", i+1, diff)
			}
			want = p.pending(c)
			if i > 0 && len(c.recs) == 0 {
				t.Fatalf("call %d is empty", i+1)
			}
		}
	})
}

// What Attempt is told counts for the latest call, so one told too late is
// missing at the call it belongs to.
func TestEveryAttemptIsToldBeforeTheNext(t *testing.T) {
	holds(t, func(t *rapid.T, _ play, r *run) {
		for i, c := range r.calls {
			if !c.told || fmt.Sprint(c.toldRecs, c.toldOut) != fmt.Sprint(c.recs, c.out) {
				t.Fatalf("call %d: told %v of %v\nwant %v", i+1, c.told, c.toldOut, c.out)
			}
		}
	})
}

func TestAttemptsAreBoundedAndUsed(t *testing.T) {
	holds(t, func(t *rapid.T, p play, r *run) {
		n := len(r.calls)
		if n > p.o.Attempts {
			t.Fatalf("%d attempts, at most %d", n, p.o.Attempts)
		}
		if r.err == nil && n < p.o.Attempts && len(p.pending(r.calls[n-1])) > 0 {
			t.Fatalf("gave up after %d of %d attempts with %v", n, p.o.Attempts, r.out)
		}
	})
}

func TestErrorsEndThePut(t *testing.T) {
	holds(t, func(t *rapid.T, p play, r *run) {
		n := len(r.calls)
		var want error
		switch {
		case p.journal == n:
			want = errJournal
		case p.fatal == n:
			want = errFatal
		case r.err != nil && p.stop > 0:
			want = errStop
		}
		if !errors.Is(r.err, want) || p.fatal > 0 && n > p.fatal || p.journal > 0 && n > p.journal {
			t.Fatalf("call %d: got %v, want %v (fatal at %d, journal at %d)", n, r.err, want, p.fatal, p.journal)
		}
	})
}

func TestCancelledBackoffReturnsAtOnceWithTheCause(t *testing.T) {
	holds(t, func(t *rapid.T, p play, r *run) {
		last := r.calls[len(r.calls)-1]
		if errors.Is(r.err, errStop) && r.end != max(p.stop, last.end) {
			t.Fatalf("stopped at %v, last call ended at %v, returned at %v", p.stop, last.end, r.end)
		}
		if p.stop > 0 && len(r.calls) > 1 && last.begin > p.stop {
			t.Fatalf("stopped at %v, sent again at %v", p.stop, last.begin)
		}
	})
}

func TestBackoffIsBounded(t *testing.T) {
	holds(t, func(t *rapid.T, p play, r *run) {
		for n := 1; n < len(r.calls); n++ {
			gap, bound := r.calls[n].begin-r.calls[n-1].end, min(p.o.Base<<n, p.o.Most)
			if gap < 0 || gap >= bound {
				t.Fatalf("after attempt %d waited %v, want [0, %v)", n, gap, bound)
			}
		}
	})
}

// The whole range is used, and it doubles.
func TestBackoffIsSpread(t *testing.T) {
	const base, plays, attempts = 10 * time.Millisecond, 500, 5
	synctest.Test(t, func(t *testing.T) {
		p := play{fates: [][]record.Fate{slices.Repeat([]record.Fate{record.Refused}, attempts)}}
		p.o = stream.RetryOptions{Base: base, Most: time.Hour, Attempts: attempts}
		var gaps [attempts][]time.Duration
		for range plays {
			r := p.perform(t.Context())
			for n := 1; n < attempts; n++ {
				gaps[n] = append(gaps[n], r.calls[n].begin-r.calls[n-1].end)
			}
		}
		for n := 1; n < attempts; n++ {
			low, high, bound := slices.Min(gaps[n]), slices.Max(gaps[n]), base<<n
			if low > bound/20 || high < bound*19/20 {
				t.Errorf("backoff %d of %d plays: got %v to %v, want nearly 0 to %v", n, plays, low, high, bound)
			}
		}
	})
}

// The defaults of the comment: 50 attempts, 50 ms, 5 s; no Attempt is no harm.
func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		never := sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
			at = append(at, time.Now())
			return []record.Outcome{{ID: recs[0].ID, Code: strconv.Itoa(len(at))}}, nil
		})
		out, err := stream.Retry(never, stream.RetryOptions{}).Put(t.Context(), streamtest.Records(0, 1, 20))
		if err != nil || len(at) != 50 || len(out) != 1 || out[0].Code != "50" {
			t.Fatalf("got %v, %v after %d attempts, want the outcome of attempt 50", out, err, len(at))
		}
		for n := 1; n < len(at); n++ {
			if gap, bound := at[n].Sub(at[n-1]), min(50*time.Millisecond<<min(n, 20), 5*time.Second); gap < 0 || gap >= bound {
				t.Errorf("backoff %d: %v, want [0, %v)", n, gap, bound)
			}
		}
		if took := at[49].Sub(at[0]); took < 30*time.Second {
			t.Errorf("50 attempts took %v: the backoff does not grow to 5 s", took)
		}
	})
}

// memory stores two records of three, whatever comes.
// A request that is too large is halved until it fits, and no record is sent
// again that was taken.
func TestTooLargeRequestsAreHalved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fits, n := rapid.IntRange(1, 40).Draw(t, "fits"), rapid.IntRange(1, 100).Draw(t, "records")
		recs := streamtest.Records(0, n, 60)
		taken := map[record.ID]int{}
		var sizes []int
		most := 0
		sink := sinkFunc(func(_ context.Context, recs []record.Record) ([]record.Outcome, error) {
			sizes = append(sizes, len(recs))
			out := make([]record.Outcome, len(recs))
			for i, r := range recs {
				out[i] = record.Outcome{ID: r.ID, Fate: record.Acked, Shard: "0"}
				if len(recs) > fits {
					out[i] = record.Outcome{ID: r.ID, Fate: record.Refused, Code: "too-large", Err: fmt.Errorf("413: %w", stream.ErrTooLarge)}
					continue
				}
				taken[r.ID]++
				most = max(most, len(recs))
			}
			return out, nil
		})
		out, err := stream.Retry(sink, stream.RetryOptions{Base: 1}).Put(context.Background(), recs)
		if err != nil || streamtest.Fates(out)[record.Acked] != n || len(taken) != n {
			t.Fatalf("%v, %v, %d taken, want %d acked", err, streamtest.Fates(out), len(taken), n)
		}
		for i, r := range recs {
			if taken[r.ID] != 1 || out[i].ID != r.ID {
				t.Fatalf("%v was taken %d times, its outcome is of %v", r.ID, taken[r.ID], out[i].ID)
			}
		}
		if most < min(fits, n)/2 {
			t.Fatalf("of requests of %v records the largest taken has %d, %d fit", sizes, most, fits)
		}
	})
}

type memory struct {
	mu     sync.Mutex
	calls  int
	stored int
}

func (m *memory) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]record.Outcome, len(recs))
	for i, r := range recs {
		m.calls++
		switch {
		case ctx.Err() != nil:
			out[i] = record.Outcome{ID: r.ID, Fate: record.Refused, Code: "canceled", Err: ctx.Err()}
		case m.calls%3 == 0:
			out[i] = record.Outcome{ID: r.ID, Fate: record.Refused, Code: "throttled", Err: errStop}
		default:
			m.stored++
			out[i] = record.Outcome{ID: r.ID, Fate: record.Acked, Shard: "0"}
		}
	}
	return out, nil
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stored
}

func TestRetryIsASink(t *testing.T) {
	for name, wrap := range map[string]func(stream.Sink) stream.Sink{
		"bare":  func(s stream.Sink) stream.Sink { return s },
		"retry": func(s stream.Sink) stream.Sink { return stream.Retry(s, stream.RetryOptions{Base: time.Microsecond}) },
	} {
		t.Run(name, func(t *testing.T) {
			streamtest.Sink(t, func(*testing.T) (stream.Sink, func() int) {
				m := new(memory)
				return wrap(m), m.count
			})
		})
	}
}

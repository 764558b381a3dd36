package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
)

// streamStage is the stream that a run was sent to, read back.
const streamStage = "stream"

// way is the stages in the order in which records come through them.
var way = []string{streamStage, rawStage, tableStage}

// streamQuiet is how long after the push a stream is read once more at the
// latest: an acked record is there to be read within a second or so.
const streamQuiet = 10 * time.Second

// streamsIn are the streams that the path of the stage names, one or several with
// commas between; {log_type} in a name makes it one for each log type.
func (r *Result) streamsIn(path string) (names []string, err error) {
	for name := range strings.SplitSeq(path, ",") {
		list, _, fault := Streams(r.Plan, name)
		names, err = append(names, list...), errors.Join(err, fault)
	}
	return names, err
}

// Tailing says what is read back of streams.
type Tailing struct {
	Streams  []string
	Endpoint string    // where they answered the push; empty: AWS
	Since    time.Time // the beginning of the push
	Share    float64   // of what shards give to all their consumers; 0: not said
}

// readShare is how much of what shards give the scenario lets reading back take.
func (j *Job) readShare() float64 {
	return float64(j.stage(streamStage).Share) / float64(scenario.Whole)
}

var errNoTail = errors.New("nothing here reads streams back; leave the stage out")

// tailed is the source of the stage stream.
type tailed struct {
	tail   stream.Tail
	closer io.Closer
	count  func(stream.Entry) (ours bool, err error)

	open func() (stream.Tail, io.Closer, error)
	// enough says whether all of the run is there that ever will be, when the
	// stream was read to its tip then.
	enough func(asked time.Time) bool
	// next says when what was read is to be saved, which put does while nothing is
	// read. nil: never.
	next func() time.Time
	put  func() error

	mu     sync.Mutex
	came   int   // entries of one poll that were ours
	bytes  int64 // of all entries
	shards int
	asked  time.Time // when the last poll that read to the tip began
	newest time.Time // entry of anybody's
	fail   error     // it could not be opened again
	past   error     // what came since asked is not kept any more, but enough was read before
	torn   bool      // what was read is of no use for the next verify
}

// tailed opens the streams of the stage.
func (w *waiting) tailed(ctx context.Context, v *verifier) (*tailed, error) {
	t := &tailed{closer: io.NopCloser(nil), count: v.entries()}
	if v.cfg.Tail == nil {
		return t, errNoTail
	}
	m := v.res.Ledger.Manifest
	names, err := v.res.streamsIn(v.stage.Path)
	if err != nil {
		return t, err
	}
	t.enough = func(asked time.Time) bool {
		return w.over && !asked.Before(w.res.Ledger.Ended.Add(w.quietOf(v)))
	}
	t.open = func() (stream.Tail, io.Closer, error) {
		return v.cfg.Tail(ctx, Tailing{Streams: names, Endpoint: m.Endpoint, Since: m.Started, Share: v.res.Job.readShare()})
	}
	tail, closer, err := t.open()
	if err != nil {
		return t, err
	}
	t.tail, t.closer = tail, closer
	return t, nil
}

// poll reads the streams to their tips. When the newest record of the run came
// says nothing: other producers' records come all the time.
func (t *tailed) poll(ctx context.Context) (news, error) {
	if t.fail != nil || t.past != nil {
		return news{asked: t.asked}, t.fail
	}
	t.came = 0
	n, tip, err := t.read(ctx)
	n.came = t.came
	switch {
	case errors.Is(err, stream.ErrAnother):
		n.changed = err.Error()
		return n, nil
	case errors.Is(err, stream.ErrTrimmed) && !t.asked.IsZero() && t.enough(t.asked):
		t.past, t.torn = err, true
		return news{asked: t.asked}, nil
	case err != nil:
		return n, err
	}
	t.asked, t.shards = n.asked, tip.Shards
	if tip.Newest.After(t.newest) {
		t.newest = tip.Newest
	}
	return n, nil
}

// errSave ends a Read so that what it has given is saved.
var errSave = errors.New("what was read is to be saved")

// read reads to the tips. A stream that takes hours is saved meanwhile.
func (t *tailed) read(ctx context.Context) (n news, tip stream.Tip, err error) {
	for {
		within, stop := ctx, context.CancelFunc(func() {})
		if t.next != nil {
			within, stop = context.WithDeadlineCause(ctx, t.next(), errSave)
		}
		n.asked = time.Now()
		tip, err = t.tail.Read(within, t.take)
		saving := err != nil && ctx.Err() == nil && errors.Is(context.Cause(within), errSave)
		stop()
		if !saving || t.tail.Marks() == nil {
			return n, tip, err
		}
		if err := t.put(); err != nil {
			return n, tip, err
		}
	}
}

func (t *tailed) take(e stream.Entry) error {
	ours, err := t.count(e)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += int64(len(e.Data))
	if ours {
		t.came++
	}
	return err
}

// forget opens the streams again: a Tail gives each entry once.
func (t *tailed) forget() {
	_ = t.closer.Close() // of connections
	t.shards, t.bytes, t.asked, t.newest, t.past, t.torn = 0, 0, time.Time{}, time.Time{}, nil, false
	if t.tail, t.closer, t.fail = t.open(); t.fail != nil {
		t.closer = io.NopCloser(nil)
	}
}

// A tailMark is how far the streams were read, and what that was.
type tailMark struct {
	Marks  []stream.Mark `json:"marks"`
	Shards int           `json:"shards"`
	Bytes  int64         `json:"bytes"`
	Asked  time.Time     `json:"asked"`
}

func (t *tailed) kept() bool {
	return t.tail != nil && t.fail == nil && !t.torn && t.tail.Marks() != nil
}

func (t *tailed) fill(s *state) {
	s.Newest = t.newest
	s.Tail = &tailMark{Marks: t.tail.Marks(), Shards: t.shards, Bytes: t.bytes, Asked: t.asked}
}

// save and restore have nothing to add to that.
func (t *tailed) save(io.Writer) error { return nil }

func (t *tailed) restore(io.Reader) error { return nil }

func (t *tailed) goOn(s state) error {
	if s.Tail == nil {
		return fmt.Errorf("%w: it does not say how far the stream was read", errUnfit)
	}
	t.shards, t.bytes, t.asked, t.newest = s.Tail.Shards, s.Tail.Bytes, s.Tail.Asked, s.Newest
	t.tail.Resume(s.Tail.Marks)
	return nil
}

func (t *tailed) restored() string {
	return fmt.Sprintf("what an earlier verify had read of %d shards was not read again; --afresh reads it", t.shards)
}

func (t *tailed) widen() bool { return false }

func (t *tailed) Close() error { return t.closer.Close() }

// entries returns what counts an entry of a stream, and says whether it is of
// this run. What the Kinesis Producer Library packs is none of it: kreplay packs
// nothing. It is safe for concurrent use.
func (v *verifier) entries() func(stream.Entry) (ours bool, err error) {
	return func(e stream.Entry) (bool, error) {
		r, _ := v.readers.Get().(*reader)
		defer v.readers.Put(r)
		r.scratch.Causes = v.cause
		m := v.rules.Identify(bytes.TrimSuffix(e.Data, []byte("\n")), generate.AsSent, &r.scratch)
		came := e.Arrived.UnixMilli()
		r.batch.Begin(v.acc, account.Place{Object: e.Stream + "/" + e.Shard, At: came})
		v.soFar.add(r.batch.See(m, came))
		v.soFar.add(r.batch.Flush())
		v.bytes.Add(int64(len(e.Data)))
		v.latest(e.Arrived)
		return m.Kind != generate.Foreign, nil
	}
}

package replay

import (
	"bytes"
	"context"
	"errors"
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
	read   func(stream.Entry) (ours bool, err error)

	mu     sync.Mutex
	came   int
	shards int
	bytes  int64
}

// tailed opens the streams of the stage.
func (v *verifier) tailed(ctx context.Context) (*tailed, error) {
	t := &tailed{closer: io.NopCloser(nil), read: v.entries()}
	if v.cfg.Tail == nil {
		return t, errNoTail
	}
	m := v.res.Ledger.Manifest
	names, err := v.res.streamsIn(v.stage.Path)
	if err != nil {
		return t, err
	}
	tail, closer, err := v.cfg.Tail(ctx, Tailing{Streams: names, Endpoint: m.Endpoint, Since: m.Started, Share: v.res.Job.readShare()})
	if err != nil {
		return t, err
	}
	t.tail, t.closer = tail, closer
	return t, nil
}

// poll reads the streams to their tips. When the newest record of the run came
// says nothing: other producers' records come all the time.
func (t *tailed) poll(ctx context.Context) (news, error) {
	n := news{asked: time.Now()}
	t.came = 0
	tip, err := t.tail.Read(ctx, func(e stream.Entry) error {
		ours, err := t.read(e)
		if ours {
			t.mu.Lock()
			t.came++
			t.mu.Unlock()
		}
		return err
	})
	n.came, t.shards = t.came, tip.Shards
	t.bytes += int64(tip.Bytes)
	return n, err
}

// forget is not needed: what was read of a stream is there for good.
func (t *tailed) forget() {}

func (t *tailed) widen() bool { return false }

func (t *tailed) Close() error { return t.closer.Close() }

// entries returns what counts an entry of a stream, and says whether it is of
// this run. What the Kinesis Producer Library packs is none of it: kreplay packs
// nothing. It is safe for concurrent use.
func (v *verifier) entries() func(stream.Entry) (ours bool, err error) {
	pool := sync.Pool{New: func() any { return new(generate.Scratch) }}
	return func(e stream.Entry) (bool, error) {
		scratch := pool.Get().(*generate.Scratch)
		defer pool.Put(scratch)
		scratch.Causes = v.cause
		m := v.rules.Identify(bytes.TrimSuffix(e.Data, []byte("\n")), generate.AsSent, scratch)
		came := e.Arrived.UnixMilli()
		if extra := v.acc.See(m, account.Place{Object: e.Stream + "/" + e.Shard, Offset: came, At: came}); m.Kind == generate.Planned {
			v.soFar.add(m.Intact, extra)
		}
		v.bytes.Add(int64(len(e.Data)))
		v.latest(e.Arrived)
		return m.Kind != generate.Foreign, nil
	}
}

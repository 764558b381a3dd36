package kinesis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/sync/errgroup"

	"kreplay/pkg/stream"
)

// What a shard gives to all its consumers together (API_GetRecords).
const (
	readCalls = 5       // a second
	readBytes = 2 << 20 // a second
)

// pageRecords is how many records are asked for at a time. A call may have
// 10,000; fewer keep an answer below the bytes after which a shard is silent
// for seconds.
const pageRecords = 2000

// clockSkew is how far the clock that stamped a run's start may be ahead of the
// service's: what arrived shortly before is read too.
const clockSkew = time.Minute

// TailOptions shape a Tail. The zero value is usable.
type TailOptions struct {
	Share    float64       // of what a shard gives to all consumers, calls and bytes, that is used; +Inf: no bound; 0: half
	Requests int           // in flight; each holds an answer of up to 10 MiB; 0: 4
	Patience time.Duration // a shard that gave nothing but errors for so long ends the reading; 0: 2 min
}

// A Tail reads the stream of a Client, all shards of it, as a [stream.Tail].
type Tail struct {
	c     *Client
	o     TailOptions
	since time.Time
	slots chan struct{} // requests in flight

	info  Info      // as the stream was at the beginning of Read
	known time.Time // what a shard took that is new to a Read came after

	was  *stream.Mark // where reading goes on; nil: some of it was read since
	torn bool         // an entry was given in vain

	mu     sync.Mutex
	shards map[string]*cursor
	tip    stream.Tip
}

var _ stream.Tail = (*Tail)(nil)

// Tail returns a Tail of what came at since or later, and up to a minute before.
func (c *Client) Tail(since time.Time, o TailOptions) *Tail {
	if o.Share == 0 {
		o.Share = 0.5
	}
	if o.Requests == 0 {
		o.Requests = 4
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Minute
	}
	return &Tail{c: c, o: o, since: since, slots: make(chan struct{}, o.Requests), shards: map[string]*cursor{}}
}

// Read implements [stream.Tail]. Shards that a reshard made are read as they come up.
func (t *Tail) Read(ctx context.Context, take func(stream.Entry) error) (stream.Tip, error) {
	began := time.Now()
	list, err := t.open(ctx)
	if err != nil {
		return stream.Tip{}, err
	}
	if t.tip = (stream.Tip{}); t.known.IsZero() {
		t.known = t.from()
	}
	g, ctx := errgroup.WithContext(ctx)
	var follow func(id, first string)
	follow = func(id, first string) {
		s, fresh := t.cursor(id, first, began)
		if !fresh {
			return
		}
		g.Go(func() error {
			heirs, err := t.follow(ctx, s, began, take)
			for _, heir := range heirs {
				follow(heir, "")
			}
			return err
		})
	}
	for _, s := range list {
		follow(aws.ToString(s.ShardId), firstOf(s))
	}
	if err := g.Wait(); err != nil {
		return stream.Tip{}, err
	}
	t.tip.Shards, t.known = len(t.shards), began
	return t.tip, nil
}

// open lists the shards that were open since the beginning, or are now.
func (t *Tail) open(ctx context.Context) (list []types.Shard, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.c.timeout)
	defer cancel()
	if t.info, err = t.c.summary(ctx); err != nil {
		return nil, err
	}
	if err := t.another(); err != nil {
		return nil, err
	}
	if t.info.Created.After(t.since.Add(clockSkew)) {
		return nil, fmt.Errorf("stream %q was created at %s, after what is looked for: %w", t.c.stream, t.info.Created.UTC().Format(time.RFC3339), stream.ErrTrimmed)
	}
	filter := types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: aws.Time(t.from())}
	if list, err = t.c.list(ctx, filter); err == nil {
		err = t.goesOn(list)
	}
	if err == nil {
		t.was = nil
	}
	return list, err
}

// from is the time from which on shards are read: not before there was a stream.
func (t *Tail) from() time.Time {
	from := t.since.Add(-clockSkew)
	if t.info.Created.After(from) {
		return t.info.Created
	}
	return from
}

// cursor is where reading goes on in a shard. fresh: nobody in the Read that
// began then follows it yet.
func (t *Tail) cursor(id, first string, began time.Time) (s *cursor, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s = t.shards[id]
	if s == nil {
		s = &cursor{id: id, read: t.known}
		t.shards[id] = s
	}
	if first != "" {
		s.first = first
	}
	fresh = !s.followed.Equal(began)
	s.followed = began
	return s, fresh
}

// follow reads a shard to its tip, or to its end: then its heirs are told.
func (t *Tail) follow(ctx context.Context, s *cursor, began time.Time, take func(stream.Entry) error) (heirs []string, err error) {
	for !s.ended {
		out, err := t.page(ctx, s, take)
		if err != nil {
			return nil, err
		}
		behind := s.advance(out)
		if s.ended {
			for _, c := range out.ChildShards {
				heirs = append(heirs, aws.ToString(c.ShardId))
			}
		}
		// What arrives while a busy stream is read has no end: its tip is where it was when Read began.
		if behind == 0 || s.read.After(began.Add(time.Second)) {
			break
		}
	}
	return heirs, nil
}

// page reads once, with as many tries as it takes.
func (t *Tail) page(ctx context.Context, s *cursor, take func(stream.Entry) error) (*sdk.GetRecordsOutput, error) {
	for tries := 0; ; tries++ {
		if err := pause(ctx, time.Until(s.free)); err != nil {
			return nil, err
		}
		out, err := t.try(ctx, s, take)
		if err == nil {
			s.failing = time.Time{}
			return out, nil
		}
		if s.failing.IsZero() {
			s.failing = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !passes(err):
			return nil, err
		case time.Since(s.failing) > t.o.Patience:
			return nil, fmt.Errorf("shard %s gave nothing for %v; are there other consumers that take all it can give?: %w", s.id, t.o.Patience, t.c.reading(cause(err)))
		}
		s.free = time.Now().Add(s.backoff(err, tries))
	}
}

// try makes one call, and another one for an iterator if it needs one.
func (t *Tail) try(ctx context.Context, s *cursor, take func(stream.Entry) error) (*sdk.GetRecordsOutput, error) {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if kept := t.info.Retention; kept > 0 && time.Since(s.read) > kept {
		return nil, fmt.Errorf("stream %q keeps records for %v, and what came to shard %s since %s has not been read: %w", t.c.stream, kept, s.id, s.read.UTC().Format(time.RFC3339), stream.ErrTrimmed)
	}
	if s.iterator == nil {
		if err := t.iterate(ctx, s); err != nil {
			return nil, err
		}
	}
	var out *sdk.GetRecordsOutput
	s.asked = time.Now()
	err := t.call(ctx, func(ctx context.Context) (err error) {
		out, err = t.c.api.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: s.iterator, Limit: aws.Int32(pageRecords)})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, t.give(s, out, take)
}

// give hands an answer over and says when the shard may be asked again.
func (t *Tail) give(s *cursor, out *sdk.GetRecordsOutput, take func(stream.Entry) error) error {
	var bytes uint64
	var newest time.Time
	for i := range out.Records {
		r := &out.Records[i]
		e := stream.Entry{
			Data: r.Data, Stream: t.c.stream, Key: aws.ToString(r.PartitionKey), Shard: s.id, Sequence: aws.ToString(r.SequenceNumber), Arrived: aws.ToTime(r.ApproximateArrivalTimestamp),
		}
		if err := take(e); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.torn = true
			return err
		}
		bytes += uint64(len(r.Data))
		if e.Arrived.After(newest) {
			newest = e.Arrived
		}
	}
	s.free = time.Now().Add(time.Duration(max(1/(readCalls*t.o.Share), float64(bytes)/(readBytes*t.o.Share)) * float64(time.Second)))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tip.Entries += uint64(len(out.Records))
	t.tip.Bytes += bytes
	if newest.After(t.tip.Newest) {
		t.tip.Newest = newest
	}
	return nil
}

// iterate asks for the place where reading goes on.
func (t *Tail) iterate(ctx context.Context, s *cursor) error {
	in := &sdk.GetShardIteratorInput{StreamName: &t.c.stream, ShardId: &s.id}
	if s.last == "" {
		in.ShardIteratorType, in.Timestamp = types.ShardIteratorTypeAtTimestamp, aws.Time(t.from())
	} else {
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &s.last
	}
	forgotten := false
	err := t.call(ctx, func(ctx context.Context) error {
		out, err := t.c.api.GetShardIterator(ctx, in)
		if err == nil {
			s.iterator = out.ShardIterator
		}
		forgotten = s.last != "" && codeOf(err) == "InvalidArgumentException"
		return err
	})
	if forgotten {
		return fmt.Errorf("stream %q does not know the record of shard %s any more that was read last: %w", t.c.stream, s.id, stream.ErrTrimmed)
	}
	return err
}

// call makes a call in the time that one has, and again with newer credentials
// when those it was made with had expired.
func (t *Tail) call(ctx context.Context, make func(context.Context) error) error {
	for {
		age := t.c.keys.age()
		within, cancel := context.WithTimeout(ctx, t.c.timeout)
		err := make(within)
		cancel()
		switch {
		case err == nil:
			t.c.keys.accepted()
			return nil
		case expired(err) && t.c.keys.expired(age):
		case transient(err):
			return passing{err}
		default:
			return t.c.reading(err)
		}
	}
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

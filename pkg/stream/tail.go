package stream

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// ErrTrimmed reports that a stream does not hold all that came since the time
// from which it is read: what is absent from it proves nothing.
var ErrTrimmed = errors.New("the stream does not keep records for long enough")

// An Entry is a record as a stream holds it.
type Entry struct {
	Data     []byte // valid until take returns
	Stream   string // its name
	Key      string // partition key
	Shard    string // id
	Sequence string // unique in the stream, increasing in its shard
	Arrived  time.Time
}

// A Tail reads a stream from a time on. It is used by one goroutine.
type Tail interface {
	// Read gives take what came since the Read before, each entry once, and
	// returns when it has been at the tip of every shard. A shard's entries come
	// in order; take is called for several shards at once. An entry that take
	// had an error for may be lost: a Tail whose Read failed is not used again.
	// ErrTrimmed: some of what came is not kept any more.
	Read(ctx context.Context, take func(Entry) error) (Tip, error)
}

// A Tip says what a Read found.
type Tip struct {
	Shards  int    // that were open at some time since the first one
	Entries uint64 // new ones
	Bytes   uint64 // of their data
	Newest  time.Time
}

// Tails are several streams read as one, at the same time.
type Tails []Tail

// Read implements [Tail].
func (all Tails) Read(ctx context.Context, take func(Entry) error) (Tip, error) {
	tips := make([]Tip, len(all))
	g, ctx := errgroup.WithContext(ctx)
	for i, t := range all {
		g.Go(func() (err error) {
			tips[i], err = t.Read(ctx, take)
			return err
		})
	}
	err := g.Wait()
	var sum Tip
	for _, tip := range tips {
		sum.Shards += tip.Shards
		sum.Entries += tip.Entries
		sum.Bytes += tip.Bytes
		if tip.Newest.After(sum.Newest) {
			sum.Newest = tip.Newest
		}
	}
	return sum, err
}

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

// ErrAnother reports that a stream is not the one that marks were made of, though
// it is called so: it was deleted and made anew, or is another account's.
var ErrAnother = errors.New("it is another stream of the same name")

// A Mark is how far a stream has been read.
type Mark struct {
	Stream  string      `json:"stream"`
	Created time.Time   `json:"created"` // of the stream; zero: the service does not say
	Known   time.Time   `json:"known"`   // what a shard took that is not in Shards came after; zero: no Read has ended
	Shards  []ShardMark `json:"shards"`
}

// A ShardMark is how far a shard has been read.
type ShardMark struct {
	ID    string    `json:"id"`
	First string    `json:"first"` // sequence number with which it begins; empty: not known
	Last  string    `json:"last"`  // sequence number read last; empty: none
	Read  time.Time `json:"read"`  // what arrived before has been read
	Ended bool      `json:"ended"` // it is closed and read to its end
}

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
	// had an error for may be lost: a Tail whose Read failed is not used again, unless
	// it ended because ctx did; then the next one goes on where it was.
	// ErrTrimmed: some of what came is not kept any more.
	Read(ctx context.Context, take func(Entry) error) (Tip, error)
	// Marks says how far has been read, to the entry: also after a Read that ended with
	// its ctx, and not while one goes on. nil: nobody can go on from here.
	Marks() []Mark
	// Resume makes the first Read begin behind marks, as if this Tail had read what
	// is before them. Those of other streams are ignored. Where the stream is not
	// the one that they were made of that Read returns ErrAnother.
	Resume(marks []Mark)
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

// Marks implements [Tail].
func (all Tails) Marks() (marks []Mark) {
	for _, t := range all {
		more := t.Marks()
		if more == nil {
			return nil
		}
		marks = append(marks, more...)
	}
	return marks
}

// Resume implements [Tail].
func (all Tails) Resume(marks []Mark) {
	for _, t := range all {
		t.Resume(marks)
	}
}

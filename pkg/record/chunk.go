package record

import (
	"sync"
	"sync/atomic"
)

// ChunkSize is how much data is allocated at once.
const ChunkSize = 256 << 10

// A Chunk is memory that the data of many records lies in. Its maker is one
// user and each of these records is another. The last one who lets go gives it
// to whoever makes records next; one who never does costs a chunk, not a record.
type Chunk struct {
	Bytes []byte // of length 0, for the maker
	users atomic.Int64
}

var chunks = sync.Pool{New: func() any { return &Chunk{Bytes: make([]byte, 0, ChunkSize)} }}

// NewChunk returns a chunk of ChunkSize bytes that has its maker for a user.
func NewChunk() *Chunk {
	c := chunks.Get().(*Chunk)
	c.users.Store(maker)
	return c
}

// maker stands for more records than a chunk can hold, so that the maker counts
// them only once.
const maker = 1 << 32

// Made is the maker's letting go: n records lie in c, of which some may be done.
func (c *Chunk) Made(n int) { c.Done(maker - n) }

// Done says that nobody will read the data of n records any more. A nil chunk is none.
func (c *Chunk) Done(n int) {
	if c == nil {
		return
	}
	switch left := c.users.Add(int64(-n)); {
	case left == 0:
		chunks.Put(c)
	case left < 0:
		panic("record: a chunk has been let go of more often than it had records")
	}
}

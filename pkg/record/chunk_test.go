package record_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

// What was written into a chunk stays until its last record is done and its
// maker has let go, in whatever order that happens.
func TestChunkStaysUntilDone(t *testing.T) {
	type chunk struct {
		*record.Chunk
		data          []byte
		mark          byte
		records, done int
		made          bool
	}
	rapid.Check(t, func(t *rapid.T) {
		var live []*chunk
		for mark := range byte(rapid.IntRange(1, 100).Draw(t, "steps")) {
			if len(live) == 0 || rapid.Bool().Draw(t, "new") {
				c := &chunk{Chunk: record.NewChunk(), mark: mark, records: rapid.IntRange(1, 3).Draw(t, "records")}
				c.data = append(c.Bytes, bytes.Repeat([]byte{mark}, 9)...)
				live = append(live, c)
				continue
			}
			i := rapid.IntRange(0, len(live)-1).Draw(t, "which")
			c := live[i]
			if c.done == c.records || !c.made && rapid.Bool().Draw(t, "made") {
				c.Made(c.records)
				c.made = true
			} else {
				c.Done(1)
				c.done++
			}
			if c.made && c.done == c.records {
				live = append(live[:i], live[i+1:]...)
			}
			for _, c := range live {
				if bytes.Count(c.data, []byte{c.mark}) != 9 {
					t.Fatalf("a chunk in use holds %v, want %d", c.data, c.mark)
				}
			}
		}
	})
}

// To let go twice is a fault that is not passed over.
func TestChunkCountsDone(t *testing.T) {
	c := record.NewChunk()
	c.Done(1)
	defer func() {
		if recover() == nil {
			t.Error("two records are done, of one")
		}
	}()
	c.Done(1)
	c.Made(1)
}

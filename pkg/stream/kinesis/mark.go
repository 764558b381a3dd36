package kinesis

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/stream"
)

// Marks implements [stream.Tail].
func (t *Tail) Marks() []stream.Mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.torn {
		return nil
	}
	m := stream.Mark{Stream: t.c.stream, Created: t.info.Created, Known: t.known}
	if t.was != nil { // nothing was read since
		return []stream.Mark{*t.was}
	}
	for _, id := range slices.Sorted(maps.Keys(t.shards)) {
		s := t.shards[id]
		m.Shards = append(m.Shards, stream.ShardMark{ID: id, First: s.first, Last: s.last, Read: s.read, Ended: s.ended})
	}
	return []stream.Mark{m}
}

// Resume implements [stream.Tail]. Times of a mark are another machine's.
func (t *Tail) Resume(marks []stream.Mark) {
	for _, m := range marks {
		if m.Stream != t.c.stream || len(m.Shards) == 0 {
			continue
		}
		t.was = &m
		if !m.Known.IsZero() {
			t.known = m.Known.Add(-clockSkew)
		}
		for _, s := range m.Shards {
			t.shards[s.ID] = &cursor{id: s.ID, first: s.First, last: s.Last, read: s.Read.Add(-clockSkew), ended: s.Ended}
		}
	}
}

// another says whether the stream was made at another time than the one that marks
// are of.
func (t *Tail) another() error {
	if t.was == nil || t.was.Created.Equal(t.info.Created) {
		return nil
	}
	return fmt.Errorf("stream %q was created at %v, and the one that was read at %v: %w", t.c.stream, t.info.Created.UTC(), t.was.Created.UTC(), stream.ErrAnother)
}

// goesOn says whether the shards are those of the marks, and whether those that
// were not read to their end are still there.
func (t *Tail) goesOn(list []types.Shard) error {
	if t.was == nil {
		return nil
	}
	begins := map[string]string{}
	for _, s := range list {
		begins[aws.ToString(s.ShardId)] = firstOf(s)
	}
	sure := !t.was.Created.IsZero()
	var gone string
	for _, s := range t.was.Shards {
		first, listed := begins[s.ID]
		switch {
		case !listed && !s.Ended:
			gone = s.ID
		case first != "" && s.First != "" && first != s.First:
			return fmt.Errorf("shard %s of stream %q begins with %s, and the one that was read with %s: %w", s.ID, t.c.stream, first, s.First, stream.ErrAnother)
		case first != "" && s.First != "":
			sure = true
		}
	}
	switch {
	case !sure:
		return fmt.Errorf("stream %q: the service tells neither when it was created nor how its shards begin, so nobody knows whether it is the one that was read: %w", t.c.stream, stream.ErrAnother)
	case gone != "":
		return fmt.Errorf("stream %q has no shard %s any more, which had not been read to its end: %w", t.c.stream, gone, stream.ErrTrimmed)
	}
	return nil
}

// firstOf is the sequence number with which a shard begins; empty: the service
// does not say.
func firstOf(s types.Shard) string {
	if s.SequenceNumberRange == nil {
		return ""
	}
	return aws.ToString(s.SequenceNumberRange.StartingSequenceNumber)
}

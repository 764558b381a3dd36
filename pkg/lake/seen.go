package lake

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"

	"kreplay/pkg/object"
)

// Seen remembers objects with their ETags, so that each is read once however
// often it is listed. It holds 16 bytes an object, in a map that takes 20 to 40:
// at most 40 MB for a million. The zero value remembers none. It is for one
// goroutine.
//
// Keys and ETags are remembered by 64 bits of a hash. Among a million keys two
// have the same in one listing of 40 million; they look like one object that is
// replaced, and are never taken for one that was read before.
type Seen struct{ tags map[uint64]uint64 }

// Look says whether an object is to be read, and whether another one was added
// under its key before.
func (s *Seen) Look(info object.Info) (fresh, replaced bool) {
	tag, known := s.tags[hashed(info.Key)]
	if !known {
		return true, false
	}
	replaced = tag != tagged(info)
	return replaced, replaced
}

// Add remembers an object in place of the one under its key.
func (s *Seen) Add(info object.Info) {
	if s.tags == nil {
		s.tags = map[uint64]uint64{}
	}
	s.tags[hashed(info.Key)] = tagged(info)
}

// Len is how many objects are remembered.
func (s *Seen) Len() int { return len(s.tags) }

func hashed(text string) uint64 { return xxh3.HashString(text) }

// tagged has the key in it as well: it differs for two keys whose hashes do not.
func tagged(info object.Info) uint64 {
	return xxh3.HashStringSeed(info.ETag, xxh3.HashStringSeed(info.Key, 1))
}

// ErrSeen is wrapped when what Save wrote cannot be read back.
var ErrSeen = errors.New("lake: the list of objects that were read is damaged")

// Save writes what is remembered; Restore reads it. It has a checksum.
func (s *Seen) Save(w io.Writer) error {
	sum := xxh3.New()
	buf := bufio.NewWriter(io.MultiWriter(w, sum))
	entry := binary.LittleEndian.AppendUint64(nil, uint64(len(s.tags)))
	_, _ = buf.Write(entry) // Flush says what goes wrong
	for key, tag := range s.tags {
		entry = binary.LittleEndian.AppendUint64(entry[:0], key)
		entry = binary.LittleEndian.AppendUint64(entry, tag)
		_, _ = buf.Write(entry)
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	_, err := w.Write(binary.LittleEndian.AppendUint64(nil, sum.Sum64()))
	return err
}

// Restore remembers what Save wrote in place of all before. Not a byte beyond it
// is read. On an error nothing is remembered.
func (s *Seen) Restore(r io.Reader) error {
	s.tags = nil
	sum := xxh3.New()
	numbers := [2]uint64{}
	read := func(n int) error {
		var b [16]byte
		if _, err := io.ReadFull(r, b[:8*n]); err != nil {
			return fmt.Errorf("%w: %w", ErrSeen, err)
		}
		_, _ = sum.Write(b[:8*n]) // a hash does not fail
		numbers = [2]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
		return nil
	}
	if err := read(1); err != nil {
		return err
	}
	tags := map[uint64]uint64{}
	for count := numbers[0]; count > 0; count-- {
		if err := read(2); err != nil {
			return err
		}
		tags[numbers[0]] = numbers[1]
	}
	want := sum.Sum64()
	if err := read(1); err != nil {
		return err
	}
	if numbers[0] != want {
		return fmt.Errorf("%w: its checksum does not fit", ErrSeen)
	}
	s.tags = tags
	return nil
}

package lake

import (
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

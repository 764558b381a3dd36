package stream

import (
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"sort"
	"unicode/utf8"

	"kreplay/pkg/record"
)

// A HashKey is a place on the ring that a stream's shards divide: 0 to 2^128-1.
type HashKey struct{ Hi, Lo uint64 }

// MaxHashKey is the last place of the ring.
var MaxHashKey = HashKey{^uint64(0), ^uint64(0)}

// Compare returns -1, 0 or 1, as cmp.Compare does.
func (h HashKey) Compare(other HashKey) int {
	return cmp.Or(cmp.Compare(h.Hi, other.Hi), cmp.Compare(h.Lo, other.Lo))
}

// String returns h in decimal, as the service writes it.
func (h HashKey) String() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], h.Hi)
	binary.BigEndian.PutUint64(b[8:], h.Lo)
	return new(big.Int).SetBytes(b[:]).String()
}

// ErrHashKey is text that is no hash key.
var ErrHashKey = errors.New("not a decimal from 0 to 2^128-1 without leading zeros")

// ParseHashKey reads what String writes.
func ParseHashKey(text string) (HashKey, error) {
	bad := text == "" || text[0] == '0' && len(text) > 1
	var h HashKey
	for i := 0; i < len(text) && !bad; i++ {
		digit := text[i] - '0'
		over, hi := bits.Mul64(h.Hi, 10)
		up, lo := bits.Mul64(h.Lo, 10)
		lo, carry := bits.Add64(lo, uint64(digit), 0)
		hi, out := bits.Add64(hi, up, carry)
		bad = digit > 9 || over+out != 0
		h = HashKey{hi, lo}
	}
	if bad {
		return HashKey{}, fmt.Errorf("hash key %q: %w", text, ErrHashKey)
	}
	return h, nil
}

// HashOf is where a partition key lies: its MD5 as a big-endian number
// (amazon-kinesis-producer, kinesis_record.cc). A byte that is no UTF-8 travels
// as U+FFFD and is hashed as that.
func HashOf(partitionKey string) HashKey {
	if !utf8.ValidString(partitionKey) {
		partitionKey = string([]rune(partitionKey))
	}
	sum := md5.Sum([]byte(partitionKey))
	return HashKey{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// PlaceOf is where r goes. An explicit hash key that is none is an error, and
// the service refuses it.
func PlaceOf(r *record.Record) (HashKey, error) {
	if r.ExplicitHashKey != "" {
		return ParseHashKey(r.ExplicitHashKey)
	}
	return HashOf(r.PartitionKey), nil
}

// A Shard takes the records whose place is from First to Last, both included.
type Shard struct {
	ID          string
	First, Last HashKey
}

// A Map says which open shard takes a record. It does not change and is safe
// for concurrent use; after a reshard there is a new one.
type Map struct {
	shards []Shard // by First
	index  map[string]int
}

// ErrShards is a list of shards that does not divide the ring, as one read in
// the middle of a reshard.
var ErrShards = errors.New("shards do not divide the ring of hash keys")

// NewMap makes a Map of a stream's open shards, which come in any order and
// together hold every place once. A place between two neighbours may be held by
// neither or by both: kinesis-mock rounds like that. Such a place belongs to the earlier
// shard if it is between, and to the later one if it is in both.
func NewMap(shards []Shard) (*Map, error) {
	m := &Map{shards: slices.Clone(shards), index: make(map[string]int, len(shards))}
	slices.SortFunc(m.shards, func(a, b Shard) int { return a.First.Compare(b.First) })
	if len(shards) == 0 {
		return nil, fmt.Errorf("no shards: %w", ErrShards)
	}
	if s := m.shards[0]; s.First != (HashKey{}) {
		return nil, fmt.Errorf("%s is the first and starts at %s: %w", s.ID, s.First, ErrShards)
	}
	for i, s := range m.shards {
		if _, twice := m.index[s.ID]; twice || s.First.Compare(s.Last) > 0 {
			return nil, fmt.Errorf("%s comes twice or ends before it starts: %w", s.ID, ErrShards)
		}
		m.index[s.ID] = i
		if i == len(shards)-1 {
			break
		}
		if next := m.shards[i+1]; !adjoin(s.Last, next.First) {
			return nil, fmt.Errorf("%s ends at %s, %s starts at %s: %w", s.ID, s.Last, next.ID, next.First, ErrShards)
		}
	}
	if s := m.shards[len(shards)-1]; s.Last != MaxHashKey {
		return nil, fmt.Errorf("%s is the last and ends at %s: %w", s.ID, s.Last, ErrShards)
	}
	return m, nil
}

// adjoin says that first is last+1, or one off that.
func adjoin(last, first HashKey) bool {
	lo, borrow := bits.Sub64(first.Lo, last.Lo, 0)
	hi, borrow := bits.Sub64(first.Hi, last.Hi, borrow)
	return borrow == 0 && hi == 0 && lo <= 2
}

// Len is the number of shards.
func (m *Map) Len() int { return len(m.shards) }

// Shard is the i-th shard in the order of the ring.
func (m *Map) Shard(i int) Shard { return m.shards[i] }

// Index is the place of a shard in the order of the ring; false: it is not open.
func (m *Map) Index(id string) (i int, open bool) {
	i, open = m.index[id]
	return i, open
}

// Find returns the index of the shard that holds h.
func (m *Map) Find(h HashKey) int {
	return sort.Search(len(m.shards), func(i int) bool { return m.shards[i].First.Compare(h) > 0 }) - 1
}

// Route returns the index of the shard that takes r; an error as of PlaceOf.
func (m *Map) Route(r *record.Record) (int, error) {
	h, err := PlaceOf(r)
	if err != nil {
		return 0, err
	}
	return m.Find(h), nil
}

// EvenMap is the map of a new stream: n shards of equal ranges, named as the
// service names them.
func EvenMap(n int) (*Map, error) {
	ring := new(big.Int).Lsh(big.NewInt(1), 128)
	start := func(i int) *big.Int {
		s := new(big.Int).Mul(ring, big.NewInt(int64(i)))
		return s.Div(s, big.NewInt(int64(n)))
	}
	shards := make([]Shard, 0, max(n, 0))
	for i := range n {
		first, err := ParseHashKey(start(i).String())
		if err != nil {
			return nil, err
		}
		last, err := ParseHashKey(new(big.Int).Sub(start(i+1), big.NewInt(1)).String())
		if err != nil {
			return nil, err
		}
		shards = append(shards, Shard{fmt.Sprintf("shardId-%012d", i), first, last})
	}
	return NewMap(shards)
}

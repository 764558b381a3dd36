package local

import (
	"crypto/md5"
	"encoding/binary"
	"math/big"
	"math/bits"
	"sort"
)

// hash is a 128-bit unsigned integer: a place on the ring of hash keys.
type hash struct{ hi, lo uint64 }

func (a hash) less(b hash) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// before is the hash below a; a is not 0.
func (a hash) before() hash {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	return hash{a.hi - borrow, lo}
}

// middle is half way from a to b, rounded up: where a split makes equal halves.
func (a hash) middle(b hash) hash {
	lo, borrow := bits.Sub64(b.lo, a.lo, 0)
	hi, _ := bits.Sub64(b.hi, a.hi, borrow)
	half := hash{hi >> 1, lo>>1 | hi<<63}
	lo, carry := bits.Add64(a.lo, half.lo, 1)
	hi, _ = bits.Add64(a.hi, half.hi, carry)
	return hash{hi, lo}
}

func (a hash) String() string {
	var n [16]byte
	binary.BigEndian.PutUint64(n[:], a.hi)
	binary.BigEndian.PutUint64(n[8:], a.lo)
	return new(big.Int).SetBytes(n[:]).String()
}

// keyHash reads the MD5 of a partition key as a big-endian integer.
func keyHash(key []byte) hash {
	sum := md5.Sum(key)
	return hash{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
}

// parseHash reads an ExplicitHashKey, decimal 0..2^128-1 without leading zeros.
func parseHash(text []byte) (h hash, ok bool) {
	if len(text) == 0 || len(text) > 39 || text[0] == '0' && len(text) > 1 {
		return hash{}, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return hash{}, false
		}
		over, hi := bits.Mul64(h.hi, 10)
		up, lo := bits.Mul64(h.lo, 10)
		lo, carry := bits.Add64(lo, uint64(c-'0'), 0)
		hi, out := bits.Add64(hi, up, carry)
		if over+out != 0 {
			return hash{}, false
		}
		h = hash{hi, lo}
	}
	return h, true
}

// starts cuts the ring into n equal ranges of 2^128/n (rounded down) and
// returns where each starts; the last one ends at 2^128-1, as in Kinesis.
func starts(n int) []hash {
	size := new(big.Int).Lsh(big.NewInt(1), 128)
	size.Div(size, big.NewInt(int64(n)))
	all := make([]hash, n)
	for i := range all {
		var b [16]byte
		new(big.Int).Mul(size, big.NewInt(int64(i))).FillBytes(b[:])
		all[i] = hash{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
	}
	return all
}

// route finds the range that holds h: the last one that does not start after it.
func route(starts []hash, h hash) int {
	return sort.Search(len(starts), func(i int) bool { return h.less(starts[i]) }) - 1
}

// last is where range i of starts ends, itself included.
func last(starts []hash, i int) hash {
	if i == len(starts)-1 {
		return hash{^uint64(0), ^uint64(0)}
	}
	return starts[i+1].before()
}

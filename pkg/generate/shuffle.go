package generate

import "math/bits"

// shuffle is a permutation of the numbers below n that looks random and is
// undone without a table: a Feistel network over the next power of four, walked
// until it lands below n again.
type shuffle struct {
	n, mask uint64
	half    int
	keys    [4]uint64
}

func newShuffle(n, seed uint64) shuffle {
	s := shuffle{n: max(n, 1)}
	s.half = (bits.Len64(s.n-1) + 1) / 2
	s.mask = 1<<s.half - 1
	for i := range s.keys {
		seed = mix(seed)
		s.keys[i] = seed
	}
	return s
}

func (s shuffle) at(x uint64) uint64 {
	for {
		l, r := x>>s.half, x&s.mask
		for _, key := range s.keys {
			l, r = r, l^mix(r^key)&s.mask
		}
		if x = l<<s.half | r; x < s.n {
			return x
		}
	}
}

// of is the inverse of at.
func (s shuffle) of(x uint64) uint64 {
	for {
		l, r := x>>s.half, x&s.mask
		for i := len(s.keys) - 1; i >= 0; i-- {
			l, r = r^mix(l^s.keys[i])&s.mask, l
		}
		if x = l<<s.half | r; x < s.n {
			return x
		}
	}
}

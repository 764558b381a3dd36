package generate

import "math/bits"

// spread maps users onto cohort positions: position = (stride·user + offset)
// mod users. The stride is near users/φ and coprime to users, so the map is a
// bijection and every run of consecutive users holds nearly the exact mix of
// cohorts: a worker's slice is as typical as the whole.
type spread struct{ users, stride, offset uint64 }

func newSpread(users, seed uint64) spread {
	if users < 2 {
		return spread{users: max(users, 1), stride: 1}
	}
	// 0.6180339887… as a 64-bit fraction; the high word of the product is users/φ.
	stride, _ := bits.Mul64(users, 0x9E3779B97F4A7C15)
	stride = max(stride, 1)
	for gcd(stride, users) != 1 {
		stride++
	}
	return spread{users: users, stride: stride, offset: mix(seed) % users}
}

func (s spread) position(user uint64) uint64 {
	hi, lo := bits.Mul64(s.stride, user)
	lo, carry := bits.Add64(lo, s.offset, 0)
	return bits.Rem64(hi+carry, lo, s.users)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// mix is the finalizer of SplitMix64: every input bit moves every output bit.
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

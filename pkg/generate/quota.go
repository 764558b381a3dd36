package generate

import (
	"iter"
	"math/big"
	"math/bits"

	"kreplay/pkg/scenario"
)

// quota picks an exact number out of the numbers below total, evenly spread.
type quota struct {
	spread  spread
	picked  uint64
	inverse uint64 // of the spread's stride
}

func newQuota(total uint64, share scenario.Share, seed uint64) quota {
	picked := scenario.Quotas(total, []scenario.Share{share, scenario.Whole - share})[0]
	if picked == 0 {
		return quota{}
	}
	q := quota{spread: newSpread(total, seed), picked: picked}
	stride, users := new(big.Int).SetUint64(q.spread.stride), new(big.Int).SetUint64(q.spread.users)
	q.inverse = stride.ModInverse(stride, users).Uint64() // coprime, so there is one
	return q
}

func (q quota) has(i uint64) bool { return q.picked > 0 && q.spread.position(i) < q.picked }

// count is how many of the n numbers from first on were picked.
func (q quota) count(first, n uint64) (picked uint64) {
	if q.picked == 0 || n == 0 {
		return 0
	}
	users := q.spread.users
	for position := q.spread.position(first); n > 0; n-- {
		// Without a branch, since chance would have it: the top bit is set of what is below 0.
		picked += (position - q.picked) >> 63
		position += q.spread.stride - users
		position += users & uint64(int64(position)>>63)
	}
	return picked
}

// all yields what was picked, in no particular order.
func (q quota) all() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for position := range q.picked {
			back := position + q.spread.users - q.spread.offset
			hi, lo := bits.Mul64(back%q.spread.users, q.inverse)
			if !yield(bits.Rem64(hi, lo, q.spread.users)) {
				return
			}
		}
	}
}

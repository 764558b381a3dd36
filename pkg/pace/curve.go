package pace

import (
	"math/bits"
	"slices"
	"sort"
	"time"
)

// A Curve says how arrivals are spread over a span: in each of its parts at a
// constant rate. It works in integers, so that it gives the same on every
// machine. The zero Curve has everybody arrive at once.
type Curve struct {
	ends []uint64 // of each part, in seconds since the beginning; increasing
	sums []uint64 // weights of the parts up to and with each; not decreasing, the last above 0
}

// A Part is a time at a constant rate of arrivals.
type Part struct {
	Length time.Duration // whole seconds, above 0
	Weight uint64        // relative share of the arrivals
}

// maxSum keeps the products of Offset within 64 bits.
const maxSum = 1<<30 - 1

// NewCurve joins parts. Their weights must not all be 0, nor sum to 2^64 or
// more; a sum of 2^30 or more is brought below, all weights in proportion.
// Lengths are cut to whole seconds.
func NewCurve(parts []Part) Curve {
	var c Curve
	var end, sum uint64
	for _, p := range parts {
		end += uint64(p.Length / time.Second)
		sum += p.Weight
		c.ends, c.sums = append(c.ends, end), append(c.sums, sum)
	}
	if sum <= maxSum {
		return c
	}
	for i, s := range c.sums {
		hi, lo := bits.Mul64(s, maxSum)
		c.sums[i], _ = bits.Div64(hi, lo, sum)
	}
	return c
}

// Span is the length of the curve.
func (c Curve) Span() time.Duration {
	if len(c.ends) == 0 {
		return 0
	}
	return time.Duration(c.ends[len(c.ends)-1]) * time.Second
}

// Parts returns parts of which NewCurve makes c.
func (c Curve) Parts() []Part {
	parts := make([]Part, len(c.ends))
	var end, sum uint64
	for i := range c.ends {
		parts[i] = Part{time.Duration(c.ends[i]-end) * time.Second, c.sums[i] - sum}
		end, sum = c.ends[i], c.sums[i]
	}
	return parts
}

// Offset is when the arrival with rank of n comes: whole seconds since the
// beginning, in order of ranks. Each part gets its share of n, rounded.
func (c Curve) Offset(rank, n uint64) time.Duration {
	if len(c.ends) == 0 {
		return 0
	}
	// The middle of the rank's n-th of all weight, in units of 1/2n.
	total := c.sums[len(c.sums)-1]
	at := (2*rank + 1) * total // n < 2^32 and total < 2^30: it fits
	unit := 2 * n
	i := sort.Search(len(c.sums), func(i int) bool { return c.sums[i]*unit > at })
	var begin, before uint64
	if i > 0 {
		begin, before = c.ends[i-1], c.sums[i-1]
	}
	hi, lo := bits.Mul64(at-before*unit, c.ends[i]-begin)
	within, _ := bits.Div64(hi, lo, (c.sums[i]-before)*unit)
	return time.Duration(begin+within) * time.Second
}

// Equal says whether two curves give the same offsets.
func (c Curve) Equal(o Curve) bool {
	return slices.Equal(c.ends, o.ends) && slices.Equal(c.sums, o.sums)
}

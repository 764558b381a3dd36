package scenario

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// A Share is a part of the users in units of 1/Whole: a percentage with up to seven decimals is exact.
type Share uint64

// Whole is 100 %.
const Whole Share = 1_000_000_000

// String returns s as a percentage, exactly.
func (s Share) String() string {
	percent := fmt.Sprintf("%d.%07d", s/(Whole/100), s%(Whole/100))
	return strings.TrimSuffix(strings.TrimRight(percent, "0"), ".") + "%"
}

// String returns d in plain digits.
func (d Decimal) String() string {
	s := fmt.Sprintf("%0*d", d.Scale+1, d.Digits)
	if d.Scale == 0 {
		return s
	}
	return s[:len(s)-d.Scale] + "." + s[len(s)-d.Scale:]
}

// Quotas divides users by the shares' proportions: each quota is the exact
// part rounded down or up, the largest remainders go up (the earlier of equal
// ones first), and the quotas sum to users. Shares that are all zero get nothing.
func Quotas(users uint64, shares []Share) []uint64 {
	var total uint64
	for _, s := range shares {
		total += uint64(s)
	}
	quotas := make([]uint64, len(shares))
	if total == 0 {
		return quotas
	}
	rest := users
	remainders := make([]uint64, len(shares))
	order := make([]int, len(shares))
	for i, s := range shares {
		hi, lo := bits.Mul64(users, uint64(s))
		quotas[i], remainders[i] = bits.Div64(hi, lo, total)
		rest -= quotas[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	for _, i := range order[:rest] {
		quotas[i]++
	}
	return quotas
}

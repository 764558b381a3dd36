package generate

import "math/big"

// Member returns a user of the cohort, always the same one, without a search
// through the users: what holds of the cohort's constants can be read off that
// user's records. ok is false when the cohort has no users.
func (p *Plan) Member(c *Cohort) (user uint32, ok bool) {
	if c.Users == 0 {
		return 0, false
	}
	s := p.spread
	users := new(big.Int).SetUint64(s.users)
	inverse := new(big.Int).ModInverse(new(big.Int).SetUint64(s.stride), users)
	if inverse == nil { // users is 1: everybody is user 0
		return 0, true
	}
	back := new(big.Int).SetUint64(c.first)
	back.Sub(back, new(big.Int).SetUint64(s.offset))
	return uint32(back.Mul(back, inverse).Mod(back, users).Uint64()), true
}

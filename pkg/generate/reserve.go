package generate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"kreplay/pkg/template"
)

// Reserved ranges of decimal user ids, half-open. Captured users are not
// expected there. The wide one stays below 2^53, so that JSON readers that hold
// numbers in float64 keep it exact; the narrow one fits a signed 32-bit column.
const (
	wideFirst, wideEnd     = 1_000_000_000_000_000, 9_000_000_000_000_000
	narrowFirst, narrowEnd = 1_000_000_000, math.MaxInt32 + 1
)

// idRange is the block of user ids that belongs to this run.
type idRange struct {
	base, users uint64
	blocks      uint64   // how many runs have ids of their own
	parsers     []idText // the forms in which the templates write the id
}

// idText is one written form of an id: what stands before and behind the digits.
type idText struct{ prefix, suffix []byte }

// reserve picks the run's block. Ids must fit the narrowest form that any
// template writes them in; the run id moves the block, so that two runs do not
// meet where the form leaves room.
func reserve(cohorts []*Cohort, users uint64, run string) (idRange, error) {
	r := idRange{users: users}
	first, end := uint64(wideFirst), uint64(wideEnd)
	for _, c := range cohorts {
		for _, f := range c.Program.UserForms {
			r.parsers = append(r.parsers, idText{[]byte(f.Prefix), []byte(f.Suffix)})
			lo, hi := room(f)
			if hi-lo < end-first {
				first, end = lo, hi
			}
		}
	}
	if end-first < users {
		return r, fmt.Errorf("generate: the captured user id leaves room for %d users, not %d; give the field another form, as in `user U%%010d`", end-first, users)
	}
	r.blocks = (end - first) / users
	r.base = first + runHash(run)%r.blocks*users
	return r, nil
}

// room is the reserved range of ids that a form can write.
func room(f template.UserForm) (first, end uint64) {
	switch {
	case f.Padded && f.Width < 16:
		limit := uint64(1)
		for range f.Width {
			limit *= 10
		}
		if f.Captured == 0 {
			return 0, limit // the pattern sets our users apart
		}
		return limit / 2, limit
	case f.Prefix == "" && f.Captured <= math.MaxInt32:
		return narrowFirst, narrowEnd
	}
	return wideFirst, wideEnd
}

// runHash is 0 for the empty run id: gen prints the same ids for ever.
func runHash(run string) uint64 {
	if run == "" {
		return 0
	}
	sum := sha256.Sum256([]byte("kreplay user range\x00" + run))
	return binary.BigEndian.Uint64(sum[:])
}

func (r idRange) of(user uint32) uint64 { return r.base + uint64(user) }

// parse returns the user whose id a field's value is.
func (r idRange) parse(value []byte) (user uint32, ok bool) {
	for _, p := range r.parsers {
		digits, ok := bytes.CutPrefix(value, p.prefix)
		if !ok {
			continue
		}
		if digits, ok = bytes.CutSuffix(digits, p.suffix); !ok {
			continue
		}
		id, err := strconv.ParseUint(string(digits), 10, 64)
		if err == nil && id >= r.base && id-r.base < r.users {
			return uint32(id - r.base), true
		}
	}
	return 0, false
}

func (r idRange) String() string {
	s := fmt.Sprintf("user ids %d to %d", r.base, r.base+r.users-1)
	if r.blocks == 1 {
		s += "; the id's form leaves room for one run only: rows of an earlier run cannot be told from this one's"
	}
	return s
}

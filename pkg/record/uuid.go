package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// MaxSlot is the largest slot that an invertible uuid can carry.
const MaxSlot = 1<<18 - 1

const (
	half    = 61 // bits of each half of the Feistel network; 2·61 = 128 − version − variant
	mask    = 1<<half - 1
	authLen = 40 // authenticator bits: zero before mixing, and after unmixing of an id of ours
	variant = 0b10
	version = 4
)

// The round keys are the first digits of π behind the point and the multiplier
// is odd with about half its bits set. They are part of the format: another
// value makes every id that was ever sent foreign. Nothing here is secret; the
// network only has to mix well enough that no damage looks like another id.
const (
	roundKey0  = 0x243f6a8885a308d3
	roundKey1  = 0x13198a2e03707344
	roundKey2  = 0xa4093822299f31d0
	roundKey3  = 0x082efa98ec4e6c89
	roundKey4  = 0x452821e638d01377
	roundKey5  = 0xbe5466cf34e90c6c
	multiplier = 0x9fb21c651e98df25
)

// RunTag returns the tag of a run: a hash of all that tells two runs apart.
func RunTag(digest [32]byte, seed uint64, run string) Tag {
	b := make([]byte, 0, 3*8+len(digest)+8+len(run))
	b = binary.BigEndian.AppendUint64(b, uint64(len(digest)))
	b = append(b, digest[:]...)
	b = binary.BigEndian.AppendUint64(b, 8)
	b = binary.BigEndian.AppendUint64(b, seed)
	b = binary.BigEndian.AppendUint64(b, uint64(len(run)))
	b = append(b, run...)
	sum := sha256.Sum256(b)
	return Tag(binary.BigEndian.Uint32(sum[:4]))
}

// MarshalText writes a tag as it stands in an id, so that the two can be compared.
func (t Tag) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%08x", uint32(t)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *Tag) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 32)
	if err != nil || len(text) != 8 {
		return fmt.Errorf("record: run tag %q: want 8 hex digits", text)
	}
	*t = Tag(n)
	return nil
}

// A UUID is 128 bits in two words, big-endian: so they stay in registers, where
// sixteen bytes are written to memory and read back in another size at each call.
type UUID struct{ Hi, Lo uint64 }

// UUIDOf is the UUID of its bytes.
func UUIDOf(b [16]byte) UUID {
	return UUID{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Bytes is the inverse of UUIDOf.
func (u UUID) Bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], u.Hi)
	binary.BigEndian.PutUint64(b[8:], u.Lo)
	return b
}

// versioned is u with the version nibble of form.
func (u UUID) versioned(form UUIDForm) UUID {
	return UUID{u.Hi&^0xf000 | uint64(form&15)<<12, u.Lo}
}

// isVariant says whether u is of the variant of RFC 9562.
func (u UUID) isVariant() bool { return u.Lo>>62 == variant }

// EncodeUUID returns the uuid, valid as version 4, that stands for a slot of a
// user's template in a run. A slot above MaxSlot panics: two slots would share
// a uuid.
func EncodeUUID(tag Tag, user, slot uint32) UUID {
	if slot > MaxSlot {
		panic("record: uuid slot above MaxSlot")
	}
	l := uint64(tag)<<29 | uint64(user)>>3
	r := uint64(user&7)<<58 | uint64(slot)<<authLen
	l ^= round(r, roundKey0)
	r ^= round(l, roundKey1)
	l ^= round(r, roundKey2)
	r ^= round(l, roundKey3)
	l ^= round(r, roundKey4)
	r ^= round(l, roundKey5)
	return join(l, r)
}

// DecodeUUID is the inverse of EncodeUUID. It ignores the version nibble, since
// a replica keeps that of the captured uuid, and is ok only for a uuid of ours
// that is undamaged: a random uuid passes once in 2^40.
func DecodeUUID(u UUID) (tag Tag, user, slot uint32, ok bool) {
	if !u.isVariant() {
		return 0, 0, 0, false
	}
	l, r := split(u)
	r ^= round(l, roundKey5)
	l ^= round(r, roundKey4)
	r ^= round(l, roundKey3)
	l ^= round(r, roundKey2)
	r ^= round(l, roundKey1)
	if r&(1<<authLen-1) != 0 {
		return 0, 0, 0, false
	}
	l ^= round(r, roundKey0)
	return Tag(l >> 29), uint32(l<<3) | uint32(r>>58), uint32(r>>authLen) & MaxSlot, true
}

// round mixes one half under a key: the two words of a 128-bit product folded.
func round(x, key uint64) uint64 {
	hi, lo := bits.Mul64(x^key, multiplier)
	return (hi ^ lo) & mask
}

// join spreads two halves over the free bits of a uuid: 48, 12 and 62 of them.
func join(l, r uint64) UUID {
	hi := l >> 1 // 60 bits stand around the version nibble
	return UUID{hi>>12<<16 | version<<12 | hi&0xfff, variant<<62 | l&1<<half | r}
}

func split(u UUID) (l, r uint64) {
	return (u.Hi>>16<<12|u.Hi&0xfff)<<1 | u.Lo>>half&1, u.Lo & mask
}

// A UUIDForm says how a uuid was written: its version nibble in the low four
// bits, then whether in upper case, whether without hyphens, and whether as a ULID.
type UUIDForm uint8

const (
	formUpper   UUIDForm = 1 << 4
	formCompact UUIDForm = 1 << 5
	formULID    UUIDForm = 1 << 6
)

// Len returns how many characters AppendUUID writes: 36, 32 without hyphens, or
// 26 as a ULID.
func (f UUIDForm) Len() int {
	switch {
	case f&formULID != 0:
		return ulidLen
	case f&formCompact != 0:
		return 32
	}
	return 36
}

// ULID says whether the id was written as one.
func (f UUIDForm) ULID() bool { return f&formULID != 0 }

// Version returns the version nibble, as captured; 0 for a ULID, which has none.
func (f UUIDForm) Version() int { return int(f & 15) }

// ParseUUID reads a uuid of 36 characters, or 32 without hyphens, whose letters
// are of one case; without letters it counts as lower case. Variants other than
// that of RFC 9562 are refused, and with them the nil and the max uuid, which
// name nothing. 26 characters are read as a ULID.
func ParseUUID(text []byte) (u UUID, form UUIDForm, ok bool) {
	var words [4]uint64 // eight characters each
	switch len(text) {
	case 36:
		if text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
			return UUID{}, 0, false
		}
		words[0] = binary.BigEndian.Uint64(text)
		words[1] = uint64(binary.BigEndian.Uint32(text[9:]))<<32 | uint64(binary.BigEndian.Uint32(text[14:]))
		words[2] = uint64(binary.BigEndian.Uint32(text[19:]))<<32 | uint64(binary.BigEndian.Uint32(text[24:]))
		words[3] = binary.BigEndian.Uint64(text[28:])
	case 32:
		form = formCompact
		for i := range words {
			words[i] = binary.BigEndian.Uint64(text[8*i:])
		}
	case ulidLen:
		return parseULID(text)
	default:
		return UUID{}, 0, false
	}
	// What writes the same characters is what they say.
	var lower, upper uint64 // what differs
	for _, w := range words {
		n := uint64(unhex(w))
		lower |= w ^ hex(n, lowerLetters)
		upper |= w ^ hex(n, upperLetters)
		u = UUID{u.Hi<<32 | u.Lo>>32, u.Lo<<32 | n}
	}
	if lower != 0 && upper != 0 || !u.isVariant() {
		return UUID{}, 0, false
	}
	if lower != 0 {
		form |= formUpper
	}
	return u, form | UUIDForm(u.Hi>>12&15), true
}

// How far letters stand behind the digits.
const (
	lowerLetters = 'a' - '0' - 10
	upperLetters = 'A' - '0' - 10
)

// unhex reads eight digits, the first in the highest byte. What is no digit is
// read as any.
func unhex(x uint64) uint32 {
	const each = 0x0101010101010101
	x = x&(each*15) + x>>6&each*9
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}

// AppendUUID appends u as form says, with the version nibble of form.
func AppendUUID(dst []byte, u UUID, form UUIDForm) []byte {
	if form&formULID != 0 {
		return appendULID(dst, u, form)
	}
	letters := uint64(lowerLetters)
	if form&formUpper != 0 {
		letters = upperLetters
	}
	u = u.versioned(form)
	hi, lo := u.Hi, u.Lo
	a, b, c, d := hex(hi>>32, letters), hex(hi&math.MaxUint32, letters), hex(lo>>32, letters), hex(lo&math.MaxUint32, letters)
	n := len(dst)
	if form&formCompact != 0 {
		dst = slices.Grow(dst, 32)[:n+32]
		text := (*[32]byte)(dst[n:])
		binary.BigEndian.PutUint64(text[0:], a)
		binary.BigEndian.PutUint64(text[8:], b)
		binary.BigEndian.PutUint64(text[16:], c)
		binary.BigEndian.PutUint64(text[24:], d)
		return dst
	}
	// Where it is to stand: to copy what has just been written in parts is slow.
	dst = slices.Grow(dst, 36)[:n+36]
	text := (*[36]byte)(dst[n:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	binary.BigEndian.PutUint64(text[0:], a)
	binary.BigEndian.PutUint32(text[9:], uint32(b>>32))
	binary.BigEndian.PutUint32(text[14:], uint32(b))
	binary.BigEndian.PutUint32(text[19:], uint32(c>>32))
	binary.BigEndian.PutUint32(text[24:], uint32(c))
	binary.BigEndian.PutUint64(text[28:], d)
	return dst
}

// BeginsWithUUID says whether text begins with what AppendUUID appends.
func BeginsWithUUID(text []byte, u UUID, form UUIDForm) bool {
	if form&formULID != 0 || form&formCompact != 0 || len(text) < 36 {
		var room [36]byte
		return bytes.HasPrefix(text, AppendUUID(room[:0], u, form))
	}
	letters := uint64(lowerLetters)
	if form&formUpper != 0 {
		letters = upperLetters
	}
	u = u.versioned(form)
	hi, lo := u.Hi, u.Lo
	text = text[:36]
	x := binary.BigEndian.Uint64(text) ^ hex(hi>>32, letters)
	x |= (uint64(binary.BigEndian.Uint32(text[9:]))<<32 | uint64(binary.BigEndian.Uint32(text[14:]))) ^ hex(hi&math.MaxUint32, letters)
	x |= (uint64(binary.BigEndian.Uint32(text[19:]))<<32 | uint64(binary.BigEndian.Uint32(text[24:]))) ^ hex(lo>>32, letters)
	x |= binary.BigEndian.Uint64(text[28:]) ^ hex(lo&math.MaxUint32, letters)
	x |= uint64((text[8] ^ '-') | (text[13] ^ '-') | (text[18] ^ '-') | (text[23] ^ '-'))
	return x == 0
}

// hex writes 32 bits as eight digits, the first in the highest byte: each nibble
// is moved into a byte of its own, and those from ten on become letters, which
// stand so far behind the digits.
func hex(x, letters uint64) uint64 {
	x = x&0xffff0000<<16 | x&0xffff
	x = x&0x0000ff000000ff00<<8 | x&0x000000ff000000ff
	x = x&0x00f000f000f000f0<<4 | x&0x000f000f000f000f
	const each = 0x0101010101010101
	return x + each*'0' + (x+each*6)>>4&each*letters
}

// ParseID is the strict inverse of ID.String: it takes no other spelling.
func ParseID(s string) (ID, error) {
	part := strings.Split(s, "/")
	if len(part) != 3 && len(part) != 4 {
		return ID{}, fmt.Errorf("record: id %q: want run/user/event or run/user/event/copy", s)
	}
	var n [4]uint64
	for i, f := range []struct {
		name       string
		base, bits int
	}{{"run", 16, 32}, {"user", 10, 32}, {"event", 10, 32}, {"copy", 10, 16}}[:len(part)] {
		v, err := strconv.ParseUint(part[i], f.base, f.bits)
		if err != nil {
			return ID{}, fmt.Errorf("record: id %q: %s %q is not a number of base %d and at most %d bits", s, f.name, part[i], f.base, f.bits)
		}
		n[i] = v
	}
	id := ID{Run: Tag(n[0]), User: uint32(n[1]), Event: uint32(n[2]), Copy: uint16(n[3])}
	if want := id.String(); want != s {
		return ID{}, fmt.Errorf("record: id %q: spelled unlike %q", s, want)
	}
	return id, nil
}

package record

// The alphabets of ULIDs: base 32 without I, L, O and U
// (https://github.com/ulid/spec, Crockford's Base32).
const (
	ulidUpper = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	ulidLower = "0123456789abcdefghjkmnpqrstvwxyz"
	ulidLen   = 26
)

// ulidDigits is the value of each character, with flags above it.
var ulidDigits = func() (t [256]uint8) {
	for i := range t {
		t[i] = noDigit
	}
	for i := range uint8(len(ulidUpper)) {
		t[ulidUpper[i]], t[ulidLower[i]] = i|upperLetter, i|lowerLetter
	}
	for i := range uint8(10) {
		t['0'+i] = i
	}
	return t
}()

// Flags above the value of a digit of base 32.
const (
	noDigit     = 1 << 7
	lowerLetter = 1 << 5
	upperLetter = 1 << 6
)

// parseULID reads the 128 bits of a ULID whose letters are of one case; without
// letters it counts as upper case, as the specification writes them. All zeros
// and all ones are refused, since they name nothing.
func parseULID(text []byte) (u UUID, form UUIDForm, ok bool) {
	var hi, lo uint64
	var kinds uint8
	for _, c := range text {
		d := ulidDigits[c]
		kinds |= d
		hi, lo = hi<<5|lo>>59, lo<<5|uint64(d&31)
	}
	mixed := kinds&(lowerLetter|upperLetter) == lowerLetter|upperLetter
	if kinds&noDigit != 0 || mixed || text[0] > '7' || hi|lo == 0 || hi&lo == 1<<64-1 {
		return UUID{}, 0, false
	}
	form = formULID
	if kinds&lowerLetter == 0 {
		form |= formUpper
	}
	return UUID{hi, lo}, form, true
}

// appendULID writes all 128 bits: a ULID has neither version nor variant.
func appendULID(dst []byte, u UUID, form UUIDForm) []byte {
	alphabet := ulidLower
	if form&formUpper != 0 {
		alphabet = ulidUpper
	}
	hi, lo := u.Hi, u.Lo
	var text [ulidLen]byte
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = alphabet[lo&31]
		hi, lo = hi>>5, lo>>5|hi<<59
	}
	return append(dst, text[:]...)
}

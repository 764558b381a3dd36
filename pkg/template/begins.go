package template

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// A Lead is how an event begins, up to the slot that tells best whose it is: the
// uuid that names the event alone, else the first uuid or id of the user.
type Lead struct {
	Before [][]byte // the literals before the slots, up to that one's
	Length int      // of that slot's text, a uuid; 0: it is the user's id in a form
	Form   UserForm
}

// Lead returns how an event begins; false: no slot tells whose it is.
func (p *Program) Lead(event int) (l Lead, ok bool) {
	e, at := &p.Events[event], -1
	for i := range e.parts {
		s := &e.parts[i]
		if s.kind == slotUUID && p.SlotEvent[s.index] == int32(event) {
			at = i
			break
		}
		if at < 0 && (s.kind == slotUser || s.kind == slotUUID) {
			at = i
		}
	}
	if at < 0 {
		return l, false
	}
	for i := range at + 1 {
		if len(e.parts[i].literal) == 0 {
			return l, false
		}
		l.Before = append(l.Before, e.parts[i].literal)
	}
	if s := &e.parts[at]; s.kind == slotUUID {
		l.Length = s.uuid.Len()
	} else {
		l.Form = s.user
	}
	return l, true
}

// Text finds the slot in b, which may begin as l says: of a slot before it, what
// does not hold the byte that comes next.
func (l *Lead) Text(b []byte) (text []byte, ok bool) {
	for i, literal := range l.Before {
		if i > 0 {
			n := bytes.IndexByte(b, literal[0])
			if n < 0 {
				return nil, false
			}
			b = b[n:]
		}
		if !bytes.HasPrefix(b, literal) {
			return nil, false
		}
		b = b[len(literal):]
	}
	if l.Length > 0 {
		return b[:min(l.Length, len(b))], len(b) >= l.Length
	}
	if !bytes.HasPrefix(b, []byte(l.Form.Prefix)) {
		return nil, false
	}
	b = b[len(l.Form.Prefix):]
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return b[:n], n > 0
}

// beginsWithNumber says the same of one slot, where that is a number and nothing
// has to be written to compare it; not ok: it is none, or b begins otherwise.
func (s *part) beginsWithNumber(b []byte, v *Values) (n int, ok bool) {
	switch s.kind {
	case slotUser:
		return s.user.begins(b, v.UserID)
	case slotCounter:
		return s.user.begins(b, v.CounterBase+uint64(s.index)+1)
	default:
		return 0, false
	}
}

// begins says how long n is as append writes it, if b begins with it.
func (f *UserForm) begins(b []byte, n uint64) (length int, ok bool) {
	if !bytes.HasPrefix(b, []byte(f.Prefix)) {
		return 0, false
	}
	length, ok = digits(b[len(f.Prefix):], n, f.Width)
	length += len(f.Prefix)
	return length + len(f.Suffix), ok && bytes.HasPrefix(b[length:], []byte(f.Suffix))
}

// digits says how many digits n has, width at least, if b begins with them. There
// is one way to write a number in so many digits, so it is read instead of written.
func digits(b []byte, n uint64, width int) (length int, ok bool) {
	length = max(digitsOf(n), width)
	if len(b) < length {
		return 0, false
	}
	if length <= 16 && len(b) >= 8 { // as nearly all are
		first := length - 8 // digits before the last eight
		if first <= 0 {
			got, ok := leadingDigits(b, length)
			return length, ok && got == n
		}
		hi, ok := leadingDigits(b, first)
		lo, rest := eightDigits(binary.LittleEndian.Uint64(b[first:]))
		return length, ok && rest && hi*1e8+lo == n
	}
	got := uint64(0)
	for _, c := range b[:length] {
		hi, lo := bits.Mul64(got, 10)
		var carry uint64
		if got, carry = bits.Add64(lo, uint64(c-'0'), 0); c < '0' || c > '9' || hi+carry > 0 {
			return 0, false
		}
	}
	return length, got == n
}

// appendDigits appends n in width digits at least.
func appendDigits(dst []byte, n uint64, width int) []byte {
	length := max(digitsOf(n), width)
	dst = slices.Grow(dst, length)
	dst = dst[:len(dst)+length]
	b := dst[len(dst)-length:]
	for len(b) >= 8 {
		rest := n / 1e8
		binary.LittleEndian.PutUint64(b[len(b)-8:], textOfEight(n-rest*1e8))
		b, n = b[:len(b)-8], rest
	}
	if len(b) > 0 {
		var first [8]byte
		binary.LittleEndian.PutUint64(first[:], textOfEight(n))
		copy(b, first[8-len(b):])
	}
	return dst
}

// digitsOf is how many digits n has.
func digitsOf(n uint64) int {
	// log10 of 2 is 1233/4096, nearly: exact for as many bits as there are.
	length := bits.Len64(n|1) * 1233 >> 12
	if n|1 >= tens[length] {
		length++
	}
	return length
}

// leadingDigits reads the first digits of b, eight at the most, of which there are eight bytes.
func leadingDigits(b []byte, count int) (n uint64, ok bool) {
	x := binary.LittleEndian.Uint64(b) << (64 - 8*count)
	return eightDigits(x | zeros>>(8*count)) // as if zeros stood before them
}

// tens are the powers of ten, by their number of zeros.
var tens = func() (t [20]uint64) {
	for i := range t {
		t[i] = powerOfTen(i)
	}
	return t
}()

const zeros = 0x3030303030303030 // eight of them

// textOfEight is what eightDigits reads: two numbers of four digits, four of two,
// eight of one, each step with all of them at once.
func textOfEight(n uint64) uint64 {
	x := n/1e4 | n%1e4<<32
	hundreds := x * 10486 >> 20 & 0x0000007f_0000007f // 10486/2^20 is 1/100, exact for four digits
	x = hundreds | (x-100*hundreds)<<16
	ten := x * 103 >> 10 & 0x000f_000f_000f_000f // 103/2^10 is 1/10, exact for two
	return zeros | ten | (x-10*ten)<<8
}

// eightDigits reads eight digits, the first in the lowest byte of x: pairs of
// digits are added up to numbers of two, four and eight of them.
func eightDigits(x uint64) (n uint64, ok bool) {
	const nibbles = 0xf0f0f0f0f0f0f0f0
	if x&nibbles != zeros || (x+0x0606060606060606)&nibbles != zeros {
		return 0, false
	}
	x -= zeros
	x = x*10 + x>>8
	x = x&0x00ff00ff00ff00ff*100 + x>>16&0x00ff00ff00ff00ff
	x = x&0x0000ffff0000ffff*10_000 + x>>32&0x0000ffff0000ffff
	return x & math.MaxUint32, true
}

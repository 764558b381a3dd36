package lake

import (
	"testing"

	"pgregory.net/rapid"
)

// Eight bytes at a time find what one at a time finds: every byte value, at
// every place, beside every other.
func TestSkipStringIsWhatOneByteAtATimeFinds(t *testing.T) {
	naive := func(b []byte, i int) (int, fault) {
		for ; i < len(b); i++ {
			switch {
			case b[i] == '"':
				return i + 1, whole
			case b[i] == '\\':
				i++
			case b[i] < ' ':
				return i, badString
			}
		}
		return len(b), more
	}
	special := []byte("\"\\ !#\x1f\x00\x01\x02\x21\x22\x23\x7f\x80\xa0\xa2\xdc\xff")
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom(special), rapid.ByteRange('a', 'z'), rapid.ByteRange('a', 'z')), 0, 40).Draw(t, "text")
		for i := range len(b) + 1 {
			n, f := skipString(b, i)
			if wantN, wantF := naive(b, i); n != wantN || f != wantF {
				t.Fatalf("%q from %d: %d, %d, want %d, %d", b, i, n, f, wantN, wantF)
			}
		}
	})
	for c := range 256 {
		for at := range 16 {
			b := []byte("abcdefghijklmnop")
			b[at] = byte(c)
			n, f := skipString(b, 0)
			if wantN, wantF := naive(b, 0); n != wantN || f != wantF {
				t.Errorf("byte %#x at %d: %d, %d, want %d, %d", c, at, n, f, wantN, wantF)
			}
		}
	}
}

package kinesis

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// drawBody draws n bytes somewhere in a larger buffer.
func drawBody(t *rapid.T, n int) (body, buffer []byte) {
	offset := rapid.IntRange(0, 64).Draw(t, "offset")
	buffer = make([]byte, offset+n+rapid.IntRange(0, 64).Draw(t, "behind"))
	var seed [32]byte
	seed[0] = rapid.Byte().Draw(t, "seed")
	_, _ = rand.NewChaCha8(seed).Read(buffer) // never fails
	return buffer[offset : offset+n], buffer
}

func sumsAgree(t *rapid.T) {
	length := rapid.OneOf(
		rapid.IntRange(0, 5000),
		rapid.Custom(func(t *rapid.T) int {
			return max(0, 64*rapid.IntRange(0, 78).Draw(t, "blocks")+rapid.IntRange(-1, 1).Draw(t, "more"))
		}),
	)
	n := length.Draw(t, "length of a")
	m := n
	if rapid.Bool().Draw(t, "lengths differ") {
		m = length.Draw(t, "length of b")
	}
	a, bufferA := drawBody(t, n)
	b, bufferB := drawBody(t, m)
	wasA, wasB := bytes.Clone(bufferA), bytes.Clone(bufferB)
	gotA, gotB := sumPair(a, b)
	if want := sha256.Sum256(a); gotA != want {
		t.Errorf("of a: %x, want %x", gotA, want)
	}
	if want := sha256.Sum256(b); gotB != want {
		t.Errorf("of b: %x, want %x", gotB, want)
	}
	if !bytes.Equal(bufferA, wasA) || !bytes.Equal(bufferB, wasB) {
		t.Error("sumPair wrote to what it hashes")
	}
}

// Two bodies hashed in lockstep have the sums they have one by one.
func TestSumPairIsTwoSums(t *testing.T) { rapid.Check(t, sumsAgree) }

// And where the processor cannot do it, too.
func TestSumPairIsTwoSumsWithoutSHANI(t *testing.T) {
	had := lockstep
	t.Cleanup(func() { lockstep = had })
	lockstep = false
	rapid.Check(t, sumsAgree)
}

func BenchmarkSumPair(b *testing.B) {
	var seed [32]byte
	source := rand.NewChaCha8(seed)
	var bodies [2][280_000]byte
	for i := range bodies {
		_, _ = source.Read(bodies[i][:])
	}
	one, two := bodies[0][:], bodies[1][:]
	for _, way := range []struct {
		name string
		sum  func(a, b []byte) (sumA, sumB [32]byte)
	}{
		{"pair", sumPair},
		{"sha256", func(a, b []byte) (sumA, sumB [32]byte) { return sha256.Sum256(a), sha256.Sum256(b) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(int64(len(one) + len(two)))
			b.ReportAllocs()
			for b.Loop() {
				way.sum(one, two)
			}
		})
	}
}

package kinesis

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
	"sync"
)

// sumPair returns the SHA-256 of a and of b. With SHA-NI it takes three quarters
// of the time of crypto/sha256 over what they have in common in length: one body
// alone leaves the processor waiting for each result.
func sumPair(a, b []byte) (sumA, sumB [32]byte) {
	blocks := min(len(a), len(b)) / sha256.BlockSize
	if blocks == 0 || !lockstep {
		return sha256.Sum256(a), sha256.Sum256(b)
	}
	stateA, stateB := initial, initial
	blockPair(&stateA, &stateB, &a[0], &b[0], blocks)
	done := blocks * sha256.BlockSize
	r := resumers.Get().(*resumer)
	sumA, sumB = r.sum(&stateA, a, done), r.sum(&stateB, b, done)
	resumers.Put(r)
	return sumA, sumB
}

// initial is the state before the first block (FIPS 180-4, 5.3.3), in the order of blockPair.
var initial = [8]uint32{0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}

// A resumer goes on from a state; it holds what would else be allocated for it.
type resumer struct {
	digest  hash.Hash
	encoded [4 + 32 + sha256.BlockSize + 8]byte // magic, state, begun block, length
	result  [32]byte
}

var resumers = sync.Pool{New: func() any { return &resumer{digest: sha256.New()} }}

// sum returns the SHA-256 of data, of which done bytes, whole blocks, are in state.
func (r *resumer) sum(state *[8]uint32, data []byte, done int) [32]byte {
	b := append(r.encoded[:0], "sha\x03"...)
	for _, word := range [8]int{3, 2, 7, 6, 1, 0, 5, 4} {
		b = binary.BigEndian.AppendUint32(b, state[word])
	}
	binary.BigEndian.PutUint64(r.encoded[len(b)+sha256.BlockSize:], uint64(done))
	if err := r.digest.(encoding.BinaryUnmarshaler).UnmarshalBinary(r.encoded[:]); err != nil {
		panic("kinesis: crypto/sha256 no longer reads its own encoding: " + err.Error()) // package hash promises it
	}
	r.digest.Write(data[done:])
	return [32]byte(r.digest.Sum(r.result[:0]))
}

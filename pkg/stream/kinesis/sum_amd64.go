package kinesis

import "github.com/klauspost/cpuid/v2"

// lockstep says whether this processor has the instructions of blockPair.
var lockstep = cpuid.CPU.Supports(cpuid.SHA, cpuid.AVX)

// blockPair takes blocks > 0 of 64 bytes from p into state a, and from q into
// state b. A state is f, e, b, a, h, g, d, c: as SHA256RNDS2 wants it.
//
//go:noescape
func blockPair(a, b *[8]uint32, p, q *byte, blocks int)

//go:build !amd64

package kinesis

var lockstep = false

// blockPair is not called: there is no lockstep without SHA-NI.
func blockPair(_, _ *[8]uint32, _, _ *byte, _ int) {}

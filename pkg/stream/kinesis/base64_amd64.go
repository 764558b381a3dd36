package kinesis

import "golang.org/x/sys/cpu"

//go:noescape
func encodeBlocks(to, data *byte, blocks int)

// encodeWide encodes blocks of 24 bytes to 32 digits with AVX2, and returns how many.
func encodeWide(to, data []byte) (blocks int) {
	if blocks = (len(data) - 4) / 24; blocks <= 0 || !cpu.X86.HasAVX2 {
		return 0
	}
	_ = to[32*blocks-1]
	encodeBlocks(&to[0], &data[0], blocks)
	return blocks
}

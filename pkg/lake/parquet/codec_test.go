package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// hadoopBlocks are pieces as Hadoop's LZ4 codec has them.
func hadoopBlocks(t *testing.T, pieces ...[]byte) (packed []byte) {
	t.Helper()
	for _, piece := range pieces {
		block := make([]byte, lz4.CompressBlockBound(len(piece)))
		n, err := lz4.CompressBlock(piece, block, nil)
		if err != nil || n == 0 {
			t.Fatalf("%d bytes, %v", n, err)
		}
		packed = binary.BigEndian.AppendUint32(packed, uint32(len(piece)))
		packed = binary.BigEndian.AppendUint32(packed, uint32(n))
		packed = append(packed, block[:n]...)
	}
	return packed
}

// Blocks one after another are one page; what claims more than there is, or than
// the page may have, is damage and no panic.
func TestHadoopLZ4(t *testing.T) {
	one, two := bytes.Repeat([]byte("kinesis "), 90), bytes.Repeat([]byte("firehose "), 70)
	whole, packed := append(bytes.Clone(one), two...), hadoopBlocks(t, one, two)
	got := make([]byte, len(whole))
	if n, err := hadoopLZ4(got, packed); err != nil || n != len(whole) || !bytes.Equal(got, whole) {
		t.Fatalf("%d bytes of %d, %v", n, len(whole), err)
	}
	boundary := len(hadoopBlocks(t, one))
	for cut := 1; cut < len(packed); cut++ {
		if _, err := hadoopLZ4(got, packed[:cut]); (err == nil) != (cut == boundary) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	if _, err := hadoopLZ4(got[:len(whole)-1], packed); !errors.Is(err, errLength) {
		t.Errorf("a page that is too small: %v, want %v", err, errLength)
	}
	if _, err := hadoopLZ4(got, packed[:4]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a header: %v", err)
	}
}

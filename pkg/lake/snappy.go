package lake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
)

// Streams of the snappy framing format, and of S2, which extends it, begin with a chunk of
// one of these (google/snappy, framing_format.txt, 4.1).
var streamHeads = [][]byte{[]byte("\xff\x06\x00\x00sNaPpY"), []byte("\xff\x06\x00\x00S2sTwO")}

func isSnappy(head []byte) bool {
	return bytes.HasPrefix(head, streamHeads[0]) || bytes.HasPrefix(head, streamHeads[1])
}

// unsnappy reads streams of the framing format.
type unsnappy struct {
	stream stream
	reader *s2.Reader
}

func newUnsnappy() *unsnappy {
	return &unsnappy{reader: s2.NewReader(nil, s2.ReaderAllocBlock(64<<10))}
}

func (u *unsnappy) begin(from *bufio.Reader) error {
	u.stream = stream{from: from}
	u.reader.Reset(&u.stream)
	_, err := from.Peek(len(streamHeads[0]))
	return err
}

func (u *unsnappy) Read(p []byte) (int, error) {
	n, err := u.reader.Read(p)
	if u.stream.cut && errors.Is(err, s2.ErrCorrupt) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (u *unsnappy) release() { u.stream = stream{}; u.reader.Reset(nil) }

// stream gives the bytes of one stream: up to what is no chunk of it.
type stream struct {
	from  *bufio.Reader
	left  int  // of the present chunk
	begun bool // a chunk
	cut   bool // within a chunk
}

func (c *stream) Read(p []byte) (int, error) {
	if c.left == 0 {
		head, err := c.from.Peek(4)
		switch {
		case len(head) == 0:
			return 0, err
		case c.begun && (head[0] == 0xff || isBlank(head[0])): // another stream; no chunk begins with white space
			return 0, io.EOF
		case len(head) < 4:
			c.cut = true
			return 0, cmpEOF(err)
		}
		c.begun, c.left = true, 4+(int(head[1])|int(head[2])<<8|int(head[3])<<16)
	}
	n, err := c.from.Read(p[:min(len(p), c.left)])
	c.left -= n
	c.cut = errors.Is(err, io.EOF)
	return n, cmpEOF(err)
}

// maxBlock is the longest Hadoop block that is read, in decompressed bytes.
// Hadoop writes io.compression.codec.snappy.buffersize, 256 KiB, where nothing
// else is set.
const maxBlock = 16 << 20

// isHadoop knows a block by its lengths, since it has no magic: that of the
// block, that of the first chunk, and as snappy has it, that of the chunk's
// text. Text cannot begin like this: a block that began with a printable byte
// would be longer than maxBlock. Four zero bytes are all of an empty file; there may be several.
func isHadoop(head []byte) bool {
	if len(head) < headSize && len(head)%4 == 0 && len(bytes.Trim(head, "\x00")) == 0 {
		return len(head) > 0
	}
	if len(head) < 9 {
		return false
	}
	block, chunk := big(head), big(head[4:])
	if block == 0 || block > maxBlock || chunk == 0 || chunk > packedLen(block) {
		return false
	}
	n, err := snappy.DecodedLen(head[8:])
	return err == nil && n <= block && n > 0
}

// packedLen is the longest that n bytes become: MaxCompressedLength of google's
// snappy.cc, which Hadoop runs; Go's encoders write less.
func packedLen(n int) int { return 32 + n + n/6 }

// unhadoop reads blocks as Hadoop's SnappyCodec writes them: a length in
// decompressed bytes, then chunks until it is reached, each a length in
// compressed bytes and snappy data.
type unhadoop struct {
	from         *bufio.Reader
	left         int    // decompressed bytes of the block in chunks to come
	packed, text []byte // the present chunk
	r            int    // of text, what was read
}

func (u *unhadoop) begin(from *bufio.Reader) error {
	u.from, u.text, u.r = from, u.text[:0], 0
	var err error
	u.left, err = u.length()
	return err
}

func (u *unhadoop) length() (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(u.from, b[:]); err != nil {
		return 0, err
	}
	return big(b[:]), nil
}

func (u *unhadoop) Read(p []byte) (int, error) {
	for u.r == len(u.text) {
		if u.left == 0 {
			return 0, io.EOF
		}
		if err := u.chunk(); err != nil {
			return 0, cmpEOF(err)
		}
	}
	n := copy(p, u.text[u.r:])
	u.r += n
	return n, nil
}

func (u *unhadoop) chunk() error {
	n, err := u.length()
	if err != nil {
		return err
	}
	if n > packedLen(u.left) {
		return fmt.Errorf("a chunk of %d bytes, where %d of the block are left", n, u.left)
	}
	if cap(u.packed) < n {
		u.packed = make([]byte, n)
	}
	u.packed = u.packed[:n]
	if _, err := io.ReadFull(u.from, u.packed); err != nil {
		return err
	}
	size, err := snappy.DecodedLen(u.packed)
	if err != nil {
		return err
	}
	if size > u.left {
		return fmt.Errorf("a chunk of %d decompressed bytes, where %d of the block are left", size, u.left)
	}
	u.r, u.left = 0, u.left-size
	u.text, err = snappy.Decode(u.text[:cap(u.text)], u.packed)
	return err
}

func (u *unhadoop) release() { u.from = nil }

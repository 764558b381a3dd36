package lake

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// A format is a way to compress. Its data is one member or more, one after
// another: a gzip member, a zstd frame, a snappy stream, a Hadoop block.
type format struct {
	name, member string                 // as reasons have them
	begins       func(head []byte) bool // says whether a member begins with head, of up to headSize bytes
	pool         sync.Pool              // of decoders
}

// headSize is how many bytes tell a format.
const headSize = 16

// A decoder reads one member after another. Its memory is bounded whatever it reads.
type decoder interface {
	// begin starts with the member at from.
	begin(from *bufio.Reader) error
	// Read ends with io.EOF behind the member, of which it has read the last
	// byte and no more; with errChecksum there, if what was read is not as it
	// was written; with another error where it cannot go on.
	io.Reader
	// release forgets what it read from.
	release()
}

// errChecksum says that a member was read to its end and is not as it was written.
var errChecksum = errors.New("checksum or length does not match")

var formats = []*format{
	{name: "gzip", member: "member", begins: isGzip, pool: sync.Pool{New: func() any { return new(gunzip) }}},
	{name: "zstd", member: "frame", begins: isZstd, pool: sync.Pool{New: func() any { return newUnzstd() }}},
	{name: "snappy", member: "stream", begins: isSnappy, pool: sync.Pool{New: func() any { return newUnsnappy() }}},
	{name: "Hadoop snappy", member: "block", begins: isHadoop, pool: sync.Pool{New: func() any { return new(unhadoop) }}},
}

// formatOf returns the format of what begins with head; nil: none.
func formatOf(head []byte) *format {
	for _, f := range formats {
		if f.begins(head) {
			return f
		}
	}
	return nil
}

// members reads members one after another. What is wrong with them it tells
// the source; its errors are the store's, and io.EOF.
type members struct {
	source  *source
	format  *format
	from    *bufio.Reader
	decoder decoder
	layer   int
	inside  bool // a member
	count   int  // members begun
	ended   bool
}

func (m *members) Read(p []byte) (int, error) {
	for {
		if !m.inside {
			if err := m.next(); err != nil {
				return 0, err
			}
		}
		n, err := m.decoder.Read(p)
		switch {
		case n > 0 || err == nil:
			if m.layer == m.source.layer {
				m.source.given += int64(n)
			}
			return n, nil // the error comes again
		case errors.Is(err, io.EOF):
			m.inside = false
		case errors.Is(err, errChecksum): // its bytes are read: the next member may be sound
			m.source.note(m.say(err))
			m.inside = false
		default:
			return 0, m.end(err)
		}
	}
}

// say names what is wrong with the present member.
func (m *members) say(err error) string {
	return fmt.Sprintf("%s %s %d: %v", m.format.name, m.format.member, m.count, err)
}

// next begins the next member. Between members there may be what a delivery
// puts between records, or padding.
func (m *members) next() error {
	for !m.ended {
		head, _ := m.from.Peek(headSize)
		switch {
		case len(head) == 0:
			m.ended = true
			return cmpErr(m.source.stored.err, io.EOF)
		case m.format.begins(head):
			m.count++
			if err := m.decoder.begin(m.from); err != nil {
				return m.end(err)
			}
			m.inside = true
			return nil
		case !isBlank(head[0]) && head[0] != 0:
			return m.end(fmt.Errorf("no %s data after %s %d", m.format.name, m.format.member, m.count))
		}
		_, _ = m.from.Discard(1) // it was peeked at
	}
	return io.EOF
}

// end stops reading because of err.
func (m *members) end(err error) error {
	m.ended, m.inside = true, false
	if m.source.stored.err != nil {
		return m.source.stored.err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if !m.source.broken {
		m.source.broken = true
		m.source.note(m.say(err))
	}
	return io.EOF
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func isGzip(head []byte) bool { return len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b }

// gunzip reads gzip members.
type gunzip struct{ zr gzip.Reader }

func (g *gunzip) begin(from *bufio.Reader) error {
	if err := g.zr.Reset(from); err != nil {
		return err
	}
	g.zr.Multistream(false)
	return nil
}

func (g *gunzip) Read(p []byte) (int, error) {
	n, err := g.zr.Read(p)
	if errors.Is(err, gzip.ErrChecksum) {
		err = errChecksum
	}
	return n, err
}

func (g *gunzip) release() {}

// big reads a number of 32 bits as Hadoop writes it.
func big(b []byte) int { return int(binary.BigEndian.Uint32(b)) }

package lake

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// layers is how often an object may be gzipped: by the delivery, by the
// producer, and once more by accident.
const layers = 3

const readSize = 64 << 10 // bytes asked of the store at a time while decompressing

// source gives an object's decompressed bytes.
type source struct {
	out    io.Reader
	stored *counter
	note   func(reason string) // told what is wrong with compressed bytes, at the place it is met
	broken bool                // a layer ended early; what the layers in it miss is no news
	held   []func()            // give back what is pooled
}

// counter counts the stored bytes and keeps the store's error apart from what
// decompressors make of it.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

var (
	buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readSize) }}
	gunzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

func newSource(r io.Reader, note func(string)) *source {
	s := &source{stored: &counter{r: r}, note: note}
	s.out = s.stored
	return s
}

// unwrap looks at the first bytes and sets up decompression.
func (s *source) unwrap() error {
	for layer := 0; ; layer++ {
		buffered := buffers.Get().(*bufio.Reader)
		buffered.Reset(s.out)
		s.held = append(s.held, func() { buffered.Reset(nil); buffers.Put(buffered) })
		s.out = buffered
		if layer == layers || !isGzip(buffered) {
			return s.stored.err
		}
		zr := gunzips.Get().(*gzip.Reader)
		s.held = append(s.held, func() { gunzips.Put(zr) })
		s.out = &gunzip{source: s, from: buffered, zr: zr}
	}
}

func (s *source) release() {
	for _, f := range s.held {
		f()
	}
	s.held = nil
}

func isGzip(r *bufio.Reader) bool {
	head, _ := r.Peek(2)
	return len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b
}

// gunzip reads gzip members one after another. What is wrong with them it tells
// the source; its errors are the store's, and io.EOF.
type gunzip struct {
	source *source
	from   *bufio.Reader
	zr     *gzip.Reader
	inside bool // a member
	count  int  // members begun
	ended  bool
}

func (g *gunzip) Read(p []byte) (int, error) {
	for {
		if !g.inside {
			if err := g.next(); err != nil {
				return 0, err
			}
		}
		n, err := g.zr.Read(p)
		switch {
		case n > 0 || err == nil:
			return n, nil // the error comes again
		case errors.Is(err, io.EOF):
			g.inside = false
		case errors.Is(err, gzip.ErrChecksum): // its bytes are read: the next member may be sound
			g.source.note(fmt.Sprintf("gzip member %d: checksum or length does not match", g.count))
			g.inside = false
		default:
			return 0, g.end(err)
		}
	}
}

// next begins the next member. Between members there may be what a delivery
// puts between records, or padding.
func (g *gunzip) next() error {
	if g.ended {
		return io.EOF
	}
	for g.count > 0 {
		head, err := g.from.Peek(1)
		if err != nil {
			g.ended = true
			return cmpErr(g.source.stored.err, io.EOF)
		}
		if !isBlank(head[0]) && head[0] != 0 {
			break
		}
		_, _ = g.from.Discard(1) // it was peeked at
	}
	if !isGzip(g.from) {
		return g.end(fmt.Errorf("no gzip data after member %d", g.count))
	}
	g.count++
	if err := g.zr.Reset(g.from); err != nil {
		return g.end(err)
	}
	g.zr.Multistream(false)
	g.inside = true
	return nil
}

// end stops reading because of err.
func (g *gunzip) end(err error) error {
	g.ended, g.inside = true, false
	if g.source.stored.err != nil {
		return g.source.stored.err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if !g.source.broken {
		g.source.broken = true
		g.source.note(fmt.Sprintf("gzip member %d: %v", g.count, err))
	}
	return io.EOF
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

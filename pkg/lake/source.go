package lake

import (
	"bufio"
	"bytes"
	"io"
	"sync"
)

// layers is how often an object may be compressed: by the delivery, by the
// producer, and once more by accident.
const layers = 3

const readSize = 64 << 10 // bytes asked of the store at a time while decompressing

// source gives an object's decompressed bytes.
type source struct {
	out     io.Reader
	stored  *counter
	layer   int      // the innermost
	given   int64    // bytes that the innermost layer gave out
	breaks  []Damage // what is wrong with compressed bytes, of length 0, waiting for its place in the order
	broken  bool     // a layer ended early; what the layers in it miss is no news
	alien   string   // what the object is, if it is known and not read
	parquet bool     // it is a Parquet file
	held    []func() // give back what is pooled
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

var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readSize) }}

func newSource(r io.Reader) *source {
	s := &source{stored: &counter{r: r}}
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
		head, _ := buffered.Peek(headSize)
		f := formatOf(head)
		if f == nil || layer == layers {
			s.alien = alien(head)
			if isParquet(head) && layer == 0 {
				s.parquet, s.alien = true, ""
			}
			return s.stored.err
		}
		d := f.pool.Get().(decoder)
		s.held = append(s.held, func() { d.release(); f.pool.Put(d) })
		s.out = &members{source: s, format: f, from: buffered, decoder: d, layer: layer}
		s.layer, s.given = layer, 0
		for i := range s.breaks { // met while looking at the first bytes of this layer
			s.breaks[i].Offset = 0
		}
	}
}

// note says what is wrong at the place that reading has come to.
func (s *source) note(reason string) {
	s.breaks = append(s.breaks, Damage{Offset: s.given, Blind: true, Reason: reason})
}

func (s *source) release() {
	for _, f := range s.held {
		f()
	}
	s.held = nil
}

// aliens are formats that are known and not read.
var aliens = []struct{ magic, name string }{
	{"PK\x03\x04", "a ZIP archive"},
	{"ORC", "an ORC file"},
	{"Obj\x01", "an Avro file"},
	{"BZh", "bzip2 data"},
	{"\xfd7zXZ\x00", "xz data"},
	{"\x04\x22\x4d\x18", "LZ4 data"},
	{"\x82SNAPPY\x00", "snappy data as xerial frames it"},
	{"\xff\xfe", "UTF-16 text"},
	{"\xfe\xff", "UTF-16 text"},
}

// parquetWithin is what alien says of a Parquet file that is not a whole object.
const parquetWithin = "a Parquet file within an object, which kreplay does not read"

// alien names what begins with head, if it is one of them.
func alien(head []byte) string {
	if isParquet(head) {
		return parquetWithin
	}
	for _, a := range aliens {
		if bytes.HasPrefix(head, []byte(a.magic)) {
			return a.name + ", which kreplay does not read"
		}
	}
	return ""
}

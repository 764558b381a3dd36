package parquet

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	window    = 64 << 10 // bytes read ahead of a column
	maxHeader = 16 << 20 // bytes of a page's header; its statistics may hold two values
	ahead     = 128      // values decoded ahead of a column
	valueCost = 16       // bytes of levels, an offset and an index of a value in a page
)

// column goes through the values of one column chunk. values[next:] are those
// decoded and not yet taken.
type column struct {
	scan  *scan
	name  string
	leaf  *leaf
	rows  int64 // of the row group
	codec format.CompressionCodec
	total int64 // values of the chunk, as the footer tells

	at, end int64 // what of the chunk is not read yet, in the file
	buf     []byte
	bufAt   int64

	dictionary []byte // header and plain page, for a decoder that starts anew
	spoiled    error  // why there is no dictionary
	plain      stream
	pages      *lib.FilePages
	page       lib.Page
	reader     lib.ValueReader
	held       int64 // bytes

	values []lib.Value
	next   int
	store  [ahead]lib.Value
	left   int   // values of the page not decoded yet
	row    int64 // the row that begins next
	seen   int64 // values of the pages so far, lost ones included
	hole   *hole
	extent span // of the page
}

// hole is a range of rows that this column lacks.
type hole struct {
	span
	inside bool // the row before from may go on in it
	why    error
}

// span is a range of rows; to is -1 while nobody knows.
type span struct{ from, to int64 }

// open begins with all columns of a row group.
func (s *scan) open(g *format.RowGroup) ([]*column, error) {
	s.held = 0
	switch {
	case len(s.tree.leaves) == 0:
		return nil, errors.New("no column")
	case len(g.Columns) != len(s.tree.leaves):
		return nil, fmt.Errorf("%d columns, and %d in the schema", len(g.Columns), len(s.tree.leaves))
	case g.NumRows < 0:
		return nil, fmt.Errorf("%d rows", g.NumRows)
	}
	columns := make([]*column, len(g.Columns))
	for i := range g.Columns {
		c, err := s.column(s.tree.leaves[i], &g.Columns[i], g.NumRows)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", s.tree.leaves[i].name, err)
		}
		columns[i] = c
	}
	return columns, nil
}

func (s *scan) column(l *leaf, chunk *format.ColumnChunk, rows int64) (*column, error) {
	m := &chunk.MetaData
	c := &column{scan: s, name: l.name, leaf: l, rows: rows, codec: m.Codec, total: m.NumValues, at: m.DataPageOffset}
	if d := m.DictionaryPageOffset; d > 0 && d < c.at {
		c.at = d
	}
	c.end = c.at + m.TotalCompressedSize
	switch {
	case chunk.FilePath != "":
		return nil, errors.New("lies in another file")
	case len(chunk.EncryptedColumnMetadata) > 0 || chunk.CryptoMetadata.Value != nil:
		return nil, errors.New("encrypted, which kreplay does not read")
	case m.Type != l.physical:
		return nil, fmt.Errorf("type %v, and %v in the schema", m.Type, l.physical)
	case c.at < 4 || m.TotalCompressedSize < 0 || c.end > s.from.size || c.end < c.at:
		return nil, fmt.Errorf("bytes %d to %d of a file of %d", c.at, c.end, s.from.size)
	}
	return c, s.hold(&c.held, window+ahead*24)
}

// hold takes n bytes in place of those held so far.
func (s *scan) hold(held *int64, n int64) error {
	if s.held+n-*held > s.o.Memory {
		return fmt.Errorf("needs more than %d bytes of memory at a time", s.o.Memory)
	}
	s.held += n - *held
	*held = n
	return nil
}

// stream feeds the library with one plain page after another. It takes reads
// in sequence only.
type stream struct {
	left []byte
	pos  int64
}

// streamStart is where the chunk begins in the file that the library sees.
const streamStart = 4

func (s *stream) ReadAt(p []byte, off int64) (int, error) {
	if off != s.pos || len(s.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.left)
	s.left, s.pos = s.left[n:], s.pos+int64(n)
	return n, nil // shorter than asked for: the section reader in between lets it pass
}

// feed gives the library a page. Its bytes are those of head and data.
func (c *column) feed(header *format.PageHeader, data []byte) (err error) {
	defer contain(&err)
	var protocol thrift.CompactProtocol
	head, err := thrift.Marshal(&protocol, header)
	if err != nil {
		return err
	}
	page := append(head, data...)
	if header.Type == format.DictionaryPage {
		c.dictionary = page
		return nil
	}
	fresh := c.pages == nil
	if fresh {
		c.plain = stream{pos: streamStart}
		c.pages = c.leaf.chunk.PagesFrom(&c.plain)
		page = append(c.dictionary[:len(c.dictionary):len(c.dictionary)], page...)
	}
	c.plain.left = page
	c.page, err = c.pages.ReadPage()
	if err == nil {
		c.reader = c.page.Values()
	}
	return err
}

// drop lets the present page go.
func (c *column) drop(failed bool) {
	defer func() { _ = recover() }() // what the library holds after it failed is anyone's guess
	page, pages := c.page, c.pages
	c.page, c.reader, c.left = nil, nil, 0
	if failed {
		c.pages = nil
		return // neither is given back: a page may be in two hands
	}
	if page != nil && pages != nil {
		lib.Release(page)
	}
}

// fill decodes more values, unless there are some, a hole, or no more.
func (c *column) fill() {
	for c.next >= len(c.values) && c.hole == nil {
		c.values, c.next = nil, 0
		if c.left == 0 {
			c.drop(false)
			if c.at >= c.end || c.total > 0 && c.seen >= c.total {
				if c.row < c.rows {
					c.extent = span{c.row, c.rows}
					c.breaks(fmt.Errorf("ends after %d of %d rows", c.row, c.rows))
				}
				return
			}
			if err := c.load(); err != nil {
				c.breaks(err)
			}
			continue
		}
		if err := c.decode(); err != nil {
			c.breaks(err)
		}
	}
}

// breaks makes a hole of what is left of the page, or of the row group.
func (c *column) breaks(err error) {
	c.drop(true)
	c.values, c.next = nil, 0
	from, to := c.row, c.extent.to
	inside := c.leaf.repeats > 0 && (to < 0 || from > c.extent.from)
	if to < 0 || to > c.rows || to < from {
		to, c.at = c.rows, c.end
	}
	c.hole = &hole{span{from, to}, inside, fmt.Errorf("column %s: %w", c.name, err)}
}

// decode takes more values out of the page.
func (c *column) decode() (err error) {
	defer contain(&err)
	n, err := c.reader.ReadValues(c.store[:min(ahead, c.left)])
	if errors.Is(err, io.EOF) {
		err = nil
	}
	switch {
	case err != nil:
		return err
	case n == 0:
		return fmt.Errorf("page: %d values fewer than its header says", c.left)
	}
	c.values, c.left = c.store[:n], c.left-n
	return nil
}

// load reads the next data page, and dictionaries before it.
func (c *column) load() error {
	c.extent = span{c.row, -1}
	for c.at < c.end {
		header, err := c.header()
		if err != nil {
			return fmt.Errorf("page at byte %d: %w", c.at, err)
		}
		values, start := c.announce(header), c.at
		err = c.admit(header, values)
		if err != nil {
			c.extent.to = -1 // where the next page begins is not known either
			return fmt.Errorf("page at byte %d: %w", start, err)
		}
		c.at += int64(header.CompressedPageSize)
		if header.Type != format.DataPage && header.Type != format.DataPageV2 && header.Type != format.DictionaryPage {
			continue // the format has index pages, which no one writes
		}
		data, err := c.read(header, start)
		if err == nil && header.Type != format.DictionaryPage && c.spoiled != nil && isDictionary(header) {
			err = fmt.Errorf("dictionary: %w", c.spoiled)
		}
		if err == nil {
			data, err = c.leaf.bounded(header, data)
		}
		if err == nil {
			err = c.feed(plainHeader(header, len(data)), data)
		}
		if header.Type == format.DictionaryPage {
			c.spoiled = err
			continue
		}
		c.seen += values
		c.left = int(values)
		if err != nil {
			return fmt.Errorf("page at byte %d: %w", start, err)
		}
		return nil
	}
	c.extent.to = c.rows
	return errors.New("its chunk does not end with a data page")
}

// announce says how many values a page has, and notes its rows if its header tells.
func (c *column) announce(h *format.PageHeader) int64 {
	switch h.Type {
	case format.DataPage:
		if n := int64(h.DataPageHeader.V.NumValues); c.leaf.repeats == 0 {
			c.extent.to = c.row + n
		}
		return int64(h.DataPageHeader.V.NumValues)
	case format.DataPageV2:
		v := &h.DataPageHeaderV2.V
		if c.extent.to = c.row + int64(v.NumRows); c.leaf.repeats == 0 {
			c.extent.to = c.row + int64(v.NumValues)
		}
		return int64(v.NumValues)
	case format.DictionaryPage:
		return int64(h.DictionaryPageHeader.V.NumValues)
	default:
		return 0
	}
}

// admit refuses what is out of bounds, before anything is allocated for it.
func (c *column) admit(h *format.PageHeader, values int64) error {
	packed, plain := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
	v2 := h.DataPageHeaderV2.V
	levels := int64(v2.RepetitionLevelsByteLength) + int64(v2.DefinitionLevelsByteLength)
	switch {
	case packed < 0 || plain < 0 || values < 0 || v2.NumRows < 0 || v2.NumNulls < 0 || v2.NumNulls > v2.NumValues ||
		v2.RepetitionLevelsByteLength < 0 || v2.DefinitionLevelsByteLength < 0 || levels > min(packed, plain):
		return errors.New("its header holds lengths that cannot be")
	case packed > c.end-c.at:
		return fmt.Errorf("%d bytes, and %d are left of its chunk", packed, c.end-c.at)
	case packed > MaxPage || plain > MaxPage:
		return fmt.Errorf("%d bytes, decompressed %d; the longest page read has %d", packed, plain, MaxPage)
	case values > MaxValues:
		return fmt.Errorf("%d values; a page read has %d at most", values, MaxValues)
	}
	// Packed, plain as decompressed and as the library has it, its values once
	// more, levels, and offsets or indexes.
	return c.scan.hold(&c.held, window+ahead*24+2*int64(len(c.dictionary))+packed+3*plain+values*valueCost)
}

// header reads the header of the page at c.at, and goes on behind it.
func (c *column) header() (*format.PageHeader, error) {
	for n := int64(4 << 10); ; n *= 16 {
		data, err := c.bytes(min(n, c.end-c.at))
		if err != nil {
			return nil, err
		}
		h, length := new(format.PageHeader), 0
		err = decode(data, h, &length)
		switch {
		case err == nil:
			c.at += int64(length)
			ok := map[format.PageType]bool{format.DataPage: h.DataPageHeader.Valid, format.DataPageV2: h.DataPageHeaderV2.Valid, format.DictionaryPage: h.DictionaryPageHeader.Valid, format.IndexPage: true}
			if !ok[h.Type] {
				return nil, errors.New("its header is no page's")
			}
			return h, nil
		case int64(len(data)) == c.end-c.at || n >= maxHeader:
			return nil, fmt.Errorf("header: %w", err)
		}
	}
}

// bytes returns n bytes at c.at, without going on. They are valid until the next call.
func (c *column) bytes(n int64) ([]byte, error) {
	if from := c.at - c.bufAt; from >= 0 && from+n <= int64(len(c.buf)) {
		return c.buf[from : from+n], nil
	}
	size := min(max(n, window), c.end-c.at)
	if int64(cap(c.buf)) < size || cap(c.buf) > 2*window && size <= window {
		c.buf = make([]byte, size)
	}
	c.buf, c.bufAt = c.buf[:size], c.at
	if got, err := c.scan.from.ReadAt(c.buf, c.at); got < len(c.buf) {
		c.buf = c.buf[:0]
		return nil, fmt.Errorf("read: %w", err)
	}
	return c.buf[:n], nil
}

// read returns the plain bytes of the page whose header was read.
func (c *column) read(h *format.PageHeader, start int64) ([]byte, error) {
	n := int64(h.CompressedPageSize)
	c.at = start
	data, err := c.bytes(n)
	c.at = start + n
	if err != nil {
		return nil, err
	}
	if sum := crc32.ChecksumIEEE(data); h.CRC != 0 && uint32(h.CRC) != sum {
		return nil, errors.New("checksum does not match")
	}
	plain := make([]byte, h.UncompressedPageSize)
	levels, codec := 0, c.codec
	if h.Type == format.DataPageV2 {
		v := &h.DataPageHeaderV2.V
		levels = int(v.RepetitionLevelsByteLength + v.DefinitionLevelsByteLength)
		if v.IsCompressed.Valid && !v.IsCompressed.V {
			codec = format.Uncompressed
		}
	}
	copy(plain, data[:levels])
	if levels == len(plain) && levels < len(data) && codec != format.Uncompressed { // nothing, compressed
		return plain, nil
	}
	if err := c.unpack(codec, plain[levels:], data[levels:]); err != nil {
		return nil, fmt.Errorf("%v: %w", codec, err)
	}
	return plain, nil
}

func (c *column) unpack(codec format.CompressionCodec, dst, src []byte) (err error) {
	defer contain(&err)
	return decompress(codec, dst, src)
}

// plainHeader is the header of a page that is decompressed.
func plainHeader(h *format.PageHeader, n int) *format.PageHeader {
	p := *h
	p.CRC, p.CompressedPageSize, p.UncompressedPageSize = 0, int32(n), int32(n)
	p.DataPageHeader.V.Statistics, p.DataPageHeaderV2.V.Statistics = format.Statistics{}, format.Statistics{}
	p.DataPageHeaderV2.V.IsCompressed = thrift.Null[bool]{Valid: true}
	return &p
}

// plainDictionary is how older writers call indexes of a dictionary.
const plainDictionary = format.Encoding(2)

func isDictionary(h *format.PageHeader) bool {
	e := h.DataPageHeader.V.Encoding
	if h.Type == format.DataPageV2 {
		e = h.DataPageHeaderV2.V.Encoding
	}
	return e == plainDictionary || e == format.RLEDictionary
}

// skip goes on to the beginning of row r, or to a hole that goes beyond it.
func (c *column) skip(r int64) {
	for {
		if c.hole != nil {
			if c.hole.to > r {
				return
			}
			c.row, c.hole = max(c.row, c.hole.to), nil
			continue
		}
		c.fill()
		if c.hole != nil {
			continue
		}
		if c.next >= len(c.values) || c.row >= r && c.values[c.next].RepetitionLevel() == 0 {
			return
		}
		c.take()
	}
}

// take goes on behind the next value, of which there is one.
func (c *column) take() {
	if c.values[c.next].RepetitionLevel() == 0 {
		c.row++
	}
	c.next++
}

// peek returns the next value, of this row or the next; nil: there is none, or
// not in this row. The error says why nobody knows.
func (c *column) peek() (*lib.Value, error) {
	if c.next >= len(c.values) {
		c.fill()
		if c.hole != nil && c.hole.inside {
			return nil, c.hole.why
		}
		if c.next >= len(c.values) {
			return nil, nil
		}
	}
	return &c.values[c.next], nil
}

// Package parquet reads the rows of Parquet files as JSON objects, whatever the files hold.
//
// A row is rendered in the order of the columns. A group is an object, LIST and
// repeated are arrays, MAP is an object (keys that are no text are written as
// text). A field that is null is left out, as Parquet does not tell whether it
// was null or not there; a null in a list or a map is null. Scalars:
//   - integers of up to 64 bits are exact, signed or not; DECIMAL is exact, with all digits of its scale
//   - FLOAT and DOUBLE are the shortest digits that give the same number; NaN and the infinities, which JSON lacks, are text
//   - TIMESTAMP is RFC 3339 with Z if it is adjusted to UTC, else without an offset; its fraction, of 3, 6 or 9 digits by
//     the unit, is left out when it is zero. INT96 is a timestamp of ns in UTC. A year beyond 0 to 9999 leaves the number.
//   - DATE is 2006-01-02, TIME is 15:04:05 with a fraction as above, UUID is text of 36 bytes
//   - a JSON column is put in as it is, if it is valid JSON
//   - other bytes are text if they are UTF-8, else base64
//
// # Bounds
//
// Pages are read, checked and decompressed here, never beyond what their
// headers say; the library decodes values out of plain pages. A footer is at most
// MaxFooter bytes and MaxParts structures; a page at most MaxPage bytes and
// MaxValues values; what is held of all columns at a time at most Memory. What
// is beyond, as hostile files have it, is damage. So is what makes the library panic.
//
// # What damage costs
//
// A page that is broken costs its rows, where its header tells how many they
// are: in columns that do not repeat, and in data pages of version 2. Otherwise
// it costs the rest of its row group. Other row groups are read all the same.
// Pages without a checksum, as most writers make them, hide what still decodes.
package parquet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go/format"
)

// Bounds of what is read.
const (
	MaxFooter = 32 << 20  // bytes of a footer
	MaxParts  = 1 << 18   // structures in a footer: columns, and their chunks, each with some of its own
	MaxPage   = 128 << 20 // bytes of a page, compressed or not; DuckDB's are up to 100 MB
	MaxValues = 1 << 24   // values of a page, nulls included
	MaxDepth  = 100       // groups within groups
	Memory    = 512 << 20 // bytes held of one file's pages at a time, unless Options say otherwise
)

// Magic begins and ends a file; EncryptedMagic one whose footer is encrypted.
const (
	Magic          = "PAR1"
	EncryptedMagic = "PARE"
)

// Options bound a reader, and say where rows go.
type Options struct {
	MaxRow int   // longest row as JSON, in bytes; 0: 16 MiB
	Memory int64 // bytes held of pages at a time; 0: Memory

	// Row is called for each row with its number, from 0, and Lost for what is
	// damaged, in order. Data is valid until Row returns. Both must be set.
	Row  func(number int64, data []byte) error
	Lost func(Lost) error
}

// Lost is a range of rows that cannot be read.
type Lost struct {
	First, Count int64 // by the row's number in the file, from 0; Count 0: nobody knows how many
	Reason       string
}

// Rows reads a file of size bytes. The error is one of a callback, unchanged, of
// r, or the cause of ctx.
func Rows(ctx context.Context, r io.ReaderAt, size int64, o Options) error {
	if o.MaxRow == 0 {
		o.MaxRow = 16 << 20
	}
	if o.Memory == 0 {
		o.Memory = Memory
	}
	from := &source{r: r, size: size}
	meta, err := readFooter(from)
	if from.err != nil {
		return from.err
	}
	var schema *tree
	if err == nil {
		schema, err = newTree(meta.Schema)
	}
	if err != nil {
		return o.Lost(Lost{Reason: err.Error()})
	}
	s := &scan{ctx: ctx, from: from, o: o, tree: schema}
	first := int64(0)
	for i := range meta.RowGroups {
		if err := s.group(first, i, &meta.RowGroups[i]); err != nil {
			return err
		}
		if n := meta.RowGroups[i].NumRows; n > 0 {
			first += n
		}
	}
	return s.flush()
}

// source is what is read, and keeps its error apart from what a file is found to lack.
type source struct {
	r    io.ReaderAt
	size int64
	err  error
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= s.size {
		return 0, io.EOF
	}
	n, err := s.r.ReadAt(p, off)
	if n == len(p) {
		err = nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// scan goes through the row groups.
type scan struct {
	ctx  context.Context
	from *source
	o    Options
	tree *tree

	held    int64 // bytes of pages
	pending Lost  // not told yet, as what follows may belong to it
	waits   bool
	json    []byte
}

// lose notes that rows are lost; ranges that touch and have one reason are one.
func (s *scan) lose(l Lost) error {
	if s.waits && l.Reason == s.pending.Reason && s.pending.Count > 0 && l.First == s.pending.First+s.pending.Count {
		s.pending.Count += l.Count
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	s.pending, s.waits = l, true
	return nil
}

func (s *scan) flush() error {
	if !s.waits {
		return nil
	}
	s.waits = false
	return s.o.Lost(s.pending)
}

// empty says that a row group holds nothing, as pyarrow writes one for a table
// without rows: where its pages would lie says nothing either.
func empty(g *format.RowGroup) bool {
	return g.NumRows == 0 && !slices.ContainsFunc(g.Columns, func(c format.ColumnChunk) bool { return c.MetaData.NumValues != 0 })
}

// group reads one row group, whose first row has the number first.
func (s *scan) group(first int64, index int, g *format.RowGroup) error {
	if empty(g) {
		return nil
	}
	name := func(err error) string { return fmt.Sprintf("row group %d: %v", index+1, err) }
	columns, err := s.open(g)
	if err != nil {
		return s.lose(Lost{first, max(g.NumRows, 0), name(err)})
	}
	defer func() { s.held = 0 }()
	for r := int64(0); r < g.NumRows; {
		if r%1024 == 0 && s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		end, gap := s.gap(columns, r)
		if s.from.err != nil {
			return s.from.err
		}
		if gap != nil {
			if err := s.lose(Lost{first + r, end - r, name(gap)}); err != nil {
				return err
			}
			s.skip(columns, end)
			r = end
			continue
		}
		s.json, err = s.tree.render(s.json[:0], columns, s.o.MaxRow)
		if s.from.err != nil {
			return s.from.err
		}
		if err == nil {
			err = s.flush()
			if err == nil {
				err = s.o.Row(first+r, s.json)
			}
			if err != nil {
				return err
			}
		} else {
			if err := s.lose(Lost{first + r, 1, name(err)}); err != nil {
				return err
			}
			s.skip(columns, r+1)
		}
		r++
	}
	return s.excess(columns, first+g.NumRows, name)
}

// gap says whether row r is lost, and up to which row.
func (s *scan) gap(columns []*column, r int64) (end int64, gap error) {
	for _, c := range columns {
		if c.next < len(c.values) {
			continue
		}
		c.fill()
		if h := c.hole; h != nil && h.from <= r && h.to > max(end, r) {
			end, gap = h.to, h.why
		}
	}
	return end, gap
}

// skip goes on to row r in all columns, or to where that is not possible.
func (s *scan) skip(columns []*column, r int64) {
	for _, c := range columns {
		c.skip(r)
	}
}

// excess says so when columns hold more than the footer told.
func (s *scan) excess(columns []*column, end int64, name func(error) string) error {
	for _, c := range columns {
		if c.hole != nil {
			continue
		}
		c.fill()
		if s.from.err != nil {
			return s.from.err
		}
		if c.next < len(c.values) {
			return s.lose(Lost{end, 0, name(fmt.Errorf("column %s holds more than the %d rows that the footer tells", c.name, c.rows))})
		}
	}
	return nil
}

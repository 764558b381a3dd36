// Package lake reads the rows of a lake's objects.
//
// # What is a row
//
// A row is a JSON object `{...}`. Rows stand one after another with a newline,
// other JSON white space or nothing in between; blank lines are skipped. Scan
// finds the end of a row by its brackets and strings and checks no more than
// that takes: brackets match, an opening bracket or quote stands where a value
// or key may begin, strings hold no control byte, and outside of strings there
// are only bytes of numbers, true, false, null, punctuation and white space.
// Text that passes may still be no valid JSON.
//
// # What is damage
//
// All that is neither row nor white space lies in Damage spans: rows, white
// space and spans cover an object's decompressed bytes without overlap. After
// damage, rows go on at the next `{` that
//   - begins a valid row (by [encoding/json.Valid]) of at most the longest length,
//   - stands after a newline, or not after `:`, `[` or `,`, so that an object
//     nested in a damaged row is not taken for a row, and
//   - is not followed by `,`, `:`, `]` or `}`, for the same reason, nor, if it
//     holds none, by `"`,
//
// or that begins a valid row which has a line for itself, whatever stands in the
// lines about it: an object that spans lines is no row if one of them is such a row.
//
// So a row with one spoiled byte costs itself alone, be there newlines or not;
// but where no newline follows it and its last `}` became `:`, `[` or `,` it
// costs the next row too. What others write between rows, text or binary, costs no row
// that has a line for itself. Without newlines it costs none if it holds no
// brace, does not begin with `,`, `:`, `]` or `}`, and does not end in `[`, `:` or `,`;
// else it may cost the row before it and the one behind it. What is left of a damaged
// row behind a `}{"` in one of its strings, or behind a byte that became a brace, may
// come out as a row. An object that ends within a row that is sound so far ends in
// one span, unless a line in it is a row.
//
// # Parquet
//
// An object that begins with PAR1 is a Parquet file. Its rows are rendered as
// JSON objects, as package parquet says. Offsets, and the lengths of damage,
// count its rows. It is read where it lies if the store is an [object.Seeker],
// else by way of a file in the system's directory for temporary files. Within
// a compressed object it is not read.
//
// # CSV
//
// CSV is read where the caller says that an object is: see [CSV].
package lake

import (
	"context"
	"fmt"

	"kreplay/pkg/object"
)

// MaxValue is the longest row in bytes, unless a Sweep says otherwise. A Kinesis
// record has at most 10 MiB.
const MaxValue = 16 << 20

// Row is one JSON object found in a lake object.
type Row struct {
	Object  string // key
	Offset  int64  // of its first byte, in decompressed bytes; in a Parquet file its number, from 0
	Data    []byte // from '{' to '}', rendered if the object is not JSON; valid until the callback returns
	Newline bool   // "\n" or "\r\n" follows directly

	Converted bool // from columns that have types, as Parquet's: Data is not what was stored
	Text      bool // from cells that are texts, as in CSV, likewise
}

// Damage is a span that holds no readable row: a finding, not an error. Whose it
// is its bytes may tell, which [Sweep] shows.
// A Length of 0 says that compressed bytes broke at Offset, so that it is not
// known how many decompressed bytes are lost, or whether those before are right.
type Damage struct {
	Object         string // key
	Offset, Length int64  // decompressed bytes, or rows
	Rows           bool   // Offset and Length count rows; a Length of 0: nobody knows how many are lost
	Blind          bool   // what is lost was not seen: it was compressed, or in a format that is not read
	Reason         string
}

// Extent says how much is lost.
func (d Damage) Extent() string {
	switch {
	case !d.Rows:
		return fmt.Sprintf("%d bytes", d.Length)
	case d.Length == 0:
		return "an unknown number of rows"
	case d.Length == 1:
		return "1 row"
	}
	return fmt.Sprintf("%d rows", d.Length)
}

// A Format says how rows are written.
type Format string

const (
	// Auto is JSON or Parquet, whichever the content is.
	Auto Format = ""
	// CSV has names in its first line, as RFC 4180 has it; content cannot tell it
	// from text. A row becomes an object of texts, in the order of the columns. A
	// cell without a byte is left out, for nobody knows whether it was there; a
	// quoted one without text is "". A line equal to the first is no row, so that
	// files that were put together read as one. Lines end with \n or \r\n, those
	// without a byte are skipped, and a byte order mark before the names is no
	// part of them. A quote within a cell that does not begin with one is text.
	//
	// Damage is a row that has more or fewer cells than there are names, is not
	// UTF-8, is too long, or has a quote that is not closed as it should be. It
	// ends with the row's first line: what a lone quote swallowed are rows again.
	// An object whose names are empty or repeated is damage as a whole.
	CSV Format = "csv"
)

// Stats says how much was read.
type Stats struct {
	Objects int64  // objects read to their end
	Bytes   int64  // stored bytes read; less than the object when compressed data break off
	Plain   int64  // decompressed bytes
	Rows    uint64 // rows given to the callback
}

func (s *Stats) add(t Stats) {
	s.Objects += t.Objects
	s.Bytes += t.Bytes
	s.Plain += t.Plain
	s.Rows += t.Rows
}

// Scan reads one object and calls row for each row and damage for each damaged
// span, one call at a time, in order of their offsets. An object is never held
// as a whole, only its longest row.
//
// The error is the first one of a callback, unchanged; of the store, with the
// key; or the cause of ctx. The Stats and the calls made before it hold. Scan may be
// called concurrently. Both callbacks must be set.
func Scan(ctx context.Context, store object.Store, key string, row func(Row) error, damage func(Damage) error) (Stats, error) {
	return Auto.Scan(ctx, store, key, row, damage)
}

// Scan is Scan of an object of format f.
func (f Format) Scan(ctx context.Context, store object.Store, key string, row func(Row) error, damage func(Damage) error) (Stats, error) {
	return scan(ctx, store, key, Sweep{Format: f, Row: row, Damage: damage})
}

func scan(ctx context.Context, store object.Store, key string, sweep Sweep) (Stats, error) {
	file, err := store.Open(ctx, key)
	if err != nil {
		return Stats{}, fmt.Errorf("lake: %w", err)
	}
	defer func() { _ = file.Close() }()
	if sweep.MaxValue <= 0 {
		sweep.MaxValue = MaxValue
	}
	src := newSource(file)
	defer src.release()
	var stats Stats
	switch err = src.unwrap(); {
	case err != nil:
		err = fmt.Errorf("lake: read %s at offset 0: %w", key, err)
	case src.parquet:
		stats, err = scanParquet(ctx, store, key, src, sweep)
	default:
		stats, err = split(ctx, key, src, sweep)
		stats.Bytes = src.stored.n
	}
	if err == nil {
		stats.Objects = 1
	}
	return stats, err
}

// split cuts what src decompresses into rows.
func split(ctx context.Context, key string, src *source, sweep Sweep) (Stats, error) {
	s := newSplitter(key, src, sweep)
	defer s.release()
	run := s.run
	if sweep.Format == CSV {
		run = (&csvSplitter{splitter: s}).run
	}
	err := run(ctx)
	return s.stats, err
}

//go:build cgo

package duckdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"kreplay/pkg/expect"
)

// minObject is the least size of JSON value that DuckDB makes room for, in
// bytes: it takes some of these a thread.
const minObject = 4 << 20

// maxExample is how much of a value that does not fit is kept.
const maxExample = 100

// loader writes rows to one file a table, as [expect.Encoder] writes them, and lets
// DuckDB read the files: that is faster than handing over value by value.
type loader struct {
	engine *engine
	set    expect.Set
	sheets map[string]*sheet
	names  []string // log types in the order of the tables
}

// A sheet is a table being filled.
type sheet struct {
	table  expect.Table
	path   string
	coders sync.Pool // *coder

	mu      sync.Mutex
	file    *os.File
	buf     *bufio.Writer
	longest int
	misfits map[misfit]*expect.Misfit
}

type misfit struct{ column, reason string }

// A coder is what one Add needs.
type coder struct {
	encoder *expect.Encoder
	buf     []byte
}

// Load implements [expect.Engine].
func (e *engine) Load(ctx context.Context, set expect.Set, tables []expect.Table) (expect.Loader, error) {
	s, give, err := e.take(ctx, set)
	if err != nil {
		return nil, err
	}
	defer give()
	l := &loader{engine: e, set: set, sheets: map[string]*sheet{}}
	for i, t := range tables {
		if _, err := s.conn.ExecContext(ctx, "create table "+qualified(set, t.Name)+" ("+columnsSQL(t.Columns)+")"); err != nil {
			return nil, fmt.Errorf("duckdb: table %s: %w", t.Name, engineFault(ctx, err))
		}
		l.sheets[t.LogType] = newSheet(t, filepath.Join(e.dir, fmt.Sprintf("%s-%d.ndjson", set, i)))
		l.names = append(l.names, t.LogType)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sealed {
		return nil, errors.New("duckdb: nothing can be loaded once a query has run")
	}
	e.loaders = append(e.loaders, l)
	return l, nil
}

func newSheet(t expect.Table, path string) *sheet {
	s := &sheet{table: t, path: path, misfits: map[misfit]*expect.Misfit{}}
	s.coders.New = func() any {
		encoder := expect.NewEncoder(t)
		encoder.Misfit = s.note
		return &coder{encoder: encoder}
	}
	return s
}

// qualified is a table's full name: the empty connection of the database and a
// log type called main.x must not get in the way.
func qualified(set expect.Set, name string) string {
	return "lake." + string(set) + "." + expect.Quote(name)
}

func columnsSQL(columns []expect.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = expect.Quote(c.Name) + " " + c.Type.SQL()
	}
	return strings.Join(parts, ", ")
}

// Add implements [expect.Loader].
func (l *loader) Add(logType string, row []byte) error {
	s := l.sheets[logType]
	if s == nil {
		return fmt.Errorf("duckdb: no table of log type %q", logType)
	}
	c, _ := s.coders.Get().(*coder)
	c.buf = c.encoder.Append(c.buf[:0], row)
	err := s.write(c.buf)
	s.coders.Put(c)
	return err
}

func (s *sheet) write(line []byte) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		if s.file, err = os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
			return fmt.Errorf("duckdb: %w", err)
		}
		s.buf = bufio.NewWriterSize(s.file, 1<<16)
	}
	s.longest = max(s.longest, len(line))
	if _, err := s.buf.Write(line); err != nil {
		return fmt.Errorf("duckdb: %w", err)
	}
	return nil
}

// note counts a value that did not fit.
func (s *sheet) note(column, reason, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.misfits[misfit{column, reason}]
	if m == nil {
		m = &expect.Misfit{
			LogType: s.table.LogType, Column: column, Reason: reason,
			Example: strings.ToValidUTF8(value[:min(len(value), maxExample)], "\uFFFD"),
		}
		s.misfits[misfit{column, reason}] = m
	}
	m.Count++
}

// Close implements [expect.Loader].
func (l *loader) Close(ctx context.Context) ([]expect.Misfit, error) {
	defer l.discard()
	conn, give, err := l.engine.take(ctx, l.set)
	if err != nil {
		return nil, err
	}
	defer give()
	var misfits []expect.Misfit
	for _, name := range l.names {
		s := l.sheets[name]
		misfits = slices.AppendSeq(misfits, s.sorted())
		if s.file == nil {
			continue
		}
		if err := s.buf.Flush(); err != nil {
			return misfits, fmt.Errorf("duckdb: %w", err)
		}
		if _, err := conn.conn.ExecContext(ctx, s.insert(l.set)); err != nil {
			return misfits, fmt.Errorf("duckdb: load %s: %w", name, engineFault(ctx, err))
		}
		s.discard()
	}
	return misfits, nil
}

func (s *sheet) sorted() func(func(expect.Misfit) bool) {
	return func(yield func(expect.Misfit) bool) {
		keys := slices.SortedFunc(maps.Keys(s.misfits), func(a, b misfit) int {
			return strings.Compare(a.column+"\x00"+a.reason, b.column+"\x00"+b.reason)
		})
		for _, k := range keys {
			if !yield(*s.misfits[k]) {
				return
			}
		}
	}
}

// insert reads the file. Types are given, so nothing is guessed, and numbers
// stand in quotes, so they are cast from text, exactly.
func (s *sheet) insert(set expect.Set) string {
	columns := make([]string, len(s.table.Columns))
	for i, c := range s.table.Columns {
		columns[i] = literal(c.Name) + ": " + literal(c.Type.Written().SQL())
	}
	return fmt.Sprintf("insert into %s select * from read_json(%s, format = 'newline_delimited', compression = 'uncompressed', maximum_object_size = %d, columns = {%s})",
		qualified(set, s.table.Name), literal(s.path), max(minObject, s.longest+1), strings.Join(columns, ", "))
}

// discard closes and removes the files.
func (l *loader) discard() {
	for _, s := range l.sheets {
		s.discard()
	}
}

func (s *sheet) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		_ = s.file.Close() // was read already, or is not wanted
		_ = os.Remove(s.path)
		s.file = nil
	}
}

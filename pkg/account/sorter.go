package account

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
)

// A sorter takes entries in any order and yields them sorted. It holds a fixed
// amount of memory; what is more goes to files in a folder, in sorted runs that
// are merged when they are read. It is not safe for concurrent use.
type sorter struct {
	folder string // empty: where the system keeps temporary files
	names  *names // of the objects
	most   int    // bytes held; 0: mostHeld

	held   []entry
	size   int
	levels [][]*run // runs of a level are merged into one of the next
	err    error    // of the folder: entries are lost from then on
}

const (
	mostHeld  = 8 << 20
	entrySize = 64 // about: an entry with the header of its text
	fanIn     = 32 // runs merged at a time
	readAhead = 32 << 10
)

// An entry is a row to be named, or what is to be named of a class.
type entry struct {
	index  uint64 // of the class; of strangers see strangerIndex
	offset int64
	object uint32 // by names
	intact bool
	text   string
}

// order is that of index, then of place. It does not depend on the order in which
// objects were met, hence not on how many were read at a time.
func (s *sorter) order(a, b entry) int {
	if a.index != b.index {
		return cmp.Compare(a.index, b.index)
	}
	if a.object != b.object {
		if c := strings.Compare(s.names.list[a.object], s.names.list[b.object]); c != 0 {
			return c
		}
	}
	if a.offset != b.offset {
		return cmp.Compare(a.offset, b.offset)
	}
	if a.intact != b.intact {
		if a.intact {
			return -1
		}
		return 1
	}
	return strings.Compare(a.text, b.text)
}

// add takes one entry. Once it has failed, all and close fail too.
func (s *sorter) add(e entry) {
	if s.err != nil {
		return
	}
	s.held = append(s.held, e)
	s.size += entrySize + len(e.text)
	if s.size >= cmp.Or(s.most, mostHeld) {
		s.err = s.flush()
	}
}

// flush writes what is held as a run.
func (s *sorter) flush() error {
	slices.SortFunc(s.held, s.order)
	err := s.write(0, func(yield func(entry, error) bool) {
		for _, e := range s.held {
			if !yield(e, nil) {
				return
			}
		}
	})
	clear(s.held)
	s.held, s.size = s.held[:0], 0
	return err
}

// write makes a run of a level; a level that is full becomes a run of the next.
func (s *sorter) write(level int, entries iter.Seq2[entry, error]) error {
	r, err := s.newRun(entries)
	if err != nil {
		return err
	}
	if level == len(s.levels) {
		s.levels = append(s.levels, nil)
	}
	s.levels[level] = append(s.levels[level], r)
	if len(s.levels[level]) < fanIn {
		return nil
	}
	full := s.levels[level]
	s.levels[level] = nil
	err = s.write(level+1, s.merge(cursors(full)))
	for _, r := range full {
		err = errors.Join(err, r.close())
	}
	return err
}

// all yields the entries in order; they stay. An error ends it.
func (s *sorter) all() iter.Seq2[entry, error] {
	if s.err != nil {
		return func(yield func(entry, error) bool) { yield(entry{}, s.err) }
	}
	slices.SortFunc(s.held, s.order)
	list := []*cursor{{held: s.held}}
	for _, level := range s.levels {
		list = append(list, cursors(level)...)
	}
	return s.merge(list)
}

// close removes the files.
func (s *sorter) close() (err error) {
	for _, level := range s.levels {
		for _, r := range level {
			err = errors.Join(err, r.close())
		}
	}
	s.held, s.levels = nil, nil
	return err
}

// merge yields what the cursors yield, in order.
func (s *sorter) merge(list []*cursor) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		var heap []*cursor // the least entry first
		for _, c := range list {
			if c.next() {
				heap = append(heap, c)
			} else if c.err != nil {
				yield(entry{}, c.err)
				return
			}
		}
		for i := len(heap)/2 - 1; i >= 0; i-- {
			s.sift(heap, i)
		}
		for len(heap) > 0 {
			c := heap[0]
			if !yield(c.entry, nil) {
				return
			}
			if !c.next() {
				if c.err != nil {
					yield(entry{}, c.err)
					return
				}
				heap[0] = heap[len(heap)-1]
				heap = heap[:len(heap)-1]
			}
			s.sift(heap, 0)
		}
	}
}

func (s *sorter) sift(heap []*cursor, i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if s.order(heap[child].entry, heap[least].entry) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}

// A run is a file of sorted entries. Where the system lets it, the file has no
// name any more: it goes away with the process, however that ends.
type run struct {
	file *os.File
	size int64
	left string // name; empty: removed
}

func (s *sorter) newRun(entries iter.Seq2[entry, error]) (*run, error) {
	file, err := os.CreateTemp(s.folder, ".kreplay-places-*")
	if err != nil {
		return nil, fmt.Errorf("account: a file for the places of differences: %w", err)
	}
	r := &run{file: file}
	if os.Remove(file.Name()) != nil {
		r.left = file.Name()
	}
	w := bufio.NewWriterSize(file, readAhead)
	var last uint64
	var buf []byte
	for e, err := range entries {
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		buf = appendEntry(buf[:0], e, last)
		last = e.index
		r.size += int64(len(buf))
		_, _ = w.Write(buf) // Flush tells
	}
	if err := w.Flush(); err != nil {
		return nil, errors.Join(fmt.Errorf("account: places of differences do not fit into the folder of %s: %w: make room there and verify again", file.Name(), err), r.close())
	}
	return r, nil
}

func (r *run) close() error {
	err := r.file.Close()
	if r.left != "" {
		err = errors.Join(err, os.Remove(r.left))
	}
	return err
}

// A cursor reads sorted entries, of a run or held.
type cursor struct {
	held []entry
	from *bufio.Reader
	entry
	err error
}

func cursors(runs []*run) (list []*cursor) {
	for _, r := range runs {
		list = append(list, &cursor{from: bufio.NewReaderSize(io.NewSectionReader(r.file, 0, r.size), readAhead)})
	}
	return list
}

func (c *cursor) next() bool {
	if c.from == nil {
		if len(c.held) == 0 {
			return false
		}
		c.entry, c.held = c.held[0], c.held[1:]
		return true
	}
	if _, err := c.from.Peek(1); errors.Is(err, io.EOF) {
		return false
	}
	if c.entry, c.err = readEntry(c.from, c.index); c.err != nil {
		c.err = fmt.Errorf("account: places of differences: %w", c.err)
		return false
	}
	return true
}

// appendEntry writes an entry that comes behind one of index last.
func appendEntry(dst []byte, e entry, last uint64) []byte {
	length := uint64(len(e.text)) << 1
	if e.intact {
		length |= 1
	}
	dst = binary.AppendUvarint(dst, e.index-last)
	dst = binary.AppendUvarint(dst, uint64(e.object))
	dst = binary.AppendUvarint(dst, uint64(e.offset))
	dst = binary.AppendUvarint(dst, length)
	return append(dst, e.text...)
}

// mostText is how long no text of an entry and no name of an object is.
const mostText = 1 << 20

func readEntry(r *bufio.Reader, last uint64) (e entry, err error) {
	var fields [4]uint64
	for i := range fields {
		if fields[i], err = binary.ReadUvarint(r); err != nil {
			return e, unexpected(err)
		}
	}
	e.index, e.object, e.offset, e.intact = last+fields[0], uint32(fields[1]), int64(fields[2]), fields[3]&1 == 1
	if e.index < last || fields[1] > 1<<32-1 {
		return e, errors.New("an entry that is none")
	}
	e.text, err = readText(r, fields[3]>>1)
	return e, err
}

func readText(r io.Reader, length uint64) (string, error) {
	if length > mostText {
		return "", fmt.Errorf("a text of %d bytes", length)
	}
	text := make([]byte, length)
	_, err := io.ReadFull(r, text)
	return string(text), unexpected(err)
}

// unexpected is for where there has to be more.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

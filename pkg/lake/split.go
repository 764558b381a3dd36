package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
)

const (
	startSize = 256 << 10 // bytes of a pooled buffer
	slack     = 64        // bytes of sight behind the longest row
)

var pool = sync.Pool{New: func() any { b := make([]byte, startSize); return &b }}

// splitter cuts one object into rows and damage. buf[r:w] is what is read but
// not yet given out; base is the offset of buf[0].
type splitter struct {
	key   string
	sweep Sweep
	src   *source
	max   int
	stats Stats

	pooled *[]byte
	buf    []byte
	r, w   int
	base   int64
	eof    bool

	match matcher
	lost  lost
}

// lost describes the damaged span that is being read, if any.
type lost struct {
	on       bool
	start    int64
	end      int64 // behind its last byte that is not white space
	last     byte  // that byte
	newline  bool  // since then
	before   byte  // the last byte of all
	reason   string
	spent    int64 // bytes looked at in vain, of all spans
	furthest int64 // offset up to which was looked
}

func newSplitter(key string, src *source, sweep Sweep) *splitter {
	s := &splitter{key: key, sweep: sweep, max: sweep.MaxValue, src: src}
	s.pooled = pool.Get().(*[]byte)
	s.buf = (*s.pooled)[:min(startSize, s.max+slack)]
	return s
}

func (s *splitter) release() { pool.Put(s.pooled) }

func (s *splitter) run(ctx context.Context) error {
	for {
		if s.lost.on {
			if err := s.seek(ctx); err != nil {
				return err
			}
		}
		for s.r < s.w && isBlank(s.buf[s.r]) {
			s.r++
		}
		switch {
		case s.r < s.w:
			if err := s.take(ctx); err != nil {
				return err
			}
		case s.eof:
			return s.flush(s.base + int64(s.w))
		default:
			if err := s.fill(ctx); err != nil {
				return err
			}
		}
	}
}

// take gives out the row at r, or reads more of it, or declares damage.
func (s *splitter) take(ctx context.Context) error {
	b := s.buf[s.r:s.w]
	n, f := 0, notObject
	if b[0] == '{' {
		if known, err := s.known(b); known || err != nil {
			return err
		}
		n, f = s.match.match(b)
	}
	switch {
	case n > s.max:
		f = tooLong
	case f == more && s.eof:
		s.lose(f)
		s.lost.look(s.base+int64(s.r), n)
		s.pass(lineWithin(b))
		return nil
	case f == more, f == whole && !s.eof && !sees(b, n):
		return s.fill(ctx)
	case f == whole && n < len(b) && b[n] != '{' && !isBlank(b[n]) && !json.Valid(b[:n]):
		f = notJSON // such as a row whose nested object lost its opening bracket
	case f == whole && s.swallows(b[:n]):
		f = notLines
	}
	if f != whole {
		s.lose(f)
		s.lost.look(s.base+int64(s.r), n)
		if b[0] == '{' {
			s.pass(1)
		}
		return nil
	}
	at := s.base + int64(s.r)
	if err := s.flush(at); err != nil {
		return err
	}
	s.r += n
	s.stats.Rows++
	return s.sweep.Row(Row{Object: s.key, Offset: at, Data: b[:n:n], Newline: newline(b[n:])})
}

// known says whether b begins with a row that is known, and was taken: where an
// object ends depends on nothing behind it, so it is what match would find.
func (s *splitter) known(b []byte) (bool, error) {
	if s.sweep.Known == nil {
		return false, nil
	}
	at := s.base + int64(s.r)
	if len(s.src.breaks) > 0 {
		if err := s.flush(at); err != nil {
			return false, err
		}
	}
	n, err := s.sweep.Known(b[:min(len(b), s.max)], at)
	if n == 0 {
		return false, err
	}
	s.r += n
	s.stats.Rows++
	return true, err
}

// sees says whether b shows what follows its first n bytes.
func sees(b []byte, n int) bool { return n < len(b) && (b[n] != '\r' || n+1 < len(b)) }

func newline(b []byte) bool {
	return len(b) > 0 && b[0] == '\n' || len(b) > 1 && b[0] == '\r' && b[1] == '\n'
}

// flush gives out the breaks up to offset at.
func (s *splitter) flush(at int64) error {
	for len(s.src.breaks) > 0 && s.src.breaks[0].Offset <= at {
		d := s.src.breaks[0]
		d.Object = s.key
		s.src.breaks = s.src.breaks[1:]
		if err := s.sweep.Damage(d); err != nil {
			return err
		}
	}
	return nil
}

// fill reads until the buffer is full or the object ends. It moves what is
// unread to the front, and doubles a buffer that is full of it.
func (s *splitter) fill(ctx context.Context) error {
	if s.r > 0 {
		copy(s.buf, s.buf[s.r:s.w])
		s.base, s.w, s.r = s.base+int64(s.r), s.w-s.r, 0
	}
	if s.w == len(s.buf) {
		grown := make([]byte, min(2*len(s.buf), s.max+slack))
		copy(grown, s.buf)
		s.buf = grown
	}
	for idle := 0; s.w < len(s.buf) && !s.eof; idle++ {
		if err := context.Cause(ctx); err != nil {
			return s.readError(err)
		}
		n, err := s.src.out.Read(s.buf[s.w:])
		s.w += n
		s.stats.Plain += int64(n)
		switch {
		case err == io.EOF:
			s.eof = true
		case err != nil:
			return s.readError(err)
		case n > 0:
			idle = 0
		case idle == 100:
			return s.readError(io.ErrNoProgress)
		}
	}
	return nil
}

func (s *splitter) readError(err error) error {
	return fmt.Errorf("lake: read %s at offset %d: %w", s.key, s.base+int64(s.w), err)
}

// lose begins a damaged span at r.
func (s *splitter) lose(f fault) {
	reason := ""
	if f == tooLong {
		reason = fmt.Sprintf("value longer than %d bytes", s.max)
	} else {
		reason = reasons[f]
	}
	at := s.base + int64(s.r)
	switch {
	case s.src.alien != "":
		reason = s.src.alien
	case at == 0 && f == notObject && likeCSV(s.buf[s.r:s.w]):
		reason += "; it looks like CSV, which a stage with `format: csv` reads"
	}
	s.lost = lost{on: true, start: at, end: at, reason: reason, spent: s.lost.spent, furthest: s.lost.furthest}
}

// pass takes n bytes into the damaged span.
func (s *splitter) pass(n int) {
	if n == 0 {
		return
	}
	b := s.buf[s.r : s.r+n]
	s.lost.before = b[n-1]
	s.unread(b)
	kept := len(bytes.TrimRight(b, " \t\r\n"))
	if kept > 0 {
		s.lost.last, s.lost.newline = b[kept-1], false
		s.lost.end = s.base + int64(s.r+kept)
	}
	s.lost.newline = s.lost.newline || bytes.IndexByte(b[kept:], '\n') >= 0
	s.r += n
}

// seek reads up to the next row and gives out the damaged span before it.
func (s *splitter) seek(ctx context.Context) error {
	for {
		i := bytes.IndexByte(s.buf[s.r:s.w], '{')
		if i < 0 {
			s.pass(s.w - s.r)
			if s.eof {
				return s.found()
			}
			if err := s.fill(ctx); err != nil {
				return err
			}
			continue
		}
		s.pass(i)
		f := notObject
		if s.lost.before == '\n' {
			f = s.line()
		}
		if f == notObject && s.lost.rowMayFollow() && s.lost.worth(s.base+int64(s.r), s.max) {
			f = s.candidate()
		}
		switch f {
		case whole:
			return s.found()
		case more:
			if err := s.fill(ctx); err != nil {
				return err
			}
		default:
			s.pass(1)
		}
	}
}

// candidate says whether the row at r ends the damage; more asks for a fill.
func (s *splitter) candidate() fault {
	b := s.buf[s.r:s.w]
	n, f := s.match.match(b)
	canFill := !s.eof && len(b) < s.max+slack
	switch {
	case f == more && canFill:
		return more
	case f == whole && n <= s.max:
		rest := bytes.TrimLeft(b[n:], " \t\r\n")
		if len(rest) == 0 && canFill {
			return more
		}
		if (len(rest) == 0 || isRow(b[:n], rest[0])) && json.Valid(b[:n]) && !s.swallows(b[:n]) {
			return whole
		}
	}
	s.lost.look(s.base+int64(s.r), n)
	return notJSON
}

// found ends the damaged span.
func (s *splitter) found() error {
	s.lost.on = false
	if err := s.flush(s.lost.start); err != nil {
		return err
	}
	return s.sweep.Damage(Damage{
		Object: s.key, Offset: s.lost.start, Length: s.lost.end - s.lost.start, Reason: s.lost.reason, Blind: s.src.alien != "",
	})
}

// unread shows bytes of the damaged span.
func (s *splitter) unread(b []byte) {
	if s.sweep.Unread != nil && s.src.alien == "" {
		s.sweep.Unread(b)
	}
}

// isRow says whether an object behind the span, with next behind it, is a row
// of its own, and not nested in the damaged row or held in a string, where its
// quotes would be escaped.
func isRow(object []byte, next byte) bool {
	return !strings.ContainsRune(`,:]}"`, rune(next)) || next == '"' && bytes.IndexByte(object, '"') >= 0
}

// rowMayFollow says the same of a '{' by what is before it.
func (l *lost) rowMayFollow() bool {
	switch l.last {
	case ':', '[':
		return l.newline
	case ',':
		return l.newline || l.end-l.start == 1
	}
	return true
}

// look counts n bytes at offset at that were looked at in vain.
func (l *lost) look(at int64, n int) {
	l.spent += int64(n)
	l.furthest = max(l.furthest, at+int64(n))
}

// worth says whether to look for a row at offset at. Looking again and again at the
// same bytes must not take time without bound, so there is a budget in
// proportion to the object; when it is used up, what was looked at is not looked at again.
func (l *lost) worth(at int64, longest int) bool {
	return l.spent < 4*int64(longest)+8*at || at >= l.furthest
}

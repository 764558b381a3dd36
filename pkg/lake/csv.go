package lake

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// csvSplitter cuts CSV into rows. It reads, and notes damage, as its splitter does.
type csvSplitter struct {
	*splitter
	header [][]byte // names as JSON, with a colon
	line   []byte   // the first
	cells  []cell
	json   []byte
	vain   int64 // bytes that were looked at for the end of rows that had none
}

// cell is the text of one cell; escaped says that each quote in it stands twice.
type cell struct {
	text            []byte
	quoted, escaped bool
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func (c *csvSplitter) run(ctx context.Context) error {
	if err := c.names(ctx); err != nil {
		return err
	}
	for {
		n, why, err := c.record(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		b := c.buf[c.r : c.r+n]
		switch {
		case len(bytes.TrimRight(b, "\r\n")) == 0:
			c.r += n
		case why != "":
			if err := c.spoil(ctx, why); err != nil {
				return err
			}
		case bytes.Equal(ended(b), c.line):
			err = c.settle()
			c.r += n
		default:
			err = c.give(n)
		}
		if err != nil {
			return err
		}
	}
	if err := c.settle(); err != nil {
		return err
	}
	return c.flush(c.base + int64(c.w))
}

// names reads the first line that is not empty.
func (c *csvSplitter) names(ctx context.Context) error {
	for first := true; ; first = false {
		n, why, err := c.record(ctx)
		if err != nil || n == 0 {
			return err
		}
		if first && bytes.HasPrefix(c.buf[c.r:c.r+n], byteOrderMark) {
			c.r += len(byteOrderMark)
			continue // behind it, quotes stand at the beginning
		}
		b := c.buf[c.r : c.r+n]
		if len(bytes.TrimRight(b, "\r\n")) == 0 {
			c.r += n
			continue
		}
		if why == "" {
			why = c.learn(b)
		}
		if why != "" {
			return c.whole(ctx, "no names in the first line: "+why)
		}
		c.r += n
		return nil
	}
}

// learn takes the cells of b as names, or says why they are none.
func (c *csvSplitter) learn(b []byte) string {
	seen := map[string]bool{}
	for i, x := range c.cells {
		name := string(x.plain())
		if name == "" || seen[name] {
			return fmt.Sprintf("column %d is called %q, which is empty or another column's name", i+1, name)
		}
		seen[name] = true
		c.header = append(c.header, append(appendText(nil, []byte(name)), ':'))
	}
	c.line = bytes.Clone(ended(b))
	return ""
}

// whole makes the rest of the object one span of damage.
func (c *csvSplitter) whole(ctx context.Context, why string) error {
	c.begin(why)
	for {
		c.pass(c.w - c.r)
		if c.eof {
			break
		}
		if err := c.fill(ctx); err != nil {
			return err
		}
	}
	if err := c.settle(); err != nil {
		return err
	}
	return c.flush(c.base + int64(c.w))
}

// ended is b without its line's end.
func ended(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// begin begins a span of damage at r, or goes on with it.
func (c *csvSplitter) begin(why string) {
	if c.lost.on && c.lost.reason == why {
		return
	}
	at := c.base + int64(c.r)
	c.lost = lost{on: true, start: at, end: at, reason: why}
}

// settle tells the span of damage that ends here, if there is one.
func (c *csvSplitter) settle() error {
	if !c.lost.on {
		return nil
	}
	return c.found()
}

// spoil takes the first line at r as damage.
func (c *csvSplitter) spoil(ctx context.Context, why string) error {
	if c.lost.on && c.lost.reason != why {
		if err := c.settle(); err != nil {
			return err
		}
	}
	c.begin(why)
	for {
		i := bytes.IndexByte(c.buf[c.r:c.w], '\n')
		if i >= 0 {
			c.pass(i + 1)
			return nil
		}
		c.pass(c.w - c.r)
		if c.eof {
			return nil
		}
		if err := c.fill(ctx); err != nil {
			return err
		}
	}
}

// record finds the end of the row at r, which n counts up to with its line's
// end, and its cells; or says why it is damage. n is 0 at the end of the object.
func (c *csvSplitter) record(ctx context.Context) (n int, why string, err error) {
	for {
		b, last := c.buf[c.r:c.w], c.eof
		// Looking for the end of quotes again and again must not take time without
		// bound: when much was looked at in vain, rows are lines.
		if i := bytes.IndexByte(b, '\n'); i >= 0 && c.vain > 4*int64(c.max)+8*(c.base+int64(c.r)) {
			b, last = b[:i+1], true
		}
		n, why = c.parse(b, last)
		switch {
		case why != "":
			c.vain += int64(n)
		case n > c.max+2 || n < 0 && len(b) > c.max+2:
			n, why = 1, fmt.Sprintf("row longer than %d bytes, or a quote that is not closed", c.max)
		case n < 0 && !c.eof:
			c.vain += int64(len(b))
			if err := c.fill(ctx); err != nil {
				return 0, "", err
			}
			continue
		case n > 0 && c.header != nil && len(c.cells) != len(c.header):
			why = fmt.Sprintf("%d cells, and %d names in the first line", len(c.cells), len(c.header))
		}
		return max(n, 0), why, nil
	}
}

// parse reads the cells of the row that b begins with, and returns its length
// with the line's end; -1: b is too short to tell. Nothing follows what is last.
func (c *csvSplitter) parse(b []byte, last bool) (n int, why string) {
	c.cells = c.cells[:0]
	if len(b) == 0 {
		return -1, ""
	}
	for at := 0; ; at++ { // behind a comma, or at the beginning
		x, end, why := cellAt(b, at, last)
		if why != "" || end < 0 {
			return end, why
		}
		c.cells = append(c.cells, x)
		switch {
		case end == len(b):
			return end, "" // of the object
		case b[end] == '\r':
			return end + 2, ""
		case b[end] == '\n':
			return end + 1, ""
		}
		if at = end; at+1 == len(b) && !last {
			return -1, ""
		}
	}
}

// cellAt reads the cell at b[at:], which ends at a comma, a line's end, or that of
// the object. end is -1 if b is too short to tell.
func cellAt(b []byte, at int, last bool) (x cell, end int, why string) {
	if at < len(b) && b[at] == '"' {
		return quotedAt(b, at, last)
	}
	for end = at; end < len(b) && b[end] != ',' && b[end] != '\n'; {
		end++
	}
	switch {
	case end == len(b) && !last:
		return x, -1, ""
	case end < len(b) && b[end] == '\n' && end > at && b[end-1] == '\r':
		end--
	}
	return cell{text: b[at:end]}, end, ""
}

func quotedAt(b []byte, at int, last bool) (x cell, end int, why string) {
	x.quoted = true
	for i := at + 1; ; i += 2 {
		q := bytes.IndexByte(b[i:], '"')
		switch {
		case q < 0 && last:
			return x, len(b), "a quote that is not closed"
		case q < 0:
			return x, -1, ""
		}
		i += q
		switch rest := b[i+1:]; {
		case !last && (len(rest) == 0 || len(rest) == 1 && rest[0] == '\r'):
			return x, -1, ""
		case len(rest) == 0, rest[0] == ',', rest[0] == '\n', len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			x.text = b[at+1 : i]
			return x, i + 1, ""
		case rest[0] != '"':
			return x, i + 1, "a quote within a quoted cell, or one that is not closed"
		}
		x.escaped = true
	}
}

// plain is the cell's text.
func (x cell) plain() []byte {
	if !x.escaped {
		return x.text
	}
	return bytes.ReplaceAll(x.text, []byte(`""`), []byte(`"`))
}

// give gives out the row of n bytes at r.
func (c *csvSplitter) give(n int) error {
	if err := c.settle(); err != nil {
		return err
	}
	at := c.base + int64(c.r)
	if err := c.flush(at); err != nil {
		return err
	}
	b := c.buf[c.r : c.r+n]
	c.r += n
	if !utf8.Valid(b) {
		c.unread(b)
		return c.sweep.Damage(Damage{Object: c.key, Offset: at, Length: int64(len(ended(b))), Reason: "not UTF-8"})
	}
	c.json = append(c.json[:0], '{')
	for i, x := range c.cells {
		if len(x.text) == 0 && !x.quoted {
			continue
		}
		if len(c.json) > 1 {
			c.json = append(c.json, ',')
		}
		c.json = append(c.json, c.header[i]...)
		c.json = appendText(c.json, x.plain())
	}
	c.json = append(c.json, '}')
	c.stats.Rows++
	return c.sweep.Row(Row{Object: c.key, Offset: at, Data: c.json, Newline: b[n-1] == '\n', Text: true})
}

// appendText appends text, which is UTF-8, as JSON.
func appendText(dst, text []byte) []byte {
	dst = append(dst, '"')
	begin := 0
	for i, b := range text {
		if b >= ' ' && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, text[begin:i]...)
		begin = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = hex.AppendEncode(append(dst, `\u00`...), text[i:i+1])
		}
	}
	return append(append(dst, text[begin:]...), '"')
}

// likeCSV says whether text begins as CSV with names does: a line of words
// between commas, and no more than that.
func likeCSV(text []byte) bool {
	line, _, whole := bytes.Cut(bytes.TrimPrefix(text, byteOrderMark), []byte("\n"))
	names := strings.Split(strings.TrimSuffix(string(line), "\r"), ",")
	if !whole || len(names) < 2 {
		return false
	}
	for _, name := range names {
		if strings.Trim(name, `" `) == "" || strings.ContainsAny(name, "{}[]:;<>") {
			return false
		}
	}
	return true
}

package account

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"kreplay/pkg/generate"
)

// saveFormat is counted up when an old state would be misread.
const (
	saveMagic  = "kreplay account\n"
	saveFormat = 2
)

// ErrState is for a saved state that cannot be used: damaged, cut off, of another
// plan or written by another version. To account from the start is the way out.
var ErrState = errors.New("account: this saved state cannot be used")

// Save writes all that was seen to w, so that Restore makes the Account anew. It
// is what there is when no See runs meanwhile. Rejects are saved apart from it, because
// several Accounts share them. A page of 16,384 records takes 4 kB, one that is
// complete, or has no row, next to nothing.
func (a *Account) Save(w io.Writer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return save(w, a.counts, a)
}

// Restore returns the Account that Save wrote of the same plan: it goes on as if it
// had seen all rows itself. Folder is where places go that memory does not hold; see
// Account. Not a byte beyond the state is read.
func Restore(plan *generate.Plan, folder string, r io.Reader) (*Account, error) {
	return RestoreOf(plan.Bytes(), folder, r)
}

// RestoreOf is Restore of an Account of NewOf, whose rows are compared as they were.
func RestoreOf(classes *generate.Comparer, folder string, r io.Reader) (*Account, error) {
	a := NewOf(classes)
	a.Folder, a.places.folder = folder, folder
	if err := restore(r, a.counts, a); err != nil {
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

// save writes counters and, if it is one, an Account.
func save(w io.Writer, c *counters, a *Account) error {
	f := newFrameWriter(w)
	_, _ = f.Write([]byte(saveMagic))
	for _, n := range c.stamp(a != nil) {
		f.number(n)
	}
	_, _ = f.Write(c.plan.Digest[:])
	c.save(f)
	if a != nil {
		if err := a.save(f); err != nil {
			return err
		}
	}
	if err := f.end(); err != nil {
		return fmt.Errorf("account: state: %w", err)
	}
	return nil
}

// stamp is what a state must agree in with who reads it.
func (c *counters) stamp(isAccount bool) [6]uint64 {
	s := [6]uint64{saveFormat, uint64(c.plan.Tag), c.plan.Total(), uint64(c.slots), uint64(c.pages), 0}
	if isAccount {
		s[5] = 1
	}
	return s
}

func restore(from io.Reader, c *counters, a *Account) error {
	f := &frameReader{r: from}
	d := &decoder{r: bufio.NewReader(f), c: c}
	err := d.all(a)
	if a != nil && a.places.err != nil {
		return a.places.err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%w: %w: remove it, and the stage is read from the start", ErrState, err)
	}
	return nil
}

// save writes the pages, those alike that follow each other as one number.
func (c *counters) save(f *frameWriter) {
	for i := 0; i < c.pages; {
		state, end := c.stateOf(i), i+1
		for end < c.pages && c.stateOf(end) == state {
			end++
		}
		f.number(uint64(end-i)<<2 | uint64(state))
		for ; i < end; i++ {
			if state == open {
				c.savePage(f, i)
			}
		}
	}
}

func (c *counters) stateOf(n int) uint8 {
	p := &c.table[n]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

func (c *counters) savePage(f *frameWriter, n int) {
	p := &c.table[n]
	p.mu.Lock()
	defer p.mu.Unlock()
	odd := uint64(0)
	if p.odd {
		odd = 1
	}
	f.number(p.rows<<1 | odd)
	bits := c.narrow.page(n)
	_, _ = f.Write(bits)
	for slot := range p.slots {
		if slotOf(bits, slot) == spilled {
			s := c.spilled(p, n, slot)
			f.number(uint64(s.intact))
			f.number(uint64(s.mutated))
		}
	}
}

func (a *Account) save(f *frameWriter) error {
	for _, n := range []uint64{a.foreign.Load(), a.strange.Load(), a.damaged.Load(), uint64(len(a.names.list))} {
		f.number(n)
	}
	for _, name := range a.names.list {
		f.text(name)
	}
	last := uint64(0)
	var buf []byte
	for e, err := range a.places.all() {
		if err != nil {
			return err
		}
		f.number(1)
		buf = appendEntry(buf[:0], e, last)
		_, _ = f.Write(buf)
		last = e.index
	}
	f.number(0)
	a.saveTimes(f)
	return nil
}

// decoder reads what save wrote. Frames have checksums; what it checks beyond
// those is that no number leads out of the plan.
type decoder struct {
	r   *bufio.Reader
	c   *counters
	err error // the first
}

func (d *decoder) number() (n uint64) {
	if d.err == nil {
		n, d.err = binary.ReadUvarint(d.r)
	}
	return n
}

func (d *decoder) bytes(p []byte) {
	if d.err == nil {
		_, d.err = io.ReadFull(d.r, p)
	}
}

func (d *decoder) wrong(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{errDamaged}, args...)...)
	}
}

func (d *decoder) all(a *Account) error {
	d.header(a != nil)
	d.pages()
	if a != nil {
		d.account(a)
	}
	if d.err == nil {
		if _, err := d.r.ReadByte(); err == nil {
			d.wrong("it does not end")
		} else if !errors.Is(err, io.EOF) {
			d.err = err
		}
	}
	return d.err
}

func (d *decoder) header(isAccount bool) {
	var magic [len(saveMagic)]byte
	d.bytes(magic[:])
	if d.err == nil && string(magic[:]) != saveMagic {
		d.err = errors.New("it is none of kreplay's")
	}
	var got [6]uint64
	for i := range got {
		got[i] = d.number()
		if i == 0 && d.err == nil && got[0] != saveFormat {
			d.err = fmt.Errorf("it has format %d, this version of kreplay reads %d", got[0], saveFormat)
		}
	}
	digest := d.c.plan.Digest
	d.bytes(digest[:])
	if d.err == nil && (got != d.c.stamp(isAccount) || digest != d.c.plan.Digest) {
		d.err = errors.New("it is of another run, scenario or stage")
	}
}

func (d *decoder) pages() {
	for n := 0; n < d.c.pages && d.err == nil; {
		run := d.number()
		state, length := uint8(run&3), run>>2
		if length == 0 || length > uint64(d.c.pages-n) || state > complete || state == complete && !d.c.whole {
			d.wrong("%d pages of state %d", length, state)
			return
		}
		for range length {
			p := &d.c.table[n]
			p.state, p.slots = state, uint32(d.c.slotsOf(n))
			switch state {
			case open:
				d.page(n)
			case complete:
				p.rows = uint64(p.slots)
			}
			if n++; d.err != nil {
				return
			}
		}
	}
}

func (d *decoder) page(n int) {
	p, bits := &d.c.table[n], d.c.narrow.page(n)
	rows := d.number()
	p.rows, p.odd = rows>>1, rows&1 == 1
	d.bytes(bits)
	for slot := range p.slots {
		if d.err == nil && slotOf(bits, slot) == spilled {
			intact, mutated := d.number(), d.number()
			if intact|mutated > 1<<32-1 {
				d.wrong("%d and %d rows of a record", intact, mutated)
			}
			d.c.spillTo(p, n, slot, seen{uint32(intact), uint32(mutated)})
		}
	}
}

func (d *decoder) account(a *Account) {
	a.foreign.Store(d.number())
	a.strange.Store(d.number())
	a.damaged.Store(d.number())
	for count := d.number(); count > 0 && d.err == nil; count-- {
		a.names.number(d.text(d.number()))
	}
	e := entry{}
	for d.number() == 1 && d.err == nil {
		if e, d.err = readEntry(d.r, e.index); d.err != nil {
			return
		}
		if e.index > a.strangerIndex(1<<32-1) || int(e.object) >= len(a.names.list) {
			d.wrong("a place of record %d in object %d", e.index, e.object)
			return
		}
		a.places.add(e)
	}
	a.timed = [2][]uint32{d.times(), d.times()}
}

func (d *decoder) text(length uint64) (s string) {
	if d.err == nil {
		s, d.err = readText(d.r, length)
	}
	return s
}

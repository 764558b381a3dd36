package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// press makes the bytes of objects, again and again in the same memory.
type press struct {
	plain  []byte
	stored bytes.Buffer
	rows   []row
	errors []byte // error records
	packer packer // nil: none yet

	unconverted []byte // error records of those
}

// row is one text in an object.
type row struct {
	rec        int // index of the record
	start, end int // of the text in the plain object, without the white space and the delimiter behind it
}

// draft is an object that is not in the lake yet. It outlives a failed write,
// because the plan has been consulted for it.
type draft struct {
	key         string
	stored      []byte
	errors      rejects
	unconverted rejects
	planted     []Planted
	aside       []aside // of the records: what comes later, or elsewhere
}

// retry is how long the deliverer waits after a failed write.
const retry = time.Second

// nudge makes the deliverer look at its buffers.
func (p *Pipeline) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// deliverer writes objects as their buffers get full or old.
func (p *Pipeline) deliverer() {
	timer := time.NewTimer(p.cfg.BufferInterval)
	defer timer.Stop()
	for {
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.ctx.Done():
			return
		}
		wait := p.cfg.BufferInterval
		for _, s := range p.sorted() {
			if p.deliver(p.ctx, s, 0) != nil {
				wait = min(wait, retry)
				continue
			}
			if at := s.oldest(); at > 0 {
				wait = min(wait, time.Until(time.UnixMilli(at).Add(p.cfg.BufferInterval)))
			}
			if at, held := p.plan.nextAside(s); held {
				wait = min(wait, time.Until(at))
			}
		}
		timer.Reset(max(wait, time.Millisecond))
	}
}

// Flush delivers every record that was stored before the call, however young,
// and returns when the objects are in the lake. What Faults.Delay held back comes
// if it was held back before the call. Without a lake it does nothing.
func (p *Pipeline) Flush(ctx context.Context) error {
	var errs []error
	for _, s := range p.sorted() {
		errs = append(errs, p.land(ctx, s, always), p.deliver(ctx, s, s.newest()))
	}
	return errors.Join(errs...)
}

// Pending is how many stored records wait for their object, those apart that
// Faults hold back. Without a lake they wait for ever.
func (p *Pipeline) Pending() (n int) {
	for _, s := range p.sorted() {
		n += s.held()
	}
	return n
}

// deliver writes the objects of s that are due, and those that hold records up to last.
func (p *Pipeline) deliver(ctx context.Context, s *stream, last uint64) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wrote, err := p.object(s, last)
		if err != nil {
			s.fail()
			return fmt.Errorf("local: deliver %s: %w", s.name, err)
		}
		if !wrote {
			return p.land(ctx, s, time.Now())
		}
	}
}

// object writes the next object of s, if there is one.
func (p *Pipeline) object(s *stream, last uint64) (bool, error) {
	p.delivery.Lock()
	defer p.delivery.Unlock()
	if p.lake == nil {
		return false, nil
	}
	if s.draft == nil {
		if len(s.shares) == 0 {
			recs := s.due(p, time.Now(), last)
			if recs == nil {
				return false, nil
			}
			s.shares, s.dealt = p.cfg.split(recs), len(recs)
		}
		d, err := p.press.draft(p, s.name, s.shares[0])
		if err != nil {
			return false, err
		}
		s.draft, s.shares = d, s.shares[1:]
	}
	d := s.draft
	if err := p.place(d); err != nil {
		for _, held := range []*[]byte{&d.stored, &d.errors.stored, &d.unconverted.stored} {
			*held = bytes.Clone(*held) // the press is used again before the next try
		}
		return false, err
	}
	s.draft = nil
	p.plan.mu.Lock()
	p.plan.planted = append(p.plan.planted, d.planted...)
	s.aside = append(s.aside, d.aside...)
	p.plan.mu.Unlock()
	if len(s.shares) == 0 {
		s.delivered(p, s.dealt)
	}
	return true, nil
}

// place puts the objects of a draft into the lake.
func (p *Pipeline) place(d *draft) error {
	for _, r := range []rejects{d.errors, d.unconverted} {
		if len(r.stored) == 0 {
			continue
		}
		if err := p.lake.put(r.key, r.stored); err != nil {
			return err
		}
	}
	if len(d.stored) == 0 {
		return nil
	}
	return p.lake.put(d.key, d.stored)
}

// objectKey names an object as Firehose does: prefix, then
// stream-version-yyyy-MM-dd-HH-mm-ss-uuid, by the arrival of the oldest record, in the zone of prefixes.
func (c Config) objectKey(stream string, oldest int64, values ...string) string {
	at := time.UnixMilli(oldest).In(c.TimeZone)
	key := keyOf(expandPrefix(c.Prefix, at, values...), stream, at)
	switch c.Format {
	case Parquet:
		return key + ".parquet"
	case CSV:
		key += ".csv"
	}
	return key + extensions[c.Compression]
}

func keyOf(prefix, stream string, at time.Time) string {
	return fmt.Sprintf("%s%s-1-%s-%s", prefix, stream, at.Format("2006-01-02-15-04-05"), uuid.NewString())
}

// draft makes an object of records, faults included; of those that were set aside
// that is their only fault. Its bytes are valid until the next draft.
func (o *press) draft(p *Pipeline, stream string, s share) (*draft, error) {
	p.plan.mu.Lock()
	defer p.plan.mu.Unlock()
	recs := s.recs
	d := &draft{}
	if d.errors.key = p.cfg.errorKey(processingFailed, stream, recs[0].at); s.err != nil {
		d.errors.stored = unkeyed(s)
		return d, nil
	}
	at := recs[0].at
	if s.aside == Misplaced {
		at = p.cfg.elsewhere(at)
	}
	d.key = p.cfg.objectKey(stream, at, s.values...)
	kinds := o.lay(p, recs, s.aside, d)
	d.errors.stored = o.errors
	d.unconverted.key = p.cfg.errorKey(conversionFailed, stream, recs[0].at)
	var unfit map[int]bool // records that are no JSON, of a lake of another format
	var err error
	keep := len(o.plain)
	if p.cfg.Format != JSON {
		if unfit, err = o.convert(p, recs, kinds, d); err != nil {
			return nil, err
		}
		d.unconverted.stored = o.unconverted
	} else if p.plan.owed.truncate > 0 && keep > 1 && s.aside == "" {
		p.plan.owed.truncate--
		keep = o.cut()
		d.planted = append(d.planted, Planted{Kind: Truncated, Object: d.key})
	}
	copies := make([]int, len(recs))
	for _, r := range o.rows {
		if r.end <= keep {
			copies[r.rec]++
		}
	}
	for i, kind := range kinds {
		if unfit[i] {
			if kind == Duplicated {
				p.plan.owed.duplicate++
			}
			continue
		}
		if kind == setAside {
			continue
		}
		if kind = p.plan.settle(kind, copies[i]); kind != "" {
			key := d.key
			if kind == Rejected {
				key = d.errors.key
			}
			d.planted = append(d.planted, Planted{
				Kind: kind, Data: bytes.Clone(recs[i].data()), Object: key, Seq: string(appendSeq(nil, recs[i].seq)),
			})
		}
	}
	if p.cfg.Format == JSON {
		d.stored, err = o.store(o.plain[:keep], p.cfg.Compression, keep < len(o.plain))
	}
	return d, err
}

// lay puts the texts of recs one after another into o, second copies last, and
// returns the fault of each record, which is kind if that says one.
func (o *press) lay(p *Pipeline, recs []rec, kind string, d *draft) []string {
	o.plain, o.rows, o.errors = o.plain[:0], o.rows[:0], o.errors[:0]
	kinds := make([]string, len(recs))
	put := func(i int, data []byte) {
		start := len(o.plain)
		o.plain = append(o.plain, data...)
		o.rows = append(o.rows, row{i, start, start + len(bytes.TrimRight(data, " \t\r\n"))})
		o.plain = append(o.plain, p.cfg.Delimiter...)
	}
	var again []int
	for i, r := range recs {
		data := r.data()
		if kinds[i] = kind; kind != "" {
			put(i, data)
			continue
		}
		fault, other := p.plan.turn(data)
		kinds[i] = fault
		switch fault {
		case Dropped:
			continue
		case Delayed, Misplaced:
			kinds[i] = setAside
			d.aside = append(d.aside, p.cfg.setAside(r, fault, time.Now()))
			continue
		case Rejected:
			o.errors = appendError(o.errors, r)
			continue
		case Corrupted:
			data = other
		case Duplicated:
			again = append(again, i)
		}
		put(i, data)
	}
	for _, i := range again {
		put(i, recs[i].data())
	}
	return kinds
}

// cut finds where to cut the plain object: at 60 %, but inside a text, so that
// the damage shows whatever the compression.
func (o *press) cut() int {
	at := len(o.plain) * 6 / 10
	for i, r := range o.rows {
		next := len(o.plain)
		if i+1 < len(o.rows) {
			next = o.rows[i+1].start
		}
		if r.end > 1 && r.end <= at && at <= next {
			return r.end - 1
		}
	}
	return at
}

// settle says what a fault came to when copies of the record's text are whole
// in its object. What a truncation swallowed is owed again.
func (p *plan) settle(kind string, copies int) string {
	switch {
	case kind == Dropped, kind == Rejected:
		return kind
	case kind == Duplicated && copies < 2:
		p.owed.duplicate++
	case kind == Corrupted && copies < 1:
		p.owed.corrupt++
	default:
		if copies == 0 {
			return Cut
		}
		return kind
	}
	if copies == 0 {
		return Cut
	}
	return ""
}

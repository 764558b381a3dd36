package local

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// aside is a record that is kept out of the object of its buffer.
type aside struct {
	rec
	kind  string // Delayed or Misplaced
	until time.Time
}

// setAside is the fault, in a draft, of a record that is not in its object yet.
const setAside = "aside"

// always is later than any time until which a record is set aside.
var always = time.Unix(math.MaxInt32<<4, 0)

func (c Config) setAside(r rec, kind string, now time.Time) aside {
	a := aside{r, kind, now}
	if kind == Delayed {
		a.until = now.Add(or(c.Faults.DelayBy, c.BufferInterval))
	}
	return a
}

// nextAside is when the first record that s set aside is due.
func (p *plan) nextAside(s *stream) (at time.Time, held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range s.aside {
		if i == 0 || a.until.Before(at) {
			at = a.until
		}
	}
	return at, len(s.aside) > 0
}

// land writes objects of what s set aside up to a time: one for each kind.
func (p *Pipeline) land(ctx context.Context, s *stream, to time.Time) error {
	for _, kind := range []string{Delayed, Misplaced} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.landOf(s, kind, to); err != nil {
			return fmt.Errorf("local: deliver %s: %w", s.name, err)
		}
	}
	return nil
}

func (p *Pipeline) landOf(s *stream, kind string, to time.Time) error {
	p.delivery.Lock()
	defer p.delivery.Unlock()
	var recs []rec
	for _, a := range s.aside {
		if a.kind == kind && !a.until.After(to) {
			recs = append(recs, a.rec)
		}
	}
	if p.lake == nil || len(recs) == 0 {
		return nil
	}
	for _, one := range p.cfg.split(recs) {
		one.aside = kind
		d, err := p.press.draft(p, s.name, one)
		if err == nil {
			err = p.place(d)
		}
		if err != nil {
			return err
		}
		p.plan.mu.Lock()
		s.aside = slices.DeleteFunc(s.aside, func(a aside) bool {
			return slices.ContainsFunc(one.recs, func(r rec) bool { return r.seq == a.seq })
		})
		p.plan.planted = append(p.plan.planted, d.planted...)
		p.plan.mu.Unlock()
	}
	return nil
}

// elsewhere is a time, ms since 1970, at which objects lie below another folder than at at.
func (c Config) elsewhere(at int64) int64 {
	here := time.UnixMilli(at).In(c.TimeZone)
	for _, earlier := range []time.Duration{50*time.Hour + 7*time.Minute + 7*time.Second, 70 * 24 * time.Hour} {
		if there := here.Add(-earlier); c.folderTime(there) != c.folderTime(here) {
			return there.UnixMilli()
		}
	}
	return here.AddDate(-2, 0, 0).UnixMilli()
}

// folderTime is what the prefix says of a time.
func (c Config) folderTime(t time.Time) (text string) {
	for _, e := range expression.FindAllStringSubmatch(c.Prefix, -1) {
		if e[1] == "timestamp" {
			text += javaTime(e[2], t) + "/"
		}
	}
	return text
}

// held lists what is set aside and in no object yet. The caller holds p.mu.
func (p *plan) held(streams []*stream) (list []Planted) {
	for _, s := range streams {
		for _, a := range s.aside {
			list = append(list, Planted{Kind: a.kind, Data: a.data(), Seq: string(appendSeq(nil, a.seq))})
		}
	}
	return list
}

package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kreplay/pkg/lake"
	"kreplay/pkg/object"
)

// A source is where the rows of a stage come from. Its methods are called one
// at a time; the sources of several stages are polled side by side.
type source interface {
	// poll reads what has come since the last poll. An error says that the stage
	// cannot be read; the source is not polled again then.
	poll(ctx context.Context) (news, error)
	// forget makes the next poll read everything anew.
	forget()
	// widen makes the polls look for rows also where none belong; false: there is
	// no such place, or they do already.
	widen() bool
	// kept says whether the next verify can go on from what was read.
	kept() bool
	// fill puts into a state what it says of the source, and goOn takes it from there;
	// save writes what comes behind it, and restore reads that. goOn is called last.
	fill(s *state)
	save(w io.Writer) error
	restore(r io.Reader) error
	goOn(s state) error
	// restored says what is not read again.
	restored() string
	io.Closer
}

// news is what a poll found.
type news struct {
	asked  time.Time // when the source was asked; what came later is not in the news
	came   int       // objects read that hold anything of the run, or what nobody can tell
	newest time.Time // when the newest of those came that were ever read; zero: there is none
	// changed says why what was read is not what is there; all has to be read
	// again. Empty: it is.
	changed string
}

// objects is the source of a stage that lies in a store. An object is read when
// it is listed for the first time.
type objects struct {
	store  object.Store
	closer io.Closer
	since  time.Time                    // objects that were there before hold nothing of the run
	within []string                     // prefixes of keys that are another stage's
	window func(now time.Time) []string // prefixes below which rows belong; nil: anywhere
	pool   chan struct{}                // bounds the objects read at a time, of all stages
	// read reads an object. ours says that it holds rows of the run, planned or not,
	// or damage: others write into a shared lake all the time, which says nothing of
	// whether the run has come.
	read func(context.Context, object.Info) (ours bool, err error)

	// due, if set, says now and then that what was read is to be saved, which put
	// does while nothing is read.
	due func() bool
	put func() error

	looks  *lookout // may be another's, too
	seen   lake.Seen
	torn   bool // an object was read in part: what was read is of no use
	mu     sync.Mutex
	came   int       // objects that were ours, of one poll
	newest time.Time // of all of them
	wide   bool
	there  inventory // as of the last poll
}

// inventory is what a listing found.
type inventory struct {
	objects int   // of the run's time
	older   int   // objects of before
	bytes   int64 // of the run's objects, as stored
	folders int   // listed; 0: all of them
}

func (o *objects) poll(ctx context.Context) (news, error) {
	n := news{asked: time.Now()}
	there := inventory{}
	g, within := errgroup.WithContext(ctx)
	reading, stop := graceful(ctx, within)
	defer stop()
	var busy sync.WaitGroup
	o.came = 0
	listing := o.list(within, &there, func(info object.Info) error {
		fresh, replaced := o.seen.Look(info)
		switch {
		case replaced:
			n.changed = info.Key + " was replaced after it had been read"
			return errChanged
		case !fresh:
			return nil
		}
		if within.Err() != nil {
			return context.Cause(within)
		}
		select {
		case o.pool <- struct{}{}:
		case <-within.Done():
			return context.Cause(within)
		}
		if o.due != nil && o.due() {
			busy.Wait()
			if err := o.saveUnless(within); err != nil {
				<-o.pool
				return err
			}
		}
		o.seen.Add(info)
		busy.Add(1)
		g.Go(func() error {
			defer func() { <-o.pool; busy.Done() }()
			ours, err := o.read(reading, info)
			if ours {
				o.arrived(info)
			}
			return err
		})
		return nil
	})
	err := g.Wait()
	o.torn = o.torn || err != nil
	n.came, n.newest = o.came, o.newest
	switch {
	case errors.Is(err, object.ErrReplaced):
		n.changed = err.Error()
	case err != nil:
		return n, err
	case errors.Is(listing, errChanged):
	case listing != nil:
		return n, fmt.Errorf("list: %w", listing)
	case there.objects < o.seen.Len():
		n.changed = fmt.Sprintf("%d objects that had been read are gone", o.seen.Len()-there.objects)
	}
	o.there = there
	return n, nil
}

// arrived counts an object that is ours.
func (o *objects) arrived(info object.Info) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.came++
	if info.Modified.After(o.newest) {
		o.newest = info.Modified
	}
}

// saveUnless saves, if what is being read is not given up already.
func (o *objects) saveUnless(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return o.put()
}

// readGrace is how long the objects that are being read have to end when they are
// asked to stop: an object read in part makes all that was read useless.
const readGrace = 5 * time.Second

// graceful is the context of readers: done with within, but a grace later where
// that is because of ctx.
func graceful(ctx, within context.Context) (reading context.Context, stop func()) {
	reading, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(within, func() {
		if ctx.Err() != nil {
			_ = sleep(reading, readGrace)
		}
		cancel(context.Cause(within))
	})
	return reading, func() { unwatch(); cancel(nil) }
}

// errChanged ends a listing whose objects have to be read again.
var errChanged = errors.New("changed")

// list visits the objects that may hold rows of the run.
func (o *objects) list(ctx context.Context, there *inventory, visit func(object.Info) error) error {
	began, wide := time.Now(), o.window == nil || o.wide
	prefixes := []string{""}
	if o.window != nil && !o.wide {
		prefixes = o.window(time.Now())
		there.folders = len(prefixes)
	}
	for _, prefix := range prefixes {
		for info, err := range o.store.List(ctx, prefix) {
			switch {
			case err != nil:
				return err
			case elsewhere(o.within, info.Key):
				continue
			case info.Modified.Before(o.since):
				there.older++
				continue
			}
			there.objects++
			there.bytes += info.Size
			o.looks.note(info, wide)
			if err := visit(info); err != nil {
				return err
			}
		}
	}
	o.looks.ended(began, wide)
	return nil
}

// listings is what is to be said of those of this stage.
func (o *objects) listings() Listings {
	l := o.looks.listings()
	l.Calls += lists(o.store)
	return l
}

// elsewhere says whether an object belongs to a stage that lies within the one that
// is read: its rows are not this one's.
func elsewhere(within []string, key string) bool {
	return slices.ContainsFunc(within, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

func (o *objects) forget() { o.seen, o.newest, o.torn = lake.Seen{}, time.Time{}, false }

func (o *objects) widen() bool {
	narrow := o.window != nil && !o.wide
	o.wide = true
	return narrow
}

func (o *objects) kept() bool { return !o.torn }

func (o *objects) fill(s *state) {
	s.Wide, s.Newest, s.Listed = o.window == nil || o.wide, o.newest, o.listings()
}

func (o *objects) save(w io.Writer) error { return o.seen.Save(w) }

func (o *objects) restore(r io.Reader) error { return o.seen.Restore(r) }

func (o *objects) goOn(s state) error {
	o.wide, o.newest = s.Wide && o.window != nil, s.Newest
	o.looks.add(s.Listed)
	return nil
}

func (o *objects) restored() string {
	return fmt.Sprintf("%d objects that an earlier verify had read were not read again; --afresh reads them", o.seen.Len())
}

func (o *objects) Close() error { return o.closer.Close() }

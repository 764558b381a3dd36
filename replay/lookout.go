package replay

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"kreplay/pkg/object"
	"kreplay/pkg/scenario"
)

// A lookout notes when the objects of a stage were listed first, whoever lists
// them. An object that a listing shows, and none before it has shown, became visible
// since the newest of those began. It holds 16 bytes an object, in a map that takes
// 18 to 40. The zero lookout has listed nothing; it may be used by several at once.
type lookout struct {
	mu     sync.Mutex
	listed map[uint64]int64 // ms since 1970, by a hash of key and ETag; 0: when is not known
	narrow time.Time        // when the newest listing began that came to its end
	wide   time.Time        // likewise, of those of all of the stage
	told   Listings
}

// Listings is what is said of how often a stage was listed, all who did it together.
type Listings struct {
	Count  uint64        `json:"count"`     // that came to their ends
	Span   time.Duration `json:"span_ns"`   // from the beginning of the first to that of the last
	Within time.Duration `json:"within_ns"` // an object may have been visible for so long, at the most, before it was listed
	Calls  uint64        `json:"calls"`     // of S3; 0: of a folder
}

// Every is the time between two of them, on average.
func (l Listings) Every() time.Duration {
	return l.Span / time.Duration(max(l.Count, 2)-1)
}

// note takes an object of a listing: of all of the stage, or of the run's folders.
func (l *lookout) note(info object.Info, wide bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := objectID(info)
	if _, known := l.listed[id]; known {
		return
	}
	before := l.narrow
	if wide {
		before = l.wide
	}
	now := time.Now()
	at := int64(0)
	if !before.IsZero() {
		at = now.UnixMilli()
		l.told.Within = max(l.told.Within, now.Sub(before))
	}
	if l.listed == nil {
		l.listed = map[uint64]int64{}
	}
	l.listed[id] = at
}

// ended says that a listing that began at a time came to its end.
func (l *lookout) ended(began time.Time, wide bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told.Count++; !l.narrow.IsZero() && began.After(l.narrow) {
		l.told.Span += began.Sub(l.narrow)
	}
	l.narrow = later(l.narrow, began)
	if wide {
		l.wide = later(l.wide, began)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// at is when an object was listed that no listing before had shown, in ms since
// 1970; 0: it is not known.
func (l *lookout) at(info object.Info) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listed[objectID(info)]
}

// add takes what is to be said of listings beside those noted here.
func (l *lookout) add(t Listings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told.Count, l.told.Span, l.told.Calls = l.told.Count+t.Count, l.told.Span+t.Span, l.told.Calls+t.Calls
	l.told.Within = max(l.told.Within, t.Within)
}

// listings is what is to be said so far.
func (l *lookout) listings() Listings {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told
}

func objectID(info object.Info) uint64 {
	return xxh3.HashStringSeed(info.ETag, xxh3.HashString(info.Key))
}

// lists is how many calls a store has listed with; 0: it does not say.
func lists(s object.Store) uint64 {
	if c, ok := s.(interface{ Lists() uint64 }); ok {
		return c.Lists()
	}
	return 0
}

// scouting lists the stages while a run is pushed and verified, and reads nothing:
// visible is what was listed, and when. It stops nothing that goes wrong.
type scouting struct {
	lookouts map[string]*lookout // by stage
	stop     func()              // and waits until it has stopped
	scouts   []*scout
}

// scout lists one stage.
type scout struct {
	name    string
	open    func(context.Context) (*objects, error)
	objects *objects // nil: not open yet
	begun   int      // listings
	failed  int
	err     error // the last
}

const (
	// scoutEvery is how long a stage is left alone at the least between two listings.
	scoutEvery = 2 * time.Second
	// scoutRest is that in times as long as the listing took, so that it takes a
	// tenth of one connection and less of a core at the most.
	scoutRest = 9
)

// scouted begins to list the stages of a run that begins.
func scouted(ctx context.Context, job *Job, cfg RunConfig) *scouting {
	began := time.Now()
	paths := cfg.Verify.Stages
	if paths == nil {
		paths = cfg.Push.Stages
	}
	s := &scouting{lookouts: map[string]*lookout{}}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	s.stop = func() { cancel(); wg.Wait() }
	for _, name := range sortedKeys(paths) {
		if name == streamStage || name == errorStage { // records of these are not timed by their objects
			continue
		}
		look := new(lookout)
		s.lookouts[name] = look
		one := &scout{name: name, open: func(ctx context.Context) (*objects, error) {
			store, closer, err := cfg.Verify.Open(ctx, paths[name])
			if err != nil {
				return nil, err
			}
			o := &objects{store: store, closer: closer, since: began.Add(-clockSkew), within: within(paths, name), looks: look}
			if place := byTime(job.stage(name)); place.bounded() && !cfg.Verify.Everywhere {
				o.window = func(now time.Time) []string { return place.prefixes(began, now) }
			}
			return o, nil
		}}
		s.scouts = append(s.scouts, one)
		wg.Go(func() { one.run(ctx) })
	}
	return s
}

// byTime is where the records of a stage belong, if no more than the time says it:
// what values they have is not known before the push has begun. nil: anywhere.
func byTime(said scenario.Stage) *partition {
	if said.Partition == "" || slices.ContainsFunc(said.Parts(), func(p scenario.Part) bool { return p.Kind == scenario.PartKey }) {
		return nil
	}
	return newPartition(said, nil)
}

// run lists until ctx is done.
func (s *scout) run(ctx context.Context) {
	for {
		began := time.Now()
		s.begun++
		err := s.list(ctx)
		if ctx.Err() == nil && err != nil {
			s.failed++
			s.err = err
		}
		if sleep(ctx, max(scoutEvery, scoutRest*time.Since(began))) != nil {
			break
		}
	}
	if s.objects != nil {
		s.objects.looks.add(Listings{Calls: lists(s.objects.store)})
		_ = s.objects.Close() // nothing was written
	}
}

func (s *scout) list(ctx context.Context) (err error) {
	if s.objects == nil {
		if s.objects, err = s.open(ctx); err != nil {
			return err
		}
	}
	return s.objects.list(ctx, new(inventory), func(object.Info) error { return nil })
}

// notes say what went wrong, when all has stopped.
func (s *scouting) notes() (list []string) {
	for _, one := range s.scouts {
		if one.failed > 0 {
			list = append(list, fmt.Sprintf("%s: %d of %d listings beside the push and the reading failed, the last with: %v; objects' visibility is known less exactly, or not at all",
				one.name, one.failed, one.begun, one.err))
		}
	}
	return list
}

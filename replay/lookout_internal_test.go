package replay

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/object"
)

// However many list a stage, at whatever pace, all of it or a part: an object is
// told to be visible no earlier than it is and no later than Within after that; and
// it is not known only where nobody had listed its place before it was there.
func TestVisibleIsBetweenTwoListings(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		listers, some := rapid.IntRange(1, 3).Draw(rt, "listers"), rapid.Bool().Draw(rt, "some list a part")
		began := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
		there := make([]time.Duration, 40) // when each object is; the first half lies in the part
		for i := range there {
			there[i] = time.Duration(r.Int64N(int64(time.Minute)))
		}
		l, first := new(lookout), [2]time.Duration{time.Hour, time.Hour} // when a listing had begun that ended: of a part, of all
		var mu sync.Mutex
		synctest.Test(t, func(*testing.T) {
			time.Sleep(time.Until(began.Add(365 * 24 * time.Hour)))
			began = time.Now()
			var all sync.WaitGroup
			for i := range listers {
				all.Go(func() {
					n := rand.New(rand.NewPCG(uint64(i), 2))
					for time.Since(began) < 2*time.Minute {
						wide, from, keys := !some || i%2 == 1, time.Now(), len(there)
						if !wide {
							keys /= 2
						}
						for key := range keys {
							time.Sleep(time.Duration(n.Int64N(int64(200 * time.Millisecond))))
							if time.Since(began) >= there[key] {
								l.note(object.Info{Key: fmt.Sprint(key)}, wide)
							}
						}
						if n.IntN(5) > 0 { // else it failed
							l.ended(from, wide)
							mu.Lock()
							first[0] = min(first[0], from.Sub(began))
							if wide {
								first[1] = min(first[1], from.Sub(began))
							}
							mu.Unlock()
						}
						time.Sleep(time.Duration(n.Int64N(int64(5 * time.Second))))
					}
				})
			}
			all.Wait()
		})
		told, known := l.listings(), 0
		for key, is := range there {
			info := object.Info{Key: fmt.Sprint(key)}
			at := time.UnixMilli(l.at(info)).Sub(began)
			part := 1
			if key < len(there)/2 {
				part = 0
			}
			switch {
			case l.at(info) != 0:
				known++
				if at < is-time.Millisecond || at > is+told.Within {
					rt.Fatalf("object %d is there at %v and told to be at %v, within %v", key, is, at, told.Within)
				}
			case listers == 1 && is > first[part]+10*time.Second:
				rt.Fatalf("object %d is there at %v, and a listing began at %v, but it is not known", key, is, first[part])
			}
		}
		if known > 0 && (told.Count < 2 || told.Every() <= 0 || told.Within <= 0) {
			rt.Errorf("%+v for %d objects", told, known)
		}
	})
}

// What replaces an object becomes visible anew.
func TestReplacedObjectBecomesVisibleAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, old, replaced := new(lookout), object.Info{Key: "a", ETag: "1"}, object.Info{Key: "a", ETag: "2"}
		l.note(old, true)
		l.ended(time.Now(), true)
		time.Sleep(3 * time.Second)
		l.note(old, true)
		l.note(replaced, true)
		if l.at(old) != 0 || l.at(replaced) != time.Now().UnixMilli() || l.listings().Within != 3*time.Second {
			t.Errorf("%d, %d, %+v; want the first not known, the second now", l.at(old), l.at(replaced), l.listings())
		}
	})
}

// What only a listing of all shows was not looked for before.
func TestWiderListingTellsNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(lookout)
		l.ended(time.Now(), false)
		time.Sleep(time.Second)
		l.note(object.Info{Key: "elsewhere"}, true)
		l.ended(time.Now(), true)
		time.Sleep(time.Second)
		l.note(object.Info{Key: "later"}, true)
		if at := l.at(object.Info{Key: "elsewhere"}); at != 0 || l.at(object.Info{Key: "later"}) == 0 {
			t.Errorf("elsewhere is told to be visible at %d, later at %d; want 0, and some time", at, l.at(object.Info{Key: "later"}))
		}
	})
}

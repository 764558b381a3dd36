package account

import "kreplay/pkg/generate"

const (
	pageUnit   = 4 << 10 // bytes that a page's size is a multiple of, four records each
	mostUnits  = 16      // of a page, unless a single user needs more
	spareShare = 64      // a page may leave so small a part of it unused
)

// A layout says where each record's counter is. A page holds whole users of one
// band, so that a class of records is never torn apart. Where all users have as
// many records, there is one band, in the order in which the users begin: pages
// are then complete soon after they were begun. Else each cohort is a band, whose
// users begin here and there.
type layout struct {
	plan    *generate.Plan
	classes *generate.Comparer

	parts  []part // by cohort
	bands  []band
	slots  int // of a page, at most
	pages  int
	byTime bool // one band
}

// A band is a run of pages of users with as many records each.
type band struct {
	events, users uint64
	perPage       uint64 // users
	first         int    // page
	base          uint64 // dense index of its first record
}

// part is what is known of a cohort's records.
type part struct {
	cohort *generate.Cohort
	band   int
	alike  [][]uint32 // by the first event of a class of more than one: all of it
}

func newLayout(classes *generate.Comparer, unit int) *layout {
	plan := classes.Plan()
	l := &layout{plan: plan, classes: classes, byTime: true}
	cohorts := plan.Cohorts()
	for _, c := range cohorts {
		l.byTime = l.byTime && c.Events == cohorts[0].Events
	}
	base := uint64(0)
	for i, c := range cohorts {
		p := part{cohort: c, band: i, alike: make([][]uint32, c.Events)}
		for event := range c.Events {
			if m := classes.Members(c, event); len(m) > 1 {
				p.alike[event] = m
			}
		}
		users := c.Users
		if l.byTime {
			p.band, users = 0, plan.Users
		}
		l.parts = append(l.parts, p)
		if p.band == len(l.bands) {
			l.bands = append(l.bands, band{events: max(uint64(c.Events), 1), users: users, base: base})
		}
		base += c.Users * uint64(c.Events)
	}
	l.divide(4 * unit)
	return l
}

// divide chooses the smallest size of a page, a multiple of a unit's slots, that
// leaves little of it unused.
func (l *layout) divide(unit int) {
	most := uint64(1)
	for _, b := range l.bands {
		most = max(most, b.events)
	}
	least := (int(most) + unit - 1) / unit
	best := 0
	for units := least; units < least+mostUnits; units++ {
		slots := units * unit
		used, all := uint64(0), uint64(0)
		for _, b := range l.bands {
			all += b.users * b.events
			used += b.users * uint64(slots) / (uint64(slots) / b.events)
		}
		if waste := int((used - all) * 1024 / max(all, 1)); l.slots == 0 || waste < best {
			l.slots, best = slots, waste
		}
		if best <= 1024/spareShare {
			break
		}
	}
	for i := range l.bands {
		b := &l.bands[i]
		b.perPage, b.first = uint64(l.slots)/b.events, l.pages
		l.pages += int((b.users + b.perPage - 1) / b.perPage)
	}
}

// A spot is where the counters of a class of records are.
type spot struct {
	page    int
	user    uint32   // slot of its user's first record
	members []uint32 // events; nil: the one
	event   uint32
}

// class is how many records there are in the class, copies aside.
func (s spot) class() int { return max(len(s.members), 1) }

// slot is that of the n-th record of the class.
func (s spot) slot(n int) uint32 {
	if s.members == nil {
		return s.user + s.event
	}
	return s.user + s.members[n]
}

// find returns the spot of the class that begins with event.
func (l *layout) find(seat generate.Seat, user, event uint32) spot {
	return l.at(l.home(seat, user), seat, event)
}

// at is the spot of a class of a user, whose home it is given.
func (l *layout) at(home spot, seat generate.Seat, event uint32) spot {
	home.members, home.event = l.parts[seat.Cohort.Number()].alike[event], event
	return home
}

// home is where a user's counters begin.
func (l *layout) home(seat generate.Seat, user uint32) spot {
	part := &l.parts[seat.Cohort.Number()]
	b, n := &l.bands[part.band], uint64(0)
	if l.byTime { // else there are several parts
		n = l.plan.Place(user)
	} else {
		n = (seat.First - b.base) / b.events
	}
	return spot{page: b.first + int(n/b.perPage), user: uint32(n % b.perPage * b.events)}
}

// slotsOf is how many slots of a page are records.
func (l *layout) slotsOf(page int) int {
	b := &l.bands[0]
	for i := range l.bands {
		if l.bands[i].users > 0 && l.bands[i].first <= page {
			b = &l.bands[i]
		}
	}
	before := uint64(page-b.first) * b.perPage
	return int(min(b.perPage, b.users-before) * b.events)
}

package generate

import (
	"slices"
	"strings"

	"kreplay/pkg/scenario"
)

// A Form says what a row was before it became the JSON text that is compared.
type Form uint8

// The forms.
const (
	// AsSent: the row is the text that the pipeline wrote.
	AsSent Form = iota
	// Typed: it was read from columns that have types, as Parquet's. Null and
	// not there are alike, and so are two forms of one instant in a field that a
	// rule makes a time: its column may be a timestamp. A column may stand for the
	// key of which its name is the lower case.
	Typed
	// Cells: its values were texts, as in CSV. What holds for Typed, and: an empty
	// text is nothing, scalars are alike by their text or number whatever their
	// type, objects and arrays are their JSON text.
	Cells
)

// Options say what holds between a record and its row in one stage.
type Options struct {
	Compare scenario.Compare
	Ignore  []scenario.Pattern // fields that are left out, with what is below them
	Cells   bool               // rows may be of the form Cells
}

// A Comparer judges the rows of one stage. It is immutable and safe for
// concurrent use.
//
// Records that one row could be both of are one class there: a row cannot tell
// which of them it is, so they are counted by multiplicity. These are the records
// alike byte for byte, as everywhere; those alike but for ignored fields, order,
// notation or nulls; and where fields may be added, those of which none says
// otherwise than the other. A row of Parquet may come into any stage, so notation
// and nulls keep no two records apart in any.
type Comparer struct {
	plan    *Plan
	mode    scenario.Compare
	ignore  []scenario.Pattern
	lower   []scenario.Pattern // ignore, in lower case
	classes []alikes           // by cohort
}

// alikes are the classes of a cohort.
type alikes struct {
	first   []int32          // of each event: the first event of its class
	members map[int][]uint32 // first of a class → all of it, where more than one
}

// Comparer returns how the rows of a stage are judged.
func (p *Plan) Comparer(o Options) *Comparer {
	c := &Comparer{plan: p, mode: o.Compare, ignore: o.Ignore}
	for _, i := range o.Ignore {
		i.Field = strings.ToLower(i.Field)
		c.lower = append(c.lower, i)
	}
	form := Typed // the widest: what is alike in another form is alike in it
	if o.Cells {
		form = Cells
	}
	for _, cohort := range p.cohorts {
		c.classes = append(c.classes, c.join(cohort, form))
	}
	return c
}

// Bytes returns the Comparer of rows that are alike byte for byte or not at all.
func (p *Plan) Bytes() *Comparer { return p.bytes }

func (p *Plan) ofBytes() *Comparer {
	c := &Comparer{plan: p}
	for _, cohort := range p.cohorts {
		c.classes = append(c.classes, alikes{cohort.Program.Class[:cohort.Events], cohort.members})
	}
	return c
}

// Plan is that of the records.
func (c *Comparer) Plan() *Plan { return c.plan }

// Classes returns the first event of the class of each of a cohort's events.
func (c *Comparer) Classes(cohort *Cohort) []int32 { return c.classes[cohort.number].first }

// Class is the first event of an event's class.
func (c *Comparer) Class(user, event uint32) uint32 {
	return uint32(c.Classes(c.plan.Cohort(user))[event])
}

// Members returns the events of the class that begins with event.
func (c *Comparer) Members(cohort *Cohort, event int) []uint32 {
	if m := c.classes[cohort.number].members[event]; m != nil {
		return m
	}
	return cohort.single[event : event+1]
}

// Multiplicity is how many planned records, copies among them, are of the class
// that begins with event.
func (c *Comparer) Multiplicity(user, event uint32) (n int) {
	cohort := c.plan.Cohort(user)
	for _, member := range c.Members(cohort, int(event)) {
		n += 1 + int(c.plan.copies(cohort, Step{User: user, Event: member}))
	}
	return n
}

// Joined names the log types some of whose records are of one class with others
// that are not alike byte for byte, in the plan's order.
func (c *Comparer) Joined() (names []string) {
	types := make([]bool, len(c.plan.logTypes))
	for _, cohort := range c.plan.cohorts {
		first := c.Classes(cohort)
		for i, class := range cohort.Program.Class[:cohort.Events] {
			if first[i] != class {
				types[cohort.LogType[i]], types[cohort.LogType[first[i]]] = true, true
			}
		}
	}
	for i, name := range c.plan.logTypes {
		if types[i] {
			names = append(names, name)
		}
	}
	return names
}

// strict says whether order and notation matter.
func (c *Comparer) strict(form Form) bool { return c.mode == scenario.CompareExact && form == AsSent }

// adds says whether fields may be added.
func (c *Comparer) adds() bool { return c.mode == scenario.CompareSubset }

// bytesOnly says whether nothing but the same bytes is intact.
func (c *Comparer) bytesOnly(form Form) bool { return c.strict(form) && len(c.ignore) == 0 }

// ignores says whether a field is left out, by its own path; its parents have been asked.
func (c *Comparer) ignores(logType string, path []byte) bool {
	return slices.ContainsFunc(c.ignore, func(p scenario.Pattern) bool { return p.Match(logType, string(path)) })
}

// ignoresColumn is ignores for a column whose name may have lost its case.
func (c *Comparer) ignoresColumn(logType string, path []byte) bool {
	logType, column := strings.ToLower(logType), strings.ToLower(string(path))
	return slices.ContainsFunc(c.lower, func(p scenario.Pattern) bool { return p.Match(logType, column) })
}

// Ignores says whether the field at the dotted path, or one that it lies in, is left out.
func (c *Comparer) Ignores(logType, path string) bool {
	for end := 0; end < len(path); end++ {
		next := strings.IndexByte(path[end:], '.')
		if next < 0 {
			break
		}
		if end += next; c.ignores(logType, []byte(path[:end])) {
			return true
		}
	}
	return c.ignores(logType, []byte(path))
}

// join finds the classes of a cohort. Only records that no uuid names can be
// taken for each other, and they say the same of their time unless fields may be
// added. That two records are alike does not depend on the user.
func (c *Comparer) join(cohort *Cohort, form Form) alikes {
	a := alikes{first: slices.Clone(cohort.Program.Class[:cohort.Events]), members: map[int][]uint32{}}
	groups := [][]uint32{cohort.timeless}
	for _, events := range cohort.byTime {
		groups = append(groups, events)
	}
	if c.adds() {
		groups = [][]uint32{slices.Concat(groups...)}
	}
	if user, ok := c.plan.Member(cohort); ok {
		for _, events := range groups {
			c.joinGroup(&a, cohort, user, events, form)
		}
	}
	of := map[int][]uint32{}
	for i := range a.first {
		root := a.root(int32(i))
		a.first[i] = root
		of[int(root)] = append(of[int(root)], uint32(i))
	}
	for root, events := range of {
		if len(events) > 1 {
			a.members[root] = events
		}
	}
	return a
}

func (a *alikes) root(i int32) int32 {
	for a.first[i] != i {
		i = a.first[i]
	}
	return i
}

func (c *Comparer) joinGroup(a *alikes, cohort *Cohort, user uint32, events []uint32, form Form) {
	if len(events) < 2 {
		return
	}
	v, trees := c.plan.Values(user), make([]tree, len(events))
	for i, event := range events {
		trees[i].parse(cohort.Program.Append(nil, int(event), &v)) // rendered from JSON, so it is JSON
	}
	var d differ
	d.reset(c, form, "")
	d.unify, d.join = c.adds(), true
	same := func(i, j int) bool { // may a row of j be one of i?
		d.logType, d.want, d.got = c.plan.logTypes[cohort.LogType[events[i]]], trees[i], trees[j]
		return d.value(0, 0)
	}
	for i := range events {
		for j := range i {
			x, y := a.root(int32(events[i])), a.root(int32(events[j]))
			if x != y && (same(i, j) || same(j, i)) {
				a.first[max(x, y)] = min(x, y)
			}
		}
	}
}

// similarity is how much of a record a row that is not intact still has: scalars,
// then bytes.
type similarity struct{ fields, bytes int }

func (s similarity) less(t similarity) bool {
	return s.fields < t.fields || s.fields == t.fields && s.bytes < t.bytes
}

// similar compares the candidate in d.want with the row in d.got, if that is JSON.
func (d *differ) similar(want, row []byte, isJSON bool) similarity {
	s := similarity{bytes: alike(want, row)}
	if isJSON && d.want.parse(want) {
		d.all, d.equal = true, 0
		d.value(0, 0)
		s.fields, d.all = d.equal, false
	}
	return s
}

// intact says whether the candidate is what the row in d.got was made of.
func (d *differ) intact(want []byte) bool { return d.want.parse(want) && d.value(0, 0) }

// alike is the length of the common prefix and suffix.
func alike(a, b []byte) int {
	n, most := 0, min(len(a), len(b))
	for n < most && a[n] == b[n] {
		n++
	}
	end := 0
	for end < most-n && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return n + end
}

package generate

import (
	"bytes"
	"slices"
	"strconv"
)

// differ holds a row against what was sent, by the rules of a Comparer. One walk
// serves all that is asked: whether they are alike (it ends at the first
// difference), how much of them is (all), and what differs (collect).
type differ struct {
	c       *Comparer
	form    Form
	logType string
	strict  bool // order and notation matter
	columns bool // names may have lost their case
	cells   bool // scalars are texts
	unify   bool // may one row be both? what only one of them has does not matter
	join    bool // both are records: may a row have lost the case of their names?

	want, got tree
	all       bool // go on behind a difference
	collect   bool // list the differences
	equal     int  // 2 for each value that is alike, 1 for each that is there
	list      []found

	path  []byte // as patterns have it
	full  []byte // with the numbers of elements
	stack []int  // of object
	spell spelling
	cell  *differ

	known map[string]bool // by log type and path: is it ignored? Patterns cost a microsecond
	key   []byte          // of known
}

// mostKnown bounds how many answers are kept: a row may have any names.
const mostKnown = 1 << 12

// differ prepares the scratch's differ.
func (s *Scratch) differ(c *Comparer, form Form, logType string) *differ {
	if s.diff == nil {
		s.diff = new(differ)
	}
	s.diff.reset(c, form, logType)
	return s.diff
}

func (d *differ) reset(c *Comparer, form Form, logType string) {
	if d.c != c {
		d.c, d.known = c, map[string]bool{}
	}
	d.form, d.logType = form, logType
	d.strict, d.columns, d.cells, d.unify, d.join = c.strict(form), form != AsSent, form == Cells, false, false
	d.all, d.collect, d.equal, d.list = false, false, 0, nil
	d.path, d.full, d.stack = d.path[:0], d.full[:0], d.stack[:0]
}

// change notes a difference and is false, as all that is not alike.
func (d *differ) change(want, got []byte, cause Cause) bool {
	if d.collect && len(d.list) < maxChanges {
		d.list = append(d.list, found{Change{string(d.full), shorten(want), shorten(got), cause}, string(d.path)})
	}
	return false
}

// enter makes path and full those of a member or element; leave takes it back.
func (d *differ) enter(name []byte) (leave [2]int) {
	leave = [2]int{len(d.path), len(d.full)}
	if len(d.c.ignore) > 0 || d.collect {
		d.path = below(d.path, name)
	}
	if d.collect {
		d.full = below(d.full, name)
	}
	return leave
}

func (d *differ) leave(to [2]int) { d.path, d.full = d.path[:to[0]], d.full[:to[1]] }

func below(path, name []byte) []byte {
	if len(path) > 0 {
		path = append(path, '.')
	}
	return append(path, name...)
}

func (d *differ) value(w, g int) bool {
	a, b := &d.want.nodes[w], &d.got.nodes[g]
	switch {
	case a.kind == objectNode && b.kind == objectNode:
		return d.counted(d.object(w, g))
	case a.kind == arrayNode && b.kind == arrayNode:
		return d.counted(d.array(w, g))
	case a.kind >= arrayNode && b.kind == stringNode && d.cells:
		return d.nested(a, b)
	case d.scalar(a, b):
		d.equal += 2
		return true
	case d.collect:
		return d.change(d.want.raw(a), d.got.raw(b), causeOf(a, b, d.cells))
	}
	d.equal++
	return false
}

// counted counts two objects or arrays as two scalars: empty ones that are alike
// are worth more than one in another's place.
func (d *differ) counted(alike bool) bool {
	d.equal++
	if alike {
		d.equal++
	}
	return alike
}

// scalar says whether two values, not both objects or arrays, are the same.
func (d *differ) scalar(a, b *node) bool {
	switch {
	case a.kind >= arrayNode || b.kind >= arrayNode:
		return false
	case d.strict:
		return bytes.Equal(d.want.raw(a), d.got.raw(b))
	case a.kind == b.kind && a.kind != numberNode && bytes.Equal(a.text, b.text),
		a.kind == numberNode && b.kind == numberNode && equalNumbers(a.text, b.text),
		d.form != AsSent && d.instant(a, b):
		return true
	case !d.cells:
		return false
	case d.nothing(a) || d.nothing(b):
		return d.nothing(a) && d.nothing(b)
	}
	return bytes.Equal(a.text, b.text) || a.kind == numberNode && isNumber(b.text) && equalNumbers(a.text, b.text)
}

// nothing says whether a value may as well not be there.
func (d *differ) nothing(n *node) bool {
	return d.form != AsSent && n.kind == nullNode || d.cells && n.kind == stringNode && len(n.text) == 0
}

// instant says whether a field that a rule makes a time is the same time in
// another form, as where a column is a timestamp.
func (d *differ) instant(a, b *node) bool {
	if d.c.plan == nil || d.c.plan.lookup.timeKeys[string(a.name)] == nil {
		return false
	}
	x, ok := d.spell.timeOf(d.want.raw(a))
	y, ok2 := d.spell.timeOf(d.got.raw(b))
	return ok && ok2 && x == y
}

// nested compares an object or array with a cell that holds its JSON text.
func (d *differ) nested(a, b *node) bool {
	if d.cell == nil {
		d.cell = new(differ)
	}
	in := d.cell
	in.reset(d.c, AsSent, d.logType)
	in.columns, in.unify, in.join, in.all, in.collect, in.strict = true, d.unify, d.join, d.all, d.collect, false
	in.path, in.full = append(in.path, d.path...), append(in.full, d.full...)
	if !in.want.parse(d.want.raw(a)) || !in.got.parse(b.text) {
		return d.change(d.want.raw(a), d.got.raw(b), CauseUnknown)
	}
	ok := in.value(0, 0)
	d.equal += in.equal
	d.list = append(d.list, in.list[:min(len(in.list), maxChanges-len(d.list))]...)
	return ok
}

// children puts the members or elements of a node on the stack and returns them.
func (d *differ) children(t *tree, i int) []int {
	from := len(d.stack)
	for n, end := i+1, t.nodes[i].next; n < end; n = t.nodes[n].next {
		d.stack = append(d.stack, n)
	}
	return d.stack[from:len(d.stack):len(d.stack)]
}

// kept are the members that are not ignored. A column that stands for none of keys
// may be an ignored field whose case is lost.
func (d *differ) kept(t *tree, members, keys []int) []int {
	if len(d.c.ignore) == 0 {
		return members
	}
	return slices.DeleteFunc(members, func(n int) bool {
		name := t.nodes[n].name
		return d.ignored(name, false) || d.columns && t == &d.got && d.ignored(name, true) &&
			!slices.ContainsFunc(keys, func(k int) bool { return bytes.Equal(d.want.nodes[k].name, name) })
	})
}

// ignored says whether a member is left out; column: by its name without case.
func (d *differ) ignored(name []byte, column bool) bool {
	back := d.enter(name)
	defer d.leave(back)
	d.key = append(append(append(strconv.AppendBool(d.key[:0], column), d.logType...), 0), d.path...)
	ignored, ok := d.known[string(d.key)]
	if !ok {
		if ignored = d.c.ignores(d.logType, d.path); column {
			ignored = d.c.ignoresColumn(d.logType, d.path)
		}
		if len(d.known) < mostKnown {
			d.known[string(d.key)] = ignored
		}
	}
	return ignored
}

func (d *differ) object(w, g int) bool {
	base := len(d.stack)
	wants, gots := d.children(&d.want, w), d.children(&d.got, g)
	claimed := d.claim(wants, gots)
	defer func() {
		d.stack = d.stack[:base]
		if claimed {
			d.disclaim(g)
		}
	}()
	gots = d.kept(&d.got, gots, wants)
	wants = d.kept(&d.want, wants, nil)
	if d.sameNames(wants, gots) {
		return d.pairs(wants, gots)
	}
	pair, free := d.match(wants, gots)
	ok := true
	for i, n := range wants {
		a := &d.want.nodes[n]
		switch {
		case pair[i] < 0 && (d.unify || d.nothing(a)):
			continue
		case pair[i] < 0:
			ok = d.below(a.name, d.want.raw(a), nil, CauseLost)
		default:
			ok = d.member(a.name, n, gots[pair[i]]) && ok
		}
		if !ok && !d.all {
			return false
		}
	}
	for i, n := range gots {
		b := &d.got.nodes[n]
		if free[i] == paired || d.nothing(b) || free[i] == unsent && (d.unify || d.c.adds()) {
			continue
		}
		if ok = d.below(b.name, nil, d.got.raw(b), CauseAdded); !d.all {
			return false
		}
	}
	if d.strict && !d.inOrder(wants, gots, pair) {
		ok = false
	}
	return ok
}

// sameNames says whether two objects have the same members in the same order.
func (d *differ) sameNames(wants, gots []int) bool {
	return slices.EqualFunc(wants, gots, func(n, m int) bool { return bytes.Equal(d.want.nodes[n].name, d.got.nodes[m].name) })
}

func (d *differ) pairs(wants, gots []int) bool {
	ok := true
	for i, n := range wants {
		if ok = d.member(d.want.nodes[n].name, n, gots[i]) && ok; !ok && !d.all {
			return false
		}
	}
	return ok
}

func (d *differ) member(name []byte, n, m int) bool {
	back := d.enter(name)
	ok := d.value(n, m)
	d.leave(back)
	return ok
}

// below notes a change of a member or element.
func (d *differ) below(name, want, got []byte, cause Cause) bool {
	back := d.enter(name)
	defer d.leave(back)
	return d.change(want, got, cause)
}

// What match says of a member of the row.
const (
	unsent = iota // its name was not sent
	paired        // with the member that was
	again         // its name was sent, but less often
)

// match pairs members of the same name, the nth with the nth: a name that stands
// twice in an object is two fields. pair has for each of wants an index into
// gots, or -1.
func (d *differ) match(wants, gots []int) (pair, free []int) {
	byName := func(t *tree, list []int) []int {
		from := len(d.stack)
		for i := range list {
			d.stack = append(d.stack, i)
		}
		sorted := d.stack[from:len(d.stack):len(d.stack)]
		slices.SortFunc(sorted, func(i, j int) int {
			if n := bytes.Compare(t.nodes[list[i]].name, t.nodes[list[j]].name); n != 0 {
				return n
			}
			return i - j
		})
		return sorted
	}
	filled := func(n, with int) []int {
		from := len(d.stack)
		for range n {
			d.stack = append(d.stack, with)
		}
		return d.stack[from:len(d.stack):len(d.stack)]
	}
	sortedWants, sortedGots := byName(&d.want, wants), byName(&d.got, gots)
	pair, free = filled(len(wants), -1), filled(len(gots), unsent)
	i := 0
	for j, g := range sortedGots {
		name := d.got.nodes[gots[g]].name
		for i < len(wants) && bytes.Compare(d.want.nodes[wants[sortedWants[i]]].name, name) < 0 {
			i++
		}
		switch {
		case i < len(wants) && bytes.Equal(d.want.nodes[wants[sortedWants[i]]].name, name):
			pair[sortedWants[i]], free[g] = g, paired
			i++
		case j > 0 && free[sortedGots[j-1]] != unsent && bytes.Equal(d.got.nodes[gots[sortedGots[j-1]]].name, name):
			free[g] = again
		}
	}
	return pair, free
}

// inOrder notes a change where members that both have stand in another order.
func (d *differ) inOrder(wants, gots, pair []int) bool {
	last, ok := -1, true
	for _, p := range pair {
		if p >= 0 {
			ok, last = ok && p > last, p
		}
	}
	if ok || !d.collect {
		return ok
	}
	var before, after []byte
	order := slices.Clone(pair)
	slices.Sort(order)
	for i, p := range pair {
		if p >= 0 {
			before = append(strconv.AppendQuote(before, string(d.want.nodes[wants[i]].name)), ' ')
		}
	}
	for _, p := range order {
		if p >= 0 {
			after = append(strconv.AppendQuote(after, string(d.got.nodes[gots[p]].name)), ' ')
		}
	}
	list := func(b []byte) []byte { return append(append([]byte{'['}, bytes.TrimSpace(b)...), ']') }
	return d.change(list(before), list(after), CauseKeys)
}

func (d *differ) array(w, g int) bool {
	base := len(d.stack)
	defer func() { d.stack = d.stack[:base] }()
	wants, gots := d.children(&d.want, w), d.children(&d.got, g)
	if d.collect {
		a, b := d.want.raw(&d.want.nodes[w]), d.got.raw(&d.got.nodes[g])
		switch {
		case d.reordered(wants, gots):
			return d.change(a, b, CauseArray)
		case len(gots) > 0 && len(gots) < len(wants) && slices.EqualFunc(gots, wants[:len(gots)], func(m, n int) bool { return d.quietly(n, m) }):
			return d.change(a, b, CauseTruncate)
		}
	}
	if len(wants) != len(gots) && !d.all {
		return false
	}
	ok := len(wants) == len(gots)
	for i := range max(len(wants), len(gots)) {
		back := len(d.full)
		if d.collect {
			d.full = below(d.full, strconv.AppendInt(nil, int64(i), 10))
		}
		switch {
		case i >= len(gots):
			d.change(d.want.raw(&d.want.nodes[wants[i]]), nil, CauseLost)
		case i >= len(wants):
			d.change(nil, d.got.raw(&d.got.nodes[gots[i]]), CauseAdded)
		default:
			ok = d.value(wants[i], gots[i]) && ok
		}
		d.full = d.full[:back]
		if !ok && !d.all {
			return false
		}
	}
	return ok
}

// quietly says whether two values are alike, and lists nothing.
func (d *differ) quietly(n, m int) bool {
	all, collect, equal := d.all, d.collect, d.equal
	d.all, d.collect = false, false
	ok := d.value(n, m)
	d.all, d.collect, d.equal = all, collect, equal
	return ok
}

// reordered says whether two arrays hold the same elements, as they are written,
// in another order.
func (d *differ) reordered(wants, gots []int) bool {
	if len(wants) != len(gots) {
		return false
	}
	count, moved := map[string]int{}, false
	for i := range wants {
		a, b := d.want.raw(&d.want.nodes[wants[i]]), d.got.raw(&d.got.nodes[gots[i]])
		count[string(a)]++
		count[string(b)]--
		moved = moved || !bytes.Equal(a, b)
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return moved && !slices.EqualFunc(wants, gots, d.quietly)
}

package generate

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// A Cause says what most likely changed a field. It is read off the two values
// alone, so it is the simplest explanation, no proof.
type Cause string

// The causes.
const (
	CauseFloat    Cause = "float64 rounding" // both texts are the same float64, and not the same number
	CauseTruncate Cause = "truncation"       // cut off behind what is left
	CauseZone     Cause = "time zone"        // the time moved by whole quarters of an hour, at most a day, or names another offset
	CauseEncoding Cause = "encoding"         // the same value in another notation, or characters that another charset spoiled
	CauseNull     Cause = "null"             // a value became null or the empty text, or the other way round
	CauseText     Cause = "number as string" // or a string as number
	CauseKeys     Cause = "reordered keys"   // the same members in another order
	CauseArray    Cause = "reordered array"  // the same elements in another order
	CauseLost     Cause = "field lost"       // a member or element is gone
	CauseAdded    Cause = "field added"      // a member or element that was not sent
	CauseUnknown  Cause = "unknown"          // none of these
)

// A Change is one place where a row is not as it was sent. Its JSON keys are stable.
type Change struct {
	Path  string `json:"path"` // dotted from the top, array elements by number from 0; empty: the row as a whole
	Want  string `json:"want"` // as it stands in the JSON text; empty where there is none; at most 200 bytes
	Got   string `json:"got"`
	Cause Cause  `json:"cause"`
}

func (c Change) String() string {
	show := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	path := c.Path
	if path == "" {
		path = "the row"
	}
	return fmt.Sprintf("%s: want %s, got %s (%s)", path, show(c.Want), show(c.Got), c.Cause)
}

const (
	maxChanges = 100 // of one row
	maxShown   = 200 // bytes of a value
	maxNested  = 64  // below that, values are compared as texts: each level reads all that is in it again
)

// Changes compares two JSON texts field by field and returns where they differ,
// in want's order; none where they are alike byte for byte, white space between
// values aside. A text that is no JSON is compared by its bytes.
func Changes(want, got []byte) []Change {
	if !gjson.ValidBytes(want) || !gjson.ValidBytes(got) {
		if string(want) == string(got) {
			return nil
		}
		return []Change{{Want: window(want, got), Got: window(got, want), Cause: CauseUnknown}}
	}
	d := &differ{}
	d.value("", gjson.ParseBytes(want), gjson.ParseBytes(got))
	return d.list
}

// window is what stands in a around the first byte that is not b's.
func window(a, b []byte) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return strconv.Quote(string(a[max(n-12, 0):min(n+12, len(a))]))
}

type differ struct {
	list  []Change
	depth int
}

func (d *differ) add(path, want, got string, cause Cause) {
	if len(d.list) < maxChanges {
		d.list = append(d.list, Change{path, shorten(want), shorten(got), cause})
	}
}

func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:maxShown], len(s))
}

func (d *differ) value(path string, want, got gjson.Result) {
	d.depth++
	defer func() { d.depth-- }()
	switch {
	case want.Raw == got.Raw:
	case d.depth > maxNested:
		d.add(path, want.Raw, got.Raw, CauseUnknown)
	case want.IsObject() && got.IsObject():
		d.object(path, want, got)
	case want.IsArray() && got.IsArray():
		d.array(path, want, got)
	default:
		d.add(path, want.Raw, got.Raw, causeOf(want, got))
	}
}

// member is a name with its place among members of the same name.
type member struct {
	name string
	nth  int
}

// members returns an object's members in order, names of which there are two apart.
func members(object gjson.Result) (order []member, values map[member]gjson.Result) {
	values, seen := map[member]gjson.Result{}, map[string]int{}
	object.ForEach(func(key, value gjson.Result) bool {
		m := member{key.Str, seen[key.Str]}
		seen[key.Str]++
		order, values[m] = append(order, m), value
		return true
	})
	return order, values
}

func (d *differ) object(path string, want, got gjson.Result) {
	wanted, wants := members(want)
	given, gots := members(got)
	for _, m := range wanted {
		if g, ok := gots[m]; ok {
			d.value(below(path, m.name), wants[m], g)
		} else {
			d.add(below(path, m.name), wants[m].Raw, "", CauseLost)
		}
	}
	for _, m := range given {
		if _, ok := wants[m]; !ok {
			d.add(below(path, m.name), "", gots[m].Raw, CauseAdded)
		}
	}
	common := func(list []member, other map[member]gjson.Result) (names []string) {
		for _, m := range list {
			if _, ok := other[m]; ok {
				names = append(names, m.name)
			}
		}
		return names
	}
	before, after := common(wanted, gots), common(given, wants)
	if !slices.Equal(before, after) {
		d.add(path, fmt.Sprintf("%q", before), fmt.Sprintf("%q", after), CauseKeys)
	}
}

func (d *differ) array(path string, want, got gjson.Result) {
	wants, gots := want.Array(), got.Array()
	if reordered(wants, gots) {
		d.add(path, want.Raw, got.Raw, CauseArray)
		return
	}
	if len(gots) > 0 && len(gots) < len(wants) && slices.EqualFunc(gots, wants[:len(gots)], alikeRaw) {
		d.add(path, want.Raw, got.Raw, CauseTruncate)
		return
	}
	for i := range max(len(wants), len(gots)) {
		at := below(path, strconv.Itoa(i))
		switch {
		case i >= len(gots):
			d.add(at, wants[i].Raw, "", CauseLost)
		case i >= len(wants):
			d.add(at, "", gots[i].Raw, CauseAdded)
		default:
			d.value(at, wants[i], gots[i])
		}
	}
}

func alikeRaw(a, b gjson.Result) bool { return a.Raw == b.Raw }

// reordered says whether two arrays hold the same elements, in another order.
func reordered(a, b []gjson.Result) bool {
	if len(a) != len(b) || slices.EqualFunc(a, b, alikeRaw) {
		return false
	}
	count := map[string]int{}
	for i := range a {
		count[a[i].Raw]++
		count[b[i].Raw]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

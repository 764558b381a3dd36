package generate

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tables of Hive, Glue and Athena know no difference of case, so what writes them
// (Firehose's conversion of records, unless told otherwise) makes userid of userId,
// at every depth. A column is a record's key if it has its name, else if that is
// the key in lower case.

// isColumn says whether name is key in lower case, without making it.
func isColumn(name, key []byte) bool {
	for i, c := range key {
		if c >= utf8.RuneSelf {
			return bytes.Equal(name, bytes.ToLower(key))
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if i >= len(name) || name[i] != c {
			return false
		}
	}
	return len(name) == len(key)
}

// hasCase says whether a key has another name in lower case.
func hasCase(key []byte) bool { return !isColumn(key, key) }

// claim gives the columns of a row's object the names of the keys that they stand
// for, until disclaim; false: they all have them. A key that says nothing needs no
// column, so it is the last to get one.
func (d *differ) claim(wants, gots []int) (renamed bool) {
	if !d.columns {
		return false
	}
	if cased := d.anyCase(&d.want, wants) || d.join && d.anyCase(&d.got, gots); !cased {
		return false
	}
	unclaimed(&d.want, wants)
	unclaimed(&d.got, gots)
	for _, pass := range [...]struct{ nothing, exact bool }{{false, true}, {false, false}, {true, true}, {true, false}} {
		at := 0 // members mostly stand in one order
		for _, n := range wants {
			key := &d.want.nodes[n]
			if key.claimed || d.nothing(key) != pass.nothing {
				continue
			}
			for range gots {
				column := &d.got.nodes[gots[at]]
				if at++; at == len(gots) {
					at = 0
				}
				if column.claimed || !d.standsFor(column.name, key.name, pass.exact) {
					continue
				}
				key.claimed, column.claimed = true, true
				if !pass.exact {
					column.column, column.name, renamed = column.name, key.name, true
				}
				break
			}
		}
	}
	return renamed
}

func unclaimed(t *tree, members []int) {
	for _, n := range members {
		t.nodes[n].claimed = false
	}
}

// disclaim gives the columns of an object their own names back.
func (d *differ) disclaim(g int) {
	for n, end := g+1, d.got.nodes[g].next; n < end; n = d.got.nodes[n].next {
		if b := &d.got.nodes[n]; b.column != nil {
			b.name, b.column = b.column, nil
		}
	}
}

func (d *differ) anyCase(t *tree, members []int) bool {
	return slices.ContainsFunc(members, func(n int) bool { return hasCase(t.nodes[n].name) })
}

func (d *differ) standsFor(name, key []byte, exact bool) bool {
	switch {
	case exact:
		return bytes.Equal(name, key)
	case d.join: // a row may be of one record or of the other
		return bytes.Equal(bytes.ToLower(name), bytes.ToLower(key))
	}
	return isColumn(name, key)
}

// columns returns the lookup for rows of columns.
func (l lookup) columns() lookup {
	both := func(keys map[string]bool) map[string]bool {
		names := maps.Clone(keys)
		for key := range keys {
			names[strings.ToLower(key)] = true
		}
		return names
	}
	c := lookup{both(l.userKeys), both(l.peerKeys), maps.Clone(l.timeKeys)}
	maps.DeleteFunc(c.peerKeys, func(key string, _ bool) bool { return c.userKeys[key] })
	for _, key := range slices.Sorted(maps.Keys(l.timeKeys)) {
		if name := strings.ToLower(key); name != key {
			c.timeKeys[name] = slices.Concat(c.timeKeys[name], l.timeKeys[key])
		}
	}
	return c
}

// Twins names the keys that are one column where names have no case, by log type in
// the order in which they come up. Of a record that has both no such row is intact.
func (p *Plan) Twins() (list []string) {
	var t tree
	for _, c := range p.cohorts {
		user, ok := p.Member(c)
		if !ok {
			continue
		}
		v := p.Values(user)
		for event := range c.Events {
			t.parse(c.Program.Append(nil, event, &v)) // rendered from JSON, so it is JSON
			for i := range t.nodes {
				for _, names := range t.twins(i) {
					if text := p.logTypes[c.LogType[event]] + ": " + names; !slices.Contains(list, text) {
						list = append(list, text)
					}
				}
			}
		}
	}
	return list
}

// twins are the members of an object whose names differ in case only.
func (t *tree) twins(i int) (list []string) {
	if t.nodes[i].kind != objectNode {
		return nil
	}
	names := map[string]string{}
	for n, end := i+1, t.nodes[i].next; n < end; n = t.nodes[n].next {
		name := string(t.nodes[n].name)
		if other, ok := names[strings.ToLower(name)]; ok && other != name {
			list = append(list, other+" and "+name)
		}
		names[strings.ToLower(name)] = name
	}
	return list
}

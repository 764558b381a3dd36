package replay

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// spoil changes one byte of a row that is neither identity nor structure: a
// letter of a text, else the last digit of a number, in a field that no rule
// rewrites. nil: there is none, or the row would be as like another record.
func spoil(dice *rand.Rand, p *generate.Plan, rules *generate.Comparer, c candidate) []byte {
	kept := keptFields(p, rules, c)
	var letters, digits []int
	_ = template.Walk(c.data, func(f template.Field) error { // an intact row
		if !kept[f.Path()] {
			return nil
		}
		if f.Kind == template.Number && bytes.ContainsAny(c.data[f.Start:f.End], "eE") {
			return nil // of an exponent: it may be the same number
		}
		if f.Kind == template.Number {
			digits = append(digits, f.End-1)
			return nil
		}
		for i := f.Start + 1; f.Kind == template.String && i < f.End-1; i++ {
			switch b := c.data[i]; {
			case b == '\\' && c.data[i+1] == 'u':
				i += 5
			case b == '\\':
				i++
			case b >= 'a' && b <= 'z':
				letters = append(letters, i)
			}
		}
		return nil
	})
	places, first, n := letters, byte('a'), byte(26)
	if len(places) == 0 {
		places, first, n = digits, '0', 10
	}
	if len(places) == 0 {
		return nil
	}
	other, at := slices.Clone(c.data), places[dice.IntN(len(places))]
	other[at] = first + (other[at]-first+1+byte(dice.IntN(int(n)-1)))%n
	if resembles(p, rules, c, other) {
		return nil
	}
	return other
}

// keptFields are the paths at which a row holds what no rule rewrites.
func keptFields(p *generate.Plan, rules *generate.Comparer, c candidate) map[string]bool {
	program, logType := p.Cohort(c.user).Program, p.LogType(p.ID(c.user, c.event))
	kept := map[string]bool{}                                                                        // by all paths of the record
	_ = template.Walk(withoutNewline(p.Append(nil, c.user, c.event)), func(f template.Field) error { // what we rendered
		_, role, ok := program.Field(int(c.event), f.Path())
		_, isTime := program.TimeKeys[string(f.Key)]
		kept[f.Path()] = ok && role == scenario.Keep && !isTime && !rules.Ignores(logType, f.Path()) && !program.UserKeys[string(f.Key)] && !program.PeerKeys[string(f.Key)]
		return nil
	})
	if c.form == generate.AsSent {
		return kept
	}
	for _, path := range sortedKeys(kept) { // columns may have lost the case of their names
		if _, is := kept[strings.ToLower(path)]; !is {
			kept[strings.ToLower(path)] = kept[path]
		}
	}
	return kept
}

// resembles says whether another record of the user is as like a row as the one
// it was: then nothing can tell which of them was changed.
func resembles(p *generate.Plan, rules *generate.Comparer, c candidate, row []byte) bool {
	cohort := p.Cohort(c.user)
	own := likeness(withoutNewline(p.Append(nil, c.user, c.event)), row)
	for event, class := range rules.Classes(cohort) {
		if uint32(class) != c.event && likeness(withoutNewline(p.Append(nil, c.user, uint32(event))), row) >= own {
			return true
		}
	}
	return false
}

func withoutNewline(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) }

// likeness is how many scalars of a record stand in a row as they were sent.
func likeness(record, row []byte) (n int) {
	has := map[string]int{}
	each := func(data []byte, visit func(field string)) {
		_ = template.Walk(data, func(f template.Field) error {
			visit(strings.ToLower(f.Path()) + "\x00" + string(data[f.Start:f.End]))
			return nil
		})
	}
	each(row, func(field string) { has[field]++ })
	each(record, func(field string) {
		if has[field] > 0 {
			has[field]--
			n++
		}
	})
	return n
}

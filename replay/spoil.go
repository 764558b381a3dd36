package replay

import (
	"bytes"
	"math/rand/v2"
	"slices"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// spoil changes one byte of a row that is neither identity nor structure: a
// letter of a text, else the last digit of a number, in a field that no rule
// rewrites. nil: there is none, or the row would be as like another record.
func spoil(dice *rand.Rand, p *generate.Plan, c candidate) []byte {
	program := p.Cohort(c.user).Program
	var letters, digits []int
	_ = template.Walk(c.data, func(f template.Field) error { // an intact row
		_, role, ok := program.Field(int(c.event), f.Path())
		_, isTime := program.TimeKeys[string(f.Key)]
		if !ok || role != scenario.Keep || isTime || program.UserKeys[string(f.Key)] || program.PeerKeys[string(f.Key)] {
			return nil
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
	if resembles(p, c, other) {
		return nil
	}
	return other
}

// resembles says whether another record of the user is as like a row as the one
// it was: then nothing can tell which of them was changed.
func resembles(p *generate.Plan, c candidate, row []byte) bool {
	cohort := p.Cohort(c.user)
	for event := range uint32(cohort.Events) {
		if uint32(cohort.Program.Class[event]) == c.event {
			continue
		}
		other := bytes.TrimSuffix(p.Append(nil, c.user, event), []byte("\n"))
		most := min(len(other), len(row))
		head, tail := 0, 0
		for head < most && other[head] == row[head] {
			head++
		}
		for tail < most-head && other[len(other)-1-tail] == row[len(row)-1-tail] {
			tail++
		}
		if head+tail >= len(row)-1 {
			return true
		}
	}
	return false
}

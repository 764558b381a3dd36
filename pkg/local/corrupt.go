package local

import (
	"bytes"
	"math/rand/v2"
)

// CorruptLetter returns data with one letter g to z inside a JSON string value
// changed into another one. Names, escapes, digits and the letters of hex stay,
// so neither the structure nor an identifier in hex or digits is harmed. nil:
// there is no such letter.
func CorruptLetter(dice *rand.Rand, data []byte) []byte {
	places := letters(nil, data)
	if len(places) == 0 {
		return nil
	}
	at := places[dice.IntN(len(places))]
	other := bytes.Clone(data)
	c := byte('g' + dice.IntN('z'-'g'))
	if c >= data[at] {
		c++
	}
	other[at] = c
	return other
}

// letters appends where data has letters that may change.
func letters(places []int, data []byte) []int {
	for i := 0; i < len(data); i++ {
		if data[i] != '"' {
			continue
		}
		before := len(places)
		for i++; i < len(data) && data[i] != '"'; i++ {
			switch c := data[i]; {
			case c == '\\' && i+1 < len(data) && data[i+1] == 'u':
				i += 5
			case c == '\\':
				i++
			case c >= 'g' && c <= 'z':
				places = append(places, i)
			}
		}
		rest := bytes.TrimLeft(data[min(i+1, len(data)):], " \t\r\n")
		if len(rest) > 0 && rest[0] == ':' {
			places = places[:before] // it was a name
		}
	}
	return places
}

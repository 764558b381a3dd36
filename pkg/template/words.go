package template

import (
	"slices"
	"strings"
	"unicode"
)

// words splits a field's name: user_id, userId, userID and user-id are all user, id.
func words(name string) (list []string) {
	var word []rune
	flush := func() {
		if len(word) > 0 {
			list = append(list, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(name)
	for i, c := range runes {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			flush()
			continue
		case unicode.IsUpper(c) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			flush()
		}
		word = append(word, c)
	}
	flush()
	return list
}

func hasWord(name []string, list ...string) bool {
	return slices.ContainsFunc(name, func(w string) bool { return slices.Contains(list, w) })
}

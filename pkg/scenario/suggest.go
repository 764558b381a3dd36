package scenario

import "strings"

// Suggest ends a message about an unknown word: the nearest of those that are
// known, or all of them.
func Suggest(word string, known []string) string { return didYouMean(word, known) }

// Slip returns the known word that is word in other case, or one edit away from it:
// most likely what was meant, where an unknown word is allowed too.
func Slip(word string, known []string) (near string, ok bool) {
	for _, k := range known {
		if k != word && strings.EqualFold(k, word) {
			return k, true
		}
	}
	for _, k := range known {
		if distance(word, k) == 1 {
			return k, true
		}
	}
	return "", false
}

package scenario

// Suggest ends a message about an unknown word: the nearest of those that are
// known, or all of them.
func Suggest(word string, known []string) string { return didYouMean(word, known) }

// Slip returns the known word that is one edit away from word: most likely what
// was meant, where an unknown word is allowed too.
func Slip(word string, known []string) (near string, ok bool) {
	for _, k := range known {
		if distance(word, k) == 1 {
			return k, true
		}
	}
	return "", false
}

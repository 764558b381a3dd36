package scenario

// Suggest ends a message about an unknown word: the nearest of those that are
// known, or all of them.
func Suggest(word string, known []string) string { return didYouMean(word, known) }

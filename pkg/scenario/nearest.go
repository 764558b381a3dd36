package scenario

import "strings"

// nearest returns the one of words that takes the fewest edits to get from
// word, or "" when none is near: more than half of its letters would change.
func nearest(word string, words []string) string {
	best, least := "", 0
	for _, w := range words {
		d := distance(strings.ToLower(word), w)
		if d*2 <= max(len(word), len(w)) && (best == "" || d < least) {
			best, least = w, d
		}
	}
	return best
}

// didYouMean ends a fault about an unknown word: the nearest known one, or all of them.
func didYouMean(word string, words []string) string {
	if near := nearest(word, words); near != "" {
		return "did you mean " + quote(near) + "?"
	}
	if len(words) == 0 {
		return "remove it"
	}
	return "known: " + strings.Join(words, ", ")
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a) // no key is that long
	}
	var before []int
	last, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}

//go:build race

package replay_test

// seeds is how many of n seeds are played under the race detector, which makes
// each take some five times as long: CI plays all of them without it.
func seeds(n uint64) uint64 { return max(2, n/5) }

//go:build !race

package replay_test

// seeds is how many of n seeds are played: all.
func seeds(n uint64) uint64 { return n }

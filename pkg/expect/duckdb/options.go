// Package duckdb is the engine of expectations that is linked into the binary.
package duckdb

// Options bound what an engine takes of the machine.
type Options struct {
	// Dir is where the engine makes a directory of its own for rows and
	// spilled results; Close removes it. It takes about one and a half times
	// the bytes of the rows while they are loaded, a fraction of them later.
	Dir string
	// Memory in bytes, beyond which the engine spills to Dir; 0: 256 MiB, at
	// least 128 MiB. The process takes up to 100 MiB more. Tables may be many
	// times larger; records of a MiB each want more (200 of them did not load
	// with 128 MiB, and did with 256).
	Memory int64
	// Threads is how many cores a query uses, at most one for each 64 MiB of
	// Memory; 0: all.
	Threads int
}

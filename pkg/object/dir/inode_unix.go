//go:build unix

package dir

import (
	"io/fs"
	"syscall"
)

// inode numbers a file: one that replaces another has a number of its own.
func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Ino)
	}
	return 0
}

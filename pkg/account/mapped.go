//go:build linux || darwin

package account

import "golang.org/x/sys/unix"

// mapMemory returns zeroed memory that costs what is touched of it; nil: there is none.
func mapMemory(size int) []byte {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return mem
}

// Neither of these can fail for memory of mapMemory, and nothing is lost but memory.
func dropMemory(mem []byte)  { _ = unix.Madvise(mem, unix.MADV_DONTNEED) }
func unmapMemory(mem []byte) { _ = unix.Munmap(mem) }

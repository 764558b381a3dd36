package kinesis

import (
	"os"
	"syscall"
	"testing"
)

// What is encoded may be the last thing in memory.
func TestBase64ReadsNothingBehind(t *testing.T) {
	page := os.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mprotect(memory[page:], syscall.PROT_NONE); err != nil { // to touch it ends the process
		t.Fatal(err)
	}
	for n := range 200 {
		appendBase64(nil, memory[page-n:page])
	}
	if err := syscall.Munmap(memory); err != nil {
		t.Fatal(err)
	}
}

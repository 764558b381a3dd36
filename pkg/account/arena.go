package account

import (
	"os"
	"sync"
)

// An arena is memory in pages of one size. It lies outside the Go heap where the
// system can do that, so that the collector does not keep as much again free, and
// a page costs nothing before it is touched nor after it is dropped. Elsewhere
// pages are slices. A page is not safe for concurrent use, different ones are.
type arena struct {
	size, count int

	once   sync.Once
	mapped []byte   // all pages; nil: the system has none for us
	heap   [][]byte // instead, by page
}

// page returns a page. It is zero when it is new; dropped, it holds anything.
func (a *arena) page(n int) []byte {
	a.once.Do(func() {
		if a.mapped = mapMemory(a.size * a.count); a.mapped == nil {
			a.heap = make([][]byte, a.count)
		}
	})
	if a.mapped != nil {
		return a.mapped[n*a.size : (n+1)*a.size : (n+1)*a.size]
	}
	if a.heap[n] == nil {
		a.heap[n] = make([]byte, a.size)
	}
	return a.heap[n]
}

// drop gives a page's memory back.
func (a *arena) drop(n int) {
	if a.mapped == nil {
		a.heap[n] = nil
		return
	}
	if a.size%os.Getpagesize() == 0 { // else the system's page holds another of ours
		dropMemory(a.page(n))
	}
}

// close gives all memory back. A page that is asked for later is a panic.
func (a *arena) close() {
	a.once.Do(func() {})
	if a.mapped != nil {
		unmapMemory(a.mapped)
	}
	a.mapped, a.heap = nil, nil
}

package batch

// keyed is a slot with what a heap orders it by: a seq, or a time.
type keyed struct {
	key  uint64
	slot int32
}

// keyedHeap has the least key first. It is container/heap without its interfaces.
type keyedHeap []keyed

func (h *keyedHeap) push(k keyed) {
	a := append(*h, k)
	i := len(a) - 1
	for i > 0 {
		up := (i - 1) / 2
		if a[up].key <= a[i].key {
			break
		}
		a[up], a[i] = a[i], a[up]
		i = up
	}
	*h = a
}

func (h *keyedHeap) pop() keyed {
	a := *h
	first := a[0]
	n := len(a) - 1
	a[0] = a[n]
	a = a[:n]
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < n && a[down].key < a[least].key {
				least = down
			}
		}
		if least == i {
			break
		}
		a[i], a[least] = a[least], a[i]
		i = least
	}
	*h = a
	return first
}

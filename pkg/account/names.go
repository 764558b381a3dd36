package account

// names number the objects that places lie in, so that a place need not hold the
// name. They take about the names' own length and 80 bytes each.
type names struct {
	list    []string
	numbers map[string]uint32
}

func newNames() *names { return &names{numbers: map[string]uint32{}} }

func (n *names) number(name string) uint32 {
	i, ok := n.numbers[name]
	if !ok {
		i = uint32(len(n.list))
		n.list = append(n.list, name)
		n.numbers[name] = i
	}
	return i
}

//go:build !linux && !darwin

package account

func mapMemory(int) []byte { return nil }

func dropMemory([]byte)  {}
func unmapMemory([]byte) {}

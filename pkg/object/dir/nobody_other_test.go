//go:build !linux

package dir_test

import (
	"os"
	"testing"
)

// asNobody calls f as a user who is not root.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	f()
}

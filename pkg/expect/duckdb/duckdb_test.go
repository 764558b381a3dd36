//go:build cgo

package duckdb

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kreplay/pkg/expect"
	"kreplay/pkg/expect/expecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEngineKeepsTheContract(t *testing.T) { expecttest.Run(t, open) }

func TestOpenRefusesPatterns(t *testing.T) {
	for _, dir := range []string{"a?b", "a*", "[a]"} {
		if e, err := Open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, %v", dir, e, err)
		}
	}
}

// open makes an engine in a directory whose name SQL and URLs trip over, and
// checks when the test ends that nothing is left there.
func open(t testing.TB) expect.Engine {
	t.Helper()
	dir := t.TempDir() + "/it's 100% {}#;&\"é"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), Options{Dir: dir, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return e
}

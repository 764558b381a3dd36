//go:build cgo

package duckdb

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kreplay/pkg/expect"
	"kreplay/pkg/expect/expecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEngineKeepsTheContract(t *testing.T) { expecttest.Run(t, open) }

// Many cores and little memory load what is larger than the memory.
func TestLoadFitsTheMemory(t *testing.T) {
	e, err := Open(t.Context(), Options{Dir: t.TempDir(), Memory: leastMemory, Threads: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	loader, err := e.Load(t.Context(), expect.Delivered, []expect.Table{expect.TableOf("wide", [][]byte{[]byte(`{"n":1,"s":"x"}`)})})
	if err != nil {
		t.Fatal(err)
	}
	const rows, width = 10_000, 16_000
	random, noise, text := rand.NewChaCha8([32]byte{1}), make([]byte, width/4*3), make([]byte, width)
	for range rows { // what compresses would prove little
		_, _ = random.Read(noise) // it has no end
		base64.StdEncoding.Encode(text, noise)
		if err := loader.Add("wide", fmt.Appendf(nil, `{"n":1,"s":"%s"}`, text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := loader.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := expecttest.Rows(t, e, expect.Delivered, "select sum(n), sum(len(s)) from wide"), fmt.Sprintf("%d,%d", rows, rows*width); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOpenRefusesTooLittleMemory(t *testing.T) {
	if e, err := Open(t.Context(), Options{Dir: t.TempDir(), Memory: leastMemory - 1}); err == nil || !strings.Contains(err.Error(), "134217727") {
		t.Errorf("got %v, %v", e, err)
	}
}

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

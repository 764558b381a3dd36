package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counting is a store that counts what is opened, and at once.
type counting struct {
	object.Store
	opens, now, most atomic.Int64
}

func (c *counting) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	c.opens.Add(1)
	if now := c.now.Add(1); now > c.most.Load() {
		c.most.Store(now)
	}
	r, err := c.Store.Open(ctx, key)
	return closing{r, c}, err
}

type closing struct {
	io.ReadCloser
	c *counting
}

func (r closing) Close() error {
	r.c.now.Add(-1)
	return r.ReadCloser.Close()
}

// newLake writes objects to disk.
func newLake(t *testing.T, objects map[string]string) *counting {
	t.Helper()
	root := t.TempDir()
	for key, data := range objects {
		file := filepath.Join(root, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, root)
}

func open(t *testing.T, root string) *counting {
	t.Helper()
	store, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &counting{Store: store}
}

// zip compresses each part as a gzip member of its own.
func zip(parts ...string) string {
	var b bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(p)) // to memory
		_ = w.Close()
	}
	return b.String()
}

// of asks for user 15 by the fields that most tests use.
func of(store object.Store) Options {
	return Options{Store: store, Source: "lake", User: "15", UserField: "user_id", TimeField: "ts", TypeField: "type"}
}

// run captures and wants no error.
func run(t *testing.T, o Options) (*template.Template, Stats) {
	t.Helper()
	got, stats, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return got, stats
}

// show writes each log type of a template with its lines.
func show(got *template.Template) string {
	var b strings.Builder
	for _, l := range got.LogTypes {
		b.WriteString(l.Name + ":\n")
		for _, line := range l.Lines {
			b.WriteString("  " + string(line) + "\n")
		}
	}
	return b.String()
}

// loaded reads a scenario directory.
func loaded(t *testing.T, dir string) *scenario.Scenario {
	t.Helper()
	sc, err := scenario.Load(os.DirFS(dir), ".", nil)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

package dir_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/object/objecttest"
)

func open(t *testing.T, root string) *dir.Store {
	t.Helper()
	s, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStoreKeepsTheContract(t *testing.T) {
	objecttest.Run(t, func(t *testing.T) object.Store { return open(t, t.TempDir()) })
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// list returns the keys and the error that ended the listing.
func list(t *testing.T, s object.Store, prefix string) (keys string, last error) {
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			return strings.TrimSpace(keys), err
		}
		keys += info.Key + " "
	}
	return strings.TrimSpace(keys), nil
}

// No key leads out of the root, not through a link either; a link that hides
// objects is an error and not a gap.
func TestLinksNeverLeaveTheRoot(t *testing.T) {
	base := t.TempDir()
	root, outside := filepath.Join(base, "root"), filepath.Join(base, "outside")
	must(t, os.MkdirAll(filepath.Join(root, "a"), 0o755), os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o600),
		os.WriteFile(filepath.Join(root, "a", "file"), []byte("f"), 0o600),
		os.Symlink("a/file", filepath.Join(root, "inner")),
		os.Symlink("a", filepath.Join(root, "loop")),
		os.Symlink("../outside", filepath.Join(root, "out")),
		os.Symlink("../outside/secret", filepath.Join(root, "secret")))
	s := open(t, root)
	for _, key := range []string{"out/secret", "secret"} {
		if r, err := s.Open(t.Context(), key); err == nil {
			_ = r.Close()
			t.Errorf("open %s: left the root", key)
		}
	}
	if _, err := s.Create(t.Context(), "out/x"); err == nil {
		t.Error("create out/x: left the root")
	}
	r, err := s.Open(t.Context(), "inner")
	must(t, err)
	defer func() { _ = r.Close() }()
	if got, err := io.ReadAll(r); err != nil || string(got) != "f" {
		t.Errorf("inner: got %q, %v, want f", got, err)
	}
	for prefix, want := range map[string]string{"a": "a/file", "i": "inner"} {
		if got, err := list(t, s, prefix); err != nil || got != want {
			t.Errorf("list %q: got %q, %v, want %q", prefix, got, err, want)
		}
	}
	for _, prefix := range []string{"loop", "out", "secret"} {
		if got, err := list(t, s, prefix); err == nil || got != "" {
			t.Errorf("list %q: got %q, want an error", prefix, got)
		}
	}
}

func TestTemporaryFilesStayHiddenAndGo(t *testing.T) {
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, ".tmp-left"), nil, 0o600), os.Mkdir(filepath.Join(root, ".tmp-dir"), 0o755),
		os.WriteFile(filepath.Join(root, ".tmp-dir", "x"), nil, 0o600), os.WriteFile(filepath.Join(root, ".seen"), nil, 0o600))
	s := open(t, root)
	if got, err := list(t, s, ""); err != nil || got != ".seen" {
		t.Errorf("got %q, %v, want .seen", got, err)
	}
	objecttest.Put(t, s, "d/x", nil)
	w, err := s.Create(t.Context(), "d") // a directory stands there: cannot be published
	must(t, err)
	if err := w.Close(); err == nil {
		t.Error("close over a directory: no error")
	}
	if _, err := s.Create(t.Context(), "d/x/y"); err == nil {
		t.Error("create below an object: no error")
	}
	if left, _ := filepath.Glob(filepath.Join(root, ".tmp-*")); len(left) != 2 {
		t.Errorf("temporary files: got %q, want the two planted", left)
	}
}

func TestOpenWantsADirectory(t *testing.T) {
	if _, err := dir.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, object.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

func TestListReportsUnreadableDirectory(t *testing.T) {
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "shut"), 0))
	must(t, os.Mkdir(filepath.Join(root, "wide"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "wide", "x"), nil, 0o600))
	s := open(t, root)
	asNobody(t, func() {
		if _, err := list(t, s, ""); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "shut") {
			t.Errorf("all of it: got %v, want that shut is not allowed", err)
		}
		if keys, err := list(t, s, "wide/"); err != nil || keys != "wide/x" {
			t.Errorf("what may be read: %v, %v, want wide/x", keys, err)
		}
		if _, err := s.Open(t.Context(), "wide/x"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("open: got %v, want that it is not allowed", err)
		}
	})
}

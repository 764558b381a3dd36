package report

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestParseOutput(t *testing.T) {
	for spec, want := range map[string]Output{
		"text": {"text", ""}, "json": {"json", ""}, "json=a.json": {"json", "a.json"}, "text=a=b": {"text", "a=b"},
	} {
		if got, err := ParseOutput(spec); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", spec, got, err, want)
		}
	}
	for _, spec := range []string{"", "junit", "JSON", "json=", "=a", "json a"} {
		_, err := ParseOutput(spec)
		if err == nil || !strings.Contains(err.Error(), "text or json") || !strings.Contains(err.Error(), `"`+spec+`"`) {
			t.Errorf("%q: %v, want an error with the value and what there is", spec, err)
		}
	}
}

// files names what lies in a directory.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A file is replaced as a whole: who has the old one open goes on reading it.
func TestFileIsReplacedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	o := Output{"json", filepath.Join(dir, "report.json")}
	if err := os.WriteFile(o.File, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(o.File)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = old.Close() })
	var stdout, want bytes.Buffer
	if err := o.Write(&stdout, full()); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&want, full()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(o.File)
	if err != nil || !bytes.Equal(got, want.Bytes()) || stdout.Len() > 0 {
		t.Errorf("file: %q, %v; standard output: %q; want the report in the file alone", got, err, stdout.String())
	}
	var before bytes.Buffer
	if _, err := before.ReadFrom(old); err != nil || before.String() != "old" {
		t.Errorf("the old file reads %q, %v; want it untouched", before.String(), err)
	}
	if names := files(t, dir); len(names) != 1 {
		t.Errorf("left behind: %q", names)
	}
	if info, err := os.Stat(o.File); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v; want others to read it", info.Mode(), err)
	}
}

// What cannot be written leaves nothing behind and names the file.
func TestFailureLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none", "r.txt")
	err := (Output{"text", missing}).Write(nil, full())
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("%v, want the file named and that its folder does not exist", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (Output{"text", filepath.Join(dir, "folder")}).Write(nil, full()); err == nil {
		t.Error("a folder was overwritten")
	}
	bad := full()
	bad.Push.Seconds = inf()
	if err := (Output{"json", filepath.Join(dir, "r.json")}).Write(nil, bad); err == nil {
		t.Error("a number that JSON does not have was written")
	}
	if names := files(t, dir); len(names) != 1 || names[0] != "folder" {
		t.Errorf("left behind: %q", names)
	}
}

func inf() float64 { zero := 0.0; return 1 / zero }

// A pipe is written to, not replaced by a file.
func TestPipeIsWrittenThrough(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	r, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if err := (Output{"text", pipe}).Write(nil, full()); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := r.Read(got); err != nil || string(got) != "PASS" {
		t.Errorf("the pipe's reader got %q, %v; want PASS", got, err)
	}
	if info, err := os.Stat(pipe); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Errorf("the pipe is now %v, %v", info.Mode(), err)
	}
}

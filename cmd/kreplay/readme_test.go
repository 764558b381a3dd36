package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"kreplay/pkg/scenario"
)

// What the README shows is what happens: every ```console block is typed in,
// in order, in one directory. A line of output must come as it is written, with
// … for any text; lines that are only … stand for any lines. Commands of other
// programs are not run, and no output is claimed for them.
func TestREADME(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	s := &session{t: t}
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) < 5 {
		t.Fatalf("%d blocks to type in, want at least 5", len(blocks))
	}
	for _, block := range blocks {
		for _, step := range strings.Split("\n"+string(block[1]), "\n$ ")[1:] {
			command, output, _ := strings.Cut(step, "\n")
			s.typed(command, strings.TrimSpace(output))
		}
	}
}

// session is a shell that knows what the README types.
type session struct {
	t        *testing.T
	status   int
	endpoint string // of kreplay local in the background
}

const shownEndpoint = "127.0.0.1:4566"

func (s *session) typed(command, output string) {
	s.t.Helper()
	command = strings.ReplaceAll(command, "go run ./cmd/kreplay", "kreplay")
	if s.endpoint != "" {
		command = strings.ReplaceAll(command, shownEndpoint, s.endpoint)
	}
	words := strings.Fields(command)
	switch {
	case command == "echo $?":
		if output != strconv.Itoa(s.status) {
			s.t.Errorf("README: exit status %d, want %s", s.status, output)
		}
	case words[0] == "export":
		name, value, _ := strings.Cut(words[1], "=")
		s.t.Setenv(name, value)
	case words[0] == "cat" && len(words) == 2:
		got, err := os.ReadFile(words[1])
		if err != nil {
			s.t.Errorf("README: %s: %v", command, err)
		}
		s.compare(command, output, string(got))
	case words[0] == "kreplay" && words[len(words)-1] == "&":
		s.background(words[1 : len(words)-1])
	case words[0] == "kreplay":
		var out, said bytes.Buffer
		s.status = run(s.t.Context(), words[1:], &out, &said)
		if s.status > exitFailed {
			s.t.Errorf("README: %s: exit %d: %s", command, s.status, said.String())
		}
		s.compare(command, output, out.String())
	case output != "":
		s.t.Errorf("README: %s: shows output, but is not run", command)
	}
}

// background serves until the test ends.
func (s *session) background(args []string) {
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append(args, "--listen", "127.0.0.1:0"), w, io.Discard)
		_ = w.Close()
	}()
	s.t.Cleanup(func() { stop(); <-done })
	line := make([]byte, 256)
	n, err := r.Read(line)
	if err != nil {
		s.t.Fatalf("README: %v: exit %d", args, <-done)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	s.endpoint = regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(string(line[:n]))
}

func (s *session) compare(command, want, got string) {
	s.t.Helper()
	pattern := "(?m)"
	for i, line := range strings.Split(want, "\n") {
		if strings.TrimSpace(line) == "…" {
			pattern += `(?s:.*)`
			continue
		}
		if i > 0 && !strings.HasSuffix(pattern, `(?s:.*)`) {
			pattern += `\n`
		}
		parts := strings.Split(strings.TrimRight(line, " "), "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern += "^" + strings.Join(parts, ".*") + "$"
	}
	if want != "" && !regexp.MustCompile(pattern).MatchString(got) {
		s.t.Errorf("README: %s\nshows:\n%s\nprinted:\n%s", command, want, got)
	}
}

// The scenario that the README shows is one.
func TestREADMEScenario(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("no scenario in the README")
	}
	sc, err := scenario.Load(fstest.MapFS{"scenario.yaml": {Data: block[1]}}, ".", nil)
	if err != nil {
		t.Fatal(err)
	}
	if sc.Name != "launch-day" || len(sc.Expect.Queries) != 3 {
		t.Errorf("scenario %s with %d queries", sc.Name, len(sc.Expect.Queries))
	}
}

// Links to files of the repository lead somewhere.
func TestREADMELinks(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("../..", string(m[1]))); err != nil {
			t.Errorf("README links to %s: %v", m[1], err)
		}
	}
}

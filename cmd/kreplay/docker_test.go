package main

import (
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

// The jobs that docker/ describes are command lines that kreplay takes: each
// command and each of its flags is there.
func TestJobsAreCommandLines(t *testing.T) {
	root := (&app{stdout: io.Discard, stderr: io.Discard}).root()
	for file, want := range map[string]int{"compose.yaml": 4, "aws/batch.yaml": 2, "kubernetes/job.yaml": 2} {
		found := 0
		for _, args := range commandLines(t, "../../docker/"+file) {
			c, rest, err := root.Find(args)
			if err != nil || c == root {
				continue // a list of other texts
			}
			found++
			if err := c.ParseFlags(rest); err != nil {
				t.Errorf("%s: kreplay %q: %v", file, args, err)
			}
			if err := c.ValidateArgs(c.Flags().Args()); err != nil {
				t.Errorf("%s: kreplay %q: %v", file, args, err)
			}
		}
		if found != want {
			t.Errorf("%s: %d command lines, want %d", file, found, want)
		}
	}
}

// commandLines are the lists of texts in the documents of a YAML file, with what
// a tag would put in their place left as it is.
func commandLines(t *testing.T, name string) (list [][]string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`!(Ref|Sub|If|GetAtt|Equals|Not)\b`).ReplaceAllString(string(text), "")
	for doc := range strings.SplitSeq(plain, "\n---\n") {
		var v any
		if err := yaml.Unmarshal([]byte(doc), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defaults := map[string]any{}
		parameters(v, defaults)
		for _, line := range texts(v) {
			for i, word := range line {
				if d, ok := defaults[strings.TrimPrefix(word, "Ref::")].(string); ok {
					line[i] = d
				}
			}
			list = append(list, line)
		}
	}
	return list
}

// parameters collects what AWS Batch puts in the place of Ref::NAME by default.
func parameters(v any, into map[string]any) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	for key, e := range m {
		if p, ok := e.(map[string]any); ok && key == "Parameters" {
			maps.Copy(into, p)
		}
		parameters(e, into)
	}
}

func texts(v any) (list [][]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			list = append(list, texts(e)...)
		}
	case []any:
		var words []string
		for _, e := range v {
			switch e := e.(type) {
			case string:
				words = append(words, e)
			case []any, map[string]any:
				words = append(words, "PLACEHOLDER")
				list = append(list, texts(e)...)
			}
		}
		list = append(list, words)
	}
	return list
}

// Credentials are no arguments: what stands in the arguments of a process is
// there for every user of the machine to read.
func TestNoFlagTakesCredentials(t *testing.T) {
	secret := regexp.MustCompile(`secret|password|token|credential|access|-key`)
	var look func(*cobra.Command)
	seen := 0
	look = func(c *cobra.Command) {
		for _, flag := range regexp.MustCompile(`--[a-z-]+ `).FindAllString(c.Flags().FlagUsages()+c.InheritedFlags().FlagUsages(), -1) {
			seen++
			if secret.MatchString(flag) {
				t.Errorf("%s %smay take a credential", c.CommandPath(), flag)
			}
		}
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	root := (&app{stdout: io.Discard, stderr: io.Discard}).root()
	look(root)
	if seen < 50 || !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "push" }) {
		t.Errorf("%d flags seen: not those of kreplay", seen)
	}
}

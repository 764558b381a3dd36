package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kreplay/pkg/template"
)

// WriteScenario writes a scenario directory around a template. The directory
// must not hold anything yet.
func WriteScenario(dir, name string, t *template.Template) error {
	if err := vacant(dir); err != nil {
		return err
	}
	if err := template.Write(filepath.Join(dir, "templates", "user"), t); err != nil {
		return err
	}
	text := scenarioText(name, t)
	if err := os.WriteFile(filepath.Join(dir, "scenario.yaml"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}

// scenarioText is a first scenario: what was inferred, with the evidence.
func scenarioText(name string, t *template.Template) string {
	var rewrite, keep strings.Builder
	for _, i := range Infer(t) {
		if i.Role == "keep" && !ruledBase(t, i.Field) {
			fmt.Fprintf(&keep, "  - %q   # %s\n", plain(i.Field), i.Why)
			continue
		}
		role := i.Role
		if strings.Contains(role, "%") {
			role = strconv.Quote(plain(role))
		}
		fmt.Fprintf(&rewrite, "  %q: %s   # %s\n", i.Field, role, i.Why)
	}
	text := fmt.Sprintf(`# Captured from %q: user %q, %s to %s.
kreplay: 1
name: %q
template: templates/user

rewrite:                 # field: role; what no rule names stays byte for byte. Inferred: read it once
%s
`, t.Source.From, t.User, t.Range.From, t.Range.To, scenarioName(name), rewrite.String())
	if keep.Len() > 0 {
		text += "keep:                    # looks like an id, a time or personal data, and stays as it is\n" + keep.String() + "\n"
	}
	return text + "population:\n  users: 100\n"
}

// plain is a value of a scenario file in which nothing stands for a variable.
func plain(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// ruledBase says that a field has the name of the user's or the time's: only a
// rule before theirs can keep it.
func ruledBase(t *template.Template, pattern string) bool {
	return strings.Contains(pattern, ".") && slices.Contains(slices.Concat(own(t.Fields.User), own(t.Fields.Time)), last(pattern))
}

// vacant refuses a directory that holds something.
func vacant(dir string) error {
	old, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("capture: %w; choose another --out", err)
	case len(old) > 0:
		return fmt.Errorf("capture: %s is not empty; choose another --out", dir)
	}
	return nil
}

// scenarioName keeps what may stand in the name of a stream.
func scenarioName(dir string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, dir)
}

// last is a field's own name: a bare name matches at any depth.
func last(path string) string { return path[strings.LastIndex(path, ".")+1:] }

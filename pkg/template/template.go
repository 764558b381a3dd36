// Package template holds a captured user: log types and their records, compiled
// into byte segments and slots.
package template

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// MetaFile is the file beside the log types that says where they come from.
const MetaFile = "template.yaml"

// A Template is one captured user. Lines are the captured bytes, one record each.
type Template struct {
	Meta
	Dir      string // as read, for positions
	LogTypes []LogType
}

// A LogType is the captured records of one kind, in the order of their file.
type LogType struct {
	Name, File string
	Lines      [][]byte
}

// Meta is template.yaml.
type Meta struct {
	Template int       `yaml:"template"` // format, 1
	Source   Source    `yaml:"source"`
	User     string    `yaml:"user"`
	Fields   Fields    `yaml:"fields"`
	Range    Range     `yaml:"range"`
	Newline  bool      `yaml:"newline"` // records ended with one
	Types    []TypeRef `yaml:"log_types"`
	Digest   string    `yaml:"digest,omitempty"` // hex SHA-256 when written; an edited template may differ
}

// Source says what the template was taken from.
type Source struct {
	Kind string `yaml:"kind"` // lake or stream
	From string `yaml:"from"`
}

// Fields names the fields by which the user's records were found.
type Fields struct {
	User string `yaml:"user"`
	Time string `yaml:"time"`
	Type string `yaml:"type"`
}

// Range is the time of the first and last record, RFC 3339.
type Range struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// A TypeRef names a log type's file.
type TypeRef struct {
	Name   string `yaml:"name"`
	File   string `yaml:"file"`
	Events int    `yaml:"events"`
}

// Read reads a template directory. Without template.yaml each *.ndjson file is
// a log type of its name.
func Read(fsys fs.FS, dir string) (*Template, error) {
	t := &Template{Dir: dir}
	meta, err := fs.ReadFile(fsys, path.Join(dir, MetaFile))
	switch {
	case err == nil:
		if err := yaml.UnmarshalWithOptions(meta, &t.Meta, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("template: %s: %w", path.Join(dir, MetaFile), err)
		}
		if t.Template != 1 {
			return nil, fmt.Errorf("template: %s: template: %d: this kreplay reads format 1", path.Join(dir, MetaFile), t.Template)
		}
	case errors.Is(err, fs.ErrNotExist):
		files, err := fs.Glob(fsys, path.Join(dir, "*.ndjson"))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("template: %s: no such directory, or no *.ndjson in it; `kreplay capture` writes one", dir)
		}
		for _, f := range files {
			t.Types = append(t.Types, TypeRef{Name: strings.TrimSuffix(path.Base(f), ".ndjson"), File: path.Base(f)})
		}
	default:
		return nil, fmt.Errorf("template: %w", err)
	}
	for _, ref := range t.Types {
		if ref.File != path.Base(ref.File) {
			return nil, fmt.Errorf("template: %s: log type %s: file %q leaves the template's folder", dir, ref.Name, ref.File)
		}
		data, err := fs.ReadFile(fsys, path.Join(dir, ref.File))
		if err != nil {
			return nil, fmt.Errorf("template: log type %s: %w", ref.Name, err)
		}
		t.LogTypes = append(t.LogTypes, LogType{ref.Name, ref.File, lines(data)})
	}
	return t, nil
}

func lines(data []byte) (list [][]byte) {
	for l := range bytes.Lines(data) {
		list = append(list, bytes.TrimRight(l, "\r\n"))
	}
	return list
}

// Write writes a template directory, which must not hold one yet.
func Write(dir string, t *Template) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	if old, err := os.ReadDir(dir); err != nil || len(old) > 0 {
		return fmt.Errorf("template: %s is not empty; choose another directory", dir)
	}
	meta := t.Meta
	meta.Template, meta.Types = 1, nil
	for i, l := range t.LogTypes {
		file := FileName(l.Name, i)
		meta.Types = append(meta.Types, TypeRef{l.Name, file, len(l.Lines)})
		var data []byte
		for n, line := range l.Lines {
			if bytes.ContainsAny(line, "\r\n") {
				return fmt.Errorf("template: %s: record %d holds a line break, and a template has one record a line", l.Name, n+1)
			}
			data = append(append(data, line...), '\n')
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			return fmt.Errorf("template: %w", err)
		}
	}
	sum := t.Sum()
	meta.Digest = fmt.Sprintf("%x", sum)
	data, err := yaml.Marshal(meta)
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, MetaFile), data, 0o644)
}

// FileName makes a file name that is safe on any disk of a log type's name. The
// index keeps names apart that differ only in case.
func FileName(name string, index int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%03d-", index+1)
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String() + ".ndjson"
}

// Sum is a digest over the log types' names and bytes, in the order of names.
func (t *Template) Sum() [sha256.Size]byte {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	for _, l := range t.sorted() {
		part([]byte(l.Name))
		for _, line := range l.Lines {
			part(line)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// sorted are the log types in the order of names. What decides a record goes by it,
// as the digest does: the order of template.yaml is nobody's business.
func (t *Template) sorted() []LogType {
	types := slices.Clone(t.LogTypes)
	slices.SortStableFunc(types, func(a, b LogType) int { return cmp.Compare(a.Name, b.Name) })
	return types
}

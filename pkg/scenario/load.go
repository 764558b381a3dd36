package scenario

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// DefaultFile is the scenario file of a directory.
const DefaultFile = "scenario.yaml"

// Load reads the scenario that file stands for inside fsys: a directory with
// a scenario.yaml, or the file itself. Each of set is an override
// "dotted.key=value" and goes through the same checks. What is wrong with the
// content comes back as Faults, all at once; any other error is from fsys.
func Load(fsys fs.FS, file string, set []string) (*Scenario, error) {
	info, err := fs.Stat(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	if info.IsDir() {
		file = path.Join(file, DefaultFile)
	}
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	folder, err := fs.Sub(fsys, path.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	r := &reader{s: &Scenario{Name: defaultName(path.Dir(file)), FS: folder, File: path.Base(file)}, seen: map[string]Pos{}}
	r.readFile(file, data, set)
	if err := r.faults.Err(); err != nil {
		return nil, err
	}
	return r.s, nil
}

func defaultName(dir string) string {
	if base := path.Base(dir); name(base, "_-.") == nil {
		return base
	}
	return "scenario"
}

// A reader fills in s from the tree of a file, along the schema.
type reader struct {
	s      *Scenario
	faults Faults
	seen   map[string]Pos // dotted key → where its value stands
	bad    []string       // dotted keys with a fault
	torn   bool           // keys of the file's top level were left out
}

func (r *reader) fault(key string, pos Pos, msg string) {
	r.faults = append(r.faults, Fault{pos, msg})
	r.bad = append(r.bad, key)
}

func (r *reader) has(key string) bool {
	_, ok := r.seen[key]
	return ok
}

// clean reports whether key and what is below it have no fault.
func (r *reader) clean(key string) bool {
	return !slices.ContainsFunc(r.bad, func(b string) bool {
		return b == key || strings.HasPrefix(b, key+".") || strings.HasPrefix(key, b+".")
	})
}

func (r *reader) readFile(file string, data []byte, set []string) {
	root, faults := (&parse{file: file}).yaml(data)
	r.faults = faults
	if root.shape == unread {
		return
	}
	if root.shape != mapping {
		r.fault("", root.pos, "want keys and values, at least kreplay: 1 and template: DIR, got "+root.got())
		return
	}
	for i, arg := range set {
		o := override{line: i + 1}
		o.apply(&root, arg)
		r.faults = append(r.faults, o.faults...)
	}
	r.torn = root.torn
	r.defaults(&schema)
	r.read(&schema, "", "", root)
	r.check()
}

// defaults takes the defaults of f and below, as if they stood in the file.
func (r *reader) defaults(f *field) {
	if f.def != "" {
		n, _ := (&parse{file: "default"}).yaml([]byte(f.def))
		if err := f.take(r.s, n); err != nil {
			panic(fmt.Sprintf("scenario: default of %s: %v", f.key, err))
		}
	}
	for i := range f.fields {
		r.defaults(&f.fields[i])
	}
}

// read reads n as f says; label is its own key, key the dotted one.
func (r *reader) read(f *field, key, label string, n node) {
	r.seen[key] = n.pos
	if n.torn {
		r.bad = append(r.bad, key)
	}
	want := map[kind]shape{section: mapping, named: mapping, list: sequence}[f.kind]
	switch {
	case n.shape == unread: // has its fault
	case f.kind == scalar:
		if err := f.take(r.s, n); err != nil {
			r.fault(key, n.pos, label+": "+err.Error())
		}
	case n.shape != want:
		r.fault(key, n.pos, fmt.Sprintf("%s: want %v, got %s", label, want, n.got()))
	case f.kind == section:
		r.readSection(f, key, label, n)
	case f.kind == named:
		r.readNamed(f, key, label, n)
	default:
		for i, item := range n.items {
			r.read(f.each, fmt.Sprintf("%s.%d", key, i), label, item)
		}
	}
}

func (r *reader) readSection(f *field, key, label string, n node) {
	for _, e := range n.entries {
		if child, ok := f.child(e.key); ok {
			r.read(child, join(key, e.key), e.key, e.value)
			continue
		}
		r.fault(join(key, e.key), e.pos, fmt.Sprintf("unknown key %s: %s", quote(e.key), didYouMean(e.key, f.keys())))
		if near := nearest(e.key, f.keys()); near != "" {
			r.bad = append(r.bad, join(key, near)) // not missing: misspelt
		}
	}
	for _, child := range f.fields {
		if child.required && !r.has(join(key, child.key)) && r.clean(join(key, child.key)) && !n.torn {
			r.fault(join(key, child.key), n.pos, strings.TrimPrefix(label+": "+child.key, ": ")+": missing: want "+child.form)
		}
	}
}

func (r *reader) readNamed(f *field, key, label string, n node) {
	if f.filled && len(n.entries) == 0 {
		r.fault(key, n.pos, label+": want at least one name in it")
	}
	for _, e := range n.entries {
		if f.names != nil && !slices.Contains(f.names, e.key) {
			r.fault(join(key, e.key), e.pos, fmt.Sprintf("%s: unknown name %s: %s", label, quote(e.key), didYouMean(e.key, f.names)))
		}
		if err := f.open(r.s, e.key, e.pos); err != nil {
			r.fault(join(key, e.key), e.pos, label+": "+err.Error())
		}
		r.read(f.each, join(key, e.key), e.key, e.value)
	}
}

func join(key, below string) string {
	if key == "" {
		return below
	}
	return key + "." + below
}

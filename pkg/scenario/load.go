package scenario

import (
	"errors"
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
// "dotted.key=value" and goes through the same checks; [SetVar] makes one of a
// variable. What is wrong with the content comes back as Faults, all at once;
// any other error is from fsys.
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
	s := &Scenario{Name: defaultName(path.Dir(file)), FS: folder, File: path.Base(file)}
	r := &reader{s: &draft{Scenario: s, dir: path.Dir(file)}, seen: map[string]Pos{}}
	r.readFile(file, data, set)
	if err := r.faults.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

func defaultName(dir string) string {
	if base := path.Base(dir); name(base, "_-.") == nil {
		return base
	}
	return "scenario"
}

// A draft is a scenario that is being read, with what of the file does not
// stand in it as it is.
type draft struct {
	*Scenario
	dir      string // of the scenario file, for places in the files beside it
	vars     variables
	varName  string // the one whose value comes next
	arrivals arrivals
}

// A reader fills in s from the tree of a file, along the schema.
type reader struct {
	s      *draft
	faults Faults
	seen   map[string]Pos // dotted key → where its value stands
	bad    []string       // dotted keys with a fault
	torn   bool           // keys of the file's top level were left out
	scales []string       // names that `scale` rules multiply by: keys of every cohort
	maybe  []string       // names behind roles that are misspelt: perhaps such keys
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

// sound reports whether key has no fault of its own: what stands below it is known.
func (r *reader) sound(key string) bool { return !slices.Contains(r.bad, key) }

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
	declared := root.names("vars")
	for i, arg := range set {
		o := override{line: i + 1, vars: declared}
		o.apply(&root, arg)
		r.faults = append(r.faults, o.faults...)
	}
	r.torn = root.torn
	r.expand(&root)
	r.findScales(&root)
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
		r.bad = append(r.bad, key)
	case f.take != nil && n.shape != mapping || f.kind == scalar:
		if err := f.take(r.s, n); err != nil {
			r.refuse(key, label, n.pos, err)
		}
	case n.shape != want:
		r.fault(key, n.pos, fmt.Sprintf("%s: want %v, got %s", label, want, n.got()))
	case f.kind == section:
		r.readSection(f, key, label, n)
	case f.kind == named:
		r.readNamed(f, key, label, n)
	default:
		r.readList(f, key, label, n)
	}
}

// refuse notes why the value of key cannot be taken: err, or the faults of a
// file that it names.
func (r *reader) refuse(key, label string, pos Pos, err error) {
	var faults Faults
	if !errors.As(err, &faults) {
		r.fault(key, pos, label+": "+err.Error())
		return
	}
	r.faults = append(r.faults, faults...)
	r.bad = append(r.bad, key)
}

func (r *reader) readList(f *field, key, label string, n node) {
	if f.filled && len(n.items) == 0 {
		r.fault(key, n.pos, label+": want at least one item in it")
	}
	for i, item := range n.items {
		r.read(f.each, fmt.Sprintf("%s.%d", key, i), label, item)
	}
}

func (r *reader) readSection(f *field, key, label string, n node) {
	var scales []string
	if f.extra != nil {
		scales = r.scales
	}
	for _, e := range n.entries {
		if child, ok := f.child(e.key); ok {
			r.read(child, join(key, e.key), e.key, e.value)
			continue
		}
		if slices.Contains(scales, e.key) {
			_ = f.extra.open(r.s, e.key, e.pos) // the rule's role has been checked
			r.read(f.extra, join(key, e.key), e.key, e.value)
			continue
		}
		if f.extra != nil && slices.Contains(r.maybe, e.key) {
			continue // the role that should name it has a fault
		}
		r.fault(join(key, e.key), e.pos, f.unknown("key", e.key, scales))
		if near := nearest(e.key, append(f.keys(), scales...)); near != "" {
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
			r.fault(join(key, e.key), e.pos, label+": "+f.unknown("name", e.key, nil))
			if slices.Contains(f.later, e.key) {
				continue
			}
		}
		if err := f.open(r.s, e.key, e.pos); err != nil {
			r.fault(join(key, e.key), e.pos, label+": "+err.Error())
		}
		r.read(f.entry(e.key), join(key, e.key), e.key, e.value)
	}
}

func join(key, below string) string {
	if key == "" {
		return below
	}
	return key + "." + below
}

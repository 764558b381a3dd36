package template

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func sample() *Template {
	return &Template{
		Meta: Meta{
			Source: Source{Kind: "lake", From: "s3://lake/raw/"}, User: "15", Newline: true,
			Fields: Fields{User: "user_id", Time: "ts", Type: "log_type"},
			Range:  Range{From: "2018-11-03T01:04:33Z", To: "2018-11-03T01:05:00Z"},
		},
		LogTypes: []LogType{
			{Name: "Submit Upgrade/x", Lines: [][]byte{[]byte(`{"a":1}`), []byte(`{"a":"\/"}`)}},
			{Name: "submit upgrade/x", Lines: [][]byte{[]byte(`{"a": 655.77751 }`)}},
			{Name: "../ログ", Lines: [][]byte{[]byte(`{"a":"ログ"}`)}},
			{Name: "empty"},
		},
	}
}

// What Write leaves, Read gives back: names, order, bytes, and where it came from.
func TestWriteThenRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "t")
	in := sample()
	if err := Write(dir, in); err != nil {
		t.Fatal(err)
	}
	out, err := Read(os.DirFS(filepath.Dir(dir)), "t")
	if err != nil {
		t.Fatal(err)
	}
	want := *in
	want.Dir, want.Template, want.Digest = "t", 1, "279365936595f90d79542a23740875c0fff355bb4362b800e433dcbf0fbd9a57"
	want.LogTypes = append([]LogType(nil), in.LogTypes...)
	for i, file := range []string{"001-Submit%20Upgrade%2Fx.ndjson", "002-submit%20upgrade%2Fx.ndjson", "003-..%2F%E3%83%AD%E3%82%B0.ndjson", "004-empty.ndjson"} {
		want.LogTypes[i].File = file
		want.Types = append(want.Types, TypeRef{want.LogTypes[i].Name, file, len(want.LogTypes[i].Lines)})
	}
	if diff := cmp.Diff(&want, out); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
	if out.Sum() != in.Sum() {
		t.Errorf("the digest was %x and is %x", in.Sum(), out.Sum())
	}
}

// Write leaves alone what is there, and refuses what Read could not give back.
func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "t"), sample()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := &Template{LogTypes: []LogType{{Name: "a", Lines: [][]byte{[]byte("{}"), []byte("{\n}")}}}}
	for _, c := range []struct {
		dir  string
		in   *Template
		want string
	}{
		{"t", sample(), "t is not empty; choose another directory"},
		{"file/t", sample(), "not a directory"},
		{"new", broken, "template: a: record 2 holds a line break, and a template has one record a line"},
	} {
		err := Write(filepath.Join(dir, c.dir), c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Write to %s = %v, want %s", c.dir, err, c.want)
		}
	}
}

// A log type's name that the disk does not take is an error with that name.
func TestWriteFails(t *testing.T) {
	in := &Template{LogTypes: []LogType{{Name: strings.Repeat("x", 300)}}}
	if err := Write(filepath.Join(t.TempDir(), "t"), in); err == nil || !strings.Contains(err.Error(), "name too long") {
		t.Errorf("Write = %v, want: name too long", err)
	}
}

// A template without template.yaml has each *.ndjson as a log type; line ends of any system are none of the record's bytes.
func TestReadWithoutMeta(t *testing.T) {
	fsys := fstest.MapFS{
		"t/b.ndjson": {Data: []byte("{\"a\":1}\r\n{\"a\":2}")}, "t/a.ndjson": {Data: []byte("{}\n")}, "t/notes.txt": {Data: []byte("x")},
	}
	out, err := Read(fsys, "t")
	if err != nil {
		t.Fatal(err)
	}
	want := []LogType{{"a", "a.ndjson", [][]byte{[]byte("{}")}}, {"b", "b.ndjson", [][]byte{[]byte(`{"a":1}`), []byte(`{"a":2}`)}}}
	if diff := cmp.Diff(want, out.LogTypes); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
}

// An edited template is read: its digest says how it was written, not how it has to be.
func TestReadTakesAnEditedTemplate(t *testing.T) {
	fsys := fstest.MapFS{
		"t/template.yaml": {Data: []byte("template: 1\ndigest: 00ff\nlog_types: [{ name: a, file: a.ndjson, events: 9 }]\n")},
		"t/a.ndjson":      {Data: []byte("{}\n")},
	}
	out, err := Read(fsys, "t")
	if err != nil || len(out.LogTypes) != 1 || len(out.LogTypes[0].Lines) != 1 || out.Digest != "00ff" {
		t.Errorf("Read = %+v, %v; want one log type of one record", out, err)
	}
}

// Read says what is wrong with a directory.
func TestReadRefuses(t *testing.T) {
	meta := func(text string) fstest.MapFS {
		return fstest.MapFS{"t/template.yaml": {Data: []byte(text)}, "secret": {Data: []byte("{}")}, "t/sub/x": {Data: []byte("{}")}}
	}
	for _, c := range []struct {
		name string
		fsys fs.FS
		want string
	}{
		{"nothing", fstest.MapFS{}, "template: t: no such directory, or no *.ndjson in it; `kreplay capture` writes one"},
		{"nothing to read", fstest.MapFS{"t/x.json": {}}, "no *.ndjson in it"},
		{"meta is a directory", fstest.MapFS{"t/template.yaml/x": {}}, "template.yaml"},
		{"no yaml", meta("template: [\n"), "template: t/template.yaml: "},
		{"unknown key", meta("template: 1\nuserr: x\n"), "userr"},
		{"no format", meta("user: x\n"), "template: t/template.yaml: template: 0: this kreplay reads format 1"},
		{"later format", meta("template: 2\n"), "template: 2: this kreplay reads format 1"},
		{"outside", meta("template: 1\nlog_types: [{ name: a, file: ../secret }]\n"), `template: t: log type a: file "../secret" leaves the template's folder`},
		{"below", meta("template: 1\nlog_types: [{ name: a, file: sub/x }]\n"), `file "sub/x" leaves`},
		{"rooted", meta("template: 1\nlog_types: [{ name: a, file: /secret }]\n"), `file "/secret" leaves`},
		{"no name", meta("template: 1\nlog_types: [{ name: a }]\n"), `file "" leaves`},
		{"up", meta("template: 1\nlog_types: [{ name: a, file: .. }]\n"), "template: log type a: "},
		{"missing", meta("template: 1\nlog_types: [{ name: a, file: a.ndjson }]\n"), "template: log type a: open t/a.ndjson: file does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := Read(c.fsys, "t")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Read = %+v, %v; want an error with %q", out, err, c.want)
			}
		})
	}
	if _, err := Read(meta("template: 1\nlog_types: [{ name: a, file: a.ndjson }]\n"), "t"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file is %v, want fs.ErrNotExist", err)
	}
}

// Sum goes by names and bytes: not by order of files, but by every boundary.
func TestSum(t *testing.T) {
	of := func(types ...LogType) [32]byte { return (&Template{LogTypes: types}).Sum() }
	line := func(s ...string) (l [][]byte) {
		for _, x := range s {
			l = append(l, []byte(x))
		}
		return l
	}
	a, b := LogType{Name: "a", File: "1", Lines: line("x", "y")}, LogType{Name: "b", File: "2", Lines: line("z")}
	if of(a, b) != of(b, a) {
		t.Error("the digest depends on the order of log types")
	}
	for _, other := range [][]LogType{
		{a}, {{Name: "a", Lines: line("xy")}, b}, {{Name: "a", Lines: line("y", "x")}, b}, {{Name: "ax", Lines: line("y")}, b},
	} {
		if of(other...) == of(a, b) {
			t.Errorf("%v has the digest of %v", other, []LogType{a, b})
		}
	}
}

// File names are safe anywhere and distinct, whatever the log types are called.
func TestFileName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		one, two := FileName(a, 0), FileName(b, 1)
		if strings.EqualFold(one, two) {
			t.Errorf("%q and %q are both written to %s", a, b, one)
		}
		if strings.ContainsAny(one, "/\\:*?\"<>| \x00") || one != filepath.Base(one) {
			t.Errorf("%q is written to %q", a, one)
		}
	})
}

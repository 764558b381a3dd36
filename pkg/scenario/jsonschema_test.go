package scenario

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	yaml "github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var compiledSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("scenario.json")
})

// validate holds a scenario file against the JSON Schema, as an editor does.
func validate(text []byte) error {
	s, err := compiledSchema()
	if err != nil {
		return err
	}
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// Every key of the schema is in the JSON Schema, with what it is for.
func TestJSONSchemaHasEveryKey(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(f *field, at any)
	walk = func(f *field, at any) {
		o, _ := at.(map[string]any)
		if either, ok := o["anyOf"].([]any); ok && f.kind != scalar {
			o, _ = either[len(either)-1].(map[string]any)
		}
		properties, _ := o["properties"].(map[string]any)
		if f.kind == section && len(properties) != len(f.fields) {
			t.Errorf("%s: got %d properties, want %d", f.key, len(properties), len(f.fields))
		}
		for i := range f.fields {
			c := &f.fields[i]
			p, _ := properties[c.key].(map[string]any)
			if p["description"] != c.doc {
				t.Errorf("%s: got %v, want the description %q", c.key, p, c.doc)
			}
			walk(c, properties[c.key])
		}
		switch {
		case f.kind == list:
			walk(f.each, o["items"])
		case f.names != nil:
			for _, name := range f.names {
				walk(f.entry(name), properties[name])
			}
		case f.each != nil:
			walk(f.each, o["additionalProperties"])
		}
	}
	walk(&schema, doc)
}

// What is shipped fits the JSON Schema.
func TestShippedScenariosFitTheJSONSchema(t *testing.T) {
	shipped := os.DirFS("../../scenarios")
	files, err := fs.Glob(shipped, "*/scenario.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v, %v, want the shipped scenarios", files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(shipped, file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestTheJSONSchemaRefuses(t *testing.T) {
	for _, bad := range []string{
		"nane: x\n", "templates: {a: b}\n", "population: {user: 5}\n", "population: {users: many}\n", "population: {cohorts: {}}\n", "population: {cohorts: {a: {share: 5}}}\n",
		"time: {speedup: fast}\n", "time: {steps: []}\n", "time: {peak: \"24:00\"}\n", "stages: {lake: {path: x}}\n", "stages: {stream: {path: x}}\n", "stages: {stream: {share: half}}\n", "stages: {raw: {path: x, keys: {}}}\n", "stages: {raw: {path: x, zone: UTC}}\n", "stages: {table: {}}\n", "stages: {raw: {}}\n", "stream: {newline: maybe}\n",
		"stream: {limits: {rate: 40k}}\n", "expect: {queries: {a: {sql: x}}}\n", "expect: {queries: {a: {sql: x, equals: 1, tolerance: wide}}}\n", "expect: {queries: {a: {sql: x, equals: 1, stage: stream}}}\n", "guard: {spend_usd: 0}\n",
		"inject: {late: {share: 1%}}\n", "settle: {quiet: soon}\n", "keep: [5]\n",
		"stream: {name: \"a-{logtype}\"}\n", "stream: {name: \"a b\"}\n", "stream: {name: \"{log_type\"}\n",
	} {
		if err := validate([]byte(minimal + bad)); err == nil {
			t.Errorf("%q fits the JSON Schema", bad)
		}
	}
	for _, good := range []string{
		"", "vars: {n: \"5\"}\npopulation: {users: \"${n}\"}\n", "time: {speedup: max}\n", "time: {speedup: 0.5}\n", "expect: {queries: {a: {sql: x, equals: 0, tolerance: {b: 1%}}}}\n", "expect: {queries: {a: {sql: x, equals: 0, stage: table}}}\n",
		"population: {cohorts: {a: {share: 100%, spend: 3.0}}}\n", "stream: {newline: true}\n",
		"stages: {raw: {path: x, partition: \"c=!{partitionKeyFromQuery:c}/\", time_zone: Asia/Tokyo, keys: {c: country}}}\n",
		"stream: {name: \"a-{log_type}.{log_type}\"}\n", "stream: {name: \"a-${x}\"}\n",
	} {
		if err := validate([]byte(minimal + good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	if err := validate([]byte(strings.Replace(minimal, "template: t\n", "", 1))); err == nil {
		t.Error("a scenario without a template fits the JSON Schema")
	}
}

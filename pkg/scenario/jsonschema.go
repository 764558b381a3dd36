package scenario

import (
	"encoding/json"
	"fmt"
)

// JSONSchema returns the schema of scenario.yaml for editors, in JSON Schema
// draft 2020-12. It knows keys and the form of values; Load checks more.
func JSONSchema() []byte {
	root := schema.jsonSchema()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "kreplay scenario"
	root["oneOf"] = []any{requires("template"), requires("templates")}
	root["$defs"] = object{"variable": object{"type": "string", "pattern": `\$\{[A-Za-z_][A-Za-z0-9_]*\}`,
		"description": "the value comes from vars"}}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("scenario: JSON Schema: %v", err)) // maps of texts and numbers
	}
	return append(out, '\n')
}

type object = map[string]any

func requires(key string) object { return object{"required": []string{key}} }

func (f *field) jsonSchema() object {
	var o object
	switch f.kind {
	case section:
		o = f.jsonSection()
	case named:
		o = f.jsonNamed()
	case list:
		o = object{"type": "array", "items": f.each.jsonSchema()}
		if f.filled {
			o["minItems"] = 1
		}
	default:
		o = f.jsonScalar()
	}
	if f.doc != "" {
		o["description"] = f.doc
	} else if f.form != "" {
		o["description"] = f.form
	}
	if n, faults := (&parse{}).yaml([]byte(f.def)); f.def != "" && faults == nil {
		o["default"] = n.text
		if n.shape != text {
			o["default"] = json.RawMessage(n.text)
		}
	}
	return o
}

func (f *field) jsonScalar() object {
	if f.json == "" {
		return object{"type": "string", "minLength": 1}
	}
	return object{"anyOf": []any{json.RawMessage(f.json), object{"$ref": "#/$defs/variable"}}}
}

func (f *field) jsonSection() object {
	properties, required := object{}, []string{}
	for i := range f.fields {
		c := &f.fields[i]
		properties[c.key] = c.jsonSchema()
		if c.required {
			required = append(required, c.key)
		}
	}
	o := object{"type": "object", "properties": properties, "additionalProperties": false}
	if f.extra != nil {
		o["additionalProperties"] = f.extra.jsonSchema()
	}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func (f *field) jsonNamed() object {
	o := object{"type": "object", "additionalProperties": f.each.jsonSchema()}
	if f.names != nil {
		properties := object{}
		for _, name := range f.names {
			properties[name] = f.entry(name).jsonSchema()
		}
		o["properties"], o["additionalProperties"] = properties, false
	}
	if f.filled {
		o["minProperties"] = 1
	}
	if f.take != nil {
		o = object{"anyOf": []any{f.jsonScalar(), o}}
	}
	return o
}

package scenario

import (
	"math"
	"slices"
)

// A kind is the form of a field's value.
type kind uint8

const (
	scalar  kind = iota
	section      // a mapping with the keys of fields
	named        // a mapping whose keys are names; each is the form of its values
	list         // a list; each is the form of its items
)

// A field is a key of scenario.yaml: all that reading, overriding and
// explaining it needs.
type field struct {
	key, doc string
	form     string // of a scalar, for people
	json     string // of a scalar, as a JSON Schema; empty: any text
	def      string // as YAML; empty: none
	required bool
	kind     kind
	fields   []field  // of a section
	extra    *field   // of a section: a key that a `scale` rule names
	names    []string // of a named mapping: its only names; nil: any
	later    []string // keys or names that the design has and this version does not
	filled   bool     // a named mapping has at least one name, a list one item
	each     *field
	own      map[string]*field                          // of a named mapping: entries that are not as each says
	open     func(s *draft, name string, pos Pos) error // begins an entry of a named mapping; each reads its value
	take     func(s *draft, n node) error               // stores a scalar, or says why not; a named mapping may be one instead
}

// child returns the field of f with key.
func (f *field) child(key string) (*field, bool) {
	for i := range f.fields {
		if f.fields[i].key == key {
			return &f.fields[i], true
		}
	}
	return nil, false
}

// entry returns how the entry of f with that name is read.
func (f *field) entry(name string) *field {
	if own := f.own[name]; own != nil {
		return own
	}
	return f.each
}

// keys returns the keys of f's fields, or its names.
func (f *field) keys() []string {
	keys := slices.Clone(f.names)
	for i := range f.fields {
		keys = append(keys, f.fields[i].key)
	}
	return keys
}

// unknown says that there is no key below f; more are keys beside those of f.
func (f *field) unknown(what, key string, more []string) string {
	if slices.Contains(f.later, key) {
		return key + ": not in this version of kreplay: remove it"
	}
	return "unknown " + what + " " + quote(key) + ": " + didYouMean(key, append(f.keys(), more...))
}

// store makes a take of how to read a value and where it goes.
func store[T any](read func(node) (T, error), place func(*draft) *T) func(*draft, node) error {
	return func(s *draft, n node) error {
		v, err := read(n)
		if err == nil {
			*place(s) = v
		}
		return err
	}
}

// number reads a whole number from least to most.
func number(least, most uint64) func(node) (uint64, error) {
	return func(n node) (uint64, error) { return wholeNumber(n, least, most) }
}

// JSON Schemas of scalars.
const (
	jsonWhole    = `{"type":"integer","minimum":0}`
	jsonPositive = `{"type":"integer","minimum":1}`
	jsonNumber   = `{"type":"number","exclusiveMinimum":0}`
	jsonShare    = `{"type":"string","pattern":"^[0-9]+([.][0-9]+)? *%$"}`
	jsonDuration = `{"type":"string","pattern":"^[+]?([0-9.]+(ns|us|µs|μs|ms|s|m|h))+$|^[+]?0$"}`
)

// schema is scenario.yaml. Overrides, defaults and the JSON Schema go through it too.
var schema = field{kind: section, later: []string{"aggregate"}, fields: []field{
	{key: "kreplay", doc: "version of this format", form: "1", json: `{"const":1}`, required: true, take: takeVersion},
	{key: "name", doc: "name of the scenario; without it, its directory's", form: "letters, digits, _, - and .",
		take: store(scenarioName, func(s *draft) *string { return &s.Name })},
	{key: "seed", doc: "the same seed gives the same replicas", form: "whole number", json: jsonWhole, def: "1",
		take: store(number(0, math.MaxUint64), func(s *draft) *uint64 { return &s.Seed })},
	{key: "vars", doc: "texts that ${name} stands for, in any value; one may use those above it", kind: named, open: openVar,
		each: &field{form: "text", json: `{"type":"string"}`, take: takeVar}},
	{key: "template", doc: "directory of the only template", form: "directory inside the scenario's folder", take: takeTemplate},
	{key: "templates", doc: "directories of several templates, by name", kind: named, filled: true, open: openTemplate,
		each: &field{form: "directory inside the scenario's folder", take: takeTemplateDir}},
	{key: "rewrite", doc: "what becomes of a field for each user, by pattern; the first match wins", kind: named, open: openRule,
		each: &field{take: takeRole, form: "user [U%010d], uuid, uuid per session, time, counter [KR%016d], date of FIELD, peer [U%010d], scale NAME, hash, fake or keep"}},
	{key: "keep", doc: "fields that look like an id, a time or personal and are not", kind: list,
		each: &field{form: "field pattern", take: takeKeep}},
	population,
	schedule,
	stream,
	stages,
	inject,
	settle,
	expect,
	guard,
}}

var population = field{key: "population", doc: "the users", kind: section, fields: []field{
	{key: "users", doc: "how many", form: "whole number", json: jsonPositive, def: "100",
		take: store(number(1, math.MaxUint32), func(s *draft) *uint64 { return &s.Population.Users })},
	{key: "cohorts", doc: "shares of the users, by name; together exactly 100%", kind: named, filled: true, open: openCohort,
		each: &field{kind: section, fields: []field{
			{key: "template", doc: "name of the template they replay; needed when there are several", form: "name of a template",
				take: takeCohortTemplate},
			{key: "share", doc: "how many of the users", form: "a percentage such as 2%", json: jsonShare, required: true,
				take: store(percentage, func(s *draft) *Share { return &last(s.Population.Cohorts).Share })},
			{key: "until", doc: "log type with whose last event they stop", form: "name of a log type", take: takeUntil},
		}, extra: &field{doc: "what rules with the role `scale` and this name multiply by", form: "number", json: `{"type":"number","minimum":0}`,
			open: openNumber, take: takeNumber}}},
}}

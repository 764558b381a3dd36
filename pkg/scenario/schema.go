package scenario

import "math"

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
	def      string // as YAML; empty: none
	required bool
	kind     kind
	fields   []field  // of a section
	names    []string // of a named mapping: its only names; nil: any
	filled   bool     // a named mapping has at least one name
	each     *field
	open     func(s *Scenario, name string, pos Pos) error // begins an entry of a named mapping; each reads its value
	take     func(s *Scenario, n node) error               // stores a scalar, or says why not
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

// keys returns the keys of f's fields, or its names.
func (f *field) keys() []string {
	keys := f.names
	for i := range f.fields {
		keys = append(keys, f.fields[i].key)
	}
	return keys
}

// store makes a take of how to read a value and where it goes.
func store[T any](read func(node) (T, error), place func(*Scenario) *T) func(*Scenario, node) error {
	return func(s *Scenario, n node) error {
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

// accepted is a field of expect.delivery.
func accepted(key, doc string, place func(*Delivery) *uint64) field {
	return field{key: key, doc: doc, form: "whole number", def: "0",
		take: store(number(0, math.MaxInt64), func(s *Scenario) *uint64 { return place(&s.Expect.Delivery) })}
}

// schema is scenario.yaml. Overrides and defaults go through it too.
var schema = field{kind: section, fields: []field{
	{key: "kreplay", doc: "version of this format", form: "1", required: true, take: takeVersion},
	{key: "name", doc: "name of the scenario; without it, its directory's", form: "letters, digits, _, - and .",
		take: store(scenarioName, func(s *Scenario) *string { return &s.Name })},
	{key: "seed", doc: "the same seed gives the same replicas", form: "whole number", def: "1",
		take: store(number(0, math.MaxUint64), func(s *Scenario) *uint64 { return &s.Seed })},
	{key: "template", doc: "directory of the only template", form: "directory inside the scenario's folder", take: takeTemplate},
	{key: "templates", doc: "directories of several templates, by name", kind: named, filled: true, open: openTemplate,
		each: &field{form: "directory inside the scenario's folder", take: takeTemplateDir}},
	{key: "rewrite", doc: "what becomes of a field for each user, by pattern; the first match wins", kind: named, open: openRule,
		each: &field{form: "user, user U%010d, uuid, time, counter, counter KR%016d or keep", take: takeRole}},
	{key: "keep", doc: "fields that look like an id or a time and are not", kind: list,
		each: &field{form: "field pattern", take: takeKeep}},
	population,
	stream,
	{key: "stages", doc: "where the pipeline delivers to", kind: named, names: []string{"raw"}, open: openStage,
		each: &field{kind: section, fields: []field{
			{key: "path", doc: "directory or file with what was delivered", form: "a directory or file", required: true,
				take: store(stagePath, func(s *Scenario) *string { return &last(s.Stages).Path })},
		}}},
	settle,
	expect,
}}

var population = field{key: "population", doc: "the users", kind: section, fields: []field{
	{key: "users", doc: "how many", form: "whole number", def: "100",
		take: store(number(1, math.MaxUint32), func(s *Scenario) *uint64 { return &s.Population.Users })},
	{key: "cohorts", doc: "shares of the users, by name; together exactly 100%", kind: named, filled: true, open: openCohort,
		each: &field{kind: section, fields: []field{
			{key: "template", doc: "name of the template they replay; needed when there are several", form: "name of a template",
				take: takeCohortTemplate},
			{key: "share", doc: "how many of the users", form: "a percentage such as 2%", required: true,
				take: store(percentage, func(s *Scenario) *Share { return &last(s.Population.Cohorts).Share })},
		}}},
}}

var stream = field{key: "stream", doc: "where records go", kind: section, fields: []field{
	{key: "name", doc: "name of the Kinesis stream", form: "1 to 128 of a-z, A-Z, 0-9, _, . and -", def: "kreplay",
		take: store(kinesisName, func(s *Scenario) *string { return &s.Stream.Name })},
	{key: "partition_key", doc: "field whose value is the partition key; without it, the user's id", form: "field without * and {}",
		take: store(partitionKey, func(s *Scenario) *string { return &s.Stream.PartitionKey })},
	{key: "newline", doc: "whether a record ends with a newline; auto: as it was captured", form: "auto, true or false", def: "auto",
		take: store(newline, func(s *Scenario) *Newline { return &s.Stream.Newline })},
	{key: "limits", doc: "bounds of the traffic", kind: section, fields: []field{
		{key: "rate", doc: "records a second", form: "40k/s, 1000/s or max", def: "max",
			take: store(recordRate, func(s *Scenario) *uint64 { return &s.Stream.Limits.Rate })},
		{key: "bytes", doc: "bytes a second (MB is 10^6, MiB is 2^20)", form: "40MB/s or max", def: "max",
			take: store(byteRate, func(s *Scenario) *uint64 { return &s.Stream.Limits.Bytes })},
		{key: "requests", doc: "requests in flight", form: "1 to 1000", def: "32",
			take: store(requests, func(s *Scenario) *int { return &s.Stream.Limits.Requests })},
	}},
	{key: "on_unknown", doc: "what to do with a record that may or may not be stored", form: "resend or hold", def: "resend",
		take: store(onUnknown, func(s *Scenario) *Policy { return &s.Stream.OnUnknown })},
}}

var settle = field{key: "settle", doc: "when a stage counts as done", kind: section, fields: []field{
	{key: "quiet", doc: "nothing new for this long", form: "duration", def: "10m", take: takeQuiet},
	{key: "max", doc: "and after this long in any case", form: "duration", def: "60m", take: takeMax},
}}

var expect = field{key: "expect", doc: "what must hold of the run", kind: section, fields: []field{
	{key: "delivery", doc: "how many records of each difference are accepted", kind: section, fields: []field{
		accepted("missing", "sent and not delivered", func(d *Delivery) *uint64 { return &d.Missing }),
		accepted("pipeline_duplicates", "delivered again though sent once", func(d *Delivery) *uint64 { return &d.PipelineDuplicates }),
		accepted("mutated", "delivered with other bytes", func(d *Delivery) *uint64 { return &d.Mutated }),
		accepted("strangers", "delivered as ours and never planned", func(d *Delivery) *uint64 { return &d.Strangers }),
		accepted("damaged", "unreadable spans of what was delivered", func(d *Delivery) *uint64 { return &d.Damaged }),
	}},
}}

package report

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// design is the list of keys of the JSON report, format 1, as the design has it.
const design = `format: 1, verdict, reasons[], run{id,scenario,digest,seed,users,anchor,started,finished}, push{planned,acked,refused,unknown,unsent,attempts,
amplification,throttled,bytes,requests,seconds,records_per_second,slip_ms{p50,p99,max},put_ms{p50,p99,max},shards[{id,records,bytes,throttled}]},
stages[{name,objects,bytes,rows,delivered,mutated,rejected,missing,in_flight,undecided,absent,duplicates{producer,pipeline},strangers,foreign,misplaced,
lag_ms{p50,p90,p99,max}}], log_types[{name,planned,delivered,missing,…}], aggregate[{name,seconds,status}],
expectations[{name,owner,sql,want,got,tolerance,verdict,explained{missing,duplicates,mutated,unexplained},seconds}],
differences{total,samples[{id,log_type,kind,object,detail}]}`

// beyond are keys that the report has and the design does not name; they are
// allowed. The log types' are what its "…" stands for.
var beyond = map[string]bool{
	"stages.damaged": true, "stages.foreign_spans": true, "stages.changes": true, "stages.lag": true, "stages.arose": true, "log_types.stage": true, "expectations.stage": true,
	"log_types.mutated": true, "log_types.rejected": true, "log_types.in_flight": true,
	"log_types.undecided": true, "log_types.absent": true, "log_types.duplicates": true,
}

// key is one key of the contract.
type key struct {
	name  string
	list  bool
	below []key
}

type contractReader struct {
	t    *testing.T
	text string
}

func contract(t *testing.T) []key {
	t.Helper()
	r := contractReader{t, strings.NewReplacer("format: 1", "format", "\n", "", " ", "").Replace(design)}
	keys := r.keys()
	if r.text != "" || len(keys) != 10 {
		t.Fatalf("the design's list: %d keys, %q left over", len(keys), r.text)
	}
	return keys
}

func (r *contractReader) take(s string) bool {
	rest, ok := strings.CutPrefix(r.text, s)
	r.text = rest
	return ok
}

func (r *contractReader) keys() (all []key) {
	for {
		end := strings.IndexAny(r.text, ",{}[]")
		if end < 0 {
			end = len(r.text)
		}
		k := key{name: r.text[:end]}
		r.text = r.text[end:]
		k.list = r.take("[")
		if r.take("{") {
			k.below = r.keys()
			if !r.take("}") {
				r.t.Fatalf("the design's list: no end of %s at %q", k.name, r.text)
			}
		}
		if k.list && !r.take("]") {
			r.t.Fatalf("the design's list: no end of %s at %q", k.name, r.text)
		}
		if k.name != "…" {
			all = append(all, k)
		}
		if !r.take(",") {
			return all
		}
	}
}

// member is a key of an object with its value, in the order of the bytes.
type member struct {
	name  string
	value json.RawMessage
}

func members(t *testing.T, object []byte) (all []member) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		t.Fatalf("%v, %v: want an object in %s", open, err, object)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		m := member{name: name.(string)}
		if err := d.Decode(&m.value); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// keysOf holds an object against the contract: its keys, in its order, all the
// way down. What is not measured may be null, but for lists.
func keysOf(t *testing.T, path string, want []key, object []byte, list func(path string, list json.RawMessage)) {
	t.Helper()
	var names, got []string
	for _, k := range want {
		names = append(names, k.name)
	}
	for _, m := range members(t, object) {
		i := slices.IndexFunc(want, func(k key) bool { return k.name == m.name })
		if i < 0 {
			if !beyond[path+m.name] {
				t.Errorf("%s%s: the design has no such key", path, m.name)
			}
			continue
		}
		got = append(got, m.name)
		k, at := want[i], path+m.name
		switch {
		case k.list:
			list(at, m.value)
			var elements []json.RawMessage
			if err := json.Unmarshal(m.value, &elements); err != nil || elements == nil {
				t.Errorf("%s: %s, want a list", at, m.value)
			}
			for _, e := range elements {
				if k.below != nil {
					keysOf(t, at+".", k.below, e, list)
				}
			}
		case k.below != nil && string(m.value) != "null":
			keysOf(t, at+".", k.below, m.value, list)
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("keys of %q: %v, want %v", path, got, names)
	}
}

// The keys of the JSON report and their order are those of the design.
func TestJSONKeysAreTheDesigns(t *testing.T) {
	seen := map[string]bool{}
	var b bytes.Buffer
	if err := (Output{Format: "json"}).Write(&b, failed()); err != nil {
		t.Fatal(err)
	}
	keysOf(t, "", contract(t), b.Bytes(), func(path string, list json.RawMessage) { seen[path] = string(list) != "[]" })
	for _, path := range []string{"stages", "log_types", "differences.samples", "reasons"} {
		if !seen[path] {
			t.Errorf("%s: empty, so its keys were not held against the design", path)
		}
	}
}

package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func walked(t *testing.T, line string) (list []string) {
	t.Helper()
	err := Walk([]byte(line), func(f Field) error {
		list = append(list, fmt.Sprintf("%s|%s|%d|%s", f.Path(), f.Key, f.Kind, line[f.Start:f.End]))
		return nil
	})
	if err != nil {
		t.Errorf("Walk(%s): %v", line, err)
	}
	return list
}

// Every scalar is visited once, in order, with path, name, kind and bytes; arrays leave no trace in the path.
func TestWalkVisits(t *testing.T) {
	for line, want := range map[string][]string{
		`{}`: nil, ` [ ] `: nil, `[[],{}]`: nil,
		`7`:                     {"||1|7"},
		`"a"`:                   {`||0|"a"`},
		`{"a":{"b":{"c":1}}}`:   {"a.b.c|c|1|1"},
		`{"a":[[1,{"b":2}],3]}`: {"a|a|1|1", "a.b|b|1|2", "a|a|1|3"},
		`[{"a":true},{"a":false},null]`: {
			"a|a|2|true", "a|a|2|false", "||3|null"},
		"\t{\r\n \"a\" : -1.5E+3 , \"b\" : [ \"x\" , \"y\" ] } ": {"a|a|1|-1.5E+3", `b|b|0|"x"`, `b|b|0|"y"`},
		`{"a":"\\","b":"\"","c":"\\\"","d":"\u00e9\/","":"}"}`: {
			`a|a|0|"\\"`, `b|b|0|"\""`, `c|c|0|"\\\""`, `d|d|0|"\u00e9\/"`, `||0|"}"`},
		`{"q\"k":1,"a":1,"a":2}`:           {`q\"k|q\"k|1|1`, "a|a|1|1", "a|a|1|2"},
		`{"a":{"b":1},"c":{"d":[]},"e":2}`: {"a.b|b|1|1", "e|e|1|2"},
	} {
		if diff := cmp.Diff(want, walked(t, line)); diff != "" {
			t.Errorf("Walk(%s): want (-), got (+)\n%s", line, diff)
		}
	}
}

// A fault is told with its position.
func TestWalkFaults(t *testing.T) {
	for line, want := range map[string]string{
		``:             `byte 0: want a value, got the end`,
		`{`:            `byte 1: want a name, got the end`,
		`{1`:           `byte 1: want a name, got '1'`,
		`{"a`:          `byte 3: want '"', got the end`,
		`{"a\"`:        `byte 5: want '"', got the end`,
		`{"a" 1}`:      `byte 5: want ':', got '1'`,
		`{"a":}`:       `byte 5: want a value, got '}'`,
		`{"a":1`:       `byte 6: want ',' or '}', got the end`,
		`{"a":1,}`:     `byte 7: want a name, got '}'`,
		`[1 2]`:        `byte 3: want ',' or ']', got '2'`,
		`[1,]`:         `byte 3: want a value, got ']'`,
		`["a`:          `byte 3: want '"', got the end`,
		`[nul]`:        `byte 1: want a value, got 'n'`,
		`{"a":1} x`:    `byte 8: want nothing more, got 'x'`,
		`{"a":1}{}`:    `byte 7: want nothing more, got '{'`,
		`{"a":[{"b"}]`: `byte 10: want ':', got '}'`,
	} {
		err := Walk([]byte(line), func(Field) error { return nil })
		if err == nil || err.Error() != "template: "+want {
			t.Errorf("Walk(%s) = %v, want template: %s", line, err, want)
		}
	}
}

// Nesting is bounded by maxDepth and by nothing less.
func TestWalkDepth(t *testing.T) {
	for _, open := range []string{`[`, `{"a":`} {
		shut := map[string]string{`[`: `]`, `{"a":`: `}`}[open]
		deep := func(n int) error {
			return Walk([]byte(strings.Repeat(open, n)+"1"+strings.Repeat(shut, n)), func(Field) error { return nil })
		}
		if err := deep(maxDepth); err != nil {
			t.Errorf("%d times %s: %v, want no error", maxDepth, open, err)
		}
		if err := deep(maxDepth + 1); err == nil || !strings.Contains(err.Error(), "nested deeper than 512") {
			t.Errorf("%d times %s: %v, want: nested deeper than 512", maxDepth+1, open, err)
		}
	}
}

// An error of visit ends the walk and is returned, from any depth.
func TestWalkStops(t *testing.T) {
	stop := errors.New("stop")
	for _, line := range []string{`1`, `"a"`, `[1,2]`, `{"a":{"b":[null,1]}}`} {
		n := 0
		err := Walk([]byte(line), func(Field) error { n++; return stop })
		if !errors.Is(err, stop) || n != 1 {
			t.Errorf("Walk(%s) = %v after %d visits, want stop after 1", line, err, n)
		}
	}
}

// What json.Marshal writes, Walk reads back scalar by scalar.
func TestWalkReadsWhatMarshalWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String())).Draw(t, "in")
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]string{}
		for k, v := range in { // members without elements are not visited
			if len(v) == 0 {
				out[k] = v
			}
		}
		err = Walk(data, func(f Field) error {
			var key, value string
			if err := json.Unmarshal([]byte(`"`+string(f.Key)+`"`), &key); err != nil {
				return err
			}
			if err := json.Unmarshal(data[f.Start:f.End], &value); err != nil {
				return err
			}
			out[key] = append(out[key], value)
			return nil
		})
		if err != nil {
			t.Fatalf("Walk(%s): %v", data, err)
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Errorf("%s: want (-), got (+)\n%s", data, diff)
		}
	})
}

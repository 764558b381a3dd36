package replay_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"pgregory.net/rapid"

	"kreplay/pkg/lake"
	"kreplay/pkg/local"
	"kreplay/pkg/object/dir"
)

// valueGen draws a value of JSON, as text; one in a while is of another type than its like.
func valueGen(depth int) *rapid.Generator[string] {
	quoted := rapid.Custom(func(t *rapid.T) string {
		b, err := json.Marshal(rapid.String().Draw(t, "text"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	})
	kinds := []*rapid.Generator[string]{
		quoted, rapid.SampledFrom([]string{"null", "true", "false", "0", "-1", "3.50", "1e3", "-2.5E-7", "9223372036854775807", "9223372036854775808",
			"0.1234567890123456789012345678901234567890", "1e300", "-0", "12345678901234567890.123", `""`, "{}", "[]"}),
	}
	if depth > 0 {
		kinds = append(kinds, rapid.Custom(func(t *rapid.T) string {
			return "[" + strings.Join(rapid.SliceOfN(valueGen(depth-1), 0, 3).Draw(t, "array"), ", ") + "]"
		}), rapid.Custom(func(t *rapid.T) string { return objectGen(depth-1, 0).Draw(t, "object") }))
	}
	return rapid.OneOf(kinds...)
}

func objectGen(depth, least int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var members []string
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-dADÉé."]{1,2}`), least, 4, rapid.ID).Draw(t, "names") {
			b, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, string(b)+":"+valueGen(depth).Draw(t, name))
		}
		return "{" + strings.Join(members, ",") + "}"
	})
}

// parsed is JSON as a value, with numbers as they are written.
func parsed(t *rapid.T, text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// sameJSON says whether got is want but for members that are null, and the way in
// which numbers are written.
func sameJSON(want, got any) bool {
	switch w := want.(type) {
	case json.Number:
		g, ok := got.(json.Number)
		a, okA := new(big.Rat).SetString(string(w))
		b, okB := new(big.Rat).SetString(string(g))
		return ok && okA && okB && a.Cmp(b) == 0
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(w, g, sameJSON)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return false
		}
		for name := range g {
			if _, ok := w[name]; !ok {
				return false
			}
		}
		for name, v := range w {
			if x, ok := g[name]; ok != (v != nil) && (v != nil || x != nil) || v != nil && !sameJSON(v, x) {
				return false
			}
		}
		return true
	}
	return want == got
}

// inLowerCase has names in lower case, at every depth; false: two of an object are one then.
func inLowerCase(v any) (any, bool) {
	ok := true
	switch v := v.(type) {
	case []any:
		for i := range v {
			var fine bool
			v[i], fine = inLowerCase(v[i])
			ok = ok && fine
		}
	case map[string]any:
		o := map[string]any{}
		for name, x := range v {
			value, fine := inLowerCase(x)
			_, twice := o[strings.ToLower(name)]
			o[strings.ToLower(name)], ok = value, ok && fine && !twice
		}
		return o, ok
	}
	return v, ok
}

// Whatever JSON is sent into a lake of Parquet comes out with the same values, and
// unless told otherwise in columns whose names are lower case; what is no object, or
// has two keys that are one column then, is an error record.
func TestParquetKeepsValues(tt *testing.T) {
	rapid.Check(tt, func(t *rapid.T) {
		sent := rapid.SliceOfN(objectGen(2, 1), 1, 6).Draw(t, "records")
		names := rapid.SampledFrom([]string{"", local.LowerNames, local.KeepNames}).Draw(t, "names")
		rows, errors := throughLocal(tt, t, local.Config{Format: local.Parquet, Names: names}, append(slices.Clone(sent), "no JSON", "{}", "[1]"))
		var want []any
		for _, s := range sent {
			if v := parsed(t, s); names == local.KeepNames {
				want = append(want, v)
			} else if lower, ok := inLowerCase(v); ok {
				want = append(want, lower)
			}
		}
		if len(rows) != len(want) || len(rows)+len(errors) != len(sent)+3 {
			t.Fatalf("%d rows, %d error records, want %d of %d and 3: %q", len(rows), len(errors), len(want), len(sent), sent)
		}
		for i, row := range rows {
			if !sameJSON(want[i], parsed(t, row)) {
				t.Errorf("want %v\ngot  %s", want[i], row)
			}
		}
	})
}

// In a lake of CSV the same holds of texts, of the texts of other scalars, and
// of arrays and objects as JSON text.
func TestCSVKeepsTexts(tt *testing.T) {
	rapid.Check(tt, func(t *rapid.T) {
		sent := rapid.SliceOfN(objectGen(1, 1), 1, 6).Draw(t, "records")
		rows, errors := throughLocal(tt, t, local.Config{Format: local.CSV}, sent)
		if len(rows) != len(sent) || len(errors) > 0 {
			t.Fatalf("%d rows, %d error records, want %d and none: %q", len(rows), len(errors), len(sent), sent)
		}
		columns := map[string]bool{}
		for _, s := range sent {
			for name := range parsed(t, s).(map[string]any) {
				columns[name] = true
			}
		}
		for i, row := range rows {
			want, got := parsed(t, sent[i]).(map[string]any), parsed(t, row).(map[string]any)
			for name, v := range want {
				text, is := got[name].(string)
				switch x := v.(type) {
				case nil:
					if is && (text != "" || len(columns) > 1) { // a line is not left blank
						t.Errorf("null came out as %q: %s", text, row)
					}
				case string:
					if text != x || !is {
						t.Errorf("%q came out as %q: %s", x, text, row)
					}
				default:
					if !is || !sameJSON(v, parsed(t, text)) {
						t.Errorf("%v came out as %q: %s", v, text, row)
					}
				}
			}
		}
	})
}

// throughLocal sends records one after another and reads the one object of the
// lake that they come to, and that of error records.
func throughLocal(tt *testing.T, t *rapid.T, cfg local.Config, records []string) (rows, errors []string) {
	at := tt.TempDir()
	cfg.Lake, cfg.BufferInterval, cfg.Prefix, cfg.ErrorPrefix = at, time.Hour, "raw/", "errors/!{firehose:error-output-type}/"
	pipe := start(tt, cfg, nil)
	client := sdk.NewFromConfig(sdkConfig(pipe.URL()))
	in := &sdk.PutRecordsInput{StreamName: aws.String(streamName)}
	for _, r := range records {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{Data: []byte(r), PartitionKey: aws.String("one")})
	}
	if _, err := client.PutRecords(tt.Context(), in); err != nil {
		t.Fatal(err)
	}
	if err := pipe.Flush(tt.Context()); err != nil {
		t.Fatal(err)
	}
	store, err := dir.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	damage := func(d lake.Damage) error { return fmt.Errorf("damage: %+v", d) }
	for info, err := range store.List(tt.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(info.Key, "errors/format-conversion-failed/") {
			_, err = lake.Rejections(tt.Context(), store, info.Key, func(r lake.Rejection) error {
				if !r.Wrapped || r.Code != local.UnconvertedCode {
					t.Errorf("error record %+v", r)
				}
				errors = append(errors, string(r.Data))
				return nil
			}, damage)
		} else {
			_, err = map[string]lake.Format{local.CSV: lake.CSV}[cfg.Format].Scan(tt.Context(), store, info.Key, func(r lake.Row) error { rows = append(rows, string(r.Data)); return nil },
				damage)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return rows, errors
}

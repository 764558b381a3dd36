package lake

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Whatever a transform wraps comes out as it went in: as text, as base64, as an
// object, at any path.
func TestUnwrapInvertsWrapping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		record := rowGen.Draw(t, "record")
		w := Wrap{Base64: rapid.Bool().Draw(t, "base64")}
		var payload any = record
		if w.Base64 {
			payload = b64(record)
		} else if rapid.Bool().Draw(t, "as an object") {
			payload = json.RawMessage(record)
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "depth") {
			name := rapid.SampledFrom([]string{"data", "p*?", "#", "@this", "a|b", "!x", "{k}"}).Draw(t, "name")
			payload = map[string]any{name: payload, "other": record, "zz": i}
			w.Path = name + "." + w.Path
		}
		w.Path = w.Path[:len(w.Path)-1]
		var row bytes.Buffer
		enc := json.NewEncoder(&row)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(payload); err != nil {
			t.Fatal(err)
		}
		got, err := w.Unwrap(row.Bytes())
		var compact bytes.Buffer // the encoder takes white space out of an object in an object
		if json.Compact(&compact, []byte(record)) != nil || err != nil || string(got) != record && string(got) != compact.String() {
			t.Fatalf("%+v of %s: got %q, %v, want %q", w, row.Bytes(), got, err, record)
		}
	})
}

func TestUnwrapSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		row  string
		wrap Wrap
		want error
	}{
		{`{"a":{"b":1}}`, Wrap{Path: "a.c"}, ErrNoPayload},
		{`{"a":{"b":1}}`, Wrap{Path: "a.b"}, ErrPayload},
		{`{"a":[{}]}`, Wrap{Path: "a"}, ErrPayload},
		{`{"a":{}}`, Wrap{Path: "a", Base64: true}, ErrPayload},
		{`{"a":"*"}`, Wrap{Path: "a", Base64: true}, base64.CorruptInputError(0)},
	} {
		if got, err := test.wrap.Unwrap([]byte(test.row)); !errors.Is(err, test.want) {
			t.Errorf("%+v of %s: got %q, %v, want %v", test.wrap, test.row, got, err, test.want)
		}
	}
}

// Wrapped rows scan to the records in them, at the wrapped rows' places.
func TestWrappedRows(t *testing.T) {
	text := `{"d":{"p":"` + b64(`{"a":1}`+"\n") + `"}}` + "\n" + `{"d":{"p":"` + b64(string(zip([]byte(`{"a":2}{"a":3}`), 1))) + `"}}` +
		`{"d":1}{"d":{"p":"` + b64(`x{"a":4}`) + `"}}`
	var got []string
	row := func(r Row) error {
		got = append(got, fmt.Sprintf("%s %d %s", r.Object, r.Offset, r.Data))
		return nil
	}
	damage := func(d Damage) error {
		got = append(got, fmt.Sprintf("%s %d+%d %s", d.Object, d.Offset, d.Length, d.Reason))
		return nil
	}
	m := memory{data: map[string][]byte{"k": []byte(text)}}
	wrap := Wrap{Path: "d.p", Base64: true}
	if _, err := Scan(t.Context(), m, "k", wrap.Rows(t.Context(), row, damage), damage); err != nil {
		t.Fatal(err)
	}
	second := 1 + len(`{"d":{"p":""}}`) + len(b64(`{"a":1}`+"\n"))
	third := second + len(`{"d":{"p":""}}`) + len(b64(string(zip([]byte(`{"a":2}{"a":3}`), 1))))
	want := []string{
		`k 0 {"a":1}`, fmt.Sprintf(`k %d {"a":2}`, second), fmt.Sprintf(`k %d {"a":3}`, second),
		fmt.Sprintf(`k %d+7 payload d.p: no such field`, third),
		fmt.Sprintf(`k %d+26 payload d.p: not a JSON object`, third+7), fmt.Sprintf(`k %d {"a":4}`, third+7),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Error records of all of Firehose's kinds give the record as it was sent, and why it was not delivered.
func TestRejections(t *testing.T) {
	lines := []string{
		`{"attemptsMade":4,"arrivalTimestamp":1,"errorCode":"Lambda.FunctionError","errorMessage":"it \"failed\"","attemptEndingTimestamp":2,"rawData":"` +
			b64(`{"a":1}`+"\n") + `","lambdaArn":"arn:x"}`,
		`{"attemptsMade":1,"lastErrorCode":"DataFormatConversion.MalformedData","lastErrorMessage":"m","rawData":"` + b64(`{"a":2}`) + `","sequenceNumber":"4"}`,
		`{"errorCode":"c","rawData":"` + b64(`{"a":3}{"a":4}`) + `"}`,
		`{"errorCode":"c","rawData":"` + b64(`no JSON`) + `"}`,
		`{"errorCode":"c","rawData":"` + b64(string(packers["zstd"]([]byte(`{"a":5}`)))) + `"}`,
		`{"errorCode":"c","rawData":"***"}`,
		`{"errorCode":"c","rawData":7}`,
		`{"a":6}`,
		`oh no`,
	}
	want := []string{
		`Lambda.FunctionError it "failed" true {"a":1}`, `DataFormatConversion.MalformedData m true {"a":2}`, `c  true {"a":3}`, `c  true {"a":4}`,
		`c  true no JSON`, `c  true {"a":5}`, `payload rawData: illegal base64 data at input byte 0`,
		`payload rawData: neither text nor an object`, `  false {"a":6}`, `not a JSON object`,
	}
	for _, sep := range []string{"\n", ""} {
		var stored []byte
		for _, line := range lines {
			stored = append(append(stored, line...), sep...)
		}
		var got []string
		stats, err := Rejections(t.Context(), memory{data: map[string][]byte{"k": zip(stored, 1)}}, "k", func(r Rejection) error {
			if at := int(r.Offset); r.Object != "k" || stored[at] != '{' {
				t.Errorf("%s: place %s+%d, want that of the error record", r.Data, r.Object, at)
			}
			got = append(got, fmt.Sprintf("%s %s %v %s", r.Code, r.Message, r.Wrapped, r.Data))
			return nil
		}, func(d Damage) error { got = append(got, d.Reason); return nil })
		if err != nil || !slices.Equal(got, want) || stats.Rows != 8 {
			t.Errorf("separator %q: %+v, %v,\ngot  %q\nwant %q", sep, stats, err, got, want)
		}
	}
}

// An error of a callback ends the reading, also from within a payload.
func TestRejectionErrorsEndTheScan(t *testing.T) {
	boom := errors.New("boom")
	m := memory{data: map[string][]byte{"k": []byte(`{"rawData":"` + b64("{}") + `"}`), "d": []byte(`{"rawData":"*"}`)}}
	for _, key := range []string{"k", "d"} {
		_, err := Rejections(t.Context(), m, key, func(Rejection) error { return boom }, func(Damage) error { return boom })
		if !errors.Is(err, boom) {
			t.Errorf("%s: got %v, want boom", key, err)
		}
	}
}

func FuzzRejections(f *testing.F) {
	f.Add([]byte(`{"errorCode":"c","rawData":"e30="}{"rawData":1}`))
	f.Add([]byte(`{"lastErrorCode":{"rawData":""},"rawData":"e30=e30="}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rejected, damaged := 0, 0
		stats, err := Rejections(t.Context(), memory{data: map[string][]byte{"k": data}}, "k", func(r Rejection) error {
			rejected++
			return nil
		}, func(Damage) error { damaged++; return nil })
		if err != nil || stats.Rows > uint64(rejected+damaged) {
			t.Errorf("%d rows, %d rejections, %d damaged, %v", stats.Rows, rejected, damaged, err)
		}
	})
}

// A row of columns may have lost the case of the names on the path to its payload;
// what is an object there is in columns too, and a text is not.
func TestWrappedInColumns(t *testing.T) {
	for _, tc := range []struct {
		row  Row
		want string
	}{
		{Row{Data: []byte(`{"rawdata":{"rec":{"a":1}}}`), Converted: true}, `{"a":1} in columns`},
		{Row{Data: []byte(`{"rawData":{"Rec":{"a":1}},"rawdata":{"rec":{"a":2}}}`), Converted: true}, `{"a":1} in columns`},
		{Row{Data: []byte(`{"rawdata":{"rec":"{\"a\":1}"}}`), Converted: true}, `{"a":1}`},
		{Row{Data: []byte(`{"rawData":{"Rec":{"a":1}}}`)}, `{"a":1}`},
		{Row{Data: []byte(`{"rawdata":{"rec":{"a":1}}}`)}, `payload rawData.Rec: no such field`},
	} {
		got := ""
		err := Wrap{Path: "rawData.Rec"}.Rows(t.Context(), func(r Row) error {
			if got += string(r.Data); r.Converted {
				got += " in columns"
			}
			return nil
		}, func(d Damage) error { got += d.Reason; return nil })(tc.row)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.row.Data, got, err, tc.want)
		}
	}
	got := ""
	text := func(r Row) error { got = string(r.Data); return nil }
	if err := (Wrap{Path: "Rec"}).Rows(t.Context(), text, nil)(Row{Data: []byte(`{"rec":"{\"a\":1}"}`), Text: true}); err != nil || got != `{"a":1}` {
		t.Errorf("of CSV: got %q, %v", got, err)
	}
}

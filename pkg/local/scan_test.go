package local_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"kreplay/pkg/local"
)

// reference reads a body with encoding/json: names by case, the last of two members counts, a null is absent.
func reference(body []byte) (name, arn string, all []local.Entry, err error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		return "", "", nil, err
	}
	if top == nil {
		return "", "", nil, errors.New("null")
	}
	var list []map[string]json.RawMessage
	take := func(raw json.RawMessage, dst any) {
		if raw != nil {
			err = errors.Join(err, json.Unmarshal(raw, dst))
		}
	}
	take(top["StreamName"], &name)
	take(top["StreamARN"], &arn)
	take(top["Records"], &list)
	for _, m := range list {
		if m == nil {
			return "", "", nil, errors.New("null record")
		}
		var data *[]byte
		var key, hash *string
		take(m["Data"], &data)
		take(m["PartitionKey"], &key)
		take(m["ExplicitHashKey"], &hash)
		var e local.Entry
		if data != nil {
			e.Data = *data
		}
		if key != nil {
			e.Key = []byte(*key)
		}
		if hash != nil {
			e.Hash = []byte(*hash)
		}
		all = append(all, e)
	}
	return name, arn, all, err
}

var bodies = []string{
	`{"StreamName":"s","Records":[{"Data":"aGVsbG8=","PartitionKey":"k"},{"PartitionKey":"k\u00e9\n","ExplicitHashKey":"12","Data":""}]}`,
	" {\n\"Records\" : [ { \"Data\" : \"aGVs\\nbG8=\" , \"X\":[1,{\"a\":\"]}\"}], \"PartitionKey\":null } ],\t\"StreamARN\":\"arn\",\"More\":-1.5e3 }\r\n",
	`{}`, `null`, `[]`, `{"Records":null}`, `{"Records":[null]}`, `{"Records":[{}],}`, `{"Records":[{},]}`, `{"Records":[{"Data":"a"}]}`,
	`{"Records":[{"Data":"YQ==YQ=="}]}`, `{"Records":[{"Data":"AAAA="}]}`, `{"Records":[{"Data":5}]}`, `{"a":tru}`, `{"a":1 2}`, `{"a":"\q"}`,
	`{"Records":[{"Data":"YQ=="}],"Records":[{"PartitionKey":"z"}],"StreamName":"\ud800"}`, "{\"a\":\"\x01\"}", "{\"StreamName\":\"\xff\"}", `{"a":{"b":[}]}}`, `{} x`,
	"{\"Records\":[{\"Data\":\"YQ\n==\"}]}", `{"Records":[{"Data":"\u0059Q=="}]}`, `{"Records":[{"data":"YQ=="}]}`, `{"Rec\u006frds":[{"Data":"YQ=="}]}`,
}

func FuzzPutRecordsBody(f *testing.F) {
	for _, b := range bodies {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if dup(body) {
			t.Skip("an earlier of two equal members is not judged alike")
		}
		name, arn, all, err := local.ScanPutRecords(body)
		wantName, wantARN, want, wantErr := reference(body)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%q: %v, encoding/json says %v", body, err, wantErr)
		}
		if err != nil {
			return
		}
		if name != wantName || arn != wantARN || !reflect.DeepEqual(all, want) {
			t.Fatalf("%q:\ngot  %q %q %q\nwant %q %q %q", body, name, arn, all, wantName, wantARN, want)
		}
	})
}

// dup tells whether some object of a valid body has a member twice whose first value could be refused.
func dup(body []byte) bool {
	_, _, _, err := local.ScanPutRecords(body)
	_, _, _, wantErr := reference(body)
	return err != nil && wantErr == nil && json.Valid(body) && repeats(body)
}

// repeats tells whether some object has a member twice.
func repeats(body []byte) (again bool) {
	var walk func(d *json.Decoder) error
	walk = func(d *json.Decoder) error {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		delim, _ := tok.(json.Delim)
		seen := map[string]bool{}
		for (delim == '{' || delim == '[') && d.More() {
			if delim == '{' {
				name, err := d.Token()
				if err != nil {
					return err
				}
				n, _ := name.(string)
				if seen[n] {
					again = true
				}
				seen[n] = true
			}
			if err := walk(d); err != nil {
				return err
			}
		}
		if delim == '{' || delim == '[' {
			_, err = d.Token()
		}
		return err
	}
	_ = walk(json.NewDecoder(bytes.NewReader(body)))
	return again
}

package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/fxamacker/cbor/v2"

	"kreplay/pkg/local"
)

// A request and an answer of PutRecords, in JSON and in CBOR.
type (
	entryIn struct {
		Data                          []byte
		PartitionKey, ExplicitHashKey *string `json:",omitempty" cbor:",omitempty"`
	}
	putIn struct {
		StreamName string
		Records    []entryIn
	}
	putOut struct {
		Type              string `json:"__type" cbor:"__type"`
		Message           string `json:"message" cbor:"message"`
		FailedRecordCount int
		Records           []struct{ SequenceNumber, ShardId, ErrorCode, ErrorMessage string }
	}
)

// say sends a body in a form and reads the answer, which has to be in the same form.
func say(t *testing.T, p *local.Pipeline, operation, form string, body []byte) (status int, out putOut) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form)
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	unmarshal := json.Unmarshal
	if form == cborForm {
		unmarshal = cbor.Unmarshal
	}
	if err != nil || resp.Header.Get("Content-Type") != form || unmarshal(text, &out) != nil {
		t.Fatalf("answer %q in %q (%v)", text, resp.Header.Get("Content-Type"), err)
	}
	return resp.StatusCode, out
}

const jsonForm, cborForm = "application/x-amz-json-1.1", "application/x-amz-cbor-1.1"

// Whatever is asked in CBOR is answered as in JSON, and stored as in JSON.
func TestCBORIsAnsweredLikeJSON(t *testing.T) {
	key := func(s string) *string { return &s }
	good := entryIn{[]byte("one"), key("a"), nil}
	long := strings.Repeat("é", 257)
	for name, in := range map[string]putIn{
		"stored":          {streamName, []entryIn{good, {[]byte("\x00\xff"), key("é"), nil}, {[]byte{}, key(long[:512]), key("17")}}},
		"throttled":       {streamName, append([]entryIn{{[]byte("throttled"), key("t"), nil}}, good)},
		"no stream":       {"other", []entryIn{good}},
		"nothing":         {streamName, nil},
		"too many":        {streamName, make([]entryIn, 501)},
		"no data":         {streamName, []entryIn{{nil, key("a"), nil}}},
		"no key":          {streamName, []entryIn{{[]byte("x"), nil, nil}}},
		"empty key":       {streamName, []entryIn{{[]byte("x"), key(""), nil}}},
		"long key":        {streamName, []entryIn{{[]byte("x"), &long, nil}}},
		"bad hash":        {streamName, []entryIn{{[]byte("x"), key("a"), key("x")}}},
		"large record":    {streamName, []entryIn{{make([]byte, 1<<20), key("a"), nil}}},
		"largest record":  {streamName, []entryIn{{make([]byte, 1<<20-1), key("a"), nil}}},
		"largest request": {streamName, []entryIn{{make([]byte, 1<<20-1), key("a"), nil}, {make([]byte, 1<<20), key("a"), nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			var status [2]int
			var out [2]putOut
			var held [2]string
			for i, form := range []string{jsonForm, cborForm} {
				dir := t.TempDir()
				p := start(t, local.Config{Lake: dir, Delimiter: "\n", Faults: local.Faults{Seed: 5, Of: len(in.Records), Throttle: min(1, len(in.Records)/2)}})
				body, err := json.Marshal(in)
				if form == cborForm {
					body, err = cbor.Marshal(in)
				}
				if err != nil {
					t.Fatal(err)
				}
				status[i], out[i] = say(t, p, "PutRecords", form, body)
				flush(t, p)
				for _, text := range lake(t, dir) {
					held[i] += text
				}
			}
			if status[0] != status[1] || fmt.Sprint(out[0]) != fmt.Sprint(out[1]) || held[0] != held[1] {
				t.Errorf("json %d %+v, %d bytes stored\ncbor %d %+v, %d bytes stored", status[0], out[0], len(held[0]), status[1], out[1], len(held[1]))
			}
			if refused := name == "stored" || name == "throttled" || name == "largest record"; refused != (status[1] == http.StatusOK) {
				t.Errorf("status %d %s", status[1], out[1].Type)
			}
		})
	}
}

// What is no CBOR, or another operation's, is refused in CBOR, with what to do.
func TestCBORIsRead(t *testing.T) {
	p := start(t, local.Config{AccessKey: ""})
	entry := "\xa2\x64Data\x43abc\x6cPartitionKey\x61a"
	name := "\x6aStreamName\x66events"
	for body, want := range map[string]string{
		"\xa2" + name + "\x67Records\x81" + entry:                                                        "",
		"\xbf" + name + "\x67Records\x9f\xbf\x64Data\x5f\x41a\x41b\xff\x6cPartitionKey\x61a\xff\xff\xff": "",
		"\xa2" + name + "\x67Records\x81" + entry + "\x00":                                               "SerializationException",
		"\xa2" + name + "\x67Records\x82" + entry:                                                        "SerializationException",
		"\xa2" + name + "\x67Records\x81\xa2\x64Data\x63abc\x6cPartitionKey\x61a":                        "SerializationException",
		"\xa2" + name + "\x67Records\x81\xa2\x64Data\x41a\x6cPartitionKey\x61\xff":                       "SerializationException",
		"\xa3" + name + name + "\x67Records\x81" + entry:                                                 "SerializationException",
		"\xa2" + name + "\x67records\x81" + entry:                                                        "ValidationException",
		"\xa2" + name + "\x67Records\x9b\x7f\xff\xff\xff\xff\xff\xff\xff" + entry:                        "SerializationException",
		`{"StreamName":"events","Records":[]}`:                                                           "SerializationException",
		"":                                                                                               "SerializationException",
	} {
		if _, out := say(t, p, "PutRecords", cborForm, []byte(body)); out.Type != want {
			t.Errorf("%q: %s, want %q", body, out.Type, want)
		}
	}
	if status, out := say(t, p, "DescribeStreamSummary", cborForm, []byte("\xa1"+name)); status != http.StatusBadRequest || !strings.Contains(out.Message, "CBOR_ENABLED=false") {
		t.Errorf("another operation: %d %+v", status, out)
	}
	if _, out := say(t, p, "Nothing", cborForm, []byte("\xa0")); out.Type != "UnknownOperationException" {
		t.Errorf("no operation: %+v", out)
	}
	strict := start(t, local.Config{AccessKey: "AKIA"})
	if _, out := say(t, strict, "PutRecords", cborForm, []byte("\xa0")); out.Type != "MissingAuthenticationTokenException" {
		t.Errorf("no signature: %+v", out)
	}
	c := client(t, p, "AKIA") // in JSON all is as before
	if _, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(streamName)}); err != nil {
		t.Error(err)
	}
}

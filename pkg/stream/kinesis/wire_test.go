package kinesis

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

var putRecords = smithy.NewOperationSchema(schemas.PutRecords, schemas.PutRecordsInput, schemas.PutRecordsOutput)

// drawText is a string with what JSON has trouble with.
func drawText(t *rapid.T, label string) string {
	part := rapid.OneOf(
		rapid.StringN(0, 20, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"user-17", "<>&", "\u2028\u2029", "\x00\x1f\x7f", "\\\"", "\n\r\t\b\f", "\xff", "\xed\xa0\x80", "\ufffd", "é", "🎲", "\xf0\x9f"}),
	)
	text := ""
	for _, p := range rapid.SliceOfN(part, 1, 4).Draw(t, label) {
		text += p
	}
	return text
}

func drawOptional(t *rapid.T, label string) *string {
	if rapid.Bool().Draw(t, label+" absent") {
		return nil
	}
	s := drawText(t, label)
	return &s
}

func drawRecords(t *rapid.T) []record.Record {
	recs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) record.Record {
		r := record.Record{PartitionKey: drawText(t, "key"), Data: rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "data")}
		if rapid.Bool().Draw(t, "explicit") {
			r.ExplicitHashKey = rapid.OneOf(rapid.StringMatching(`[1-9][0-9]{0,38}`), rapid.Just("a \"hash\"\x7f")).Draw(t, "hash")
		}
		return r
	}), 0, 8).Draw(t, "records")
	for i := range recs[min(1, len(recs)):] {
		if rapid.Bool().Draw(t, "same key") {
			recs[i+1].PartitionKey = recs[i].PartitionKey
		}
		if rapid.Bool().Draw(t, "same hash") {
			recs[i+1].ExplicitHashKey = recs[i].ExplicitHashKey
		}
	}
	return recs
}

// written is a request as it would be sent.
type written struct {
	Method, URL string
	Header      http.Header
	Length      int64
	Body        string
}

func write(ctx context.Context, t *rapid.T, p smithyhttp.ClientProtocol, in *sdk.PutRecordsInput) written {
	req := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	req.URL = &url.URL{Scheme: "http", Host: "127.0.0.1"}
	if err := p.SerializeRequest(ctx, putRecords, in, req); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.GetStream())
	if err != nil {
		t.Fatal(err)
	}
	return written{req.Method, req.URL.String(), req.Header, req.ContentLength, string(body)}
}

// What the SDK would send for the same records is sent, byte for byte.
func TestRequestIsTheStockOne(t *testing.T) {
	stock := sdk.New(sdk.Options{}).Options().Protocol
	rapid.Check(t, func(t *rapid.T) {
		recs := drawRecords(t)
		in := &sdk.PutRecordsInput{StreamName: drawOptional(t, "name"), StreamARN: drawOptional(t, "arn"), StreamId: drawOptional(t, "id"), Records: noRecords}
		if rapid.Bool().Draw(t, "dry run given") {
			dry := rapid.Bool().Draw(t, "dry run")
			in.DryRun = &dry
		}
		theirs := *in
		theirs.Records = make([]types.PutRecordsRequestEntry, len(recs))
		for i := range recs {
			e := &theirs.Records[i]
			if e.Data = recs[i].Data; e.Data == nil {
				e.Data = []byte{}
			}
			if recs[i].PartitionKey != "" {
				e.PartitionKey = &recs[i].PartitionKey
			}
			if recs[i].ExplicitHashKey != "" {
				e.ExplicitHashKey = &recs[i].ExplicitHashKey
			}
		}
		want := write(context.Background(), t, stock, &theirs)
		got := write(context.WithValue(context.Background(), callKey{}, &call{recs: recs}), t, protocol{ClientProtocol: stock}, in)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("request (-stock +ours):\n%s", diff)
		}
		if other := write(context.Background(), t, protocol{ClientProtocol: stock}, &theirs); !cmp.Equal(want, other) {
			t.Fatalf("a call that is not ours was changed: %q", other.Body)
		}
	})
}

// The buffer is made once, at its size.
func TestRequestSizeIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		recs := drawRecords(t)
		for i := range recs {
			recs[i].PartitionKey, recs[i].ExplicitHashKey = "user-1", "17"
		}
		name := rapid.StringMatching(`[a-z]{1,128}`).Draw(t, "name")
		n := len(appendRequest(nil, &sdk.PutRecordsInput{StreamName: &name}, recs))
		if size := requestSize(recs); size < n || size > n+512 {
			t.Fatalf("%d bytes foreseen for %d", size, n)
		}
	})
}

func TestBase64IsTheStandardOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := make([]byte, rapid.IntRange(0, 300).Draw(t, "size"))
		luck := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)) // every digit everywhere
		for i := range data {
			data[i] = byte(luck.Uint32())
		}
		before := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "before")
		got := appendBase64(bytes.Clone(before), data)
		if want := base64.StdEncoding.AppendEncode(bytes.Clone(before), data); !bytes.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		narrow := make([]byte, base64.StdEncoding.EncodedLen(len(data)))
		if encodePairs(narrow, data); !bytes.Equal(narrow, got[len(before):]) {
			t.Fatalf("without AVX2 got %q, want %q", narrow, got[len(before):])
		}
	})
}

func BenchmarkBase64(b *testing.B) {
	data := make([]byte, 400)
	to := make([]byte, 0, 600)
	for name, encode := range map[string]func(){
		"ours":  func() { appendBase64(to, data) },
		"pairs": func() { encodePairs(to[:536], data) },
		"std":   func() { base64.StdEncoding.AppendEncode(to, data) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				encode()
			}
		})
	}
}

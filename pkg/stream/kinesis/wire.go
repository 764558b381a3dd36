package kinesis

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// A Wire is how the records of a Put are written.
type Wire uint8

// The wires. An endpoint that does not know CBOR refuses the call.
const (
	JSON Wire = iota // as the SDK for Go does: data in base64
	CBOR             // as the SDK for Java does: a quarter fewer bytes
)

// protocol speaks PutRecords in place of the SDK's own, which costs more than
// all the rest of a call: the records of a call go straight into the body and
// the answer straight into outcomes. In JSON the bytes are the same. Everything
// else, and every answer that is an error, stays the SDK's.
type protocol struct {
	smithyhttp.ClientProtocol
	clock *stream.Clock // told of each answer
	wire  Wire
}

// call is one PutRecords call on its way through the SDK, which knows of it by
// the context alone: the records of its input are empty.
type call struct {
	recs []record.Record
	out  []record.Outcome // set by the answer
	sent time.Time        // set by the request
	body *buffer          // likewise, unless it was encoded before
	sum  string           // SHA-256 of body in hex; empty: the SDK computes it
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	k, _ := ctx.Value(callKey{}).(*call)
	return k
}

// SerializeRequest implements [smithyhttp.ClientProtocol].
func (p protocol) SerializeRequest(ctx context.Context, op *smithy.OperationSchema, in smithy.Serializable, req *smithyhttp.Request) error {
	k := callOf(ctx)
	put, ok := in.(*sdk.PutRecordsInput)
	if k == nil || !ok {
		return p.ClientProtocol.SerializeRequest(ctx, op, in, req)
	}
	// The stock protocol sets method, path and headers, as for an operation without input; the body is ours.
	bare := *op
	bare.Input = nil
	if err := p.ClientProtocol.SerializeRequest(ctx, &bare, in, req); err != nil {
		return err
	}
	if p.wire == CBOR {
		req.Header.Set("Content-Type", cborType)
	}
	if k.body == nil {
		k.body = p.wire.encode(put, k.recs)
	}
	sized, err := req.SetStream(bytes.NewReader(k.body.bytes))
	if err != nil {
		return fmt.Errorf("kinesis: request body: %w", err)
	}
	*req = *sized
	k.sent = time.Now()
	return nil
}

// encode returns the body of in with recs as its records.
func (w Wire) encode(in *sdk.PutRecordsInput, recs []record.Record) *buffer {
	if w == CBOR {
		b := newBuffer(cborRequestSize(recs))
		b.bytes = appendCBORRequest(b.bytes, in, recs)
		return b
	}
	b := newBuffer(requestSize(recs))
	b.bytes = appendRequest(b.bytes, in, recs)
	return b
}

// maxAnswer is more than the answer to 500 records can be: an id, a code and a
// message of a kilobyte for each would be half a megabyte.
const maxAnswer = 8 << 20

// DeserializeResponse implements [smithyhttp.ClientProtocol].
func (p protocol) DeserializeResponse(ctx context.Context, op *smithy.OperationSchema, types *smithy.TypeRegistry, resp *smithyhttp.Response, out smithy.Deserializable) error {
	k := callOf(ctx)
	if k != nil {
		p.clock.Answer(resp.Header.Get("Date"), k.sent, time.Now())
	}
	if k == nil || resp.StatusCode < 200 || resp.StatusCode > 299 {
		if isCBOR(resp.Header) {
			resp.Body = errorInJSON(resp.Body)
		}
		return p.ClientProtocol.DeserializeResponse(ctx, op, types, resp, out)
	}
	r := readers.Get().(*answerReader)
	defer readers.Put(r)
	err := r.read(resp.Body, resp.ContentLength)
	switch {
	case err != nil:
	case p.wire == CBOR && !isCBOR(resp.Header):
		err = fmt.Errorf("an answer in %q to a request in %s: %w", resp.Header.Get("Content-Type"), cborType, errBroken)
	default:
		k.out, err = r.outcomes(k.recs, p.wire)
	}
	if err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	return nil
}

// read fills r.text from body, whose length is n when it is known.
func (r *answerReader) read(body io.Reader, n int64) error {
	if n > maxAnswer {
		return fmt.Errorf("an answer of %d bytes: %w", n, errBroken)
	}
	r.text = r.text[:0]
	if want := int(max(n, 0)) + 512; cap(r.text) < want {
		r.text = make([]byte, 0, want)
	}
	for len(r.text) <= maxAnswer {
		if len(r.text) == cap(r.text) {
			r.text = append(r.text, 0)[:len(r.text)]
		}
		got, err := body.Read(r.text[len(r.text):cap(r.text)])
		r.text = r.text[:len(r.text)+got]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("an answer of over %d bytes: %w", maxAnswer, errBroken)
}

// requestSize is what appendRequest writes, or a little more if no string has escapes.
func requestSize(recs []record.Record) int {
	n := 512
	for i := range recs {
		r := &recs[i]
		n += len(`{"Data":"","ExplicitHashKey":"","PartitionKey":""},`) +
			base64.StdEncoding.EncodedLen(len(r.Data)) + len(r.PartitionKey) + len(r.ExplicitHashKey)
	}
	return n
}

// appendRequest appends what the stock protocol makes of in with recs as its records.
func appendRequest(b []byte, in *sdk.PutRecordsInput, recs []record.Record) []byte {
	b = append(b, '{')
	if in.DryRun != nil {
		b = append(strconv.AppendBool(append(b, `"DryRun":`...), *in.DryRun), ',')
	}
	b = append(b, `"Records":[`...)
	var keys []byte // of the record before
	for i := range recs {
		r := &recs[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"Data":"`...)
		b = append(appendBase64(b, r.Data), '"')
		if i > 0 && r.PartitionKey == recs[i-1].PartitionKey && r.ExplicitHashKey == recs[i-1].ExplicitHashKey {
			b = append(b, keys...)
		} else {
			n := len(b)
			b = appendKeys(b, r)
			keys = b[n:]
		}
		b = append(b, '}')
	}
	b = append(b, ']')
	b = appendMember(b, `,"StreamARN":`, in.StreamARN)
	b = appendMember(b, `,"StreamId":`, in.StreamId)
	b = appendMember(b, `,"StreamName":`, in.StreamName)
	return append(b, '}')
}

func appendMember(b []byte, name string, value *string) []byte {
	if value == nil {
		return b
	}
	return appendString(append(b, name...), *value)
}

// appendKeys appends what stands behind the data of r. An empty key is left out,
// which only a stream with record distribution AUTO accepts: no stream accepts a
// key of no characters.
func appendKeys(b []byte, r *record.Record) []byte {
	if r.ExplicitHashKey != "" {
		b = appendString(append(b, `,"ExplicitHashKey":`...), r.ExplicitHashKey)
	}
	if r.PartitionKey != "" {
		b = appendString(append(b, `,"PartitionKey":`...), r.PartitionKey)
	}
	return b
}

package kinesis

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"kreplay/pkg/record"
)

// cborType is the Content-Type of Kinesis' other wire, which no guide names: the
// AWS SDK for Java 2.x speaks it unless told not to (CBOR_ENABLED).
const cborType = "application/x-amz-cbor-1.1"

// isCBOR says whether a message with these headers is in CBOR.
func isCBOR(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == cborType
}

// Major types of CBOR, and what stands for an unknown length (RFC 8949, sections 3.1 and 3.2).
const (
	cborBytes = 2
	cborText  = 3
	cborList  = 4
	cborMap   = 5
	cborTag   = 6
	cborOther = 7

	cborOpenList, cborOpenMap, cborBreak = 0x9f, 0xbf, 0xff
)

// cborRequestSize is what appendCBORRequest writes, or a little more.
func cborRequestSize(recs []record.Record) int {
	n := 512
	for i := range recs {
		r := &recs[i]
		n += len("_dData.....lPartitionKey..oExplicitHashKey.._") + len(r.Data) + len(r.PartitionKey) + len(r.ExplicitHashKey)
	}
	return n
}

// appendCBORRequest appends in with recs as its records, byte for byte as the
// AWS SDK for Java 2.57.8 does: lists and maps without a length.
func appendCBORRequest(b []byte, in *sdk.PutRecordsInput, recs []record.Record) []byte {
	b = append(b, cborOpenMap)
	if in.DryRun != nil {
		value := byte(0xf4)
		if *in.DryRun {
			value = 0xf5
		}
		b = append(appendCBORString(b, "DryRun"), value)
	}
	b = append(appendCBORString(b, "Records"), cborOpenList)
	var keys []byte // of the record before
	for i := range recs {
		r := &recs[i]
		b = append(b, cborOpenMap, cborText<<5|4, 'D', 'a', 't', 'a')
		b = append(appendCBORHead(b, cborBytes, len(r.Data)), r.Data...)
		if i > 0 && r.PartitionKey == recs[i-1].PartitionKey && r.ExplicitHashKey == recs[i-1].ExplicitHashKey {
			b = append(b, keys...)
		} else {
			n := len(b)
			b = appendCBORKeys(b, r)
			keys = b[n:]
		}
		b = append(b, cborBreak)
	}
	b = append(b, cborBreak)
	for _, m := range []struct {
		name  string
		value *string
	}{{"StreamARN", in.StreamARN}, {"StreamId", in.StreamId}, {"StreamName", in.StreamName}} {
		if m.value != nil {
			b = appendCBORString(appendCBORString(b, m.name), *m.value)
		}
	}
	return append(b, cborBreak)
}

// appendCBORKeys leaves an empty key out, as appendKeys does.
func appendCBORKeys(b []byte, r *record.Record) []byte {
	if r.ExplicitHashKey != "" {
		b = appendCBORString(appendCBORString(b, "ExplicitHashKey"), r.ExplicitHashKey)
	}
	if r.PartitionKey != "" {
		b = appendCBORString(appendCBORString(b, "PartitionKey"), r.PartitionKey)
	}
	return b
}

// appendCBORString appends s as text. A byte that is no UTF-8 becomes U+FFFD, as
// in JSON: the key would be another one else.
func appendCBORString(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return append(appendCBORHead(b, cborText, len(s)), s...)
}

// appendCBORHead appends the shortest head of an item.
func appendCBORHead(b []byte, major byte, n int) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n)) //nolint:gosec // a request has 10 MiB
}

// maxError is more than the service has to say about a request that it refuses.
const maxError = 64 << 10

// errorInJSON is body, that of an error in CBOR, as the SDK's own protocol reads
// it. What is no such error stays as it is: it may be JSON all the same.
func errorInJSON(body io.ReadCloser) io.ReadCloser {
	type readCloser struct {
		io.Reader
		io.Closer
	}
	text, err := io.ReadAll(io.LimitReader(body, maxError))
	asItIs := readCloser{io.MultiReader(bytes.NewReader(text), body), body}
	if err != nil {
		return asItIs // the SDK will meet the error too
	}
	c := cborReader{rest: text}
	n, open := c.open(cborMap)
	said := map[string]string{}
	for c.more(&n, open) {
		switch name := string(c.text()); name {
		case "__type", "code", "message", "Message":
			said[name] = string(c.text())
		default:
			c.skip(0)
		}
	}
	if c.bad || len(c.rest) > 0 {
		return asItIs
	}
	inJSON, err := json.Marshal(said)
	if err != nil {
		return asItIs // texts always marshal
	}
	return readCloser{bytes.NewReader(inJSON), body}
}

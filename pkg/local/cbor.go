package local

import (
	"encoding/binary"
	"mime"
	"net/http"

	"github.com/fxamacker/cbor/v2"
)

// PutRecords, and no other operation, is also spoken in CBOR, which the AWS SDK
// for Java takes unless it is told not to.
const (
	jsonType = "application/x-amz-json-1.1"
	cborType = "application/x-amz-cbor-1.1"
)

// inCBOR says whether the body of a request is, and its answer has to be, in CBOR.
func inCBOR(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == cborType
}

// fromCBOR is strict: names are exact, none comes twice, and text is UTF-8.
var fromCBOR = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, FieldNameMatching: cbor.FieldNameMatchingCaseSensitive, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 16, MaxArrayElements: 100 * MaxRecords,
	}.DecMode()
	if err != nil {
		panic(err) // options that never change
	}
	return mode
}()

// cborPut is the request in CBOR. What is nil is absent or null.
type cborPut struct {
	StreamName, StreamARN string
	Records               []struct {
		Data                          []byte
		PartitionKey, ExplicitHashKey *string
	}
}

// parseCBOR fills r from body, reusing r.records.
func (r *putRecords) parseCBOR(body []byte) error {
	*r = putRecords{records: r.records[:0], raw: true}
	var in cborPut
	if fromCBOR.Unmarshal(body, &in) != nil {
		return errSyntax
	}
	r.name, r.arn = in.StreamName, in.StreamARN
	for _, e := range in.Records {
		r.records = append(r.records, entry{data: e.Data, key: optional(e.PartitionKey), hash: optional(e.ExplicitHashKey)})
	}
	return nil
}

// A map or a list without a length ends with a break: what comes is not counted before.
const openMap, openList, brk = "\xbf", "\x9f", "\xff"

// answerCBOR is answer in CBOR.
func (sc *scratch) answerCBOR(s *stream) {
	b := appendText(appendText(append(sc.resp[:0], openMap...), "EncryptionType"), "NONE")
	b = append(appendText(b, "FailedRecordCount"), 0x19) // a number of two bytes
	b = binary.BigEndian.AppendUint16(b, uint16(sc.failed()))
	b = append(appendText(b, "Records"), openList...)
	for _, o := range sc.out {
		b = append(b, openMap...)
		switch {
		case o.failed:
			b = appendText(appendText(b, "ErrorCode"), "InternalFailure")
			b = appendText(appendText(b, "ErrorMessage"), "Internal Service Failure")
		case o.seq == 0:
			b = appendText(appendText(b, "ErrorCode"), "ProvisionedThroughputExceededException")
			b = appendText(appendText(b, "ErrorMessage"), rateExceeded(s.name, o.shard))
		default:
			var digits [64]byte
			b = appendText(appendText(b, "SequenceNumber"), string(appendSeq(digits[:0], o.seq)))
			b = appendText(appendText(b, "ShardId"), o.shard)
		}
		b = append(b, brk...)
	}
	sc.resp = append(append(b, brk...), brk...)
}

// appendText appends a text of less than 64 KiB.
func appendText(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 24:
		b = append(b, 0x60|byte(n))
	case n < 1<<8:
		b = append(b, 0x78, byte(n))
	default:
		b = binary.BigEndian.AppendUint16(append(b, 0x79), uint16(n)) //nolint:gosec // the longest is a message
	}
	return append(b, s...)
}

// cborBody is the refusal as the client of a request in CBOR sees it.
func (no *refusal) cborBody() []byte {
	b := appendText(appendText([]byte(openMap), "__type"), no.code)
	if no.message != "" {
		b = appendText(appendText(b, "message"), no.message)
	}
	return append(b, brk...)
}

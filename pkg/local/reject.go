package local

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// rejects is an object of error records.
type rejects struct {
	key    string
	stored []byte
}

// RejectedCode is the error code of error records, as Firehose has it where a
// transform fails (basic-deliver, data-transformation).
const RejectedCode = "Lambda.FunctionError"

// UnconvertedCode is the error code of records that cannot be converted to the
// format of the lake.
const UnconvertedCode = "DataFormatConversion.ParseError"

// UnkeyedCode is the error code of records in which a key of the prefix has no
// value (its name is from memory).
const UnkeyedCode = "DynamicPartitioning.MetadataExtractionFailed"

// Types of errors are what !{firehose:error-output-type} becomes (s3-prefixes).
const (
	processingFailed = "processing-failed"
	conversionFailed = "format-conversion-failed"
)

// appendError appends the error record of r, a line of JSON as Firehose writes
// it for a transform that failed (data-transformation).
func appendError(dst []byte, r rec) []byte {
	return appendFailure(dst, r, RejectedCode, "planted: the function gave this record up")
}

func appendFailure(dst []byte, r rec, code, message string) []byte {
	text, _ := json.Marshal(message) // of a text, never fails
	dst = fmt.Appendf(dst, `{"attemptsMade":4,"arrivalTimestamp":%d,"errorCode":"%s","errorMessage":%s,`+
		`"attemptEndingTimestamp":%d,"rawData":"`, r.at, code, text, r.at)
	dst = appendBase64(dst, r.data())
	return append(dst, "\",\"lambdaArn\":\"arn:aws:lambda:us-east-1:000000000000:function:local:$LATEST\"}\n"...)
}

// errorKey names an object of error records, by the arrival of the oldest record of the buffer, in the zone of prefixes.
func (c Config) errorKey(errorType, stream string, oldest int64) string {
	at := time.UnixMilli(oldest).In(c.TimeZone)
	return keyOf(errorPrefix(c.ErrorPrefix, errorType, at), stream, at)
}

func appendBase64(dst, data []byte) []byte { return base64.StdEncoding.AppendEncode(dst, data) }

func errorPrefix(prefix, errorType string, t time.Time) string {
	return expandPrefix(strings.ReplaceAll(prefix, "!{firehose:error-output-type}", errorType), t)
}

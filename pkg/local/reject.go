package local

import (
	"encoding/base64"
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

// errorType is what !{firehose:error-output-type} becomes for those.
const errorType = "processing-failed"

// appendError appends the error record of r, a line of JSON as Firehose writes
// it for a transform that failed (data-transformation).
func appendError(dst []byte, r rec) []byte {
	dst = fmt.Appendf(dst, `{"attemptsMade":4,"arrivalTimestamp":%d,"errorCode":"%s","errorMessage":"planted: the function gave this record up",`+
		`"attemptEndingTimestamp":%d,"rawData":"`, r.at, RejectedCode, r.at)
	dst = base64.StdEncoding.AppendEncode(dst, r.data())
	return append(dst, "\",\"lambdaArn\":\"arn:aws:lambda:us-east-1:000000000000:function:local:$LATEST\"}\n"...)
}

// errorKey names an object of error records, by the arrival of the oldest record of the buffer, in UTC.
func (c Config) errorKey(stream string, oldest int64) string {
	at := time.UnixMilli(oldest).UTC()
	return keyOf(errorPrefix(c.ErrorPrefix, at), stream, at)
}

func errorPrefix(prefix string, t time.Time) string {
	return expandPrefix(strings.ReplaceAll(prefix, "!{firehose:error-output-type}", errorType), t)
}

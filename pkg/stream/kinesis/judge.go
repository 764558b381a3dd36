package kinesis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// throttles are refusals, of a whole call or of an entry, that a later one need not meet.
var throttles = map[string]bool{
	"ProvisionedThroughputExceededException": true, "LimitExceededException": true, "KMSThrottlingException": true,
	"ThrottlingException": true, "Throttling": true, "RequestLimitExceeded": true,
}

// Codes of outcomes where a call failed as a whole and may be made again.
const (
	codeThrottled = "throttled"
	codeExpired   = "expired-credentials"
	codeTooLarge  = "too-large"
)

// failed judges a call that brought no outcomes. age is that of its credentials.
func (c *Client) failed(recs []record.Record, err error, sent bool, age int64) ([]record.Outcome, error) {
	fate, code, fatal := judge(err, sent)
	switch {
	case expired(err):
		fate, code, fatal = record.Refused, codeExpired, !c.keys.expired(age)
	case tooLarge(err) && len(recs) > 1:
		fate, code, fatal = record.Refused, codeTooLarge, false
		err = fmt.Errorf("%w: %w", stream.ErrTooLarge, err)
	}
	out := make([]record.Outcome, len(recs))
	for i := range recs {
		out[i] = record.Outcome{ID: recs[i].ID, Fate: fate, Code: code, Err: err}
	}
	if fatal {
		return out, c.explainPut(err)
	}
	return out, nil
}

// judge says what an error of a call means for its records. Only an answer that
// says so, or a connection that was never had, is a sure refusal.
func judge(err error, sent bool) (fate record.Fate, code string, fatal bool) {
	var api smithy.APIError
	var send *smithyhttp.RequestSendError
	var network net.Error
	status := statusOf(err)
	switch {
	case errors.As(err, &api) && throttles[api.ErrorCode()], status == http.StatusTooManyRequests:
		return record.Refused, codeThrottled, false
	case status == http.StatusRequestTimeout: // whoever waited, somebody else may have stored them
		return record.Unknown, "http-408", false
	case status >= 400 && status < 500:
		return record.Refused, fmt.Sprintf("http-%d", status), true
	case !sent && errors.As(err, &send):
		return record.Refused, "unreachable", false
	case !sent:
		return record.Refused, "not-sent", false // no credentials yet, or cancelled before
	case status >= 500:
		return record.Unknown, fmt.Sprintf("http-%d", status), false
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return record.Unknown, "timeout", false
	case errors.Is(err, context.Canceled):
		return record.Unknown, "canceled", false
	case status >= 200 && status < 300, errors.Is(err, errBroken):
		return record.Unknown, "broken-answer", false
	}
	return record.Unknown, "reset", false
}

// statusOf is the HTTP status of the answer behind err; 0: there was none.
func statusOf(err error) int {
	if answer, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return answer.HTTPStatusCode()
	}
	return 0
}

// expired says that newer credentials would be taken.
func expired(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) || statusOf(err) == 0 { // without an answer it is the provider's own trouble
		return false
	}
	switch api.ErrorCode() {
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		return true
	}
	return false
}

// tooLarge says that fewer records in a request would be taken. One record that
// is too large by itself is not meant: that one stays too large.
func tooLarge(err error) bool {
	status := statusOf(err)
	if status == http.StatusRequestEntityTooLarge {
		return true
	}
	var api smithy.APIError
	if status != http.StatusBadRequest || !errors.As(err, &api) {
		return false
	}
	switch text := api.ErrorMessage(); api.ErrorCode() {
	case "RequestEntityTooLargeException", "RequestEntityTooLarge":
		return true
	case "InvalidArgumentException": // "Records size exceeds 10 MB limit"
		return strings.HasPrefix(text, "Records size exceeds")
	case "ValidationException": // "… at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"
		return strings.Contains(text, "at 'records' failed") && strings.Contains(text, "less than or equal to")
	}
	return false
}

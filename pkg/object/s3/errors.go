package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kreplay/pkg/object"
)

// Errors that a later call does not mend.
var (
	ErrNoBucket    = errors.New("bucket does not exist")
	ErrCredentials = errors.New("credentials are refused")
	ErrDenied      = errors.New("access is denied")
	ErrRegion      = errors.New("bucket is in another region")
	ErrUnreachable = errors.New("no server answers")
)

// place names where a store is, for errors.
type place struct{ bucket, region, endpoint string }

func (p place) where() string {
	if p.endpoint == "" {
		return p.region
	}
	if u, err := url.Parse(p.endpoint); err == nil {
		return u.Redacted()
	}
	return "the endpoint"
}

func (p place) name(key string) string { return Scheme + p.bucket + "/" + key }

// refusals are codes that say who we are is not accepted (S3 API, "error responses").
var refusals = map[string]bool{
	"InvalidAccessKeyId": true, "SignatureDoesNotMatch": true, "ExpiredToken": true, "InvalidToken": true,
	"TokenRefreshRequired": true, "RequestTimeTooSkewed": true, "UnrecognizedClientException": true,
}

// explain turns an error of a call into one sentence with the next step. What
// ended by the caller's context says why that ended.
func (s *Store) explain(ctx context.Context, verb, key string, err error) error {
	what := s.place.name(s.prefix + key)
	var answer *awshttp.ResponseError
	var api smithy.APIError
	status, code := 0, ""
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("s3: %s %s: %w", verb, what, context.Cause(ctx))
	case errors.Is(err, ErrCredentials):
		return fmt.Errorf("s3: %s %s: no credentials; check --profile or AWS_ACCESS_KEY_ID: %w", verb, what, cause(err))
	case code == "NoSuchBucket":
		return fmt.Errorf("s3: %s %s: bucket %q does not exist at %s; check its name and --endpoint-url: %w", verb, what, s.place.bucket, s.place.where(), ErrNoBucket)
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("s3: %s %s: it was %w; try again", verb, what, object.ErrReplaced)
	case code == "NoSuchKey", status == http.StatusNotFound && code != "NoSuchUpload":
		return fmt.Errorf("s3: %s: %w", what, object.ErrNotExist)
	case refusals[code]:
		return fmt.Errorf("s3: %s %s: %s refuses the credentials (%s); check --profile or AWS_ACCESS_KEY_ID, and the clock: %w", verb, what, s.place.where(), code, ErrCredentials)
	case code == "PermanentRedirect", code == "AuthorizationHeaderMalformed", code == "IllegalLocationConstraintException", status == http.StatusMovedPermanently:
		return fmt.Errorf("s3: %s %s: bucket %q is not in %s%s; pass its --region: %w", verb, what, s.place.bucket, s.place.where(), homeOf(answer), ErrRegion)
	case status == http.StatusForbidden:
		return fmt.Errorf("s3: %s %s: access is not allowed (%s); the role needs s3:ListBucket on the bucket, and s3:GetObject or s3:PutObject on its keys: %w", verb, what, orStatus(code, status), ErrDenied)
	case code != "":
		return fmt.Errorf("s3: %s %s: %s: %s", verb, what, code, strings.Join(strings.Fields(api.ErrorMessage()), " "))
	}
	return s.unanswered(verb, what, err, status)
}

// unanswered is explain for what brought no answer of S3.
func (s *Store) unanswered(verb, what string, err error, status int) error {
	send, unsent := errors.AsType[*smithyhttp.RequestSendError](err)
	network, broken := errors.AsType[*net.OpError](err)
	switch {
	case unsent && broken:
		return fmt.Errorf("s3: %s %s: %w at %s (%w); check --endpoint-url and the network", verb, what, ErrUnreachable, s.place.where(), network.Err)
	case unsent:
		why := send.Err
		if at, ok := errors.AsType[*url.Error](why); ok {
			why = at.Err
		}
		return fmt.Errorf("s3: %s %s: %w at %s (%w); check --endpoint-url and the network", verb, what, ErrUnreachable, s.place.where(), why)
	case broken || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("s3: %s %s: the connection broke; try again: %w", verb, what, cause(err))
	case status != 0 && status != http.StatusOK:
		return fmt.Errorf("s3: %s %s: HTTP %d without a readable answer; is a proxy in between %s?", verb, what, status, s.place.where())
	}
	return fmt.Errorf("s3: %s %s: %w", verb, what, cause(err))
}

// homeOf says where a bucket is, when the answer tells.
func homeOf(answer *awshttp.ResponseError) string {
	if answer == nil || answer.Response == nil {
		return ""
	}
	if region := answer.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		return " but in " + region
	}
	return ""
}

func orStatus(code string, status int) string {
	if code == "" {
		return fmt.Sprintf("HTTP %d", status)
	}
	return code
}

// cause is err without the operation's name.
func cause(err error) error {
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		return op.Err
	}
	return err
}

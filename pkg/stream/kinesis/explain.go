package kinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// explainPut is explain for a call that spoke the client's wire.
func (c *Client) explainPut(err error) error {
	if why := notCBOR(err); c.wire == CBOR && why != "" {
		return fmt.Errorf("stream %q at %s: the endpoint does not seem to know CBOR (%s); pass --wire json, or set stream.wire: json: %w",
			c.stream, cmp.Or(c.endpoint, c.region), why, ErrInvalid)
	}
	return c.explain(err)
}

// notCBOR says how an endpoint refused what it could not read; else it is empty.
func notCBOR(err error) string {
	if statusOf(err) == http.StatusUnsupportedMediaType {
		return "HTTP 415"
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	switch code := api.ErrorCode(); code {
	case "SerializationException", "UnknownOperationException", "UnsupportedMediaTypeException":
		return code
	}
	return ""
}

// explain turns an error into one sentence with the next step.
func (c *Client) explain(err error) error {
	var api smithy.APIError
	var answer *awshttp.ResponseError
	var send *smithyhttp.RequestSendError
	where := cmp.Or(c.endpoint, c.region)
	if errors.Is(err, ErrCredentials) {
		return fmt.Errorf("stream %q at %s: no credentials; check --profile or AWS_ACCESS_KEY_ID: %w", c.stream, where, cause(err))
	}
	if errors.As(err, &api) {
		switch code := api.ErrorCode(); code {
		case "ResourceNotFoundException":
			return fmt.Errorf("stream %q does not exist at %s; create it, or pass --create-stream: %w", c.stream, where, ErrNoStream)
		case "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "ExpiredToken", "RequestExpired", "InvalidClientTokenId", "MissingAuthenticationTokenException", "IncompleteSignatureException":
			return fmt.Errorf("%s refuses the credentials (%s); check --profile or AWS_ACCESS_KEY_ID: %w", where, code, ErrCredentials)
		case "AccessDeniedException":
			return fmt.Errorf("stream %q at %s: access is not allowed (%s); the role needs kinesis:PutRecords, DescribeStreamSummary, ListShards and ListTagsForStream: %w", c.stream, where, code, ErrDenied)
		case "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired":
			return fmt.Errorf("stream %q at %s: its encryption key cannot be used (%s: %s); the role needs kms:GenerateDataKey on an enabled key: %w",
				c.stream, where, code, sentence(api), ErrDenied)
		default:
			return fmt.Errorf("stream %q at %s: %s: %s: %w", c.stream, where, code, sentence(api), ErrInvalid)
		}
	}
	if errors.As(err, &send) {
		why := send.Err
		if at, ok := errors.AsType[*url.Error](why); ok {
			why = at.Err
		}
		if network, ok := errors.AsType[*net.OpError](why); ok {
			why = network.Err
		}
		return fmt.Errorf("%w at %s (%w); check --endpoint-url and the network", ErrUnreachable, where, why)
	}
	if errors.As(err, &answer) && answer.HTTPStatusCode() != 0 {
		return fmt.Errorf("stream %q at %s: HTTP %d without a readable answer; is a proxy in between?: %w", c.stream, where, answer.HTTPStatusCode(), ErrInvalid)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w at %s in time; check --endpoint-url and the network", ErrUnreachable, where)
	}
	return fmt.Errorf("stream %q at %s: %w", c.stream, where, cause(err))
}

// sentence is the service's message on one line.
func sentence(err smithy.APIError) string {
	return strings.Join(strings.Fields(err.ErrorMessage()), " ")
}

// cause is err without the operation's name.
func cause(err error) error {
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		return op.Err
	}
	return err
}

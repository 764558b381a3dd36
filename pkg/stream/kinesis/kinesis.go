// Package kinesis is the stream seam's adapter to Amazon Kinesis Data Streams.
package kinesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kreplay/pkg/record"
)

// Errors that no resend can mend.
var (
	ErrNoStream    = errors.New("stream does not exist")
	ErrCredentials = errors.New("credentials are refused")
	ErrDenied      = errors.New("access is denied")
	ErrUnreachable = errors.New("no server answers")
	ErrInvalid     = errors.New("request is refused")
)

// errBroken is an answer that does not fit its request.
var errBroken = errors.New("answer is broken")

// Options shape a Client. The zero value is usable.
type Options struct {
	Requests int           // requests in flight: as many connections are kept; 0: 32
	Timeout  time.Duration // of one call, after which its fate is unknown; 0: 30 s
}

// A Client puts records into one stream, one attempt a call. It is safe for
// concurrent use.
type Client struct {
	api      *sdk.Client
	http     *http.Client
	stream   string
	endpoint string
	region   string
	timeout  time.Duration
}

// New returns a Client. The SDK's own retries are off: every attempt is ours to account for.
func New(cfg aws.Config, stream string, o Options) *Client {
	if o.Requests == 0 {
		o.Requests = 32
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	base, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		base = awshttp.NewBuildableClient()
	}
	pool := base.GetTransport() // a copy; the SDK would hide the one in use from Close
	pool.MaxIdleConnsPerHost, pool.MaxIdleConns = o.Requests, o.Requests
	c := &Client{stream: stream, region: cfg.Region, endpoint: aws.ToString(cfg.BaseEndpoint), timeout: o.Timeout}
	c.http = &http.Client{Transport: pool, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if cfg.Credentials != nil {
		cfg.Credentials = provider{cfg.Credentials}
	}
	c.api = sdk.NewFromConfig(cfg, func(so *sdk.Options) {
		so.HTTPClient = keepBody{c.http}
		so.Retryer = aws.NopRetryer{}
	})
	return c
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// provider makes its failures ErrCredentials: they look like Kinesis's otherwise.
type provider struct{ aws.CredentialsProvider }

func (p provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := p.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	return found, err
}

// IsCredentialsProvider lets the SDK see what p wraps: anonymous requests stay unsigned.
func (p provider) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(p.CredentialsProvider, target)
}

// keepBody hides the request body's Close from the SDK, which closes it as soon
// as response headers arrive; net/http may still be reading it then, and the call
// fails after the records were stored (smithy-go transport/http/client.go; aws-sdk-go-v2 #2737).
type keepBody struct{ *http.Client }

func (k keepBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = io.NopCloser(r.Body)
	}
	return k.Client.Do(r)
}

// Put sends recs in one PutRecords call.
func (c *Client) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	if len(recs) == 0 {
		return nil, nil
	}
	in := &sdk.PutRecordsInput{StreamName: &c.stream, Records: make([]types.PutRecordsRequestEntry, len(recs))}
	for i := range recs {
		in.Records[i] = types.PutRecordsRequestEntry{Data: recs[i].Data, PartitionKey: &recs[i].PartitionKey}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent atomic.Bool // or about to be
	res, err := c.api.PutRecords(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	}), in)
	if err == nil && len(res.Records) != len(recs) {
		err = fmt.Errorf("kinesis: %d outcomes for %d records: %w", len(res.Records), len(recs), errBroken)
	}
	if err != nil {
		return c.failed(recs, err, sent.Load())
	}
	out := make([]record.Outcome, len(recs))
	for i, e := range res.Records {
		out[i] = outcome(recs[i].ID, e)
	}
	return out, nil
}

// outcome judges one entry. An entry that is neither stored nor throttled may
// have been stored.
func outcome(id record.ID, e types.PutRecordsResultEntry) record.Outcome {
	code := aws.ToString(e.ErrorCode)
	switch {
	case code == "" && aws.ToString(e.SequenceNumber) != "":
		return record.Outcome{ID: id, Fate: record.Acked, Shard: aws.ToString(e.ShardId), Sequence: *e.SequenceNumber}
	case code == "":
		code = "broken-answer"
	}
	o := record.Outcome{ID: id, Fate: record.Unknown, Code: code, Err: errors.New(aws.ToString(e.ErrorMessage))}
	if code == "ProvisionedThroughputExceededException" {
		o.Fate = record.Refused
	}
	return o
}

// failed judges a call that brought no outcomes.
func (c *Client) failed(recs []record.Record, err error, sent bool) ([]record.Outcome, error) {
	fate, code, fatal := judge(err, sent)
	out := make([]record.Outcome, len(recs))
	for i := range recs {
		out[i] = record.Outcome{ID: recs[i].ID, Fate: fate, Code: code, Err: err}
	}
	if fatal {
		return out, c.explain(err)
	}
	return out, nil
}

// throttles are refusals of a whole call that a later one need not meet.
var throttles = map[string]bool{
	"ProvisionedThroughputExceededException": true, "LimitExceededException": true, "KMSThrottlingException": true,
	"ThrottlingException": true, "Throttling": true, "RequestLimitExceeded": true,
}

// judge says what an error of a call means for its records. Only an answer that
// says so, or a connection that was never had, is a sure refusal.
func judge(err error, sent bool) (fate record.Fate, code string, fatal bool) {
	var answer *awshttp.ResponseError
	var api smithy.APIError
	var send *smithyhttp.RequestSendError
	var network net.Error
	status := 0
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	switch {
	case errors.As(err, &api) && throttles[api.ErrorCode()], status == http.StatusTooManyRequests:
		return record.Refused, "throttled", false
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
	case status == http.StatusOK, errors.Is(err, errBroken):
		return record.Unknown, "broken-answer", false
	}
	return record.Unknown, "reset", false
}

// explain turns an error into one sentence with the next step.
func (c *Client) explain(err error) error {
	var api smithy.APIError
	var answer *awshttp.ResponseError
	var send *smithyhttp.RequestSendError
	where := c.region
	if c.endpoint != "" {
		where = c.endpoint
	}
	if errors.Is(err, ErrCredentials) {
		return fmt.Errorf("stream %q at %s: no credentials; check --profile or AWS_ACCESS_KEY_ID: %w", c.stream, where, cause(err))
	}
	if errors.As(err, &api) {
		switch code := api.ErrorCode(); code {
		case "ResourceNotFoundException":
			return fmt.Errorf("stream %q does not exist at %s; create it, or pass --create-stream: %w", c.stream, where, ErrNoStream)
		case "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "InvalidClientTokenId", "MissingAuthenticationTokenException", "IncompleteSignatureException":
			return fmt.Errorf("%s refuses the credentials (%s); check --profile or AWS_ACCESS_KEY_ID: %w", where, code, ErrCredentials)
		case "AccessDeniedException":
			return fmt.Errorf("stream %q at %s: access is not allowed (%s); the role needs kinesis:PutRecords, DescribeStreamSummary and ListTagsForStream: %w", c.stream, where, code, ErrDenied)
		default:
			return fmt.Errorf("stream %q at %s: %s: %s: %w", c.stream, where, code, strings.Join(strings.Fields(api.ErrorMessage()), " "), ErrInvalid)
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
		return fmt.Errorf("no server answers at %s (%w); check --endpoint-url and the network: %w", where, why, ErrUnreachable)
	}
	if errors.As(err, &answer) && answer.HTTPStatusCode() != 0 {
		return fmt.Errorf("stream %q at %s: HTTP %d without a readable answer; is a proxy in between?: %w", c.stream, where, answer.HTTPStatusCode(), ErrInvalid)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no server answers at %s in time; check --endpoint-url and the network: %w", where, ErrUnreachable)
	}
	return fmt.Errorf("stream %q at %s: %w", c.stream, where, cause(err))
}

// cause is err without the operation's name.
func cause(err error) error {
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		return op.Err
	}
	return err
}

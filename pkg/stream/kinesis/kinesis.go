// Package kinesis is the stream seam's adapter to Amazon Kinesis Data Streams.
package kinesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

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

// Options shape a Client. The zero value is usable.
type Options struct {
	Requests int           // requests in flight: as many connections are kept; 0: 32
	Timeout  time.Duration // of one call, after which its fate is unknown; 0: 30 s
}

// A Client puts records into one stream, one attempt a call. It is safe for
// concurrent use.
type Client struct {
	api      *sdk.Client
	http     *awshttp.BuildableClient
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
	base = base.WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost, t.MaxIdleConns = o.Requests, o.Requests })
	c := &Client{http: base, stream: stream, region: cfg.Region, endpoint: aws.ToString(cfg.BaseEndpoint), timeout: o.Timeout}
	c.api = sdk.NewFromConfig(cfg, func(so *sdk.Options) {
		so.HTTPClient = keepBody{base}
		so.Retryer = aws.NopRetryer{}
	})
	return c
}

// Close drops idle connections.
func (c *Client) Close() { c.http.GetTransport().CloseIdleConnections() }

// keepBody hides the request body's Close from the SDK, which closes it as soon
// as response headers arrive; net/http may still be reading it then, and the call
// fails after the records were stored (smithy-go transport/http/client.go; aws-sdk-go-v2 #2737).
type keepBody struct{ *awshttp.BuildableClient }

func (k keepBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = io.NopCloser(r.Body)
	}
	return k.BuildableClient.Do(r)
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
	res, err := c.api.PutRecords(ctx, in)
	if err == nil && len(res.Records) != len(recs) {
		err = fmt.Errorf("kinesis: %d outcomes for %d records", len(res.Records), len(recs))
	}
	if err != nil {
		return c.failed(recs, err)
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
func (c *Client) failed(recs []record.Record, err error) ([]record.Outcome, error) {
	fate, code, fatal := judge(err)
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
// says so, or a connection that was never made, is a sure refusal.
func judge(err error) (fate record.Fate, code string, fatal bool) {
	var answer *awshttp.ResponseError
	var api smithy.APIError
	var dial *net.OpError
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
	case status >= 500:
		return record.Unknown, fmt.Sprintf("http-%d", status), false
	case errors.As(err, &dial) && dial.Op == "dial":
		return record.Refused, "unreachable", false
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return record.Unknown, "timeout", false
	case status == http.StatusOK:
		return record.Unknown, "broken-answer", false
	}
	return record.Unknown, "reset", false
}

// explain turns an error into one sentence with the next step.
func (c *Client) explain(err error) error {
	var api smithy.APIError
	var network *net.OpError
	where := c.region
	if c.endpoint != "" {
		where = c.endpoint
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
			return fmt.Errorf("stream %q at %s: %s: %s: %w", c.stream, where, code, api.ErrorMessage(), ErrInvalid)
		}
	}
	if errors.As(err, &network) {
		return fmt.Errorf("no server answers at %s (%v); check --endpoint-url and the network: %w", where, network.Err, ErrUnreachable)
	}
	var signing *smithy.OperationError
	if errors.As(err, &signing) {
		return fmt.Errorf("stream %q at %s: %w", c.stream, where, signing.Err)
	}
	return fmt.Errorf("stream %q at %s: %w", c.stream, where, err)
}

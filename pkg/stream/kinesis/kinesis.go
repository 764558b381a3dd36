// Package kinesis is the stream seam's adapter to Amazon Kinesis Data Streams.
package kinesis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/time/rate"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
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
	Wire     Wire          // of Put and DryRun; all else is in JSON
}

// controlPerSecond is how often the stream is asked about itself, at most. An
// account has 20 DescribeStreamSummary a second for all who ask
// (aws-sdk-go-v2 kinesis, api_op_DescribeStreamSummary.go), and a reshard makes
// every worker ask at once.
const controlPerSecond = 5

// A Client puts records into one stream, one attempt a call. Its Put keeps the
// contract of stream.Sink. It is safe for concurrent use.
type Client struct {
	*service
	stream string
}

// service is what the clients of one account and region have in common.
type service struct {
	control  *rate.Limiter // of calls about streams
	api      *sdk.Client
	http     *http.Client
	keys     keys
	endpoint string
	region   string
	timeout  time.Duration
	clock    stream.Clock
	wire     Wire
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
	c := &service{control: rate.NewLimiter(controlPerSecond, controlPerSecond), region: cfg.Region, endpoint: aws.ToString(cfg.BaseEndpoint), timeout: o.Timeout, wire: o.Wire}
	c.http = &http.Client{ // on a copy of the transport: the SDK would hide the one in use from Close
		Transport:     transport(base.GetTransport(), o.Requests),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if cfg.Credentials != nil {
		c.keys.CredentialsProvider = cfg.Credentials
		cfg.Credentials = &c.keys
	}
	c.api = sdk.NewFromConfig(cfg, func(so *sdk.Options) {
		so.HTTPClient = doer{c.http}
		so.Retryer = aws.NopRetryer{}
		so.Protocol = protocol{so.Protocol, &c.clock, o.Wire}
		so.APIOptions = append(so.APIOptions, signSum)
	})
	return &Client{c, stream}
}

// Of returns a Client for another stream, with the same connections, credentials
// and limit of calls about streams. Closing one is closing both.
func (c *Client) Of(stream string) *Client { return &Client{c.service, stream} }

// Offset is how far the service's clock is ahead of this machine's, read off the
// answers to Put so far.
func (c *Client) Offset() stream.Offset { return c.clock.Offset() }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// noRecords is what the SDK sees of the records of a call.
var noRecords = []types.PutRecordsRequestEntry{}

func (c *Client) input() *sdk.PutRecordsInput {
	return &sdk.PutRecordsInput{StreamName: &c.stream, Records: noRecords}
}

// Put sends recs in one PutRecords call. A record without data is one of no bytes.
func (c *Client) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	return c.put(ctx, &call{recs: recs})
}

func (c *Client) put(ctx context.Context, k *call) ([]record.Outcome, error) {
	recs := k.recs
	if len(recs) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent atomic.Bool // or about to be
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, callKey{}, k), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	age := c.keys.age()
	_, err := c.api.PutRecords(ctx, c.input())
	if k.body != nil {
		k.body.release()
	}
	if err == nil && len(k.out) != len(recs) {
		err = errBroken // a success that is no answer
	}
	if err != nil {
		return c.failed(recs, err, sent.Load(), age)
	}
	c.keys.accepted()
	return k.out, nil
}

// DryRun asks whether Put would be taken: parameters, the stream, permissions. The
// service stores nothing, and says so with an error of its own; an answer without
// it is one of a server that does not know dry runs, and may have stored recs.
func (c *Client) DryRun(ctx context.Context, recs []record.Record) error {
	if len(recs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	k := &call{recs: recs}
	in := c.input()
	in.DryRun = aws.Bool(true)
	_, err := c.api.PutRecords(context.WithValue(ctx, callKey{}, k), in)
	if k.body != nil {
		k.body.release()
	}
	var passed *types.DryRunOperationException
	switch {
	case errors.As(err, &passed):
		return nil
	case err == nil:
		return fmt.Errorf("stream %q: the endpoint does not know dry runs: it may have stored %d records: %w", c.stream, len(recs), ErrInvalid)
	}
	return c.explainPut(err)
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/logging"
	"go.uber.org/zap"

	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// awsConfig loads what the AWS CLI would: flags, environment, profile. The
// endpoint is the service's, or empty for AWS. On a
// loopback endpoint region and credentials may be absent: no emulator checks
// them, and asking the instance metadata service would leave the machine.
func (a *app) awsConfig(ctx context.Context, endpoint string) (aws.Config, error) {
	if err := checkEndpoint(endpoint); err != nil {
		return aws.Config{}, err
	}
	opts := []func(*config.LoadOptions) error{config.WithLogger(sdkLog{a.log})}
	if a.region != "" {
		opts = append(opts, config.WithRegion(a.region))
	}
	if a.profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(a.profile))
	}
	onLoopback := loopback(endpoint)
	if onLoopback && os.Getenv("AWS_ACCESS_KEY_ID") == "" && os.Getenv("AWS_PROFILE") == "" && a.profile == "" {
		opts = append(opts, config.WithCredentialsProvider(localCredentials()))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return cfg, fmt.Errorf("AWS configuration: %w", err)
	}
	if cfg.Region == "" && onLoopback {
		cfg.Region = "us-east-1"
	}
	if cfg.Region == "" {
		return cfg, usagef("no AWS region: pass --region or set AWS_REGION")
	}
	if endpoint != "" {
		cfg.BaseEndpoint = aws.String(endpoint)
	}
	return cfg, nil
}

// checkEndpoint makes an endpoint that cannot be one an error of the command line. It
// repeats none that may hold a password.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case endpoint == "":
		return nil // the service's own
	case err == nil && u.User != nil, strings.Contains(endpoint, "@") && (err != nil || u.Host == ""):
		return usagef("the endpoint holds a user or password, which would be written to ledgers and logs; see --endpoint-url and AWS_ENDPOINT_URL")
	case !strings.Contains(endpoint, "://"):
		return usagef("the endpoint %q has no scheme: want http://%s, or https://; see --endpoint-url and AWS_ENDPOINT_URL", endpoint, endpoint)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return usagef("the endpoint %q is not a URL such as http://127.0.0.1:4566; see --endpoint-url and AWS_ENDPOINT_URL", endpoint)
	}
	return nil
}

// sdkLog takes what the AWS SDK would write to stderr by itself. All that keeps a
// call from its answer comes back as that call's error: this is for who asks for more.
// Requests, which hold signatures, are not logged unless a client is told to.
type sdkLog struct{ log *zap.Logger }

// Logf logs under what a format begins with, so that repeats are left out: what is
// filled in may be another address each time.
func (l sdkLog) Logf(_ logging.Classification, format string, args ...any) {
	begins, _, _ := strings.Cut(format, "%")
	l.log.Debug("AWS SDK: "+strings.TrimRight(begins, ": "), zap.String("text", fmt.Sprintf(format, args...)))
}

// openTail opens streams to be read back, where they answered the push unless a
// flag or the environment says otherwise.
func (a *app) openTail(ctx context.Context, t replay.Tailing) (stream.Tail, io.Closer, error) {
	endpoint := cmp.Or(a.kinesisEndpoint(), t.Endpoint)
	cfg, err := a.awsConfig(ctx, endpoint)
	if err != nil {
		return nil, nil, err
	}
	if t.Share == 0 && loopback(endpoint) {
		t.Share = math.Inf(1) // an emulator has no other consumers
	}
	var all stream.Tails
	var open clients
	for _, name := range t.Streams {
		c := kinesis.New(cfg, name, kinesis.Options{})
		open = append(open, c)
		all = append(all, c.Tail(t.Since, kinesis.TailOptions{Share: t.Share}))
	}
	return all, open, nil
}

type clients []*kinesis.Client

func (all clients) Close() error {
	for _, c := range all {
		c.Close()
	}
	return nil
}

// kinesisEndpoint is where Kinesis answers, or empty for AWS.
func (a *app) kinesisEndpoint() string { return a.endpointOf("AWS_ENDPOINT_URL_KINESIS") }

// s3Endpoint is where S3 answers, or empty for AWS.
func (a *app) s3Endpoint() string { return a.endpointOf("AWS_ENDPOINT_URL_S3") }

// endpointOf finds a service's endpoint in the order of the AWS CLI.
func (a *app) endpointOf(variable string) string {
	for _, e := range []string{a.endpoint, os.Getenv(variable), os.Getenv("AWS_ENDPOINT_URL")} {
		if e != "" {
			return e
		}
	}
	return ""
}

func localCredentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("local", "local", "")
}

// localConfig is the configuration for the embedded pipeline.
func localConfig(endpoint string) aws.Config {
	return aws.Config{Region: "us-east-1", Credentials: localCredentials(), BaseEndpoint: aws.String(endpoint)}
}

// loopback says whether an endpoint is on this machine.
func loopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// onAWS says whether an endpoint is the service's own: by default, or one of a VPC.
func onAWS(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return endpoint == "" || err == nil && (strings.HasSuffix(u.Hostname(), ".amazonaws.com") || strings.HasSuffix(u.Hostname(), ".amazonaws.com.cn"))
}

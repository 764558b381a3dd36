package kinesis_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

func TestUnreachable(t *testing.T) {
	const nowhere = "http://127.0.0.1:1"
	c := client(t, nowhere)
	_, err := c.Describe(t.Context())
	if !errors.Is(err, kinesis.ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
	wantSentence(t, err, nowhere)
	_ = wantAll(t, c, record.Refused, "unreachable", false)
}

// A server whose certificate is not trusted never saw a record.
func TestUntrustedServerRefuses(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	c := client(t, s.URL)
	_ = wantAll(t, c, record.Refused, "unreachable", false)
	_, err := c.Describe(t.Context())
	if !errors.Is(err, kinesis.ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
	wantSentence(t, err, s.URL)
}

// HTTP/2 would resend more than what was never written, and one connection
// would carry all: HTTP/1.1 is spoken where both are offered.
func TestLostAnswerOverTLSIsUnknown(t *testing.T) {
	var proto atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		proto.Store(r.Proto)
		panic(http.ErrAbortHandler)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	trust := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	cfg := config(s.URL)
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig.RootCAs = trust })
	_ = wantAll(t, clientOf(t, cfg), record.Unknown, "reset", false)
	if got := proto.Load(); got != "HTTP/1.1" {
		t.Errorf("spoke %v, want HTTP/1.1", got)
	}
}

// Without credentials nothing is sent, and the endpoint is not to blame.
func TestMissingCredentialsAreRefused(t *testing.T) {
	p := serve(t, local.Config{})
	cfg := config(p.URL())
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no metadata service")}
	})
	c := clientOf(t, cfg)
	_ = wantAll(t, c, record.Refused, "not-sent", false)
	_, err := c.Describe(t.Context())
	if !errors.Is(err, kinesis.ErrCredentials) {
		t.Errorf("got %v, want ErrCredentials", err)
	}
	wantSentence(t, err, p.URL())
}

// A role that may not be assumed is not a fault of the stream.
func TestDeniedCredentialsAreNotDeniedRecords(t *testing.T) {
	p := serve(t, local.Config{})
	cfg := config(p.URL())
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "sts:AssumeRole"}
	})
	_, err := clientOf(t, cfg).Describe(t.Context())
	if !errors.Is(err, kinesis.ErrCredentials) || errors.Is(err, kinesis.ErrDenied) {
		t.Errorf("got %v, want ErrCredentials", err)
	}
	wantSentence(t, err, p.URL())
}

// An emulator needs no signature.
func TestAnonymousRequests(t *testing.T) {
	cfg := config(serve(t, local.Config{}).URL())
	cfg.Credentials = aws.AnonymousCredentials{}
	_ = wantAll(t, clientOf(t, cfg), record.Acked, "", false)
}

// A server that takes a request and is silent leaves its fate open.
func TestSilentServer(t *testing.T) {
	seen := make(chan struct{}, 4)
	s := answers(t, func(_ http.ResponseWriter, r *http.Request) {
		seen <- struct{}{}
		<-r.Context().Done()
	})
	c := kinesis.New(config(s.URL), streamName, kinesis.Options{Requests: 2, Timeout: 200 * time.Millisecond})
	t.Cleanup(c.Close)
	_ = wantAll(t, c, record.Unknown, "timeout", false)
	<-seen
	_, err := c.Describe(t.Context())
	<-seen
	if !errors.Is(err, kinesis.ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
	wantSentence(t, err, s.URL)

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-seen
		cancel()
	}()
	recs := streamtest.Records(0, 3, 100)
	out, err := client(t, s.URL).Put(ctx, recs)
	streamtest.Check(t, recs, out)
	if err != nil || out[0].Fate != record.Unknown || out[0].Code != "canceled" {
		t.Errorf("cancelled under way: got %v, %v, want unknown", out, err)
	}
	if _, err := c.Describe(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v, want context.Canceled", err)
	}
}

// Close leaves no connection behind; goleak would find its goroutines.
func TestCloseDropsConnections(t *testing.T) {
	var open atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		default:
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c := client(t, s.URL)
	_ = wantAll(t, c, record.Unknown, "http-500", false)
	c.Close()
	for deadline := time.Now().Add(5 * time.Second); open.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open", open.Load())
		}
	}
}

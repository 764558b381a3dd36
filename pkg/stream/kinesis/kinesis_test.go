package kinesis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	streamName = "events"
	accessKey  = "AKIAKREPLAYTEST"
	secretKey  = "a-key-that-nobody-may-print"
)

// serve starts a pipeline with the stream events of 4 shards, unless cfg names others.
func serve(t testing.TB, cfg local.Config) *local.Pipeline {
	t.Helper()
	if cfg.Streams == nil {
		cfg.Streams = []local.StreamSpec{{Name: streamName, Shards: 4, Tags: map[string]string{"team": "load", "kreplay": "yes"}}}
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := local.Start(t.Context(), ln, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func config(url string) aws.Config {
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	}
}

func client(t testing.TB, url string) *kinesis.Client { return clientOf(t, config(url)) }

func clientOf(t testing.TB, cfg aws.Config) *kinesis.Client {
	t.Helper()
	c := kinesis.New(cfg, streamName, kinesis.Options{Timeout: 10 * time.Second})
	t.Cleanup(c.Close)
	return c
}

// answers serves one canned answer to every request.
func answers(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func stored(p *local.Pipeline) int {
	n := 0
	for _, c := range p.Counts() {
		n += int(c.Records)
	}
	return n
}

// wantAll checks that all records have one fate and code and that only a fatal Put errs.
func wantAll(t *testing.T, c *kinesis.Client, fate record.Fate, code string, fatal bool) error {
	t.Helper()
	recs := streamtest.Records(0, 5, 100)
	out, err := c.Put(t.Context(), recs)
	streamtest.Check(t, recs, out)
	for _, o := range out {
		if o.Fate != fate || o.Code != code {
			t.Errorf("got %v %q (%v), want %v %q", o.Fate, o.Code, o.Err, fate, code)
		}
	}
	if (err != nil) != fatal {
		t.Errorf("got error %v, want one: %v", err, fatal)
	}
	return err
}

// wantSentence checks that err can be shown to an operator.
func wantSentence(t *testing.T, err error, where string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	if text := err.Error(); strings.ContainsAny(text, "\n\r") || !strings.Contains(text, where) || strings.Contains(text, secretKey) {
		t.Errorf("got %q, want one sentence that names %s and no secret", text, where)
	}
}

func TestClientIsASink(t *testing.T) {
	for name, cfg := range map[string]local.Config{
		"plain":           {},
		"entries refused": {Faults: local.Faults{Seed: 1, Of: 9000, Throttle: 900}},
		"answers lost":    {Faults: local.Faults{Seed: 1, LostEvery: 3}},
		"answers reset":   {Faults: local.Faults{Seed: 1, LostEvery: 3, LostMode: local.LostReset}},
	} {
		t.Run(name, func(t *testing.T) {
			streamtest.Sink(t, func(t *testing.T) (stream.Sink, func() int) {
				p := serve(t, cfg)
				return client(t, p.URL()), func() int { return stored(p) }
			})
		})
	}
}

// The SDK closes a request's body while the transport reads it, and fails after
// the records were stored (keepBody). Forty at once met it in 1 % of the calls.
func TestNothingIsStoredTwice(t *testing.T) {
	const batches, rounds = 40, 10
	p := serve(t, local.Config{Retain: 1 << 20})
	sink := stream.Retry(client(t, p.URL()), stream.RetryOptions{Attempt: func(_ []record.Record, out []record.Outcome) error {
		if n := streamtest.Fates(out); n[record.Acked] != len(out) {
			return fmt.Errorf("%v: %w", n, out[0].Err)
		}
		return nil
	}})
	var wg sync.WaitGroup
	for b := range batches {
		wg.Go(func() {
			for r := range rounds {
				if _, err := sink.Put(t.Context(), streamtest.Records((b*rounds+r)*500, 500, 100)); err != nil {
					t.Errorf("batch %d of %d: %v", r, b, err)
				}
			}
		})
	}
	wg.Wait()
	if n := stored(p); n != batches*rounds*500 {
		t.Errorf("stored %d of %d", n, batches*rounds*500)
	}
}

func TestThrottledEntriesAreRefused(t *testing.T) {
	p := serve(t, local.Config{Faults: local.Faults{Seed: 3, Of: 100, Throttle: 40}})
	c := client(t, p.URL())
	recs := streamtest.Records(0, 100, 100)
	out, err := c.Put(t.Context(), recs)
	streamtest.Check(t, recs, out)
	if n := streamtest.Fates(out); err != nil || n[record.Refused] != 40 || n[record.Acked] != 60 || stored(p) != 60 {
		t.Errorf("got %v, %v, %d stored, want 40 refused and 60 acked and stored", n, err, stored(p))
	}
	for _, o := range out {
		if o.Fate == record.Refused && (o.Code != "ProvisionedThroughputExceededException" || o.Err.Error() == "") {
			t.Errorf("got %+v, want the service's code and text", o)
		}
	}
	if _, err := stream.Retry(c, stream.RetryOptions{Base: time.Microsecond}).Put(t.Context(), recs); err != nil || stored(p) != 160 {
		t.Errorf("got %v, %d stored, want 160", err, stored(p))
	}
}

func TestLostAnswersAreUnknown(t *testing.T) {
	for mode, code := range map[string]string{local.LostError: "http-500", local.LostReset: "reset"} {
		p := serve(t, local.Config{Faults: local.Faults{LostEvery: 2, LostMode: mode}})
		c := client(t, p.URL())
		if out, err := c.Put(t.Context(), streamtest.Records(0, 5, 100)); err != nil || streamtest.Fates(out)[record.Acked] != 5 {
			t.Errorf("%s: first put: %v, %v", mode, out, err)
		}
		_ = wantAll(t, c, record.Unknown, code, false)
		if n := stored(p); n != 10 {
			t.Errorf("%s: stored %d, want 10: a lost answer hides stored records", mode, n)
		}
	}
}

// broken are answers nobody can rely on: the records may be stored.
func TestBrokenAnswersAreUnknown(t *testing.T) {
	entry := `{"SequenceNumber":"1","ShardId":"shardId-000000000000"}`
	for name, body := range map[string]string{
		"truncated":   `{"FailedRecordCount":0,"Records":[` + entry + `,`,
		"fewer":       `{"FailedRecordCount":0,"Records":[` + entry + `]}`,
		"more":        `{"FailedRecordCount":0,"Records":[` + strings.Join(slices.Repeat([]string{entry}, 6), ",") + `]}`,
		"none":        `{}`,
		"no sequence": `{"FailedRecordCount":0,"Records":[{},{},{},{},{}]}`,
		"page":        `<html>welcome</html>`,
	} {
		t.Run(name, func(t *testing.T) {
			s := answers(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
			_ = wantAll(t, client(t, s.URL), record.Unknown, "broken-answer", false)
		})
	}
}

// An answer that breaks off on the wire hides as much.
func TestShortAnswerIsUnknown(t *testing.T) {
	s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"FailedRecordCount":0,`)
	})
	_ = wantAll(t, client(t, s.URL), record.Unknown, "broken-answer", false)
}

// Only a throttled entry is surely not stored.
func TestEntryFailuresAreUnknown(t *testing.T) {
	failed := `{"ErrorCode":"InternalFailure","ErrorMessage":"Internal service failure."}`
	s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"FailedRecordCount":5,"Records":[`+strings.Join(slices.Repeat([]string{failed}, 5), ",")+`]}`)
	})
	_ = wantAll(t, client(t, s.URL), record.Unknown, "InternalFailure", false)
}

func TestRefusedCalls(t *testing.T) {
	named := func(code string) string { return fmt.Sprintf(`{"__type":%q,"message":"because"}`, code) }
	for _, c := range []struct {
		status int
		body   string
		code   string
		err    error // nil: not fatal
	}{
		{413, named("RequestEntityTooLargeException"), "http-413", kinesis.ErrInvalid},
		{400, named("ValidationException"), "http-400", kinesis.ErrInvalid},
		{400, named("AccessDeniedException"), "http-400", kinesis.ErrDenied},
		{400, named("ResourceNotFoundException"), "http-400", kinesis.ErrNoStream},
		{400, named("ExpiredTokenException"), "http-400", kinesis.ErrCredentials},
		{403, named("MissingAuthenticationTokenException"), "http-403", kinesis.ErrCredentials},
		{400, named("ProvisionedThroughputExceededException"), "throttled", nil},
		{400, named("LimitExceededException"), "throttled", nil},
		{429, "{}", "throttled", nil},
	} {
		t.Run(c.code+" "+c.body, func(t *testing.T) {
			s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			err := wantAll(t, client(t, s.URL), record.Refused, c.code, c.err != nil)
			if !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if err != nil {
				wantSentence(t, err, s.URL)
			}
		})
	}
}

// A proxy in between answers in its own way, over several lines.
func TestProxyPagesAreOneSentence(t *testing.T) {
	for status, body := range map[int]string{413: "<html>\n<body>\n413 Request Entity Too Large\n</html>\n", 400: "{\"__type\":\"ValidationException\",\"message\":\"two\\nlines\"}"} {
		s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		err := wantAll(t, client(t, s.URL), record.Refused, fmt.Sprintf("http-%d", status), true)
		wantSentence(t, err, s.URL)
		if !errors.Is(err, kinesis.ErrInvalid) {
			t.Errorf("%d: got %v, want ErrInvalid", status, err)
		}
	}
}

func TestServerFaultsAreUnknown(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504} {
		s := answers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_ = wantAll(t, client(t, s.URL), record.Unknown, fmt.Sprintf("http-%d", status), false)
	}
}

func TestOversizedRecordIsFatal(t *testing.T) {
	p := serve(t, local.Config{})
	out, err := client(t, p.URL()).Put(t.Context(), streamtest.Records(0, 1, 1<<20+1))
	if !errors.Is(err, kinesis.ErrInvalid) || out[0].Fate != record.Refused || stored(p) != 0 {
		t.Errorf("got %v, %v, %d stored, want it refused for good", out, err, stored(p))
	}
	wantSentence(t, err, p.URL())
}

func TestWrongKeyAndNoStream(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  local.Config
		want error
	}{
		"key":    {local.Config{AccessKey: "AKIAOTHER"}, kinesis.ErrCredentials},
		"stream": {local.Config{Streams: []local.StreamSpec{{Name: "other", Shards: 1}}}, kinesis.ErrNoStream},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, c.cfg)
			k := client(t, p.URL())
			_, described := k.Describe(t.Context())
			put := wantAll(t, k, record.Refused, "http-400", true)
			for _, err := range []error{described, put} {
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				wantSentence(t, err, p.URL())
			}
		})
	}
}

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
	_ = wantAll(t, client(t, s.URL), record.Refused, "unreachable", false)
}

// HTTP/2 has its own way of taking a connection.
func TestLostAnswerOverHTTP2IsUnknown(t *testing.T) {
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
	if got := proto.Load(); got != "HTTP/2.0" {
		t.Errorf("spoke %v, want HTTP/2.0", got)
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

package kinesis_test

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/fxamacker/cbor/v2"
	"go.uber.org/goleak"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(nullServerEnv) != "" {
		_ = serveNothing()
		return
	}
	goleak.VerifyTestMain(m)
}

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

// overWires runs a test of a client over each wire.
func overWires(t *testing.T, test func(t *testing.T, client func(testing.TB, string) *kinesis.Client)) {
	for name, wire := range map[string]kinesis.Wire{"json": kinesis.JSON, "cbor": kinesis.CBOR} {
		t.Run(name, func(t *testing.T) {
			test(t, func(t testing.TB, url string) *kinesis.Client {
				c := kinesis.New(config(url), streamName, kinesis.Options{Timeout: 5 * time.Minute, Wire: wire}) // no call ends for want of time on a busy machine
				t.Cleanup(c.Close)
				return c
			})
		})
	}
}

const jsonType, cborType = "application/x-amz-json-1.1", "application/x-amz-cbor-1.1"

// patient is a client for tests in which no call may end for want of time, however
// busy the machine is.
func patient(t testing.TB, cfg aws.Config) *kinesis.Client {
	t.Helper()
	c := kinesis.New(cfg, streamName, kinesis.Options{Timeout: 5 * time.Minute})
	t.Cleanup(c.Close)
	return c
}

// answers serves one canned answer to every request, in CBOR to those in CBOR.
func answers(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Content-Type") == cborType {
			inCBOR(w, r, handler)
			return
		}
		w.Header().Set("Content-Type", jsonType)
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// inCBOR writes a handler's JSON in CBOR. What is no JSON stays as it is.
func inCBOR(w http.ResponseWriter, r *http.Request, handler http.HandlerFunc) {
	made := httptest.NewRecorder()
	handler(made, r)
	body := made.Body.Bytes()
	var value any
	if json.Unmarshal(body, &value) == nil {
		body, _ = cbor.Marshal(value)
	}
	maps.Copy(w.Header(), made.Header())
	w.Header().Set("Content-Type", cborType)
	w.WriteHeader(made.Code)
	_, _ = w.Write(body)
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

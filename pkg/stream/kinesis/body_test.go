package kinesis_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

func full(n int) string {
	return `{"FailedRecordCount":0,"Records":[` + strings.TrimSuffix(strings.Repeat(entry+",", n), ",") + `]}`
}

// narrow and its client's dial make connections that hold little, so that most
// of a body is still with the client when nobody reads.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		err = tcp.SetReadBuffer(256 << 10) // a few packets of the loopback: with less it stalls
	}
	return c, err
}

func dialNarrow(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		err = tcp.SetWriteBuffer(64 << 10)
	}
	return c, err
}

// letters is what a call of n records of size times the letter puts on the wire.
func letters(letter byte, n, size int) (recs []record.Record, body string) {
	recs = streamtest.Records(0, n, 0)
	var entries []string
	for i := range recs {
		recs[i].Data = bytes.Repeat([]byte{letter}, size)
		entries = append(entries, fmt.Sprintf(`{"Data":"%s","PartitionKey":"%s"}`, base64.StdEncoding.EncodeToString(recs[i].Data), recs[i].PartitionKey))
	}
	return recs, `{"Records":[` + strings.Join(entries, ",") + `],"StreamName":"` + streamName + `"}`
}

// An answer may come before the request has left. The call returns, the next
// one goes out, and what is still on its way is what it was: a buffer that is
// used again too early shows as the next call's bytes, or in the race detector.
func TestBufferIsNotReusedUnderway(t *testing.T) {
	const n, size = 9, 300_000 // more than connections hold, less than what is not pooled
	var calls atomic.Int64
	next := make(chan struct{})
	came := make(chan string, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1)%2 == 0 {
			select {
			case next <- struct{}{}:
			case <-t.Context().Done():
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, full(n))
			return
		}
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.Header().Set("Content-Length", strconv.Itoa(len(full(n))))
		_, _ = io.WriteString(w, full(n))
		_ = control.Flush()
		select {
		case <-next:
		case <-t.Context().Done():
		}
		body, _ := io.ReadAll(r.Body) // as much as the client still sends
		came <- string(body)
	}))
	s.Listener = narrow{s.Listener}
	s.Start()
	t.Cleanup(s.Close)
	cfg := config(s.URL)
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) { tr.DialContext = dialNarrow })
	c := clientOf(t, cfg)
	for round := range 6 {
		first, want := letters(byte('a'+2*round), n, size)
		second, _ := letters(byte('b'+2*round), n, size)
		for _, recs := range [][]record.Record{first, second} {
			out, err := c.Put(t.Context(), recs)
			if err != nil || streamtest.Fates(out)[record.Acked] != n {
				t.Fatalf("round %d: %v, %v: %v", round, err, streamtest.Fates(out), out[0].Err)
			}
		}
		if got := <-came; got == "" || !strings.HasPrefix(want, got) {
			same := 0
			for same < min(len(got), len(want)) && got[same] == want[same] {
				same++
			}
			t.Fatalf("round %d: %d bytes came, from %d on they are %.40q, want %.40q", round, len(got), same, got[same:], want[same:])
		}
	}
}

// stopsReading serves calls whose bodies nobody reads, and tells of each that has begun.
func stopsReading(t *testing.T) (cfg aws.Config, begun chan struct{}) {
	t.Helper()
	begun, done := make(chan struct{}, 1), make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case begun <- struct{}{}:
		case <-done:
		}
		<-done
	}))
	s.Listener = narrow{s.Listener}
	s.Start()
	t.Cleanup(func() { close(done); s.Close() })
	cfg = config(s.URL)
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) { tr.DialContext = dialNarrow })
	return cfg, begun
}

// A server that stops reading does not hold a call back beyond its time. Where a
// machine is too busy to begin within it, nothing is shown, and there is more time.
func TestStuckWriteIsCutShort(t *testing.T) {
	recs, _ := letters('x', 9, 300_000)
	for timeout := 200 * time.Millisecond; ; timeout *= 4 {
		cfg, begun := stopsReading(t)
		c := kinesis.New(cfg, streamName, kinesis.Options{Timeout: timeout})
		t.Cleanup(c.Close)
		out, err := c.Put(t.Context(), recs)
		select {
		case <-begun:
		default:
			continue
		}
		if err != nil || out[0].Fate != record.Unknown || out[0].Code != "timeout" {
			t.Errorf("got %v, %+v, want it unknown for want of time", err, out[0])
		}
		return
	}
}

// Nor does it hold one back that its caller gives up.
func TestStuckWriteIsGivenUp(t *testing.T) {
	cfg, begun := stopsReading(t)
	recs, _ := letters('x', 9, 300_000)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-begun:
			cancel()
		case <-ctx.Done():
		}
	})
	out, err := patient(t, cfg).Put(ctx, recs)
	cancel()
	wg.Wait()
	if err != nil || out[0].Fate != record.Unknown || out[0].Code != "canceled" {
		t.Errorf("got %v, %+v, want it unknown as cancelled", err, out[0])
	}
}

// signedAsSent checks that the signature of a request is of the bytes that came.
func signedAsSent(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	_, signed, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	signed, _, _ = strings.Cut(signed, ",")
	for name := range strings.SplitSeq(signed, ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	keys := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	if err := v4.NewSigner().SignHTTP(r.Context(), keys, again, hex.EncodeToString(sum[:]), "kinesis", "eu-west-1", at); err != nil {
		return err
	}
	if want, got := again.Header.Get("Authorization"), r.Header.Get("Authorization"); got != want {
		return fmt.Errorf("got %s, want %s", got, want)
	}
	return nil
}

// Every request is signed, and the signature is of the bytes that came, also
// when many are signed at once.
func TestRequestsAreSignedAsSent(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := signedAsSent(r); err != nil {
				t.Errorf("signature: %v", err)
			}
			answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, full(5)) }
			if r.Header.Get("Content-Type") == cborType {
				inCBOR(w, r, answer)
			} else {
				answer(w, r)
			}
		}))
		t.Cleanup(s.Close)
		c := client(t, s.URL)
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for call := range 20 {
					recs := streamtest.Records(100*worker+5*call, 5, 1000*worker+call)
					out, err := c.Put(t.Context(), recs)
					if err != nil || streamtest.Fates(out)[record.Acked] != 5 {
						t.Errorf("%v, %v", err, out)
					}
					out, err = streamtest.Halves{Pairer: c}.Put(t.Context(), slices.Concat(recs, streamtest.Records(0, 5, 700)))
					if err != nil || streamtest.Fates(out)[record.Acked] != 10 {
						t.Errorf("in pairs: %v, %v", err, out)
					}
				}
			})
		}
		wg.Wait()
	})
}

// Over TLS, and over whatever else is no plain TCP, the same bytes go out.
func TestRequestsOverTLS(t *testing.T) {
	came := make(chan string, 1)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		came <- string(body)
		_, _ = io.WriteString(w, full(50))
	}))
	t.Cleanup(s.Close)
	trust := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	cfg := config(s.URL)
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig.RootCAs = trust })
	c := clientOf(t, cfg)
	for _, letter := range []byte("abc") {
		recs, want := letters(letter, 50, 10_000)
		out, err := c.Put(t.Context(), recs)
		if err != nil || streamtest.Fates(out)[record.Acked] != 50 {
			t.Fatalf("%v, %v: %v", err, streamtest.Fates(out), out[0].Err)
		}
		if got := <-came; got != want {
			t.Errorf("%d bytes came, want the %d of the request", len(got), len(want))
		}
	}
}

// broken is a connection that takes no more bytes after it was cut.
type broken struct {
	net.Conn
	cut *atomic.Bool
}

func (b broken) Write(p []byte) (int, error) {
	if b.cut.Load() {
		return 0, errors.New("cut")
	}
	return b.Conn.Write(p)
}

// A kept connection that takes not one byte is none: the request goes out on
// another, and no attempt is lost.
func TestRequestMovesToAnotherConnection(t *testing.T) {
	p := serve(t, local.Config{})
	var dials atomic.Int64
	var cut atomic.Bool
	cfg := config(p.URL())
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if dials.Add(1) > 1 {
				return c, err
			}
			return broken{c, &cut}, err
		}
	})
	c := clientOf(t, cfg)
	_ = wantAll(t, c, record.Acked, "", false)
	cut.Store(true)
	_ = wantAll(t, c, record.Acked, "", false)
	if n := dials.Load(); n != 2 || stored(p) != 10 {
		t.Errorf("%d connections, %d stored, want 2 and 10", n, stored(p))
	}
}

// As many connections are kept as requests are in flight, and no more are made.
func TestConnectionsAreKept(t *testing.T) {
	const requests, rounds = 16, 5
	var opened atomic.Int64
	ready, leave := make(chan struct{}, requests), make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		ready <- struct{}{}
		<-leave
		_, _ = io.WriteString(w, full(1))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c := kinesis.New(config(s.URL), streamName, kinesis.Options{Requests: requests})
	t.Cleanup(c.Close)
	for range rounds {
		done := make(chan struct{}, requests)
		for range requests {
			go func() {
				out, err := c.Put(t.Context(), streamtest.Records(0, 1, 50))
				if err != nil || out[0].Fate != record.Acked {
					t.Errorf("got %v, %v, want it acked", out, err)
				}
				done <- struct{}{}
			}()
		}
		for range requests {
			<-ready
		}
		for range requests {
			leave <- struct{}{}
		}
		for range requests {
			<-done
		}
	}
	if n := opened.Load(); n != requests {
		t.Errorf("%d connections for %d requests in flight", n, requests)
	}
}

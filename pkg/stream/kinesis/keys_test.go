package kinesis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

// sessions hands out numbered session tokens that never say when they expire.
func sessions(url string) (aws.Config, *atomic.Int64) {
	var given atomic.Int64
	cfg := config(url)
	cfg.Credentials = aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: fmt.Sprint(given.Add(1))}, nil
	}))
	return cfg, &given
}

// until refuses tokens below the one it holds as expired, and acks 5 records otherwise.
func until(token *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var n int64
		_, _ = fmt.Sscan(r.Header.Get("X-Amz-Security-Token"), &n)
		if n < token.Load() {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}`)
			return
		}
		_, _ = io.WriteString(w, full(5))
	}
}

// A session that runs out is renewed once, however many calls find out, and
// costs an attempt that was surely not stored.
func TestExpiredCredentialsAreRefreshed(t *testing.T) {
	var good atomic.Int64
	cfg, given := sessions(answers(t, until(&good)).URL)
	c := clientOf(t, cfg)
	_ = wantAll(t, c, record.Acked, "", false)
	for session := int64(2); session < 10; session++ {
		good.Store(session)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				out, err := c.Put(t.Context(), streamtest.Records(0, 5, 100))
				if err != nil || out[0].Fate == record.Unknown || out[0].Fate == record.Refused && out[0].Code != "expired-credentials" {
					t.Errorf("got %v, %v, want acked or refused as expired", out, err)
				}
			})
		}
		wg.Wait()
		_ = wantAll(t, c, record.Acked, "", false)
		if n := given.Load(); n != session {
			t.Fatalf("%d sessions were asked for, want %d", n, session)
		}
	}
	good.Store(10)
	for range 3 { // the first is refused at most
		if _, err := c.Put(t.Context(), streamtest.Records(0, 5, 100)); err != nil {
			t.Error(err)
		}
	}
}

// Credentials that are always expired end the run, after a few tries.
func TestCredentialsThatStayExpiredAreFatal(t *testing.T) {
	var good atomic.Int64
	good.Store(1 << 40)
	s := answers(t, until(&good))
	cfg, given := sessions(s.URL)
	static := config(s.URL)
	for name, cfg := range map[string]aws.Config{"sessions": cfg, "static": static} {
		c := clientOf(t, cfg)
		calls := 0
		var err error
		for ; err == nil && calls < 50; calls++ {
			var out []record.Outcome
			out, err = c.Put(t.Context(), streamtest.Records(0, 5, 100))
			if out[0].Fate != record.Refused || out[0].Code != "expired-credentials" {
				t.Fatalf("%s: got %v, want it refused as expired", name, out)
			}
		}
		if !errors.Is(err, kinesis.ErrCredentials) || calls < 3 || calls > 6 {
			t.Errorf("%s: got %v after %d calls, want ErrCredentials after a few", name, err, calls)
		}
		wantSentence(t, err, s.URL)
		_, err = c.Describe(t.Context())
		if !errors.Is(err, kinesis.ErrCredentials) {
			t.Errorf("%s: described: got %v, want ErrCredentials", name, err)
		}
	}
	if n := given.Load(); n < 3 || n > 8 {
		t.Errorf("%d sessions were asked for, want a few", n)
	}
}

// A provider that itself is told of an expired token was never at Kinesis:
// nothing was sent, and nothing is counted against the credentials.
func TestExpiredProvidersAreNotExpiredCredentials(t *testing.T) {
	cfg := config(answers(t, until(new(atomic.Int64))).URL)
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, &smithy.GenericAPIError{Code: "ExpiredTokenException", Message: "sso"}
	})
	c := clientOf(t, cfg)
	for range 10 {
		_ = wantAll(t, c, record.Refused, "not-sent", false)
	}
}

// What only reads mends itself.
func TestReadsRefreshCredentials(t *testing.T) {
	var good atomic.Int64
	tell := until(&good)
	cfg, given := sessions(answers(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "Kinesis_20131202.ListShards" && r.Header.Get("X-Amz-Security-Token") != "1" {
			_, _ = io.WriteString(w, `{"Shards":[]}`)
			return
		}
		tell(w, r)
	}).URL)
	good.Store(2)
	c := clientOf(t, cfg)
	if _, err := c.Shards(t.Context()); err != nil || given.Load() != 2 {
		t.Errorf("got %v with %d sessions, want 2", err, given.Load())
	}
}

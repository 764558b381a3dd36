package s3_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.uber.org/goleak"

	"kreplay/pkg/object"
	"kreplay/pkg/object/objecttest"
	"kreplay/pkg/object/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is what the AWS SDK would load for an endpoint.
func config(endpoint string) aws.Config {
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },

		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
}

// serve runs a real S3 server on loopback; wrap, if set, stands before it.
func serve(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	back := s3mem.New()
	if err := back.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	h := gofakes3.New(back).Server()
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func open(t *testing.T, endpoint, at string, o s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.New(config(endpoint), at, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// The contract holds at the root of a bucket and below a prefix that is a
// prefix of its neighbours' keys, and whatever the page size.
func TestStoreKeepsTheContract(t *testing.T) {
	for _, at := range []string{"s3://lake", "s3://lake/raw/a+b ü"} {
		for _, page := range []int32{0, 2} {
			t.Run(fmt.Sprintf("%s by %d", at, page), func(t *testing.T) {
				objecttest.Run(t, func(t *testing.T) object.Store {
					endpoint := serve(t, nil)
					if at != "s3://lake" {
						objecttest.Put(t, open(t, endpoint, "s3://lake", s3.Options{}), "raw/a+b ü-neighbour", []byte("x"))
						objecttest.Put(t, open(t, endpoint, "s3://lake", s3.Options{}), "raw/a", []byte("x"))
					}
					return open(t, endpoint, at, s3.Options{PageSize: page})
				})
			})
		}
	}
}

// A listing of several of the service's pages gives every key once, in order.
func TestListingGoesOverPages(t *testing.T) {
	s := open(t, serve(t, nil), "s3://lake/p", s3.Options{PageSize: 100})
	var want []string
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(1001) {
		want = append(want, fmt.Sprintf("%x/%d", i%7, i))
		objecttest.Put(t, s, want[len(want)-1], nil)
	}
	slices.Sort(want)
	if got := keys(t, s); !slices.Equal(got, want) || s.Lists() != 11 {
		t.Errorf("got %d keys, want %d, each once and in order; by %d calls, want 11", len(got), len(want), s.Lists())
	}
}

func keys(t *testing.T, s object.Store) (all []string) {
	t.Helper()
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.Key)
	}
	return all
}

// Objects around the part size come back as written, by one call or in parts.
func TestPartsMakeOneObject(t *testing.T) {
	var parts atomic.Int64
	s := open(t, serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("partNumber") {
				parts.Add(1)
			}
			h.ServeHTTP(w, r)
		})
	}), "s3://lake", s3.Options{PartBytes: 5 << 20})
	data := make([]byte, 11<<20)
	for i := range data {
		data[i] = byte(i * 2654435761 >> 16)
	}
	for size, want := range map[int]int64{0: 0, 5 << 20: 0, 5<<20 + 1: 2, 10 << 20: 2, 11 << 20: 3} {
		parts.Store(0)
		w, err := s.Create(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		for rest := data[:size]; len(rest) > 0; {
			n := min(len(rest), 1_000_003)
			if got, err := w.Write(rest[:n]); got != n || err != nil {
				t.Fatalf("write: %d, %v", got, err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := objecttest.Get(t, s, "k"); got != string(data[:size]) {
			t.Errorf("%d bytes: read %d bytes, or others", size, len(got))
		}
		if parts.Load() != want {
			t.Errorf("%d bytes: %d parts, want %d", size, parts.Load(), want)
		}
	}
}

// An upload that was begun is dropped, by Abort and by a Close that fails.
func TestNoUploadIsLeft(t *testing.T) {
	endpoint := serve(t, nil)
	s := open(t, endpoint, "s3://lake", s3.Options{PartBytes: 5 << 20})
	ctx, cancel := context.WithCancel(t.Context())
	for name, end := range map[string]func(object.Writer) error{
		"abort":     object.Writer.Abort,
		"cancelled": func(w object.Writer) error { cancel(); _ = w.Close(); return nil },
	} {
		w, err := s.Create(ctx, "k")
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := w.Write(make([]byte, 6<<20)); err != nil {
			t.Fatal(name, err)
		}
		if err := end(w); err != nil {
			t.Error(name, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
	}
	cancel()
	api := sdk.NewFromConfig(config(endpoint), func(o *sdk.Options) { o.UsePathStyle = true })
	out, err := api.ListMultipartUploads(t.Context(), &sdk.ListMultipartUploadsInput{Bucket: aws.String("lake")})
	if err != nil || len(out.Uploads) != 0 {
		t.Errorf("uploads left: %d, %v", len(out.Uploads), err)
	}
	if got := keys(t, s); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
	http.DefaultClient.CloseIdleConnections()
}

// In a bucket a key and keys below it live side by side; in a directory they cannot.
func TestKeyAndFolderLiveSideBySide(t *testing.T) {
	s := open(t, serve(t, nil), "s3://lake", s3.Options{})
	objecttest.Put(t, s, "a", []byte("1"))
	objecttest.Put(t, s, "a/b", []byte("2"))
	if got := objecttest.Get(t, s, "a") + objecttest.Get(t, s, "a/b"); got != "12" {
		t.Errorf("got %q, want 12", got)
	}
}

// What shows a folder is no object; a key that cannot be opened is an error and not a gap.
func TestListingHidesNothing(t *testing.T) {
	endpoint := serve(t, nil)
	put := func(key, data string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/lake/"+key, strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		w, err := http.DefaultClient.Do(r)
		if err != nil || w.StatusCode != http.StatusOK {
			t.Fatalf("put %q: %v, %v", key, w, err)
		}
		_ = w.Body.Close()
	}
	defer http.DefaultClient.CloseIdleConnections()
	for _, key := range []string{"raw/", "raw/day/", "raw/.tmp-x", "raw/.tmp-d/x"} {
		put(key, "")
	}
	put("raw/day/x", "data")
	s := open(t, endpoint, "s3://lake/raw", s3.Options{})
	if got := keys(t, s); !slices.Equal(got, []string{"day/x"}) {
		t.Errorf("got %q, want day/x", got)
	}
	for _, key := range []string{"raw//x", "raw/b/"} {
		put(key, "data")
		var last error
		for _, err := range s.List(t.Context(), strings.TrimPrefix(key, "raw/")) {
			last = err
		}
		if !errors.Is(last, object.ErrKey) {
			t.Errorf("%s: got %v, want ErrKey", key, last)
		}
	}
}

// answer is a server that says one thing.
func answer(t *testing.T, status int, body string, header ...string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func refusal(code string) string {
	return `<?xml version="1.0"?><Error><Code>` + code + `</Code><Message>no</Message></Error>`
}

// Every failure says in one line where, what and what to do next, and is told
// apart by its sentinel, whichever call met it.
func TestErrorsSayWhatToDo(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + ln.Addr().String()
	_ = ln.Close()
	for _, c := range []struct {
		name, endpoint string
		want           error
		says           string
	}{
		{"no bucket", serve(t, nil), s3.ErrNoBucket, "check its name"},
		{"denied", answer(t, 403, refusal("AccessDenied")), s3.ErrDenied, "s3:ListBucket"},
		{"key", answer(t, 403, refusal("InvalidAccessKeyId")), s3.ErrCredentials, "AWS_ACCESS_KEY_ID"},
		{"expired", answer(t, 400, refusal("ExpiredToken")), s3.ErrCredentials, "ExpiredToken"},
		{"region", answer(t, 301, refusal("PermanentRedirect"), "X-Amz-Bucket-Region", "ap-northeast-1"), s3.ErrRegion, "but in ap-northeast-1"},
		{"dead", dead, s3.ErrUnreachable, "--endpoint-url"},
		{"proxy", answer(t, 502, "<html>"), nil, "HTTP 502"},
	} {
		s := open(t, c.endpoint, "s3://none/raw", s3.Options{})
		_, opened := s.Open(t.Context(), "k")
		var listed error
		for _, err := range s.List(t.Context(), "") {
			listed = err
		}
		w, err := s.Create(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		for verb, err := range map[string]error{"open": opened, "list": listed, "create": w.Close()} {
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "s3://none/raw/") {
				t.Errorf("%s, %s: got %v, want %v, saying %q and where", c.name, verb, err, c.want, c.says)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("%s, %s: more than one line: %v", c.name, verb, err)
			}
		}
	}
}

// No credentials is said as that; a password in an endpoint never shows.
func TestErrorsHoldNoSecrets(t *testing.T) {
	cfg := config("http://user:hunter2@127.0.0.1:1")
	s, err := s3.New(cfg, "s3://lake", s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Open(t.Context(), "k"); !errors.Is(err, s3.ErrUnreachable) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("none") })
	if s, err = s3.New(cfg, "s3://lake", s3.Options{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Open(t.Context(), "k"); !errors.Is(err, s3.ErrCredentials) {
		t.Errorf("got %v, want ErrCredentials", err)
	}
}

// cutting passes on at most so many bytes of each answer to a GET of an object,
// then breaks the connection; before, if set, is asked first.
type cutting struct {
	http.Handler
	most   int
	before func(w http.ResponseWriter, r *http.Request) bool
}

func (c cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Query().Has("list-type") {
		c.Handler.ServeHTTP(w, r)
		return
	}
	if c.before != nil && !c.before(w, r) {
		return
	}
	full := httptest.NewRecorder()
	c.Handler.ServeHTTP(full, r)
	for name, values := range full.Header() {
		w.Header()[name] = values
	}
	body := full.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(full.Code)
	_, _ = w.Write(body[:min(c.most, len(body))])
	if len(body) > c.most {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// An object whose connection breaks again and again is read as a whole; bytes
// are neither lost nor given out twice.
func TestBrokenConnectionsAreMended(t *testing.T) {
	var gets atomic.Int64
	s := open(t, serve(t, func(h http.Handler) http.Handler {
		return cutting{h, 100_000, func(http.ResponseWriter, *http.Request) bool { gets.Add(1); return true }}
	}), "s3://lake", s3.Options{})
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(i * 2654435761 >> 16)
	}
	objecttest.Put(t, s, "k", want)
	if got := objecttest.Get(t, s, "k"); got != string(want) {
		t.Errorf("read %d bytes, or others; want %d", len(got), len(want))
	}
	if gets.Load() != 11 {
		t.Errorf("%d requests, want 11 of 100,000 bytes at most", gets.Load())
	}
}

// A body that ends early is an error, never the end of the object: when nothing
// more comes, when the object was replaced meanwhile, when the service cannot read on.
func TestCutBodyIsAnError(t *testing.T) {
	var etag atomic.Value
	var again atomic.Int64
	for _, c := range []struct {
		name, says string
		wrap       func(http.Handler) http.Handler
	}{
		{"nothing more", "try again", func(h http.Handler) http.Handler {
			return cutting{h, 4, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Range") == "" {
					return true
				}
				again.Add(1)
				w.Header().Set("Content-Range", "bytes 4-7/8")
				w.Header().Set("Content-Length", "4")
				w.WriteHeader(http.StatusPartialContent)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}}
		}},
		{"replaced", "replaced while it was read", func(h http.Handler) http.Handler {
			return cutting{h, 4, func(w http.ResponseWriter, r *http.Request) bool {
				etag.Store(r.Header.Get("If-Match"))
				if r.Header.Get("Range") == "" {
					return true
				}
				w.WriteHeader(http.StatusPreconditionFailed)
				return false
			}}
		}},
		{"no ranges", "does not read on from byte 4", func(h http.Handler) http.Handler {
			return cutting{h, 4, func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Range"); return true }}
		}},
	} {
		s := open(t, serve(t, c.wrap), "s3://lake", s3.Options{})
		objecttest.Put(t, s, "k", []byte("halfhalf"))
		r, err := s.Open(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != "half" || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %q, %v, want half and an error that says %q", c.name, got, err, c.says)
		}
		_ = r.Close()
	}
	if again.Load() != 3 {
		t.Errorf("asked again %d times where nothing more comes, want 3", again.Load())
	}
	if want := fmt.Sprintf(`"%x"`, md5.Sum([]byte("halfhalf"))); etag.Load() != want {
		t.Errorf("asked with If-Match %q, want %s", etag.Load(), want)
	}
}

// A service that lists out of order, or for ever, is found out.
func TestOrderIsChecked(t *testing.T) {
	page := func(truncated bool, keys ...string) string {
		text := fmt.Sprintf("<ListBucketResult><IsTruncated>%v</IsTruncated><NextContinuationToken>t</NextContinuationToken>", truncated)
		for _, k := range keys {
			text += "<Contents><Key>" + k + "</Key><Size>1</Size></Contents>"
		}
		return text + "</ListBucketResult>"
	}
	for name, body := range map[string]string{"unsorted": page(false, "b", "a"), "endless": page(true, "a", "b")} {
		s := open(t, answer(t, 200, body), "s3://lake", s3.Options{})
		var last error
		for _, err := range s.List(t.Context(), "") {
			last = err
		}
		if !errors.Is(last, s3.ErrOrder) {
			t.Errorf("%s: got %v, want ErrOrder", name, last)
		}
	}
	s := open(t, answer(t, 200, page(true)), "s3://lake", s3.Options{})
	var last error
	for _, err := range s.List(t.Context(), "") {
		last = err
	}
	if last == nil {
		t.Error("an empty page with more behind it: no error")
	}
}

// What is sent is what every emulator knows: the bucket in the path, no
// checksum of the newer kinds asked for or sent, no trailer.
func TestRequestsArePlain(t *testing.T) {
	var seen atomic.Int64
	endpoint := serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen.Add(1)
			if !strings.HasPrefix(r.Host, "localhost:") || !strings.HasPrefix(r.URL.Path, "/lake") {
				t.Errorf("%s %s%s: want the bucket in the path", r.Method, r.Host, r.URL.Path)
			}
			for name := range r.Header {
				if strings.HasPrefix(name, "X-Amz-Checksum") || name == "X-Amz-Trailer" || name == "X-Amz-Sdk-Checksum-Algorithm" || name == "Content-Encoding" {
					t.Errorf("%s %s carries %s", r.Method, r.URL.Path, name)
				}
			}
			h.ServeHTTP(w, r)
		})
	})
	s := open(t, strings.Replace(endpoint, "127.0.0.1", "localhost", 1), "s3://lake", s3.Options{PartBytes: 5 << 20})
	objecttest.Put(t, s, "small", []byte("x"))
	objecttest.Put(t, s, "large", make([]byte, 6<<20))
	objecttest.Get(t, s, "large")
	keys(t, s)
	if seen.Load() != 7 {
		t.Errorf("%d requests, want put, 4 for the parts, get, list", seen.Load())
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string][2]string{
		"s3://lake": {"lake", ""}, "s3://lake/": {"lake", ""}, "s3://lake/raw": {"lake", "raw"}, "s3://lake/raw/x/": {"lake", "raw/x"},
	} {
		bucket, prefix, err := s3.Parse(text)
		if err != nil || bucket != want[0] || prefix != want[1] {
			t.Errorf("%s: got %q, %q, %v, want %q", text, bucket, prefix, err, want)
		}
	}
	for _, text := range []string{"", "lake", "s3:/lake", "s3://", "s3:///x", "s3://lake//x", "s3://lake/../x", "s3://key:secret@lake/x", "S3://lake"} {
		if _, _, err := s3.Parse(text); err == nil {
			t.Errorf("%q: no error", text)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", text, err)
		}
	}
}

// Package s3 keeps objects in an S3 bucket, below a prefix.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"kreplay/pkg/object"
)

// Scheme begins the name of a place in S3: s3://bucket/prefix.
const Scheme = "s3://"

// Limits of S3 (Amazon S3 User Guide, "multipart upload limits").
const (
	minPart  = 5 << 20 // bytes of every part but the last
	maxParts = 10_000
)

// defaultPart bounds a writer's memory and, times maxParts, an object: 78 GiB.
const defaultPart = 8 << 20

// Options shape a Store. The zero value is usable.
type Options struct {
	PageSize  int32 // keys asked for in one listing call; 0: as many as the service gives, 1000
	PartBytes int   // an object above it is sent in parts of so many bytes; 0: 8 MiB, at least 5 MiB
	Requests  int   // idle connections kept; 0: 16
}

// Store is an object.Store in a bucket of S3 or of what speaks its protocol. A
// key is what follows the prefix. Unlike in a directory, "a" and "a/b" may both
// be objects. Its methods try a failed call again, up to three times in all.
type Store struct {
	api    *sdk.Client
	http   *http.Client
	place  place
	o      Options
	prefix string // "" or with a slash at its end
	lists  atomic.Uint64
}

// Parse reads s3://bucket/prefix. The prefix is whole elements: "s3://b/raw" and
// "s3://b/raw/" are the same place, which does not hold "raw-old/x".
func Parse(text string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	switch {
	case strings.ContainsAny(bucket, "@:"): // not shown: it may be a password
		return "", "", errors.New("s3: want s3://BUCKET/PREFIX, without user or password; credentials come from --profile or the environment")
	case !ok || bucket == "" || strings.ContainsAny(bucket, "?#%"):
		return "", "", fmt.Errorf("s3: %q: want s3://BUCKET/PREFIX, as in s3://lake/raw", text)
	case prefix != "" && object.CheckKey(prefix) != nil:
		return "", "", fmt.Errorf("s3: %q: the prefix %q is not elements joined by single slashes", text, prefix)
	}
	return bucket, prefix, nil
}

// New returns the store at s3://bucket/prefix; see Parse. It sends nothing. On
// an endpoint of one's own the bucket stands in the path, because few emulators
// have names for buckets; checksums are sent and checked only where the
// operation wants them, because few emulators know them. The caller closes it.
func New(cfg aws.Config, at string, o Options) (*Store, error) {
	bucket, prefix, err := Parse(at)
	if err != nil {
		return nil, err
	}
	if o.PartBytes == 0 {
		o.PartBytes = defaultPart
	}
	o.PartBytes = max(o.PartBytes, minPart)
	if o.Requests == 0 {
		o.Requests = 16
	}
	if prefix != "" {
		prefix += "/"
	}
	s := &Store{o: o, prefix: prefix, place: place{bucket: bucket, region: cfg.Region, endpoint: aws.ToString(cfg.BaseEndpoint)}}
	base, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		base = awshttp.NewBuildableClient()
	}
	pool := base.GetTransport() // a copy; the SDK would hide the one in use from Close
	pool.MaxIdleConnsPerHost, pool.MaxIdleConns = o.Requests, o.Requests
	s.http = &http.Client{Transport: pool, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if cfg.Credentials != nil {
		cfg.Credentials = provider{cfg.Credentials}
	}
	s.api = sdk.NewFromConfig(cfg, func(so *sdk.Options) {
		so.HTTPClient = s.http
		so.UsePathStyle = cfg.BaseEndpoint != nil
		so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	return s, nil
}

// Close drops idle connections. Readers and writers that are open go on.
func (s *Store) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

// Lists is how many calls List has made so far, tries of the same one as one.
func (s *Store) Lists() uint64 { return s.lists.Load() }

// provider makes its failures ErrCredentials: they look like S3's otherwise.
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

// Open implements object.Store. The object is read as it comes. Where the
// connection breaks it is asked for again from there on, unless it was replaced
// meanwhile: then, and when that fails three times in a row, Read says so.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := admit(ctx, key); err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, store: s, key: key}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// reader is one object on its way in.
type reader struct {
	ctx   context.Context
	store *Store
	key   string
	etag  *string
	body  io.ReadCloser // ends with io.ErrUnexpectedEOF when it is shorter than announced (net/http)
	read  int64         // bytes given out
	tries int           // breaks since the last byte
}

// maxBreaks is how often a reader goes on without having got a byte.
const maxBreaks = 3

// open asks for what has not been given out yet.
func (r *reader) open() error {
	in := &sdk.GetObjectInput{Bucket: &r.store.place.bucket, Key: aws.String(r.store.prefix + r.key)}
	if r.read > 0 {
		in.Range, in.IfMatch = aws.String(fmt.Sprintf("bytes=%d-", r.read)), r.etag
	}
	out, err := r.store.api.GetObject(r.ctx, in)
	if err != nil {
		return r.store.explain(r.ctx, "read", r.key, err)
	}
	if r.read > 0 && aws.ToString(out.ContentRange) == "" {
		return errors.Join(fmt.Errorf("s3: read %s: the connection broke, and the service does not read on from byte %d", r.key, r.read), out.Body.Close())
	}
	r.body, r.etag = out.Body, out.ETag
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		r.read += int64(n)
		if n > 0 {
			r.tries = 0
		}
		if err == nil || errors.Is(err, io.EOF) {
			return n, err
		}
		if r.tries++; r.tries > maxBreaks || r.ctx.Err() != nil {
			return n, r.store.explain(r.ctx, "read", r.key, err)
		}
		_ = r.body.Close() // it is broken
		if err := r.open(); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (r *reader) Close() error { return r.body.Close() }

// admit refuses what is cancelled or cannot be a key.
func admit(ctx context.Context, key string) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("s3: %s: %w", key, err)
	}
	return object.CheckKey(key)
}

package local_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/klauspost/compress/gzip"

	"kreplay/pkg/local"
)

func s3Client(t testing.TB, p *local.Pipeline, key string) *s3.Client {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 4}
	t.Cleanup(tr.CloseIdleConnections)
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(p.URL()), Region: "eu-west-1", UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", "session-token"),
		HTTPClient:  &http.Client{Transport: tr},
	})
}

func upload(ctx context.Context, c *s3.Client, bucket, key, data string) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(data)})
	return err
}

func download(t testing.TB, c *s3.Client, bucket, key string) string {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Body.Close() }()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// objects returns what a part of a bucket holds, by key, decompressed.
func objects(t testing.TB, c *s3.Client, bucket, prefix string) map[string]string {
	t.Helper()
	all := map[string]string{}
	out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out.Contents {
		text := download(t, c, bucket, *o.Key)
		if strings.HasSuffix(*o.Key, ".gz") {
			z, err := gzip.NewReader(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(z) // a truncated object ends in an error
			text = string(b)
		}
		all[strings.TrimPrefix(*o.Key, prefix)] = text
	}
	return all
}

// s3Code is what S3 refuses with.
func s3Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// A bucket is a lake as a folder is: the same records and faults make the same
// objects, whose keys in Planted are relative to the lake.
func TestBucketIsALakeAsAFolderIs(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		cfg := local.Config{
			Prefix: "raw/", Delimiter: "\n", Compression: []string{"gzip", "none"}[seed%2], BufferBytes: 500 + rng.IntN(5000),
			Faults: local.Faults{Seed: seed, Of: 200, Drop: rng.IntN(9), Duplicate: rng.IntN(9), Corrupt: rng.IntN(9), Truncate: rng.IntN(2)},
		}
		deliver := func(place string) (*local.Pipeline, []string) {
			cfg.Lake = place
			p := start(t, cfg)
			put(t, client(t, p, "AKID"), 0, 200)
			flush(t, p)
			kinds := []string{}
			for _, f := range p.Planted() {
				kinds = append(kinds, f.Kind+" "+string(f.Data))
			}
			return p, kinds
		}
		dir := t.TempDir()
		_, want := deliver(dir)
		p, got := deliver("s3://lake/a")
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: planted %q in the bucket, %q in the folder", seed, got, want)
		}
		stored := objects(t, s3Client(t, p, "AKID"), "lake", "a/")
		if got, want := texts(stored), texts(lake(t, dir)); !slices.Equal(got, want) {
			t.Errorf("seed %d: %d objects in the bucket, %d in the folder, or others", seed, len(got), len(want))
		}
		for _, f := range p.Planted() {
			if _, ok := stored[f.Object]; f.Object == "" || !ok && f.Kind != local.Dropped {
				t.Errorf("seed %d: %s planted in %q, which is not in the lake", seed, f.Kind, f.Object)
			}
		}
	}
}

func texts(objects map[string]string) (all []string) {
	for _, o := range objects {
		all = append(all, o)
	}
	slices.Sort(all)
	return all
}

// While the bucket is gone nothing is lost, and nothing is delivered or planted twice.
func TestLostBucketIsTriedAgain(t *testing.T) {
	p := start(t, local.Config{Lake: "s3://lake", Delimiter: "\n", Faults: local.Faults{Of: 50, Drop: 5, Duplicate: 5}})
	c := s3Client(t, p, "AKID")
	if _, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("lake")}); err != nil {
		t.Fatal(err)
	}
	put(t, client(t, p, "AKID"), 0, 50)
	for range 2 {
		if err := p.Flush(t.Context()); err == nil {
			t.Fatal("Flush without a bucket: no error")
		}
	}
	if n := len(p.Planted()); n != 0 {
		t.Errorf("%d faults planted in no object", n)
	}
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("lake")}); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	total := 0
	for _, n := range rows(objects(t, c, "lake", "")) {
		total += n
	}
	if total != 50 || len(p.Planted()) != 10 {
		t.Errorf("%d rows and %d faults, want 50 (5 dropped, 5 twice) and 10", total, len(p.Planted()))
	}
}

// One port serves both: what has a target is Kinesis's, all else is S3's.
// Nothing that came with the request but the data comes back with the object.
func TestOnePortForKinesisAndS3(t *testing.T) {
	p := start(t, local.Config{Buckets: []string{"one"}, Lake: t.TempDir()})
	c := s3Client(t, p, "AKID")
	put(t, client(t, p, "AKID"), 0, 10)
	if err := upload(t.Context(), c, "one", "k/ü +%", "data"); err != nil {
		t.Fatal(err)
	}
	if got := download(t, c, "one", "k/ü +%"); got != "data" {
		t.Errorf("got %q, want data", got)
	}
	if err := upload(t.Context(), c, "two", "k", ""); s3Code(err) != "NoSuchBucket" {
		t.Errorf("bucket that nobody made: %v", err)
	}
	get, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL()+"/one/k%2F%C3%BC%20%2B%25", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(get)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && name != "X-Amz-Id-2" && name != "X-Amz-Request-Id" {
			t.Errorf("%s comes back with the object", name)
		}
	}
	if r.StatusCode != http.StatusOK {
		t.Errorf("plain GET: %s", r.Status)
	}
}

// The access key guards S3 as it guards Kinesis, also where it stands in the query.
func TestAccessKeyGuardsS3(t *testing.T) {
	p := start(t, local.Config{Buckets: []string{"one"}, AccessKey: "AKID"})
	right := s3Client(t, p, "AKID")
	if err := upload(t.Context(), right, "one", "k", "data"); err != nil {
		t.Error(err)
	}
	if err := upload(t.Context(), s3Client(t, p, "OTHER"), "one", "k", "bad"); s3Code(err) != "InvalidAccessKeyId" {
		t.Errorf("another key: %v", err)
	}
	for query, want := range map[string]int{"": 403, "?X-Amz-Credential=AKID/x": 200, "?X-Amz-Credential=OTHER/x": 403} {
		if got, _ := roundTrip(t, p, "GET /one/k"+query+" HTTP/1.1\r\nHost: x\r\n\r\n"); got != want {
			t.Errorf("GET %q: %d, want %d", query, got, want)
		}
	}
	if got := download(t, right, "one", "k"); got != "data" {
		t.Errorf("got %q, want data", got)
	}
}

// roundTrip sends raw bytes and returns the status and the body.
func roundTrip(t *testing.T, p *local.Pipeline, request string) (int, string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// A body in chunks, signed or summed up, is stored without its frames, whole or as a part.
func TestChunkedBodiesAreStoredPlain(t *testing.T) {
	p := start(t, local.Config{Buckets: []string{"one"}})
	c := s3Client(t, p, "AKID")
	begun, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("one"), Key: aws.String("parts")})
	if err != nil {
		t.Fatal(err)
	}
	for kind, body := range map[string]string{
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER": "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n",
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD": "b;chunk-signature=" + strings.Repeat("a", 64) + "\r\nhello world\r\n0;chunk-signature=" + strings.Repeat("b", 64) + "\r\n\r\n",
	} {
		for _, target := range []string{"/one/whole", "/one/parts?partNumber=1&uploadId=" + *begun.UploadId} {
			head := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: x\r\nContent-Encoding: aws-chunked\r\nX-Amz-Content-Sha256: %s\r\nContent-Length: %d\r\n", target, kind, len(body))
			if got, text := roundTrip(t, p, head+"X-Amz-Decoded-Content-Length: 11\r\n\r\n"+body); got != 200 {
				t.Fatalf("%s %s: %d %s", kind, target, got, text)
			}
			if got, text := roundTrip(t, p, head+"\r\n"+body); got != 400 || !strings.Contains(text, "InvalidRequest") {
				t.Errorf("%s %s without the decoded length: %d %s", kind, target, got, text)
			}
		}
		if got := download(t, c, "one", "whole"); got != "hello world" {
			t.Errorf("%s: got %q", kind, got)
		}
	}
	parts, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String("one"), Key: aws.String("parts"), UploadId: begun.UploadId})
	if err != nil || len(parts.Parts) != 1 || *parts.Parts[0].Size != 11 {
		t.Errorf("part: %+v, %v, want one of 11 bytes", parts, err)
	}
}

// What is too large is refused by what it announces, before memory is taken for
// it; a browser gets nothing.
func TestS3RefusesWhatItShould(t *testing.T) {
	p := start(t, local.Config{Buckets: []string{"one"}})
	for request, want := range map[string]string{
		"PUT /one/k HTTP/1.1\r\nHost: x\r\nContent-Length: 268435457\r\n\r\n": "EntityTooLarge",
		"PUT /one/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n" +
			"X-Amz-Decoded-Content-Length: 999999999999\r\n\r\n0\r\n\r\n": "EntityTooLarge",
		"GET /one?list-type=2 HTTP/1.1\r\nHost: x\r\nOrigin: https://example.com\r\n\r\n": "AccessDenied",
	} {
		if status, text := roundTrip(t, p, request); status < 400 || !strings.Contains(text, want) {
			t.Errorf("%q: %d %q, want %s", request, status, text, want)
		}
	}
}

// All that is wrong with the names of buckets is said at once.
func TestBadBucketsAreRefused(t *testing.T) {
	ln := listen(t)
	_, err := local.Start(t.Context(), ln, local.Config{Buckets: []string{"A_b", "fine"}, Lake: "s3://x/../y"})
	for _, want := range []string{`"A_b"`, `bucket "x"`, `"s3://x/../y"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), `"fine"`) {
		t.Errorf("a good name is reported: %v", err)
	}
}

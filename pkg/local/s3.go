package local

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// maxUpload bounds the body of one S3 request. Larger objects come in parts.
const maxUpload = 256 << 20

// storage is the S3 of a pipeline: buckets in memory, without versions. A
// folder is not served as a bucket: what gofakes3 has for that neither pages
// nor shows objects only when they are whole.
type storage struct {
	store   *s3mem.Backend
	handler http.Handler
}

func newStorage(buckets []string) (*storage, error) {
	s := &storage{store: s3mem.New()}
	for _, name := range buckets {
		if err := s.store.CreateBucket(name); err != nil {
			return nil, fmt.Errorf("local: bucket %q: %w", name, err)
		}
	}
	s.handler = gofakes3.New(s.store,
		gofakes3.WithoutVersioning(),
		gofakes3.WithTimeSkewLimit(0), // nothing is checked that a clock could spoil
		gofakes3.WithMetadataSizeLimit(0),
	).Server()
	return s, nil
}

// bucketLake is a part of a bucket.
type bucketLake struct {
	store          *s3mem.Backend
	bucket, prefix string
}

func (l bucketLake) put(key string, data []byte) error {
	meta := map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}
	_, err := l.store.PutObject(l.bucket, l.prefix+key, meta, bytes.NewReader(data), int64(len(data)), nil)
	return err
}

func (l bucketLake) close() error { return nil }

// serveS3 answers every request that is not of Kinesis. S3 refuses otherwise
// than Kinesis does, in XML and with other codes.
func (p *Pipeline) serveS3(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Origin") != "": // gofakes3 allows any origin: any page in a browser could read the lake
		refuseS3(w, http.StatusForbidden, "AccessDenied", "Browsers are not served.")
	case p.cfg.AccessKey != "" && accessKey(r) != p.cfg.AccessKey:
		refuseS3(w, http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	case !unframe(r):
		refuseS3(w, http.StatusBadRequest, "InvalidRequest", "The length of the decoded content is missing.")
	case r.ContentLength > maxUpload:
		refuseS3(w, http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size; send it in parts.")
	default:
		r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
		forget(r.Header)
		p.s3.handler.ServeHTTP(w, r)
	}
}

// accessKey is the id that a request is signed with, in its header or its query.
func accessKey(r *http.Request) string {
	_, scope, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		scope = r.URL.Query().Get("X-Amz-Credential")
	}
	key, _, _ := strings.Cut(scope, "/")
	return key
}

// unframe takes the aws-chunked coding off a body, which SDKs use to sign or to
// sum it up as it goes. gofakes3 knows one of its kinds only, stores the others
// with their frames, and does not know it in parts at all. It tells false when
// the body does not say how long it is without.
func unframe(r *http.Request) bool {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return true
	}
	size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return false
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{httputil.NewChunkedReader(r.Body), r.Body}
	r.ContentLength = size
	r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	r.Header.Del("Content-Encoding")
	return true
}

// forget drops the headers that gofakes3 would keep as metadata of the object
// and send back with it: signatures, session tokens, and checksums, which are
// not those of a part of the object.
func forget(h http.Header) {
	for name := range h {
		kept := strings.HasPrefix(name, "X-Amz-Meta") || strings.HasPrefix(name, "X-Amz-Copy-")
		if strings.HasPrefix(name, "X-Amz-") && !kept {
			h.Del(name)
		}
	}
}

func refuseS3(w http.ResponseWriter, status int, code, message string) {
	body, err := xml.Marshal(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: message})
	if err != nil {
		body = nil // two strings always marshal
	}
	w.Header().Set("Content-Type", "application/xml")
	send(w, status, body)
}

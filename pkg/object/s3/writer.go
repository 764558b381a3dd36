package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"kreplay/pkg/object"
)

// abortWithin bounds the call that drops an upload when the caller's own
// context may have ended already.
const abortWithin = 10 * time.Second

// Create implements object.Store. What fits one part is one call at Close;
// a larger object is a multipart upload, of which S3 shows nothing before it is
// complete. A writer holds at most one part in memory. What a crash leaves of
// an upload is no object, but is paid for until a lifecycle rule ends it.
func (s *Store) Create(ctx context.Context, key string) (object.Writer, error) {
	if err := admit(ctx, key); err != nil {
		return nil, err
	}
	return &writer{ctx: ctx, s: s, key: key}, nil
}

// writer is an object on its way.
type writer struct {
	ctx    context.Context
	s      *Store
	key    string
	buf    []byte
	upload *string // id of the multipart upload; nil: none is needed so far
	parts  []types.CompletedPart
	done   bool
	err    error // first failure of a Write; Close then refuses to publish
}

func (w *writer) Write(p []byte) (n int, err error) {
	if w.done {
		return 0, fmt.Errorf("s3: write %s: %w", w.key, object.ErrDone)
	}
	if w.err == nil && w.ctx.Err() != nil {
		w.err = fmt.Errorf("s3: write %s: %w", w.key, context.Cause(w.ctx))
	}
	for n < len(p) && w.err == nil {
		if len(w.buf) == w.s.o.PartBytes {
			if w.err = w.send(); w.err != nil {
				break
			}
		}
		take := min(len(p)-n, w.s.o.PartBytes-len(w.buf))
		w.buf = append(w.buf, p[n:n+take]...)
		n += take
	}
	return n, w.err
}

// send uploads the buffer as the next part.
func (w *writer) send() error {
	at, key := &w.s.place.bucket, aws.String(w.s.prefix+w.key)
	if len(w.parts) == maxParts {
		return fmt.Errorf("s3: write %s: over %d parts of %d bytes", w.key, maxParts, w.s.o.PartBytes)
	}
	if w.upload == nil {
		out, err := w.s.api.CreateMultipartUpload(w.ctx, &sdk.CreateMultipartUploadInput{Bucket: at, Key: key})
		if err != nil {
			return w.s.explain(w.ctx, "write", w.key, err)
		}
		w.upload = out.UploadId
	}
	number := aws.Int32(int32(len(w.parts)) + 1)
	out, err := w.s.api.UploadPart(w.ctx, &sdk.UploadPartInput{
		Bucket: at, Key: key, UploadId: w.upload, PartNumber: number, Body: bytes.NewReader(w.buf),
	})
	if err != nil {
		return w.s.explain(w.ctx, "write", w.key, err)
	}
	w.parts = append(w.parts, types.CompletedPart{ETag: out.ETag, PartNumber: number})
	w.buf = w.buf[:0]
	return nil
}

func (w *writer) Close() error {
	if w.done {
		return fmt.Errorf("s3: close %s: %w", w.key, object.ErrDone)
	}
	if w.err == nil && w.ctx.Err() != nil {
		w.err = fmt.Errorf("s3: close %s: %w", w.key, context.Cause(w.ctx))
	}
	if w.err == nil {
		w.err = w.publish()
	}
	if w.err == nil {
		w.done, w.buf = true, nil
		return nil
	}
	return errors.Join(w.err, w.Abort())
}

func (w *writer) publish() error {
	at, key := &w.s.place.bucket, aws.String(w.s.prefix+w.key)
	if w.upload == nil {
		_, err := w.s.api.PutObject(w.ctx, &sdk.PutObjectInput{Bucket: at, Key: key, Body: bytes.NewReader(w.buf)})
		if err != nil {
			return w.s.explain(w.ctx, "write", w.key, err)
		}
		return nil
	}
	if len(w.buf) > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	_, err := w.s.api.CompleteMultipartUpload(w.ctx, &sdk.CompleteMultipartUploadInput{
		Bucket: at, Key: key, UploadId: w.upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts},
	})
	if err != nil {
		return w.s.explain(w.ctx, "write", w.key, err)
	}
	return nil
}

func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done, w.buf = true, nil
	if w.upload == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortWithin)
	defer cancel()
	_, err := w.s.api.AbortMultipartUpload(ctx, &sdk.AbortMultipartUploadInput{
		Bucket: &w.s.place.bucket, Key: aws.String(w.s.prefix + w.key), UploadId: w.upload,
	})
	if err != nil {
		return w.s.explain(ctx, "abort", w.key, err)
	}
	return nil
}

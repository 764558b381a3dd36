package s3

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"kreplay/pkg/object"
)

// An object that is read at any place is asked for in blocks. Those read last
// are kept: as many as columns that are read side by side, each a block ahead.
const (
	blockBytes = 1 << 20
	maxBlocks  = 64
)

// OpenAt implements object.Seeker. It keeps up to 64 MiB of the object. Each block
// is asked for with the ETag that the object had when it was opened: when it is
// replaced meanwhile, ReadAt says so.
func (s *Store) OpenAt(ctx context.Context, key string) (object.ReaderAt, error) {
	if err := admit(ctx, key); err != nil {
		return nil, err
	}
	out, err := s.api.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: &s.place.bucket, Key: aws.String(s.prefix + key)})
	if err != nil {
		return nil, s.explain(ctx, "read", key, err)
	}
	return &readerAt{ctx: ctx, store: s, key: key, etag: out.ETag, size: aws.ToInt64(out.ContentLength), blocks: map[int64]*block{}}, nil
}

type readerAt struct {
	ctx   context.Context
	store *Store
	key   string
	etag  *string
	size  int64

	mu     sync.Mutex // one request at a time
	blocks map[int64]*block
	clock  int64
}

type block struct {
	data []byte
	used int64 // by the reader's clock
}

func (r *readerAt) Size() int64 { return r.size }

// Close lets the blocks go.
func (r *readerAt) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks = nil
	return nil
}

func (r *readerAt) ReadAt(p []byte, off int64) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.blocks == nil:
		return 0, fmt.Errorf("s3: read %s: %w", r.key, object.ErrDone)
	case off < 0:
		return 0, fmt.Errorf("s3: read %s: at byte %d", r.key, off)
	case r.ctx.Err() != nil:
		return 0, fmt.Errorf("s3: read %s: %w", r.key, context.Cause(r.ctx))
	}
	for n < len(p) && off < r.size {
		data, err := r.block(off / blockBytes)
		if err != nil {
			return n, err
		}
		got := copy(p[n:], data[off%blockBytes:])
		n, off = n+got, off+int64(got)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// block returns the block with the number i. The caller holds r.mu.
func (r *readerAt) block(i int64) ([]byte, error) {
	r.clock++
	if b := r.blocks[i]; b != nil {
		b.used = r.clock
		return b.data, nil
	}
	b := &block{used: r.clock}
	if len(r.blocks) >= maxBlocks {
		oldest := int64(-1)
		for k, v := range r.blocks {
			if oldest < 0 || v.used < r.blocks[oldest].used {
				oldest = k
			}
		}
		b.data = r.blocks[oldest].data
		delete(r.blocks, oldest)
	}
	from := i * blockBytes
	n := int(min(blockBytes, r.size-from))
	if cap(b.data) < n {
		b.data = make([]byte, n)
	}
	b.data = b.data[:n]
	if err := r.get(b.data, from); err != nil {
		return nil, err
	}
	r.blocks[i] = b
	return b.data, nil
}

// get asks for the bytes from offset from on, and again where the connection breaks.
func (r *readerAt) get(p []byte, from int64) error {
	got := 0
	for tries := 0; ; tries++ {
		at := from + int64(got)
		out, err := r.store.api.GetObject(r.ctx, &sdk.GetObjectInput{
			Bucket: &r.store.place.bucket, Key: aws.String(r.store.prefix + r.key), IfMatch: r.etag,
			Range: aws.String(fmt.Sprintf("bytes=%d-%d", at, from+int64(len(p))-1)),
		})
		if err != nil {
			return r.store.explain(r.ctx, "read", r.key, err)
		}
		var no error
		switch {
		case aws.ToString(out.ETag) != aws.ToString(r.etag): // few emulators know If-Match
			no = fmt.Errorf("s3: read %s: it was replaced while it was read; try again", r.store.place.name(r.store.prefix+r.key))
		case at > 0 && aws.ToString(out.ContentRange) == "":
			no = fmt.Errorf("s3: read %s: the service gives no part of an object, which reading from byte %d needs", r.key, at)
		}
		if no != nil {
			_ = out.Body.Close() // its bytes are not wanted
			return no
		}
		n, err := io.ReadFull(out.Body, p[got:])
		_ = out.Body.Close() // what is read is read
		if got += n; got == len(p) {
			return nil
		}
		if n > 0 {
			tries = 0
		}
		if tries >= maxBreaks || r.ctx.Err() != nil {
			return r.store.explain(r.ctx, "read", r.key, err)
		}
	}
}

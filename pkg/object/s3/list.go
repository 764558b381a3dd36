package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"kreplay/pkg/object"
)

// ErrOrder is wrapped when a service does not list in the order of keys:
// directory buckets and some emulators.
var ErrOrder = errors.New("the service does not list keys in order")

// List implements object.Store, a page of the service at a time. Empty objects
// whose key ends in a slash are left out: consoles make them to show folders.
// Any other key that Open could not open ends the listing with an error,
// because to leave it out would hide an object.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		l := listing{yield: yield, skip: len(s.prefix)}
		in := &sdk.ListObjectsV2Input{Bucket: &s.place.bucket, Prefix: aws.String(s.prefix + prefix)}
		if s.o.PageSize > 0 {
			in.MaxKeys = &s.o.PageSize
		}
		for {
			if err := context.Cause(ctx); err != nil {
				yield(object.Info{}, fmt.Errorf("s3: list %q: %w", prefix, err))
				return
			}
			s.lists.Add(1)
			out, err := s.api.ListObjectsV2(ctx, in)
			if err != nil {
				yield(object.Info{}, s.explain(ctx, "list", prefix, err))
				return
			}
			more, err := l.page(out)
			if err != nil {
				yield(object.Info{}, fmt.Errorf("s3: list %s: %w", s.place.name(s.prefix+prefix), err))
			}
			if !more || err != nil {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	}
}

// listing is one walk over the pages.
type listing struct {
	yield func(object.Info, error) bool
	skip  int    // bytes of the store's own prefix
	last  string // full key yielded or left out before
}

// page yields one page, and says whether another one is wanted.
func (l *listing) page(out *sdk.ListObjectsV2Output) (more bool, err error) {
	for i := range out.Contents {
		if more, err = l.object(&out.Contents[i]); !more || err != nil {
			return false, err
		}
	}
	if !aws.ToBool(out.IsTruncated) {
		return false, nil
	}
	if aws.ToString(out.NextContinuationToken) == "" || len(out.Contents) == 0 {
		return false, errors.New("the service says that there is more, but not where")
	}
	return true, nil
}

func (l *listing) object(o *types.Object) (more bool, err error) {
	full, size := aws.ToString(o.Key), aws.ToInt64(o.Size)
	if full <= l.last { // an endless listing repeats itself, too
		return false, fmt.Errorf("%q stands after %q: %w; use a general purpose bucket", full, l.last, ErrOrder)
	}
	l.last = full
	key := full[min(l.skip, len(full)):]
	if key == "" || strings.HasSuffix(key, "/") && size == 0 {
		return true, nil // shows a folder
	}
	if strings.HasPrefix(key, object.Temporary) || strings.Contains(key, "/"+object.Temporary) {
		return true, nil // by its name on its way, in a copied directory
	}
	if err := object.CheckKey(key); err != nil {
		return false, fmt.Errorf("%w; leave it out with a longer prefix, or rename it", err)
	}
	return l.yield(object.Info{Key: key, Size: size, Modified: aws.ToTime(o.LastModified), ETag: aws.ToString(o.ETag)}, nil), nil
}

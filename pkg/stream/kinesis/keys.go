package kinesis

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// keys are the caller's credentials. It makes their failures ErrCredentials,
// as they look like Kinesis's otherwise, and asks for new ones when Kinesis
// says that they have expired.
type keys struct {
	aws.CredentialsProvider
	refreshes atomic.Int64 // so far
	rejected  atomic.Int64 // refreshes since a call was accepted
}

// maxRefreshes is how often in turn credentials may be expired. One refresh
// mends a session that ran out; more than a few mend nothing.
const maxRefreshes = 3

// Retrieve implements [aws.CredentialsProvider].
func (k *keys) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := k.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	return found, err
}

// IsCredentialsProvider lets the SDK see what k wraps: anonymous requests stay unsigned.
func (k *keys) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(k.CredentialsProvider, target)
}

// age tells credentials from later ones.
func (k *keys) age() int64 { return k.refreshes.Load() }

// accepted notes that the credentials of a call were good.
func (k *keys) accepted() {
	if k.rejected.Load() != 0 {
		k.rejected.Store(0)
	}
}

// expired notes that credentials of that age have expired, and tells whether
// newer ones may be tried. Of the many calls that find out at once, one refreshes.
func (k *keys) expired(age int64) (again bool) {
	if k.CredentialsProvider == nil {
		return false
	}
	if !k.refreshes.CompareAndSwap(age, age+1) {
		return true
	}
	if cache, ok := k.CredentialsProvider.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
	return k.rejected.Add(1) <= maxRefreshes
}

package replay

import (
	"context"
	"errors"
)

// ErrGuard reports that a run was stopped, or not begun, for safety: a stream
// that is not marked as ours is not written to.
var ErrGuard = errors.New("stopped by a guard")

// RunConfig says how the whole loop goes.
type RunConfig struct {
	Push   PushConfig
	Verify VerifyConfig // its Dir is the push's
}

// Run pushes a job's records, waits until the stages have settled, and
// accounts for them.
func Run(ctx context.Context, job *Job, cfg RunConfig) (*Result, error) {
	if _, err := Push(ctx, job, cfg.Push); err != nil {
		return nil, err
	}
	cfg.Verify.Dir = cfg.Push.Dir
	return Verify(ctx, cfg.Verify)
}

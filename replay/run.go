package replay

import (
	"context"
	"errors"
)

// ErrGuard reports that a run was stopped, or not begun, for safety: a stream
// that is not marked as ours is not written to.
var ErrGuard = errors.New("stopped by a guard")

// ErrKept reports that a push began and did not end: it can be resumed.
var ErrKept = errors.New("what was sent is kept")

// RunConfig says how the whole loop goes.
type RunConfig struct {
	Push   PushConfig
	Verify VerifyConfig // its Dir is the push's
}

// Run pushes a job's records, waits until the stages have settled, and
// accounts for them. The stages are listed all the time, so that it is known when
// their objects became visible.
func Run(ctx context.Context, job *Job, cfg RunConfig) (*Result, error) {
	if cfg.Verify.Open == nil {
		cfg.Verify.Open = openDir
	}
	scouting := scouted(ctx, job, cfg)
	defer scouting.stop()
	if _, err := Push(ctx, job, cfg.Push); err != nil {
		return nil, err
	}
	cfg.Verify.Dir, cfg.Verify.scouting = cfg.Push.Dir, scouting
	return Verify(ctx, cfg.Verify)
}

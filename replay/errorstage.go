package replay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/scenario"
)

// errorStage holds what the pipeline could not deliver.
const errorStage = "dlq"

// errors lists what came into the error stage since the run began. What was
// there before is another run's.
func (v *verifier) errors(ctx context.Context) error {
	store, closer, err := v.cfg.Open(ctx, v.stage.Path)
	if err == nil {
		defer func() { _ = closer.Close() }()
		v.store = store
		err = v.settle(ctx)
	}
	if err == nil {
		err = v.listErrors(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	v.stage.Err = err
	return nil
}

func (v *verifier) listErrors(ctx context.Context) error {
	began := v.res.Ledger.Manifest.Started.Truncate(time.Second) // S3 tells no finer time
	for info, err := range v.store.List(ctx, "") {
		if err != nil {
			return err
		}
		if info.Modified.Before(began) {
			continue
		}
		v.stage.Errors++
		err := v.list.add(Named{v.stage.Name, account.Difference{
			Kind: account.KindRejected, Object: info.Key, Detail: fmt.Sprintf("%d bytes in the error stage", info.Size),
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// expectedEmpty says whether the scenario expects a stage to hold nothing.
func (j *Job) expectedEmpty(stage string) bool {
	return slices.ContainsFunc(j.Scenario.Stages, func(s scenario.Stage) bool { return s.Name == stage && s.Empty })
}

package replay

import (
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// Rehearse does all of a push that can be wrong before anything is sent, and
// writes nothing. It returns the first record and what the manifest would say.
func Rehearse(job *Job, cfg PushConfig) ([]record.Record, ledger.Manifest, error) {
	now := time.Now()
	plan, err := job.Start(generate.Run{ID: cfg.RunID, Anchor: cfg.Anchor}, now)
	if err != nil {
		return nil, ledger.Manifest{}, err
	}
	if _, err := newPush(job, plan, &cfg); err != nil {
		return nil, ledger.Manifest{}, err
	}
	m := manifest(job, plan, cfg, now)
	for r := range plan.Records(cfg.Slice) {
		return []record.Record{r}, m, nil
	}
	return nil, m, nil // a worker without users
}

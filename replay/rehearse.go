package replay

import (
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// Rehearse does all of a push that can be wrong before anything is sent, and
// writes nothing. It returns a first record of each stream that gets some, by the
// stream's name, and what the manifest would say.
func Rehearse(job *Job, cfg PushConfig) (map[string]record.Record, ledger.Manifest, error) {
	now := time.Now()
	plan, err := job.Start(generate.Run{ID: cfg.RunID, Anchor: cfg.Anchor}, now)
	if err != nil {
		return nil, ledger.Manifest{}, err
	}
	p, err := newPush(job, plan, &cfg)
	if err != nil {
		return nil, ledger.Manifest{}, err
	}
	return p.firsts(), manifest(job, plan, cfg, now), nil
}

// firsts are the first record of each stream, user by user. All users of a cohort
// send to the same streams, so one of each is looked at.
func (p *push) firsts() map[string]record.Record {
	first := map[string]record.Record{}
	seen := map[*generate.Cohort]bool{}
	for user := range p.plan.UsersOf(p.slice) {
		c := p.plan.Cohort(user)
		if seen[c] {
			continue
		}
		seen[c] = true
		for event := range c.Events {
			name := p.flows[p.indexOf(c.LogType[event])].Stream
			if _, ok := first[name]; !ok {
				first[name] = p.plan.Record(p.plan.ID(user, uint32(event)))
			}
		}
		if len(seen) == len(p.plan.Cohorts()) {
			break
		}
	}
	return first
}

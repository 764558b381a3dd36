package replay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

// Reopen returns the job of a run directory, as it was when the run began, to
// go on with it. set may override what does not change its records, such as
// stream.limits.
func Reopen(dir string, set []string) (*Job, ledger.Manifest, error) {
	m, err := ledger.ReadManifest(dir)
	if err != nil {
		return nil, m, err
	}
	job, err := reopen(dir, m.ScenarioFile, slices.Concat(m.Set, set))
	return job, m, err
}

// again prepares the rest of a run.
func again(job *Job, cfg *PushConfig) (*push, error) {
	if _, err := ledger.ReadManifest(cfg.Dir); err != nil {
		return nil, err
	}
	held, err := alone(cfg.Dir, ledger.ManifestFile)
	if err != nil {
		return nil, err
	}
	p, err := rest(job, cfg)
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	p.alone = held
	return p, nil
}

func rest(job *Job, cfg *PushConfig) (*push, error) {
	led, err := ledger.Open(cfg.Dir)
	if err != nil {
		return nil, err
	}
	resume := ledger.Resume
	if cfg.Copy && !led.Clean {
		next := led.Next // the schedule goes on where the copy ends
		if led, err = ledger.OpenCopy(cfg.Dir); err != nil {
			return nil, err
		}
		led.Next, resume = next, ledger.ResumeCopy
	}
	m := led.Manifest
	if m.Stream != cfg.Target.Stream {
		return nil, fmt.Errorf("replay: %s: the run went to stream %s, not to %s", cfg.Dir, m.Stream, cfg.Target.Stream)
	}
	plan, err := job.Plan(generate.Run{ID: m.Run, Anchor: m.Anchor})
	if err != nil {
		return nil, err
	}
	if got := fmt.Sprintf("%x", plan.Digest); got != m.Digest {
		return nil, fmt.Errorf("replay: %s: the scenario has changed since the run began (digest %s, was %s)", cfg.Dir, got, m.Digest)
	}
	if job.Scenario.Seed != m.Seed { // it is no part of the digest
		return nil, fmt.Errorf("replay: %s: the run began with seed %d, not %d; leave the seed out", cfg.Dir, m.Seed, job.Scenario.Seed)
	}
	began, err := reopen(cfg.Dir, m.ScenarioFile, m.Set)
	if err != nil {
		return nil, err
	}
	// The ledger counts records in the order of sending, which is no part of the digest either.
	if was, is := began.Scenario, job.Scenario; was.Time.Paced() != is.Time.Paced() || was.Inject != is.Inject {
		return nil, fmt.Errorf("replay: %s: whether time.speedup is 0, and inject.late, say which record is which in the ledger; leave them out", cfg.Dir)
	}
	cfg.RunID, cfg.Anchor = m.Run, m.Anchor
	cfg.Slice = generate.Slice{Index: m.Worker.Index, Of: m.Worker.Of}
	p, err := newPush(job, plan, cfg)
	if err != nil {
		return nil, err
	}
	p.resumed = newResumed(led, job.Scenario.Stream.OnUnknown)
	if p.before, err = ReadStats(cfg.Dir); err != nil {
		return nil, err
	}
	p.ledger, err = resume(cfg.Dir)
	return p, err
}

// resumed knows what of a run is still to be sent.
type resumed struct {
	spans  []ledger.Span // without what is not sent again
	wanted uint64        // records
	next   uint64        // what is below is late already, and due at once
	shift  time.Duration // the schedule goes on where the first of the others is due
	begun  bool
}

func newResumed(led *ledger.Account, unknown scenario.Policy) *resumed {
	r := &resumed{spans: slices.Collect(led.Fates()), next: led.Next}
	r.spans = slices.DeleteFunc(r.spans, func(s ledger.Span) bool {
		return s.Fate == record.Acked || s.Fate == record.Unknown && unknown == scenario.Hold
	})
	for _, s := range r.spans {
		r.wanted += s.Count
	}
	return r
}

// left are those of recs that are to be sent, in their place; the others are let go of.
func (r *resumed) left(recs []record.Record) []record.Record {
	n := 0
	for i := range recs {
		if !r.wants(&recs[i]) {
			recs[i].Chunk.Done(1)
			continue
		}
		recs[n] = recs[i]
		n++
	}
	return recs[:n]
}

// wants says whether rec is to be sent, and when. Records come in order of seq.
func (r *resumed) wants(rec *record.Record) bool {
	for len(r.spans) > 0 && r.spans[0].First+r.spans[0].Count <= rec.Seq {
		r.spans = r.spans[1:]
	}
	if len(r.spans) == 0 || rec.Seq < r.spans[0].First {
		return false
	}
	if rec.Seq < r.next {
		rec.Due = 0
		return true
	}
	if !r.begun {
		r.begun, r.shift = true, rec.Due
	}
	rec.Due -= r.shift
	return true
}

package replay

import (
	"fmt"
	"maps"
	"slices"

	"kreplay/pkg/report"
	"kreplay/pkg/scenario"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// verdict says what a result proves, and why not more. A check that failed
// outweighs doubt; doubt outweighs a pass (law 5).
func (r *Result) verdict() (report.Verdict, []string) {
	var failed, doubts []string
	allowed := r.Job.Scenario.Expect.Delivery
	for _, s := range r.Stages {
		failed = append(failed, r.failures(s, allowed)...)
		doubts = append(doubts, r.doubts(s)...)
	}
	if err := r.Ledger.Check(); err != nil {
		doubts = append(doubts, err.Error())
	}
	if !r.Ledger.Clean {
		doubts = append(doubts, fmt.Sprintf("the push did not end in order: %s records may have been in flight", report.Count(r.Ledger.Window)))
	}
	switch {
	case len(failed) > 0:
		return report.Fail, append(failed, doubts...)
	case len(doubts) > 0:
		return report.Inconclusive, doubts
	default:
		return report.Pass, nil
	}
}

func (r *Result) failures(s Stage, allowed scenario.Delivery) (list []string) {
	for _, c := range []struct {
		what         string
		got, allowed uint64
	}{
		{"missing", s.Tally.Missing, allowed.Missing},
		{"duplicates by the pipeline", s.Tally.Pipeline, allowed.PipelineDuplicates},
		{"mutated", s.Tally.Mutated, allowed.Mutated},
		{"strangers", s.Tally.Strangers, allowed.Strangers},
		{"unreadable spans", s.Tally.Damaged, allowed.Damaged},
	} {
		if c.got > c.allowed {
			list = append(list, fmt.Sprintf("%s: %s %s, %s allowed", s.Name, report.Count(c.got), c.what, report.Count(c.allowed)))
		}
	}
	return list
}

func (r *Result) doubts(s Stage) (list []string) {
	if s.Err != nil {
		list = append(list, fmt.Sprintf("%s: the stage could not be read: %v", s.Name, s.Err))
	}
	for _, c := range []struct {
		what string
		n    uint64
	}{
		{"in flight: the stage had not settled; verify again later, or wait longer with --max-wait", s.Tally.InFlight},
		{"undecided: no answer came for them, and no row", s.Tally.Undecided},
		{"never stored: refused or unsent", s.Tally.Absent},
	} {
		if c.n > 0 {
			list = append(list, fmt.Sprintf("%s: %s %s", s.Name, report.Count(c.n), c.what))
		}
	}
	return list
}

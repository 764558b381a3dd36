package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kreplay/pkg/account"
	"kreplay/pkg/report"
)

// gapWords are what was done to records in a gap, by the kind of difference.
var gapWords = map[string]string{account.KindMissing: "lost", account.KindMutated: "changed", account.KindDuplicate: "doubled"}

// blamed says of a difference where it arose, if that tells anything: of a way
// with one stage it does not.
func (r *Result) blamed(d account.Difference) string {
	if d.Gap == (account.Gap{}) || r.stagesOnWay() < 2 {
		return d.Detail
	}
	where := cmp.Or(gapWords[d.Kind], "arose") + " " + d.Gap.String()
	if d.Detail == "" {
		return where
	}
	return d.Detail + "; " + where
}

func (r *Result) stagesOnWay() (n int) {
	for _, s := range r.Stages {
		if slices.Contains(way, s.Name) {
			n++
		}
	}
	return n
}

// divided says how many differences of one kind arose in each gap, where there
// are several; else it is empty.
func divided(t account.Tally, count func(account.Arose) uint64) string {
	var parts []string
	for _, a := range t.Arose {
		if n := count(a); n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", report.Count(n), a.Gap))
		}
	}
	if len(t.Arose) < 2 || len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// arose is what arose in the gap that ends at a stage. Of a stage that is not on
// the way of records, or could not be read, it is nil.
func arose(s Stage) *report.Arose {
	if s.Name == errorStage || s.Err != nil || len(s.Tally.Arose) == 0 {
		return nil
	}
	a := s.Tally.Arose[len(s.Tally.Arose)-1]
	return &report.Arose{Since: a.From, Missing: a.Missing, Rejected: a.Rejected, Mutated: a.Mutated, Duplicates: a.Duplicates, Strangers: a.Strangers}
}

// unknown are the gaps of which nothing can be told, because the stage between
// two others could not be read or had not settled.
func (r *Result) unknown() (list []string) {
	if r.stagesOnWay() < 2 {
		return nil
	}
	for i, s := range r.Stages {
		if !slices.Contains(way, s.Name) || s.Settled && s.Err == nil {
			continue
		}
		why := "had not settled"
		if s.Err != nil {
			why = "could not be read"
		}
		for _, after := range r.Stages[i+1:] {
			if slices.Contains(way, after.Name) && len(after.Tally.Arose) > 0 {
				list = append(list, fmt.Sprintf("%s %s: what arose %s cannot be told to be before it or after it", s.Name, why, after.Tally.Arose[len(after.Tally.Arose)-1].Gap))
				break
			}
		}
	}
	return list
}

// pipelines is how many of the duplicates that arose in a gap are not the
// producer's: its own are all in the first one.
func pipelines(t account.Tally, a account.Arose) uint64 {
	if a.From == account.Push {
		return a.Duplicates - t.Producer
	}
	return a.Duplicates
}

package replay

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/batch"
	"kreplay/pkg/expect"
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
		slow, undecided := r.lagVerdict(s)
		failed, doubts = append(failed, slow...), append(doubts, undecided...)
	}
	several := r.severalAsked()
	for _, f := range r.Findings {
		name := f.Name
		if several {
			name = f.Stage + " " + name
		}
		text := fmt.Sprintf("expectation %s: want %s, got %s: %s", name, f.Want, f.Got, f.Reason)
		switch f.Verdict {
		case expect.Pass:
		case expect.Fail:
			failed = append(failed, text)
		case expect.Inconclusive:
			doubts = append(doubts, text)
		}
	}
	for _, u := range r.Unjudged {
		doubts = append(doubts, fmt.Sprintf("%d expectations of %s were not judged: %s", u.Queries, u.Stage, u.Why))
	}
	if err := r.Ledger.Check(); err != nil {
		doubts = append(doubts, err.Error())
	}
	doubts = append(doubts, r.pushDoubts()...)
	doubts = append(doubts, r.Ledger.doubts()...)
	switch {
	case len(failed) > 0:
		return report.Fail, append(failed, doubts...)
	case len(doubts) > 0:
		return report.Inconclusive, doubts
	default:
		return report.Pass, nil
	}
}

// severalAsked says whether there is more than one stage that expectations may be
// about: then theirs is shown.
func (r *Result) severalAsked() bool {
	n := 0
	for _, s := range r.Stages {
		if s.Name == rawStage || s.Name == tableStage {
			n++
		}
	}
	return n > 1
}

func (r *Result) failures(s Stage, allowed scenario.Delivery) (list []string) {
	if s.Errors > 0 && r.Job.expectedEmpty(s.Name) {
		list = append(list, fmt.Sprintf("%s: %s objects with records of this run or unreadable, %s records in all, expected to be empty",
			s.Name, report.Count(uint64(s.Errors)), report.Count(s.Tally.Rejected)))
	}
	if s.Name == errorStage { // what it holds is held against the stages that it was kept out of
		return list
	}
	missing := "missing"
	if s.Tally.Rejected > 0 {
		missing = fmt.Sprintf("missing or rejected (%s are in the error records)", report.Count(s.Tally.Rejected))
	}
	t := s.Tally
	for _, c := range []struct {
		what         string
		got, allowed uint64
		divided      string
	}{
		{missing, t.Missing + t.Rejected, allowed.Missing, divided(t, func(a account.Arose) uint64 { return a.Missing + a.Rejected })},
		{"duplicates by the pipeline", t.Pipeline, allowed.PipelineDuplicates, divided(t, func(a account.Arose) uint64 { return pipelines(t, a) })},
		{"mutated", t.Mutated, allowed.Mutated, divided(t, func(a account.Arose) uint64 { return a.Mutated })},
		{"strangers", t.Strangers, allowed.Strangers, divided(t, func(a account.Arose) uint64 { return a.Strangers })},
		{"unreadable spans", t.Damaged, allowed.Damaged, ""},
		{"misplaced", s.Misplaced, allowed.Misplaced, ""},
	} {
		if c.got > c.allowed {
			list = append(list, fmt.Sprintf("%s: %s %s, %s allowed%s", s.Name, report.Count(c.got), c.what, report.Count(c.allowed), c.divided))
		}
	}
	return list
}

func (r *Result) doubts(s Stage) (list []string) {
	if s.Err != nil {
		list = append(list, fmt.Sprintf("%s: the stage could not be read: %v", s.Name, s.Err))
	}
	if s.Err == nil && !s.Settled && r.Job.expectedEmpty(s.Name) {
		list = append(list, s.Name+": the stage had not settled: more may come into it; verify again later, or wait longer with --max-wait")
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

// Report turns a result into the value that all writers share.
func (r *Result) Report() report.Report {
	m, led := r.Ledger.Manifest, r.Ledger
	totals := led.Totals()
	rep := report.Report{
		Format: 1,
		Run: report.Run{
			ID: m.Run, Scenario: m.Scenario, Digest: m.Digest, Seed: m.Seed, Users: m.Users,
			Anchor: m.Anchor, Started: m.Started, Finished: led.Ended,
		},
		Push: report.Push{
			Planned: m.Planned, Acked: totals.Acked, Refused: totals.Refused, Unknown: totals.Unknown, Unsent: totals.Unsent,
			Attempts: led.Attempts.Records(), Throttled: led.Throttled(), Requests: led.Attempts.Requests,
			Seconds: led.Ended.Sub(m.Started).Seconds(), Shards: []report.Shard{},
		},
		Stages: []report.Stage{}, LogTypes: []report.LogType{}, Aggregate: []struct{}{}, Expectations: []report.Expectation{},
		Differences: report.Differences{Total: r.Total, Samples: []report.Sample{}},
	}
	r.addStats(&rep.Push)
	rep.Verdict, rep.Reasons = r.verdict()
	if rep.Reasons == nil {
		rep.Reasons = []string{}
	}
	if m.Planned > 0 {
		rep.Push.Amplification = float64(rep.Push.Attempts) / float64(m.Planned)
	}
	if rep.Push.Seconds > 0 {
		rep.Push.RecordsPerSecond = float64(totals.Acked) / rep.Push.Seconds
	}
	for _, s := range r.Stages {
		addStage(&rep, s)
		rep.Stages[len(rep.Stages)-1].Changes = r.changes(s)
		r.addLag(&rep.Stages[len(rep.Stages)-1], s.Lag, s.Listed)
	}
	rep.Several = r.severalAsked()
	rep.Notes = slices.Concat(r.Notes, r.unknown(), r.Stats.notes(), r.clockNotes(), r.heat())
	for _, f := range r.Findings {
		e := report.Expectation{
			Name: f.Name, Stage: f.Stage, Owner: f.Owner, SQL: f.SQL, Want: f.Want, Got: f.Got, Tolerance: f.Tolerance,
			Verdict: report.Verdict(f.Verdict), Seconds: f.Seconds, Reason: f.Reason, Asked: f.Asked,
		}
		if x := f.Explained; x != nil {
			e.Explained = &report.Explained{Missing: x.Missing, Duplicates: x.Duplicates, Mutated: x.Mutated, Unexplained: x.Unexplained}
		}
		rep.Expectations = append(rep.Expectations, e)
	}
	for _, d := range r.Samples {
		sample := report.Sample{LogType: d.LogType, Kind: d.Kind, Object: d.Object, Place: placeOf(d), Detail: r.blamed(d.Difference)}
		if d.LogType != "" {
			sample.ID = d.ID.String()
		}
		rep.Differences.Samples = append(rep.Differences.Samples, sample)
	}
	return rep
}

// placeOf says where in its object, or in its stream, the row of a difference is.
func placeOf(d Named) string {
	if d.Stage == streamStage {
		return "arrived " + time.UnixMilli(d.Offset).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return fmt.Sprintf("at byte %d", d.Offset)
}

// addStats adds what the push measured, if it wrote that down for the whole run.
func (r *Result) addStats(p *report.Push) {
	s := r.Stats
	if s == nil || s.Segments != r.Ledger.Segments {
		return
	}
	p.Bytes, p.Slip, p.Put = &s.Bytes, s.Slip.report(), s.Put.report()
	for _, shard := range s.Shards {
		p.Shards = append(p.Shards, report.Shard{Stream: shard.Stream, ID: shard.ID, Records: shard.Records, Bytes: shard.Bytes, Throttled: shard.Throttled})
	}
	for _, one := range s.Streams {
		p.Streams = append(p.Streams, report.Stream{Name: one.Stream, Records: one.Records, Bytes: one.Bytes, Throttled: one.Throttled, Unknown: one.Unknown, Slip: one.Slip.report()})
	}
}

// notes are what people should know of the push.
func (s *Stats) notes() (list []string) {
	if s == nil {
		return nil
	}
	if s.Unpaced != "" {
		list = append(list, "the push kept to the limits of the whole only, not to each shard's: "+s.Unpaced)
	}
	if s.Held > 0 {
		list = append(list, fmt.Sprintf("%s records without an answer were not sent again (stream.on_unknown: hold); push --resume would leave them too", report.Count(s.Held)))
	}
	return list
}

// heat names the users who bring much of what a shard took.
func (r *Result) heat() (list []string) {
	if r.Stats == nil {
		return nil
	}
	for _, s := range r.Stats.Shards {
		if len(s.Users) == 0 {
			continue
		}
		ids := make([]string, len(s.Users))
		for i, user := range s.Users {
			ids[i] = strconv.FormatUint(r.Plan.Values(user).UserID, 10)
		}
		list = append(list, fmt.Sprintf("shard %s took %s records, %s throttled; much of them of user %s", strings.TrimPrefix(s.Stream+"/"+s.ID, "/"),
			report.Count(s.Records), report.Count(s.Throttled), strings.Join(ids, ", ")))
	}
	return list
}

func (l *Latency) report() *report.Latency {
	if l == nil {
		return nil
	}
	return &report.Latency{P50: l.P50, P99: l.P99, Max: l.Max}
}

// pushDoubts are what the push itself leaves open.
func (r *Result) pushDoubts() (list []string) {
	s := r.Stats
	if s == nil {
		return nil
	}
	if most := r.Job.Scenario.Stream.MaxSlip; most > 0 && s.Slip != nil && s.Slip.P99 > float64(most.Microseconds())/1000 {
		list = append(list, fmt.Sprintf("the schedule slipped by %.0f ms at p99%s, more than stream.max_slip of %v: a slow sender proves nothing about the pipeline; give it a faster machine, more stream.limits.requests, or more workers", s.Slip.P99, s.latest(), most))
	}
	if s.GivenUp > 0 {
		list = append(list, fmt.Sprintf("%s records were given up after %d attempts or %v", report.Count(s.GivenUp), batch.DefaultAttempts, batch.DefaultAge))
	}
	return list
}

// latest names the stream that slipped most, where there are several.
func (s *Stats) latest() string {
	var late *StreamStats
	for i, one := range s.Streams {
		if one.Slip != nil && (late == nil || one.Slip.P99 > late.Slip.P99) {
			late = &s.Streams[i]
		}
	}
	if late == nil {
		return ""
	}
	return fmt.Sprintf(" (most into stream %s: %.0f ms)", late.Stream, late.Slip.P99)
}

func addStage(rep *report.Report, s Stage) {
	t := s.Tally
	var misplaced *uint64
	if s.Partitioned {
		misplaced = &s.Misplaced
	}
	rep.Stages = append(rep.Stages, report.Stage{
		Name: s.Name, Objects: s.Objects, Bytes: s.Bytes, Rows: t.Rows, States: states(t.States),
		Duplicates: report.Duplicates{Producer: t.Producer, Pipeline: t.Pipeline},
		Strangers:  t.Strangers, Foreign: t.Foreign, Damaged: t.Damaged, Misplaced: misplaced, Arose: arose(s), ForeignSpans: s.ForeignSpans.report(),
	})
	for _, l := range t.LogTypes {
		rep.LogTypes = append(rep.LogTypes, report.LogType{
			Name: l.Name, Stage: s.Name, Planned: l.Planned, States: states(l.States), Duplicates: l.Duplicates,
		})
	}
}

func (f ForeignSpans) report() report.ForeignSpans {
	r := report.ForeignSpans{Spans: f.Spans, Bytes: f.Bytes, Samples: []report.ForeignSpan{}}
	for _, s := range f.Samples {
		r.Samples = append(r.Samples, report.ForeignSpan{Object: s.Object, Offset: s.Offset, Bytes: s.Length, Reason: s.Reason})
	}
	return r
}

// changes says what changed a stage's rows.
func (r *Result) changes(s Stage) report.Changes {
	c := report.Changes{Compare: r.Job.stage(s.Name).Compare.String(), Whole: true}
	if s.Causes == nil {
		return c
	}
	list, beyond, whole := s.Causes.List()
	c.Beyond, c.Whole = beyond, whole
	for _, m := range list {
		c.Fields = append(c.Fields, report.Change{
			LogType: m.LogType, Field: m.Field, Cause: string(m.Cause), Rows: m.Rows, ID: m.ID.String(), Want: m.Want, Got: m.Got,
		})
	}
	return c
}

func states(s account.States) report.States {
	return report.States{
		Delivered: s.Delivered, Mutated: s.Mutated, Rejected: s.Rejected, Missing: s.Missing,
		InFlight: s.InFlight, Undecided: s.Undecided, Absent: s.Absent,
	}
}

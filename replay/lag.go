package replay

import (
	"fmt"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
)

// timing is shared by the stages of which the same records are alike: what is asked
// of a ledger is when one of those was sent. nil: nobody asks.
func (r *Result) timing(stage string) *account.Timing {
	if r.timings == nil {
		return nil
	}
	said := r.Job.stage(stage)
	classes := fmt.Sprintf("%v %q %v", said.Compare, said.Ignore, said.CSV) // as in Job.Rules
	if r.timings[classes] == nil {
		r.timings[classes] = account.NewTiming(r.Plan, r.Ledger.Manifest.Started)
	}
	return r.timings[classes]
}

// visible is when a listing showed an object first, as an account has it.
func (v *verifier) visible(info object.Info) int64 {
	if o, ok := v.source.(*objects); ok {
		return o.looks.at(info)
	}
	return 0
}

// lag is how long the records of the stage took. A record was sent by its sender's
// clock, put forward where the stream's is surely ahead.
func (v *verifier) lag() (*account.Lag, error) {
	r := v.res
	err := r.timing(v.stage.Name).Ask(func(worker int, list []ledger.Sent) (time.Time, error) {
		a := r.Ledger.Workers[worker]
		if a == nil {
			return time.Time{}, nil // nobody knows
		}
		return a.Manifest.Started.Add(r.clocks[worker].Correction()), a.Times(list)
	})
	if err != nil {
		return nil, err
	}
	l := v.acc.Lag(v.news.asked, v.ahead(), v.stage.Settled)
	return &l, nil
}

// ahead is how far the stream's clock is surely ahead of this machine's. It was
// read off by the senders, of which it is known in a run, and while a push is
// followed, that they are on this machine.
func (v *verifier) ahead() time.Duration {
	if v.cfg.scouting == nil && !v.cfg.Follow {
		return 0
	}
	for _, o := range v.res.clocks {
		if o.Known() {
			return o.Correction()
		}
	}
	return 0
}

// readClocks reads how far the stream's clock was ahead of each worker's.
func readClocks(workers []*ledger.Account) ([]stream.Offset, error) {
	list := make([]stream.Offset, len(workers))
	for i, a := range workers {
		if a == nil {
			continue
		}
		s, err := ReadStats(a.Dir)
		if err != nil {
			return nil, err
		}
		if s != nil {
			list[i] = s.Clock
		}
	}
	return list, nil
}

// clockOff is by how much times of sending may be off; unknown counts as nothing.
func (r *Result) clockOff() (most time.Duration) {
	for _, o := range r.clocks {
		most = max(most, o.Off())
	}
	return most
}

// lagVerdict holds the lag of a stage against expect.delivery.lag_p99: what failed
// for sure, or else what is in doubt, as long as records are on their way or where
// the clocks do not tell.
func (r *Result) lagVerdict(s Stage) (failed, doubt []string) {
	l, most := s.Lag, r.Job.Scenario.Expect.Delivery.LagP99
	if l == nil || most == 0 || s.Name == errorStage {
		return nil, nil
	}
	said := fmt.Sprintf("%s: 99 %% of the records took up to %v from being sent to their object, %v allowed", s.Name, l.AtLeast, most)
	if l.Waiting > 0 {
		said += ", those on their way counted as if they came now"
	}
	off, late := r.clockOff(), time.Duration(0)
	if l.Seconds {
		late = time.Second
	}
	switch {
	case l.AtLeast-off > most:
		return []string{said}, nil
	case l.Waiting > 0:
		return nil, []string{said + ": the stage had not settled, so they may take too long yet; verify again later, or wait longer with --max-wait"}
	case l.All.Count == 0:
		return nil, []string{s.Name + ": no record was timed: none has both a row and a known time of sending (expect.delivery.lag_p99)"}
	case l.AtLeast+off+late > most:
		return nil, []string{fmt.Sprintf("%s, but clocks may be off by %v and objects' times by %v: expect.delivery.lag_p99 is not decided", said, off.Round(time.Millisecond), late)}
	}
	return nil, nil
}

// clockNotes say where the clocks of a sender and of the stream differ.
func (r *Result) clockNotes() (list []string) {
	for i, o := range r.clocks {
		if o.Correction() == 0 {
			continue
		}
		who := "the sender's"
		if len(r.clocks) > 1 {
			who = fmt.Sprintf("worker %d's", i+1)
		}
		list = append(list, fmt.Sprintf("the stream's clock is ahead of %s by %v, read off %s answers; lags are corrected by it", who, o, report.Count(o.Answers)))
	}
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// addLag tells a stage's lag; no record was timed: nothing.
func (r *Result) addLag(to *report.Stage, l *account.Lag, listed Listings) {
	if l == nil || l.All.Count+l.Waiting+l.Unsaid == 0 {
		return
	}
	d := &report.LagDetail{
		OneIn: l.Every, Records: l.All.Count, Waiting: l.Waiting, Unsaid: l.Unsaid, Early: l.Early, WholeSeconds: l.Seconds,
		Clock: r.clock(), StepSeconds: l.Step.Seconds(), LogTypes: []report.LogTypeLag{}, Sent: []report.StepLag{},
	}
	if l.All.Count > 0 {
		all := lagOf(l.All)
		to.Lag = &all
	}
	for _, t := range l.LogTypes {
		d.LogTypes = append(d.LogTypes, report.LogTypeLag{Name: t.Name, LagPart: lagPart(t.Quantiles)})
	}
	for _, s := range l.Steps {
		d.Sent = append(d.Sent, report.StepLag{At: s.At, LagPart: lagPart(s.Quantiles)})
	}
	if v := l.Visible; v.Count > 0 {
		d.Visible = &report.Visible{
			Records: v.Count, MS: lagOf(v), ListedEvery: milliseconds(listed.Every()), Within: milliseconds(listed.Within), Listings: listed.Count, Calls: listed.Calls,
		}
	}
	to.LagDetail = d
}

func lagOf(q account.Quantiles) report.Lag {
	return report.Lag{P50: milliseconds(q.P50), P90: milliseconds(q.P90), P99: milliseconds(q.P99), Max: milliseconds(q.Max)}
}

func lagPart(q account.Quantiles) report.LagPart {
	return report.LagPart{Records: q.Count, P50: milliseconds(q.P50), P99: milliseconds(q.P99), Max: milliseconds(q.Max)}
}

// clock is what is known of the stream's clock, by all workers together.
func (r *Result) clock() *report.Clock {
	var all stream.Offset
	corrected := false
	for _, o := range r.clocks {
		all, corrected = all.Or(o), corrected || o.Correction() != 0
	}
	if !all.Known() {
		return nil
	}
	guess, off := all.Ahead()
	return &report.Clock{Ahead: milliseconds(guess), Off: milliseconds(off), Answers: all.Answers, Corrected: corrected}
}

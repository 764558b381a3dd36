package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"kreplay/pkg/report"
	"kreplay/replay"
)

// plainEvery is how often a line is printed where no terminal shows it.
const plainEvery = 5 * time.Second

// observer prints progress to stderr in the way that --progress asks for, or
// returns nil where nobody wants to see it. It is called from one goroutine at a time.
func (a *app) observer() func(replay.Progress) {
	switch a.progressMode() {
	case "none":
		return nil
	case "tty":
		return ttyProgress(a.stderr)
	case "json":
		return jsonProgress(a.stderr)
	default:
		return plainProgress(a.stderr)
	}
}

// follower is observer that shows each stage by itself while they settle.
func (a *app) follower() func(replay.Progress) {
	show := a.observer()
	switch a.progressMode() {
	case "tty":
		return tableProgress(a.stderr, show)
	case "plain":
		return linesProgress(a.stderr, show)
	}
	return show
}

func (a *app) progressMode() string {
	mode := a.progress
	if a.quiet {
		mode = "none"
	}
	if mode == "auto" {
		mode = "plain"
		if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			mode = "tty"
		}
	}
	return mode
}

func ttyProgress(w io.Writer) func(replay.Progress) {
	width := 0
	var meter meter
	return func(p replay.Progress) {
		text := meter.line(p, bar(p))
		fmt.Fprintf(w, "\r%s%s", text, strings.Repeat(" ", max(width-len(text), 0)))
		width = len(text)
		if p.Final {
			fmt.Fprintln(w)
			width = 0
		}
	}
}

func plainProgress(w io.Writer) func(replay.Progress) {
	var last time.Duration
	var meter meter
	return func(p replay.Progress) {
		if p.Elapsed < last {
			last = 0 // the next phase has begun
		}
		if !p.Final && p.Elapsed-last < plainEvery {
			return
		}
		last = p.Elapsed
		fmt.Fprintln(w, meter.line(p, ""))
	}
}

// jsonProgress writes an object a second, for programs. Keys are stable.
func jsonProgress(w io.Writer) func(replay.Progress) {
	var last time.Duration
	var meter meter
	stages := stageMeters{}
	out := json.NewEncoder(w)
	return func(p replay.Progress) {
		if p.Elapsed < last {
			last = 0
		}
		if !p.Final && p.Elapsed-last < time.Second {
			return
		}
		last = p.Elapsed
		type part struct {
			Stream    string  `json:"stream"`
			Done      uint64  `json:"done"`
			Bytes     uint64  `json:"bytes"`
			Refused   uint64  `json:"refused"`
			Unknown   uint64  `json:"unknown"`
			Throttled float64 `json:"throttled"`
			SlipMS    float64 `json:"slip_p99_ms"`
		}
		var streams []part
		for _, s := range p.Streams {
			streams = append(streams, part{s.Stream, s.Acked, s.Bytes, s.Refused, s.Unknown, s.Throttled, float64(s.Slip.Microseconds()) / 1000})
		}
		_ = out.Encode(struct { // progress that cannot be written stops no run
			Phase            replay.Phase `json:"phase"`
			Done             uint64       `json:"done"`
			Total            uint64       `json:"total"`
			Bytes            uint64       `json:"bytes"`
			Refused          uint64       `json:"refused"`
			Unknown          uint64       `json:"unknown"`
			RecordsPerSecond float64      `json:"records_per_second"`
			Wanted           float64      `json:"wanted_records_per_second"`
			Throttled        float64      `json:"throttled"`
			Hottest          string       `json:"hottest_shard,omitempty"`
			SlipMS           float64      `json:"slip_p99_ms"`
			ElapsedMS        int64        `json:"elapsed_ms"`
			LeftMS           int64        `json:"left_ms"`
			Stages           []stageJSON  `json:"stages,omitempty"`
			Final            bool         `json:"final"`
			Streams          []part       `json:"streams,omitempty"` // where there are several
		}{p.Phase, p.Done, p.Total, p.Bytes, p.Refused, p.Unknown, meter.rate(p), p.Wanted, p.Throttled, p.Hottest, float64(p.Slip.Microseconds()) / 1000, p.Elapsed.Milliseconds(), remaining(p).Milliseconds(), stages.json(p, time.Now()), p.Final, streams})
	}
}

// A meter knows the rate of the last seconds.
type meter struct {
	phase   replay.Phase
	samples []sample // of the last meterSpan, oldest first
}

type sample struct {
	at   time.Duration
	done uint64
}

const meterSpan = 3 * time.Second

// rate is what was done a second over the last seconds; at the end, over all of
// the phase.
func (m *meter) rate(p replay.Progress) float64 {
	if p.Phase != m.phase || len(m.samples) > 0 && p.Elapsed < m.samples[len(m.samples)-1].at {
		m.phase, m.samples = p.Phase, m.samples[:0]
	}
	m.samples = append(m.samples, sample{p.Elapsed, p.Done})
	for len(m.samples) > 2 && p.Elapsed-m.samples[1].at >= meterSpan {
		m.samples = m.samples[1:]
	}
	from := m.samples[0]
	if p.Final || len(m.samples) == 1 {
		from = sample{}
	}
	return float64(p.Done-from.done) / max((p.Elapsed-from.at).Seconds(), 0.001)
}

// line says how far, how fast and how long still.
func (m *meter) line(p replay.Progress, bar string) string {
	rate := m.rate(p)
	switch p.Phase {
	case replay.PhasePush:
	case replay.PhasePlan:
		return fmt.Sprintf("plan    %s%3.0f%%  %s of %s records  %s records/s%s", bar, percent(p), report.Count(p.Done), report.Count(p.Total), report.Count(uint64(rate)), left(p))
	case replay.PhaseSettle:
		return fmt.Sprintf("settle  %s%3.0f%%  %s of %s records are there  %s", bar, percent(p), report.Count(p.Done), report.Count(p.Total), round(p.Elapsed))
	case replay.PhaseVerify:
		if len(p.Stages) > 0 {
			return fmt.Sprintf("verify  %s%3.0f%%  %s of %s records are there  %s", bar, percent(p), report.Count(p.Done), report.Count(p.Total), round(p.Elapsed))
		}
		return fmt.Sprintf("verify  %s%3.0f%%  %.1f of %.1f MB read  %.1f MB/s%s",
			bar, percent(p), float64(p.Done)/1e6, float64(p.Total)/1e6, rate/1e6, left(p))
	}
	wanted := ""
	if p.Wanted > 0 {
		wanted = " of " + report.Count(uint64(p.Wanted))
	}
	text := fmt.Sprintf("push    %s%3.0f%%  %s of %s records  %s%s records/s  %.1f MB/s%s",
		bar, percent(p), report.Count(p.Done), report.Count(p.Total), report.Count(uint64(rate)), wanted,
		rate*float64(p.Bytes)/max(float64(p.Done), 1)/1e6, left(p))
	if p.Refused > 0 {
		text += fmt.Sprintf("  %s refused", report.Count(p.Refused))
	}
	if p.Throttled >= 0.001 {
		text += fmt.Sprintf("  %.1f%% throttled", 100*p.Throttled)
		if p.Hottest != "" {
			text += ", hottest " + p.Hottest
		}
	}
	if p.Slip >= 10*time.Millisecond {
		text += fmt.Sprintf("  late by %s at p99", p.Slip.Round(time.Millisecond))
	}
	if p.Unknown > 0 {
		text += fmt.Sprintf("  %s unknown", report.Count(p.Unknown))
	}
	return text
}

const barWidth = 20

func bar(p replay.Progress) string {
	full := min(int(percent(p)*barWidth/100), barWidth)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] "
}

func percent(p replay.Progress) float64 {
	if p.Total == 0 {
		return 100
	}
	return 100 * float64(p.Done) / float64(p.Total)
}

func remaining(p replay.Progress) time.Duration {
	if p.Done == 0 || p.Done >= p.Total {
		return 0
	}
	return time.Duration(float64(p.Elapsed) * float64(p.Total-p.Done) / float64(p.Done))
}

func left(p replay.Progress) string {
	d := remaining(p)
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("  %s left", round(d))
}

func round(d time.Duration) time.Duration { return d.Round(time.Second) }

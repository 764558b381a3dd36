package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"kreplay/pkg/report"
	"kreplay/replay"
)

// stageMeters know the rate at which each stage fills.
type stageMeters map[string]*meter

func (m stageMeters) rate(p replay.Progress, s replay.StageProgress) float64 {
	if m[s.Name] == nil {
		m[s.Name] = &meter{}
	}
	return m[s.Name].rate(replay.Progress{Phase: p.Phase, Done: there(s), Elapsed: p.Elapsed, Final: p.Final})
}

// there is how many records have come into a stage.
func there(s replay.StageProgress) uint64 { return s.Delivered + s.Mutated + s.Rejected }

// age says how long ago the newest object of a stage came.
func age(s replay.StageProgress, now time.Time) string {
	if s.Newest.IsZero() {
		return "none yet"
	}
	return fmt.Sprintf("newest %v ago", round(max(now.Sub(s.Newest), 0)))
}

func state(s replay.StageProgress) string {
	if s.Settled {
		return "settled"
	}
	return ""
}

// cells are what is shown of a stage.
func cells(s replay.StageProgress, rate float64, now time.Time) []string {
	records := fmt.Sprintf("%s of %s", report.Count(there(s)), report.Count(s.Planned))
	share := fmt.Sprintf("%.1f%%", percent(replay.Progress{Done: there(s), Total: s.Planned}))
	if s.Name == "dlq" { // nobody plans for it
		records, share = report.Count(s.Rejected), ""
	}
	return []string{
		s.Name, records + " records", share, report.Count(uint64(rate)) + "/s", report.Count(s.Objects) + " objects", fmt.Sprintf("%.1f MB", float64(s.Bytes)/1e6),
		age(s, now), report.Count(s.Duplicates) + " duplicates", report.Count(s.Mutated) + " mutated", state(s),
	}
}

// table returns the lines that show the stages of p.
func (m stageMeters) table(p replay.Progress, now time.Time) []string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range p.Stages {
		fmt.Fprintln(t, strings.Join(cells(s, m.rate(p, s), now), "\t"))
	}
	_ = t.Flush() // a strings.Builder does not fail
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// Escapes of a terminal (ECMA-48): cursor up, and erase to the end of the line.
const (
	cursorUp  = "\x1b[%dA"
	eraseLine = "\x1b[K"
)

// tableProgress shows the stages as a table that is written over and over; other
// phases are shown by rest.
func tableProgress(w io.Writer, rest func(replay.Progress)) func(replay.Progress) {
	meters, drawn := stageMeters{}, 0
	return func(p replay.Progress) {
		if p.Phase != replay.PhaseSettle {
			rest(p)
			return
		}
		var b strings.Builder
		if drawn > 0 {
			fmt.Fprintf(&b, cursorUp, drawn)
		}
		lines := meters.table(p, time.Now())
		for _, line := range lines {
			fmt.Fprintf(&b, "\r%s%s\n", line, eraseLine)
		}
		_, _ = io.WriteString(w, b.String()) // progress that cannot be written stops no run
		if drawn = len(lines); p.Final {
			drawn = 0
		}
	}
}

// linesProgress prints the stages every few seconds where no terminal shows them.
func linesProgress(w io.Writer, rest func(replay.Progress)) func(replay.Progress) {
	meters := stageMeters{}
	var last time.Duration
	return func(p replay.Progress) {
		if p.Phase != replay.PhaseSettle {
			rest(p)
			return
		}
		if p.Elapsed < last {
			last = 0
		}
		lines := meters.table(p, time.Now())
		if !p.Final && p.Elapsed-last < plainEvery {
			return
		}
		last = p.Elapsed
		for _, line := range lines {
			fmt.Fprintln(w, "settle  "+line)
		}
	}
}

// stageJSON is a stage in the progress that programs read. Keys are stable.
type stageJSON struct {
	Name        string  `json:"name"`
	Planned     uint64  `json:"planned"`
	Delivered   uint64  `json:"delivered"`
	Mutated     uint64  `json:"mutated"`
	Rejected    uint64  `json:"rejected"`
	Duplicates  uint64  `json:"duplicates"`
	Objects     uint64  `json:"objects"`
	Bytes       int64   `json:"bytes"`
	PerSecond   float64 `json:"records_per_second"`
	NewestAgeMS *int64  `json:"newest_age_ms"` // null: no object yet
	Settled     bool    `json:"settled"`
}

func (m stageMeters) json(p replay.Progress, now time.Time) (list []stageJSON) {
	for _, s := range p.Stages {
		j := stageJSON{
			s.Name, s.Planned, s.Delivered, s.Mutated, s.Rejected, s.Duplicates, s.Objects, s.Bytes, m.rate(p, s), nil, s.Settled,
		}
		if !s.Newest.IsZero() {
			ms := max(now.Sub(s.Newest), 0).Milliseconds()
			j.NewestAgeMS = &ms
		}
		list = append(list, j)
	}
	return list
}

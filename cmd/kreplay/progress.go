package main

import (
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
	switch mode {
	case "none":
		return nil
	case "tty":
		return ttyProgress(a.stderr)
	default:
		return plainProgress(a.stderr)
	}
}

func ttyProgress(w io.Writer) func(replay.Progress) {
	width := 0
	return func(p replay.Progress) {
		text := progressLine(p)
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
	return func(p replay.Progress) {
		if p.Elapsed < last {
			last = 0 // the next phase has begun
		}
		if !p.Final && p.Elapsed-last < plainEvery {
			return
		}
		last = p.Elapsed
		fmt.Fprintln(w, progressLine(p))
	}
}

// progressLine says how far, how fast and how long still.
func progressLine(p replay.Progress) string {
	secs := max(p.Elapsed.Seconds(), 0.001)
	switch p.Phase {
	case replay.PhasePush:
	case replay.PhaseSettle:
		return fmt.Sprintf("settle  waiting until nothing new has come, %s", round(p.Elapsed))
	case replay.PhaseVerify:
		return fmt.Sprintf("verify  %3.0f%%  %.1f of %.1f MB read  %.1f MB/s%s",
			percent(p), float64(p.Done)/1e6, float64(p.Total)/1e6, float64(p.Done)/1e6/secs, left(p))
	}
	text := fmt.Sprintf("push    %3.0f%%  %s of %s records  %s records/s  %.1f MB/s%s",
		percent(p), report.Count(p.Done), report.Count(p.Total), report.Count(uint64(float64(p.Done)/secs)), float64(p.Bytes)/1e6/secs, left(p))
	if p.Refused > 0 {
		text += fmt.Sprintf("  %s refused", report.Count(p.Refused))
	}
	if p.Unknown > 0 {
		text += fmt.Sprintf("  %s unknown", report.Count(p.Unknown))
	}
	return text
}

func percent(p replay.Progress) float64 {
	if p.Total == 0 {
		return 100
	}
	return 100 * float64(p.Done) / float64(p.Total)
}

func left(p replay.Progress) string {
	if p.Done == 0 || p.Done >= p.Total {
		return ""
	}
	d := time.Duration(float64(p.Elapsed) * float64(p.Total-p.Done) / float64(p.Done))
	return fmt.Sprintf("  %s left", round(d))
}

func round(d time.Duration) time.Duration { return d.Round(time.Second) }

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kreplay/replay"
)

// filling is a stage that gets 100 of 1000 records a second, and its error stage.
func filling(seconds int, final bool) replay.Progress {
	n := uint64(seconds) * 100
	return replay.Progress{
		Phase: replay.PhaseSettle, Done: n, Total: 1000, Elapsed: time.Duration(seconds) * time.Second, Final: final,
		Stages: []replay.StageProgress{
			{Name: "dlq", Planned: 1000, Rejected: 2},
			{Name: "raw", Planned: 1000, SoFar: replay.SoFar{Delivered: n, Duplicates: 3}, Objects: 7, Bytes: 2_500_000, Newest: time.Now().Add(-4 * time.Second), Settled: final},
		},
	}
}

// On a terminal the stages are a table that is written over and over; what comes
// then stands below it.
func TestFollowIsATable(t *testing.T) {
	var out bytes.Buffer
	show := tableProgress(&out, ttyProgress(&out))
	for s := range 10 {
		show(filling(s+1, s == 9))
	}
	show(at(1, true))
	text := out.String()
	if up := strings.Count(text, "\x1b[2A"); up != 9 {
		t.Errorf("the cursor goes up %d times, want 9:\n%q", up, text)
	}
	last := text[strings.LastIndex(text, "\x1b[2A"):]
	for _, want := range []string{"dlq  2 records", "raw  1,000 of 1,000 records  100.0%  100/s", "7 objects", "2.5 MB", "newest 4s ago", "3 duplicates", "0 mutated", "settled", "push    ["} {
		if !strings.Contains(last, want) {
			t.Errorf("%q lacks %q", last, want)
		}
	}
}

// Elsewhere a line a stage comes every five seconds, and at the end.
func TestFollowInLines(t *testing.T) {
	var out bytes.Buffer
	show := linesProgress(&out, plainProgress(&out))
	for s := range 12 {
		show(filling(s+1, s == 11))
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 6 || !strings.Contains(lines[1], "settle  raw  500 of 1,000 records  50.0%  100/s") {
		t.Errorf("%d lines, want 6, the second with half of raw:\n%s", len(lines), out.String())
	}
}

// Programs see each stage with its own rate.
func TestFollowAsJSON(t *testing.T) {
	var out bytes.Buffer
	show := jsonProgress(&out)
	for s := range 4 {
		show(filling(s+1, s == 3))
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last struct{ Stages []map[string]any }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 4 || len(last.Stages) != 2 {
		t.Fatalf("%v, %d lines:\n%s", err, len(lines), out.String())
	}
	dlq, raw := last.Stages[0], last.Stages[1]
	if raw["delivered"] != 400.0 || raw["records_per_second"] != 100.0 || raw["newest_age_ms"].(float64) < 4000 || raw["settled"] != true || dlq["newest_age_ms"] != nil {
		t.Errorf("dlq %v, raw %v", dlq, raw)
	}
}

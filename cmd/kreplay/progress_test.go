package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kreplay/replay"
)

// at is a push of 1000 records a second, as it is seen after some seconds.
func at(seconds float64, final bool) replay.Progress {
	done := uint64(seconds * 1000)
	return replay.Progress{Phase: replay.PhasePush, Done: done, Total: 20_000, Bytes: done * 400, Wanted: 2000,
		Elapsed: time.Duration(seconds * float64(time.Second)), Final: final}
}

// On a terminal one line is written over and over; it shows the rate that is
// reached beside the one that is wanted, and how long it takes still.
func TestTTYProgress(t *testing.T) {
	var out bytes.Buffer
	show := ttyProgress(&out)
	for s := 1.0; s <= 10; s++ {
		show(at(s, s == 10))
	}
	text := out.String()
	if strings.Count(text, "\n") != 1 || strings.Count(text, "\r") != 10 {
		t.Errorf("%d line ends and %d returns, want 1 and 10:\n%q", strings.Count(text, "\n"), strings.Count(text, "\r"), text)
	}
	last := text[strings.LastIndex(text, "\r")+1:]
	for _, want := range []string{"[==========          ]", "50%", "10,000 of 20,000 records", "1,000 of 2,000 records/s", "0.4 MB/s", "10s left"} {
		if !strings.Contains(last, want) {
			t.Errorf("%q lacks %q", last, want)
		}
	}
}

// Elsewhere a line comes every five seconds, and one at the end.
func TestPlainProgress(t *testing.T) {
	var out bytes.Buffer
	show := plainProgress(&out)
	for s := 0.25; s <= 12; s += 0.25 {
		show(at(s, s == 12))
	}
	if got := strings.Count(out.String(), "\n"); got != 3 {
		t.Errorf("%d lines in 12 seconds, want 3:\n%s", got, out.String())
	}
}

func TestJSONProgress(t *testing.T) {
	var out bytes.Buffer
	show := jsonProgress(&out)
	for s := 0.5; s <= 4; s += 0.5 {
		show(at(s, s == 4))
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines in 4 seconds, want 4:\n%s", len(lines), out.String())
	}
	var last map[string]any
	if err := json.Unmarshal([]byte(lines[3]), &last); err != nil {
		t.Fatal(err)
	}
	if last["phase"] != "push" || last["done"] != 4000.0 || last["records_per_second"] != 1000.0 || last["left_ms"] != 16000.0 || last["final"] != true {
		t.Errorf("last line %v", last)
	}
}

// The rate is that of the last seconds, not of the whole phase, until the end.
func TestRateForgetsTheBeginning(t *testing.T) {
	var m meter
	for s := range 10 {
		m.rate(replay.Progress{Phase: replay.PhasePush, Done: 0, Elapsed: time.Duration(s) * time.Second})
	}
	var got float64
	for s := range 5 {
		got = m.rate(replay.Progress{Phase: replay.PhasePush, Done: uint64(s+1) * 500, Elapsed: time.Duration(10+s) * time.Second})
	}
	if got != 500 {
		t.Errorf("rate %v, want 500 of the last seconds", got)
	}
	if got = m.rate(replay.Progress{Phase: replay.PhasePush, Done: 3000, Elapsed: 15 * time.Second, Final: true}); got != 200 {
		t.Errorf("rate at the end %v, want 200 of the whole phase", got)
	}
}

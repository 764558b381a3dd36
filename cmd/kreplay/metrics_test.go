package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/local"
	"kreplay/replay"
)

// What a push has done is served while it is done, and nothing is served after.
func TestMetricsFollowThePush(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	a := &app{stderr: new(bytes.Buffer), progress: "plain", metricsAddr: addr}
	observe, stop, err := a.monitored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	observe(replay.Progress{Phase: replay.PhasePush, Done: 250, Total: 1000, Unknown: 7, Wanted: 500, Slip: 20 * time.Millisecond, Elapsed: time.Second, Final: true,
		Streams: []replay.StreamProgress{{Stream: "s-login", Acked: 200}, {Stream: "s-logout", Acked: 50, Throttled: 0.25, Slip: 3 * time.Second}}})
	text := get(t, addr)
	for _, want := range []string{
		"kreplay_push_records_acked 250\n", "kreplay_push_records_planned 1000\n", "kreplay_push_attempts_unknown 7\n",
		"kreplay_push_wanted_records_per_second 500\n", "kreplay_push_slip_p99_seconds 0.02\n", `kreplay_phase{phase="push"} 1`,
		`kreplay_push_stream_records_acked{stream="s-login"} 200` + "\n", `kreplay_push_stream_records_acked{stream="s-logout"} 50` + "\n",
		`kreplay_push_stream_throttled_ratio{stream="s-logout"} 0.25` + "\n", `kreplay_push_stream_slip_p99_seconds{stream="s-logout"} 3` + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %q:\n%s", want, text)
		}
	}
	if said, _ := a.stderr.(*bytes.Buffer); !strings.Contains(said.String(), "250 of 1,000") {
		t.Errorf("progress is not shown beside the metrics: %q", said)
	}
	stop()
	if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr); err == nil {
		_ = c.Close()
		t.Error("metrics are still served after the end")
	}
	a.metricsAddr = "0.0.0.0:9464"
	if _, _, err := a.monitored(t.Context()); err == nil || !strings.Contains(err.Error(), "--metrics-addr") {
		t.Errorf("metrics for strangers: got %v, want a usage error", err)
	}
}

// Metrics that cannot be served are told of before a stream is made; where a port
// was left to the system, which one it is.
func TestMetricsAreServedBeforeAnythingElse(t *testing.T) {
	t.Chdir(t.TempDir())
	pipe := pipeline(t)
	busy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	push := func(metrics string) (status int, said string) {
		var stderr strings.Builder
		args := []string{"push", "smoke", "--users", "1", "--stream", "late", "--create-stream", "--metrics-addr", metrics, "--endpoint-url", pipe.URL()}
		return run(t.Context(), args, io.Discard, &stderr), stderr.String()
	}
	if got, said := push(busy.Addr().String()); got != exitError || !strings.Contains(said, "--metrics-addr") || slices.ContainsFunc(pipe.Counts(), func(c local.Count) bool { return c.Stream == "late" }) {
		t.Errorf("exit %d, want %d and no stream: %s", got, exitError, said)
	}
	if got, said := push("127.0.0.1:0"); got != exitOK || !regexp.MustCompile(`(?m)^metrics on http://127\.0\.0\.1:[1-9][0-9]*/metrics$`).MatchString(said) {
		t.Errorf("exit %d, want %d and where the metrics are: %s", got, exitOK, said)
	}
}

func get(t *testing.T, addr string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

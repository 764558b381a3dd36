package main

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"kreplay/pkg/local"
)

// Whoever interrupts a push is told how to go on with it, and it goes on.
func TestInterruptedPushSaysHowToGoOn(t *testing.T) {
	t.Chdir(t.TempDir())
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := local.Start(t.Context(), ln, local.Config{Streams: []local.StreamSpec{{Name: "s", Shards: 1, Tags: map[string]string{allowTag: "true"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pipe.Close() }()
	ctx, interrupt := context.WithCancel(t.Context())
	var said strings.Builder
	args := []string{"push", "smoke", "--users", "50", "--rate", "1/s", "--stream", "s", "--run-dir", "r", "--progress", "none", "--endpoint-url", pipe.URL()}
	go func() {
		for pipe.Counts()[0].Records == 0 && ctx.Err() == nil {
			runtime.Gosched()
		}
		interrupt()
	}()
	if got := run(ctx, args, io.Discard, &said); got != exitInterrupted {
		t.Fatalf("exit %d, want %d: %s", got, exitInterrupted, &said)
	}
	_, command, found := strings.Cut(said.String(), "go on with: kreplay ")
	if !found {
		t.Fatalf("said %q, want how to go on", &said)
	}
	again := append(strings.Fields(command), "--rate", "max", "--progress", "none", "--endpoint-url", pipe.URL())
	if got := run(t.Context(), again, io.Discard, &said); got != exitOK || pipe.Counts()[0].Records != 2000 {
		t.Errorf("kreplay %q: exit %d with %d records in the stream, want 0 with 2000: %s", again, got, pipe.Counts()[0].Records, &said)
	}
}

//go:build unix

package main

import (
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"kreplay/pkg/local"
)

var kreplayMain = command("kreplay-main", main)

// A second signal ends kreplay at once, also where its parent ignores signals, as
// a shell does for what it runs in the background.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := local.Start(t.Context(), ln, local.Config{Streams: []local.StreamSpec{{Name: "s", Shards: 1, Tags: map[string]string{allowTag: "true"}}},
		Faults: local.Faults{Latency: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pipe.Close() }()
	child := exec.CommandContext(t.Context(), "sh", "-c", `trap "" INT; exec "$0" "$@"`, kreplayMain, "push", "smoke", "--users", "1", "--stream", "s", "--endpoint-url", pipe.URL())
	child.Dir = t.TempDir()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = child.Wait() // how it ended is in its state
		close(ended)
	}()
	begun, tick := time.Now(), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			if took := time.Since(begun); child.ProcessState.ExitCode() != exitInterrupted || took > 10*time.Second {
				t.Errorf("%v after %v, want exit %d at once: an answer is waited for 20 s", child.ProcessState, took, exitInterrupted)
			}
			return
		case <-tick.C:
			if count(pipe, "s") > 0 { // an answer is waited for
				_ = child.Process.Signal(syscall.SIGINT)
			} else {
				begun = time.Now()
			}
		}
	}
}

package replay_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
	"kreplay/replay"
)

// A disk that fills up in the middle stops a push, which says so once, and that
// what was sent is kept; what the ledger lacks then is sent again.
func TestAFullDiskIsToldOnce(t *testing.T) {
	run, job := filepath.Join(t.TempDir(), "run"), smoke(t, 50, "stream.limits.requests=1")
	puts := 0
	cfg := pushConfig(run, sinkFunc(func(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
		if puts++; puts == 2 {
			fill(t, filepath.Join(run, ledger.LedgerFile))
		}
		return ackAll(ctx, recs)
	}), "lake")
	_, err := replay.Push(t.Context(), job, cfg)
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, replay.ErrKept) || strings.Count(err.Error(), "no space left") != 1 {
		t.Errorf("%v, want once that the disk is full, and that what was sent is kept", err)
	}
	cfg.Resume = true
	if led, err := replay.Push(t.Context(), job, cfg); err != nil || led.Totals().Acked != 2000 {
		t.Errorf("resumed: %v, %+v", err, led)
	}
	// What does not begin keeps nothing.
	cfg.Resume = false
	if _, err := replay.Push(t.Context(), job, cfg); err == nil || errors.Is(err, replay.ErrKept) {
		t.Errorf("pushed into a used directory: %v", err)
	}
}

// fill has this process write an open file to a disk that is full.
func fill(t *testing.T, path string) {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range fds {
		if at, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && at == path {
			fd, err := strconv.Atoi(e.Name())
			if err = errors.Join(err, syscall.Dup3(int(full.Fd()), fd, syscall.O_CLOEXEC)); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s is not open", path)
}

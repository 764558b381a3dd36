package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kreplay/pkg/local"
)

// deadly is a listener that kills a process before it has the answer to the
// request that brings a stream to so many records.
type deadly struct {
	net.Listener
	pipe   atomic.Pointer[local.Pipeline]
	at     atomic.Int64
	victim chan *os.Process
}

func (d *deadly) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	return deadlyConn{c, d}, err
}

type deadlyConn struct {
	net.Conn
	d *deadly
}

func (c deadlyConn) Write(b []byte) (int, error) {
	if at := c.d.at.Load(); at > 0 && count(c.d.pipe.Load(), "ours") >= at && c.d.at.CompareAndSwap(at, 0) {
		_ = (<-c.d.victim).Kill() // that it died is checked by who waits for it
	}
	return c.Conn.Write(b)
}

// An array job as AWS Batch runs it: three children with a run directory in S3.
// One is killed in the middle and started again as attempt 2, one never started.
// The account is exact; the absent one is named, and when it has run all is well.
func TestKilledAndAbsentWorkers(t *testing.T) {
	dir := t.TempDir()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deadly{Listener: ln, victim: make(chan *os.Process, 1)}
	pipe, err := local.Start(t.Context(), d, local.Config{Lake: "s3://lake/raw", Buckets: []string{"runs"}, BufferInterval: 100 * time.Millisecond, Compression: "gzip",
		Streams: []local.StreamSpec{{Name: "ours", Shards: 3, Tags: map[string]string{allowTag: "true"}}}})
	if err != nil {
		t.Fatal(err)
	}
	d.pipe.Store(pipe)
	defer func() { _ = pipe.Close() }()
	const users, workers = 300, 3
	const share = users * 40 / workers
	child := func(index, attempt int) *exec.Cmd {
		c := exec.CommandContext(t.Context(), "kreplay", "push", "smoke", "--users", fmt.Sprint(users), "--stream", "ours",
			"--set", "stream.limits.requests=2", "--start-at", "2026-11-20T10:00:00Z", "--run-dir", "s3://runs/{run}")
		c.Dir = dir
		c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+pipe.URL(), "AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=0", "AWS_BATCH_JOB_ID=job-7:"+fmt.Sprint(index),
			"AWS_BATCH_JOB_ARRAY_INDEX="+fmt.Sprint(index), "AWS_BATCH_JOB_ARRAY_SIZE="+fmt.Sprint(workers), "AWS_BATCH_JOB_ATTEMPT="+fmt.Sprint(attempt))
		return c
	}
	finish := func(index, attempt int) {
		t.Helper()
		if out, err := child(index, attempt).CombinedOutput(); err != nil || !bytes.Contains(out, fmt.Appendf(nil, "planned %d, acked %d,", share, share)) {
			t.Fatalf("child %d, attempt %d: %v\n%s", index, attempt, err, out)
		}
	}
	verify := func(want int, says ...string) {
		t.Helper()
		var out strings.Builder
		args := []string{"verify", "s3://runs/job-7", "--stage", "raw=s3://lake/raw", "--quiet-for", "1s", "--max-wait", "20s", "--endpoint-url", pipe.URL()}
		if got := run(t.Context(), args, &out, io.Discard); got != want {
			t.Errorf("verify exits %d, want %d:\n%s", got, want, &out)
		}
		for _, s := range says {
			if !strings.Contains(out.String(), s) {
				t.Errorf("verify says\n%s\nwant %q", &out, s)
			}
		}
	}
	finish(0, 1)
	d.at.Store(share + share/3)
	killed := child(1, 1)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	d.victim <- killed.Process
	if err := killed.Wait(); err == nil || killed.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed: %v", err)
	}
	finish(1, 2)
	verify(exitInconclusive, "INCONCLUSIVE smoke: 12,000 planned, 8,000 delivered, 0 missing",
		"worker 3 of 3 never started: no run directory, and no row; users 200 to 299, 4,000 records", "4,000 absent")
	finish(2, 1)
	verify(exitOK, "PASS smoke: 12,000 planned, 12,000 delivered, 0 missing", " by the producer, 0 by the pipeline")
	if doubled := count(pipe, "ours") - 3*share; doubled < 1 {
		t.Errorf("%d records were sent twice, want at least those that were in flight", doubled)
	}
}

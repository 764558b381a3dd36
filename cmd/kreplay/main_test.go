package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"kreplay/pkg/report"
)

func TestMain(m *testing.M) {
	commands := map[string]func(){
		"kreplay": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	}
	maps.Copy(commands, others)
	testscript.Main(leakFree{m}, commands)
}

// others are commands of benchmarks.
var others = map[string]func(){}

// command adds one.
func command(name string, do func()) string {
	others[name] = do
	return name
}

// leakFree fails when goroutines outlive the tests.
type leakFree struct{ *testing.M }

func (l leakFree) Run() int {
	status := l.M.Run()
	if err := goleak.Find(); status == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
		e.Setenv("GORACE", "atexit_sleep_ms=0") // else each command waits a second for others' races, with the race detector
		lake, err := filepath.Abs("../../../shared/data/activity-lake")
		if _, missing := os.Stat(lake); err != nil || missing != nil {
			return err
		}
		e.Setenv("LAKE", lake)
		return nil
	}, Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serve, "upload": upload, "download": download, "sametally": sameTally, "sameshards": sameShards}, Condition: func(cond string) (bool, error) {
		_, err := os.Stat("../../../shared/data/activity-lake")
		return cond == "lake" && err == nil, nil
	}})
}

// sameShards compares what plan --json forecast of each shard with what a report says of it.
func sameShards(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sameshards PLAN REPORT")
	}
	var plan report.Push
	var rep report.Report
	if err := errors.Join(json.Unmarshal([]byte(ts.ReadFile(args[0])), &plan), json.Unmarshal([]byte(ts.ReadFile(args[1])), &rep)); err != nil {
		ts.Fatalf("%v", err)
	}
	plan.Shards = slices.DeleteFunc(plan.Shards, func(s report.Shard) bool { return s.Records == 0 })
	if len(plan.Shards) == 0 || !slices.Equal(plan.Shards, rep.Push.Shards) {
		ts.Fatalf("forecast %+v, counted %+v", plan.Shards, rep.Push.Shards)
	}
}

// sameTally compares the account in two JSON reports: verdict, stages, log types. Lag
// is left out, because the two were sent at two times.
func sameTally(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sametally REPORT REPORT")
	}
	var tallies [2]string
	for i, name := range args {
		var rep report.Report
		if err := json.Unmarshal([]byte(ts.ReadFile(name)), &rep); err != nil {
			ts.Fatalf("%s: %v", name, err)
		}
		rep.Expectations = slices.Clone(rep.Expectations)
		for i := range rep.Expectations {
			rep.Expectations[i].Seconds = 0
		}
		rep.Stages = slices.Clone(rep.Stages)
		for i := range rep.Stages {
			rep.Stages[i].Lag, rep.Stages[i].LagDetail = nil, nil
		}
		text, err := json.MarshalIndent([]any{rep.Verdict, rep.Reasons, rep.Run.Digest, rep.Run.Anchor, rep.Push.Planned, rep.Push.Acked, rep.Stages, rep.LogTypes, rep.Expectations}, "", " ")
		if err != nil {
			ts.Fatalf("%v", err)
		}
		tallies[i] = string(text)
	}
	if tallies[0] != tallies[1] {
		ts.Fatalf("%s:\n%s\n%s:\n%s", args[0], tallies[0], args[1], tallies[1])
	}
}

// serve runs `kreplay local` until the script ends and puts its URL in $ENDPOINT.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("serve cannot be negated")
	}
	ctx, stop := context.WithCancel(context.Background())
	lake := slices.Index(args, "--lake") + 1
	if lake > 0 && lake < len(args) && !inS3(args[lake]) {
		args[lake] = ts.MkAbs(args[lake])
	}
	r, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, append([]string{"local", "--listen", "127.0.0.1:0"}, args...), w, ts.Stderr())
		_ = w.Close()
	}()
	ts.Defer(func() {
		stop()
		if got := <-status; got != exitOK {
			ts.Logf("kreplay local exits %d", got)
		}
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		ts.Fatalf("kreplay local: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	ts.Setenv("ENDPOINT", strings.TrimSpace(line[strings.Index(line, "http://"):]))
}

// testscript's "! exec" accepts any failure, so the statuses are pinned here.
func TestExitStatus(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, text := range map[string]string{
		"scenario.yaml": "kreplay: 1\nname: asked\ntemplate: t\nrewrite: {user_id: user}\n", "t/login.ndjson": `{"user_id":"15","email":"lily@corp.jp"}`,
	} {
		if err := errors.Join(os.MkdirAll("asked/t", 0o755), os.WriteFile(filepath.Join("asked", name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args []string
		want int
	}{
		{[]string{"version"}, exitOK},
		{[]string{"frobnicate"}, exitUsage},
		{[]string{"gen"}, exitUsage},
		{[]string{"gen", "no-such-scenario"}, exitUsage},
		{[]string{"scenario", "check", "smoke"}, exitOK},
		{[]string{"scenario", "check", "asked"}, exitUsage},
		{[]string{"scenario", "check", "asked", "--set", "keep=[email]"}, exitOK},
		{[]string{"gen", "smoke", "--set", "population.userz=1"}, exitUsage},
		{[]string{"run", "smoke", "--local", "-o", "xml"}, exitUsage},
		{[]string{"local", "--listen", "0.0.0.0:4566"}, exitUsage},
		{[]string{"local", "--faults", "throttle=1"}, exitUsage},
		{[]string{"run", "smoke", "--local", "--rate", ""}, exitUsage},
		{[]string{"run", "smoke", "--local", "--wire="}, exitUsage},
		{[]string{"push", "smoke", "--stream", "s", "--endpoint-url", ""}, exitUsage},
		{[]string{"verify", "no-such-run"}, exitError},
		{[]string{"push", "smoke", "--stream", "s", "--endpoint-url", "http://127.0.0.1:1"}, exitError},
		{[]string{"run", "smoke", "--local", "--users", "5", "--progress", "none"}, exitOK},
		{[]string{"run", "smoke", "--local", "--users", "5", "--progress", "none", "--faults", "drop=1"}, exitFailed},
	} {
		if got := run(t.Context(), tc.args, io.Discard, io.Discard); got != tc.want {
			t.Errorf("kreplay %q exits %d, want %d", tc.args, got, tc.want)
		}
	}
}

// A stream that is named may be written to without the tag.
func TestANamedStreamIsWrittenTo(t *testing.T) {
	t.Chdir(t.TempDir())
	pipe := pipeline(t)
	args := []string{"push", "smoke", "--users", "1", "--stream", "theirs", "--allow-stream", "theirs", "--endpoint-url", pipe.URL()}
	if got := run(t.Context(), args, io.Discard, io.Discard); got != exitOK || count(pipe, "theirs") != 40 {
		t.Errorf("kreplay %q exits %d, want %d and 40 records written", args, got, exitOK)
	}
}

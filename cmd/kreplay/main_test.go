package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kreplay": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
		lake, err := filepath.Abs("../../../shared/data/activity-lake")
		if _, missing := os.Stat(lake); err != nil || missing != nil {
			return err
		}
		e.Setenv("LAKE", lake)
		return nil
	}, Condition: func(cond string) (bool, error) {
		_, err := os.Stat("../../../shared/data/activity-lake")
		return cond == "lake" && err == nil, nil
	}})
}

// testscript's "! exec" accepts any failure, so the statuses are pinned here.
func TestExitStatus(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, tc := range []struct {
		args []string
		want int
	}{
		{[]string{"version"}, exitOK},
		{[]string{"frobnicate"}, exitUsage},
		{[]string{"gen"}, exitUsage},
		{[]string{"gen", "no-such-scenario"}, exitUsage},
		{[]string{"gen", "smoke", "--set", "population.userz=1"}, exitUsage},
		{[]string{"run", "smoke", "--local", "-o", "xml"}, exitUsage},
		{[]string{"local", "--listen", "0.0.0.0:4566"}, exitUsage},
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

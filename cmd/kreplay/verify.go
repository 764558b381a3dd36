package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kreplay/replay"
)

func (a *app) verifyCommand() *cobra.Command {
	var out outputFlags
	var stages []string
	var quiet, most time.Duration
	c := &cobra.Command{
		Use: "verify RUN...", Short: "Account for a run: what was delivered, lost, duplicated, changed",
		Long: `Account for a run directory, here or in S3. Reads the stages again each time and may be repeated.
The run directories of many workers, or a folder or prefix that holds them as worker-1, worker-2, …,
are one run: one account, one report, one exit code. Workers that are absent are named. The report
is left in the first RUN.
The copy of a run in S3 lags a few seconds behind while the run goes on. When the machine of a run
was lost, nothing is known of what it sent since: such records are undecided, not missing.`,
		Example: "  kreplay verify runs/20261123-101500-3fa9c1 --stage raw=/mnt/lake/raw\n" +
			"  kreplay verify s3://qa/runs/20261123-101500-3fa9c1 --stage raw=s3://lake/raw\n  kreplay verify runs/launch/worker-1 runs/launch/worker-2",
		Args: some("run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			paths, err := parseStages(stages)
			if err != nil {
				return err
			}
			where, err := a.fetchRuns(c.Context(), args)
			defer closeRuns(where)
			if err != nil {
				return err
			}
			runs := make([]string, len(where))
			for i, w := range where {
				runs[i] = w.dir
			}
			res, err := replay.Verify(c.Context(), replay.VerifyConfig{
				Dir: runs[0], Runs: runs, Copy: inS3(args[0]), Stages: paths, Quiet: quiet, Max: most, Engine: engine, Observe: a.observer(), Open: a.openPlace,
			})
			if err != nil {
				return err
			}
			return a.conclude(c.Context(), res, where[0], out)
		},
	}
	out.add(c)
	c.Flags().StringArrayVar(&stages, "stage", nil, "where a stage lies, as NAME=DIR or NAME=s3://BUCKET/PREFIX (repeatable; default: as pushed)")
	c.Flags().DurationVar(&quiet, "quiet-for", 0, "a stage has settled when nothing new came for this long (settle.quiet)")
	c.Flags().DurationVar(&most, "max-wait", 0, "wait no longer than this (settle.max)")
	return c
}

// fetchRuns finds the runs that arguments name, all of them here or all in S3.
func (a *app) fetchRuns(ctx context.Context, args []string) (list []runPlace, err error) {
	for _, arg := range args {
		if inS3(arg) != inS3(args[0]) {
			return list, usagef("%s and %s: run directories of one run are all here, or all in S3", args[0], arg)
		}
		where, err := a.fetchRun(ctx, arg)
		if err != nil {
			return list, err
		}
		list = append(list, where)
	}
	return list, nil
}

func closeRuns(list []runPlace) {
	for _, w := range list {
		w.close()
	}
}

func parseStages(list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	stages := map[string]string{}
	for _, s := range list {
		name, path, ok := strings.Cut(s, "=")
		if !ok || name == "" || path == "" {
			return nil, usagef("--stage %q: want NAME=DIR, as in raw=/mnt/lake/raw", s)
		}
		if err := checkPlace("--stage", path); err != nil {
			return nil, err
		}
		stages[name] = path
	}
	return stages, nil
}

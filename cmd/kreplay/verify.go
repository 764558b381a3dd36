package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kreplay/pkg/report"
	"kreplay/pkg/scenario"
	"kreplay/replay"
)

func (a *app) verifyCommand() *cobra.Command {
	var out outputFlags
	var stages []string
	cfg := replay.VerifyConfig{Engine: engine, Open: a.openPlace, Tail: a.openTail}
	c := &cobra.Command{
		Use: "verify RUN...", Short: "Account for a run: what was delivered, lost, duplicated, changed",
		Long: `Account for a run directory, here or in S3. May be repeated, and goes on from what the one before has read.
The run directories of many workers, or a folder or prefix that holds them as worker-1, worker-2, …,
are one run: one account, one report, one exit code. Workers that are absent are named. The report
is left in the first RUN.
Objects are read while the stages settle, each once. Before anything is held against the pipeline they
are listed once more, all of a stage if it is partitioned by time.
The copy of a run in S3 lags a few seconds behind while the run goes on; --follow brings it up to date.
What was read is kept there for the next verify. When the machine of a run
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
			cfg.Dir, cfg.Runs, cfg.Copy, cfg.Stages, cfg.Observe = runs[0], runs, inS3(args[0]), paths, a.observer()
			if cfg.Previous, err = readReport(cfg.Dir); err != nil {
				return err
			}
			if cfg.Follow {
				cfg.Observe = a.follower()
				if cfg.Copy {
					cfg.Refresh = refresh(where)
				}
			}
			res, err := verify(c.Context(), cfg, where[0])
			if err != nil {
				return err
			}
			return a.conclude(c.Context(), res, where[0], out)
		},
	}
	out.add(c)
	c.Flags().StringArrayVar(&stages, "stage", nil, "where a stage lies, as NAME=DIR or NAME=s3://BUCKET/PREFIX (repeatable; default: as pushed)")
	c.Flags().DurationVar(&cfg.Quiet, "quiet-for", 0, "a stage has settled when nothing new came for this long (settle.quiet)")
	c.Flags().DurationVar(&cfg.Max, "max-wait", 0, "wait no longer than this (settle.max)")
	c.Flags().BoolVar(&cfg.Follow, "follow", false, "show the stages filling, also while the push goes on; ends with the verdict when they have settled")
	c.Flags().BoolVar(&cfg.Afresh, "afresh", false, "read all objects, also those that an earlier verify of the run had read")
	c.Flags().BoolVar(&cfg.Everywhere, "everywhere", false, "list all of a stage that is partitioned by time, not only the folders of the run's time")
	return c
}

// verify goes on from what is kept in the copy of the run directory, if it is one,
// and keeps it there also when it is stopped.
func verify(ctx context.Context, cfg replay.VerifyConfig, where runPlace) (*replay.Result, error) {
	if cfg.Copy && !cfg.Afresh {
		if err := replay.FetchState(ctx, where.store, cfg.Dir); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	res, err := replay.Verify(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, where.keep(ctx))
	}
	return res, nil
}

// readReport reads what the run's last verify reported; nil: there was none.
func readReport(dir string) (*report.Report, error) {
	text, err := os.ReadFile(filepath.Join(dir, reportFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &report.Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to verify without what was reported before", filepath.Join(dir, reportFile), err)
	}
	return r, nil
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

// refresh brings the copies up to date.
func refresh(list []runPlace) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, w := range list {
			if err := w.copy.Update(ctx); err != nil {
				return fmt.Errorf("%s: %w", w, err)
			}
		}
		return nil
	}
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
		if !slices.Contains(scenario.StageNames, name) {
			return nil, usagef("--stage %q: %q is no stage: %s", s, name, scenario.Suggest(name, scenario.StageNames))
		}
		if err := checkPlace("--stage", path); err != nil {
			return nil, err
		}
		stages[name] = path
	}
	return stages, nil
}

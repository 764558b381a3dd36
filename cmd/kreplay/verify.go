package main

import (
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
		Use: "verify RUN", Short: "Account for a run: what was delivered, lost, duplicated, changed",
		Long: `Account for a run directory, here or in S3. Reads the stages again each time and may be repeated.
The copy of a run in S3 lags a few seconds behind while the run goes on. When the machine of a run
was lost, nothing is known of what it sent since: such records are undecided, not missing.`,
		Example: "  kreplay verify runs/20261123-101500-3fa9c1 --stage raw=/mnt/lake/raw\n" +
			"  kreplay verify s3://qa/runs/20261123-101500-3fa9c1 --stage raw=s3://lake/raw",
		Args: one("run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			paths, err := parseStages(stages)
			if err != nil {
				return err
			}
			where, err := a.fetchRun(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer where.close()
			res, err := replay.Verify(c.Context(), replay.VerifyConfig{
				Dir: where.dir, Copy: where.temp, Stages: paths, Quiet: quiet, Max: most, Engine: engine, Observe: a.observer(), Open: a.openPlace,
			})
			if err != nil {
				return err
			}
			return a.conclude(c.Context(), res, where, out)
		},
	}
	out.add(c)
	c.Flags().StringArrayVar(&stages, "stage", nil, "where a stage lies, as NAME=DIR or NAME=s3://BUCKET/PREFIX (repeatable; default: as pushed)")
	c.Flags().DurationVar(&quiet, "quiet-for", 0, "a stage has settled when nothing new came for this long (settle.quiet)")
	c.Flags().DurationVar(&most, "max-wait", 0, "wait no longer than this (settle.max)")
	return c
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

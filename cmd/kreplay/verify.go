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
		Long:    "Account for a run directory. Reads the stages again each time and may be repeated.",
		Example: "  kreplay verify runs/20261123-101500-3fa9c1 --stage raw=/mnt/lake/raw",
		Args:    one("run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			paths, err := parseStages(stages)
			if err != nil {
				return err
			}
			res, err := replay.Verify(c.Context(), replay.VerifyConfig{
				Dir: args[0], Stages: paths, Quiet: quiet, Max: most, Engine: engine, Observe: a.observer(),
			})
			if err != nil {
				return err
			}
			return a.conclude(res, args[0], out)
		},
	}
	out.add(c)
	c.Flags().StringArrayVar(&stages, "stage", nil, "where a stage lies, as NAME=DIR (repeatable; default: as pushed)")
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
		stages[name] = path
	}
	return stages, nil
}

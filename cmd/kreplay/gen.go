package main

import (
	"bufio"

	"github.com/spf13/cobra"

	"kreplay/pkg/generate"
)

func (a *app) genCommand() *cobra.Command {
	var src sourceFlags
	var most uint64
	var index int64
	var logType, worker string
	c := &cobra.Command{
		Use: "gen SCENARIO", Short: "Print the records that a run would send, user by user",
		Long: `Print the records of a scenario to stdout, user by user, one a line. The run id is
empty and times are as captured, so the same scenario prints the same bytes for ever.`,
		Example: "  kreplay gen smoke --users 3 -n 10\n  kreplay gen smoke --worker 1/4 > part-1.ndjson",
		Args:    one("scenario"),
		RunE: func(c *cobra.Command, args []string) error {
			slice, err := parseSlice(worker)
			if err != nil {
				return err
			}
			job, err := src.job(c, args[0])
			if err != nil {
				return err
			}
			plan, err := job.Plan(generate.Run{})
			if err != nil {
				return err
			}
			if index >= int64(plan.Users) {
				return usagef("--index %d: the scenario has users 0 to %d", index, plan.Users-1)
			}
			return a.print(plan, slice, printFilter{most: most, user: index, logType: logType})
		},
	}
	src.add(c)
	c.Flags().Uint64VarP(&most, "records", "n", 0, "stop after so many records; 0: print all")
	c.Flags().Int64Var(&index, "index", -1, "only the user with this index, from 0")
	c.Flags().StringVar(&logType, "log-type", "", "only this log type")
	c.Flags().StringVar(&worker, "worker", "", "only this worker's share, as in 1/4")
	return c
}

type printFilter struct {
	most    uint64
	user    int64
	logType string
}

func (a *app) print(plan *generate.Plan, slice generate.Slice, f printFilter) error {
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	var printed uint64
	for r := range plan.Records(slice) {
		if f.user >= 0 && int64(r.ID.User) != f.user || f.logType != "" && plan.LogType(r.ID) != f.logType {
			continue
		}
		if _, err := out.Write(r.Data); err != nil {
			return err
		}
		if n := len(r.Data); n == 0 || r.Data[n-1] != '\n' {
			if err := out.WriteByte('\n'); err != nil {
				return err
			}
		}
		if printed++; printed == f.most {
			break
		}
	}
	return out.Flush()
}

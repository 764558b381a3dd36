package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kreplay/pkg/generate"
	"kreplay/pkg/report"
	"kreplay/pkg/scenario"
	"kreplay/scenarios"
)

func (a *app) scenarioCommand() *cobra.Command {
	c := &cobra.Command{Use: "scenario", Short: "Check, show and list scenarios", Example: "  kreplay scenario list"}
	c.AddCommand(a.scenarioCheck(), a.scenarioShow(), a.scenarioList(), a.scenarioSchema())
	return c
}

func (a *app) scenarioCheck() *cobra.Command {
	var src sourceFlags
	c := &cobra.Command{
		Use: "check SCENARIO", Short: "Report every fault of a scenario, and fields that want a role, with file, line and column",
		Example: "  kreplay scenario check smoke",
		Args:    one("scenario"),
		RunE: func(c *cobra.Command, args []string) error {
			job, err := src.job(c, args[0])
			if err != nil {
				return err
			}
			plan, err := job.Plan(generate.Run{})
			if err != nil {
				return err
			}
			suspects, err := job.Suspects()
			if err != nil {
				return err
			}
			if err := suspects.Err(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%s is fine: %s users, %s records\n", job.Scenario.Name, report.Count(plan.Users), report.Count(plan.Total()))
			return err
		},
	}
	src.add(c)
	return c
}

func (a *app) scenarioShow() *cobra.Command {
	var src sourceFlags
	c := &cobra.Command{
		Use: "show SCENARIO", Short: "Show what a scenario sends: cohorts, log types, how records are identified",
		Example: "  kreplay scenario show smoke",
		Args:    one("scenario"),
		RunE: func(c *cobra.Command, args []string) error {
			job, err := src.job(c, args[0])
			if err != nil {
				return err
			}
			plan, err := job.Plan(generate.Run{})
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: %s users, %s records, seed %d\n%s\n\n", job.Scenario.Name,
				report.Count(plan.Users), report.Count(plan.Total()), job.Scenario.Seed, plan.Reserved)
			for _, c := range plan.Cohorts() {
				fmt.Fprintf(a.stdout, "cohort %s: %s users, %d events each\n", c.Name, report.Count(c.Users), c.Events)
				for _, l := range c.Describe() {
					fmt.Fprintf(a.stdout, "  %-24s %5d events  identified by %s\n", l.Name, l.Events, l.Identity)
				}
			}
			return nil
		},
	}
	src.add(c)
	return c
}

func (a *app) scenarioList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the shipped scenarios", Args: cobra.NoArgs,
		Example: "  kreplay scenario list",
		RunE: func(*cobra.Command, []string) error {
			for _, name := range scenarios.Names() {
				fmt.Fprintln(a.stdout, name)
			}
			return nil
		},
	}
}

func (a *app) scenarioSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of scenario.yaml, for editors", Args: cobra.NoArgs,
		Example: "  kreplay scenario schema > scenario.schema.json",
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(scenario.JSONSchema())
			return err
		},
	}
}

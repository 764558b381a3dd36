package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kreplay/pkg/generate"
	"kreplay/pkg/report"
	"kreplay/pkg/scenario"
	"kreplay/replay"
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
			job, err := src.sendable(c, args[0])
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
			fmt.Fprintf(a.stdout, "%s is fine: %s users, %s records, %d expectations\n", job.Scenario.Name,
				report.Count(plan.Users), report.Count(plan.Total()), len(job.Scenario.Expect.Queries))
			names, of, err := replay.Streams(plan, job.Scenario.Stream.Name)
			if err != nil {
				return err
			}
			if of != nil {
				fmt.Fprintf(a.stdout, "%s stands for %d streams: %s\n", job.Scenario.Stream.Name, len(names), strings.Join(names, ", "))
			}
			if err := identities(a.stdout, plan); err != nil {
				return err
			}
			for _, twins := range plan.Twins() {
				fmt.Fprintf(a.stdout, "%s are one column in a table without case (Glue, Hive, Athena): it loses one of them, and Firehose's conversion may reject the record\n", twins)
			}
			return stages(a.stdout, job, plan)
		},
	}
	src.add(c)
	return c
}

// identities says by what the log types' records are told apart: where several
// are alike, they are counted, and none of them can be named.
func identities(w io.Writer, plan *generate.Plan) error {
	by := map[string]map[string]bool{}
	for _, c := range plan.Cohorts() {
		for _, l := range c.Describe() {
			if by[l.Identity] == nil {
				by[l.Identity] = map[string]bool{}
			}
			by[l.Identity][l.Name] = true
		}
	}
	for _, identity := range slices.Sorted(maps.Keys(by)) {
		names := slices.Sorted(maps.Keys(by[identity]))
		if _, err := fmt.Fprintf(w, "identified by %s: %s\n", identity, strings.Join(names, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// stages says how the rows of each stage are compared, where that is not byte for
// byte, and which records cannot be told apart in it.
func stages(w io.Writer, job *replay.Job, plan *generate.Plan) error {
	asked := map[string]int{}
	for _, q := range job.Scenario.Expect.Queries {
		asked[job.Scenario.Asked(q)]++
	}
	for _, s := range job.Scenario.Stages {
		if s.Name == "dlq" {
			continue
		}
		if _, err := io.WriteString(w, folders(s)); err != nil {
			return err
		}
		text := ""
		if len(s.Ignore) > 0 {
			var fields []string
			for _, p := range s.Ignore {
				fields = append(fields, p.Field)
			}
			text = " without " + strings.Join(fields, ", ")
		}
		if s.Compare != scenario.CompareExact || text != "" {
			text = fmt.Sprintf("stage %s: rows are compared as %s%s\n", s.Name, s.Compare, text)
		}
		if n := asked[s.Name]; n > 0 {
			text += fmt.Sprintf("stage %s: %d queries are asked of it\n", s.Name, n)
		}
		if joined := job.Rules(plan, s.Name).Joined(); len(joined) > 0 {
			text += fmt.Sprintf("stage %s: a row may be one of several records of %s: counted by multiplicity\n", s.Name, strings.Join(joined, ", "))
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// folders says where the rows of a stage belong, where more than UTC decides it.
func folders(s scenario.Stage) string {
	if s.TimeZone == "" && len(s.Keys)+len(s.Unnamed()) == 0 {
		return ""
	}
	text := fmt.Sprintf("stage %s: rows belong below %s, times in %v\n", s.Name, s.Partition, s.Zone())
	for _, k := range s.Keys {
		text += fmt.Sprintf("stage %s: %s is the value of field %s\n", s.Name, k.Name, k.Field)
	}
	for _, name := range s.Unnamed() {
		text += fmt.Sprintf("stage %s: %s may have any value: stages.%s.keys.%s does not say which field it is\n", s.Name, name, s.Name, name)
	}
	return text
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
			names, of, err := replay.Streams(plan, job.Scenario.Stream.Name)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: %s users, %s records, seed %d\n%s\n\n", job.Scenario.Name,
				report.Count(plan.Users), report.Count(plan.Total()), job.Scenario.Seed, plan.Reserved)
			for _, c := range plan.Cohorts() {
				fmt.Fprintf(a.stdout, "cohort %s: %s users, %d events each\n", c.Name, report.Count(c.Users), c.Events)
				for _, l := range c.Describe() {
					to := ""
					if of != nil {
						to = "to stream " + names[of[l.Name]] + "  "
					}
					fmt.Fprintf(a.stdout, "  %-24s %5d events  %sidentified by %s\n", l.Name, l.Events, to, l.Identity)
				}
			}
			return stages(a.stdout, job, plan)
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

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kreplay/pkg/report"
	"kreplay/replay"
)

func (a *app) explainCommand() *cobra.Command {
	var stages []string
	var asJSON bool
	var quiet time.Duration
	c := &cobra.Command{
		Use: "explain RUN ID", Short: "Tell one record's life: planned, sent, delivered, and what changed on the way",
		Long: `Tell what is known of one planned record: what it is and how it was sent, what the ledger knows
of it, and each of its rows in each stage, field by field where a row is not as it was sent, with
the likely cause. ID is one of differences.ndjson: run/user/event, with /copy behind it for a copy.
It reads the stages, sends nothing and may be repeated.`,
		Example: "  kreplay run smoke --local --users 20 --run-id one --run-dir runs/one --faults corrupt=1\n" +
			"  kreplay explain runs/one $(grep -o '[0-9a-f]\\{8\\}/[0-9]*/[0-9]*' runs/one/differences.ndjson)",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("want a run directory and an id of its differences.ndjson, got %q", strings.Join(args, " "))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			paths, err := parseStages(stages)
			if err != nil {
				return err
			}
			where, err := a.fetchRun(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer where.close()
			life, err := replay.Explain(c.Context(), replay.ExplainConfig{
				Dir: where.dir, Copy: where.temp, ID: args[1], Stages: paths, Quiet: quiet, Observe: a.observer(), Open: a.openPlace, Tail: a.openTail,
			})
			switch {
			case errors.Is(err, replay.ErrID):
				return usagef("%v", err)
			case err != nil:
				return err
			}
			return a.tell(life, asJSON)
		},
	}
	c.Flags().StringArrayVar(&stages, "stage", nil, "where a stage lies, as NAME=DIR or NAME=s3://BUCKET/PREFIX (repeatable; default: as pushed)")
	c.Flags().DurationVar(&quiet, "quiet-for", 0, "a stage has settled when nothing new came for this long (settle.quiet)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// tell prints a life. A stage that could not be read leaves it untold: exit 4.
func (a *app) tell(l *replay.Life, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(a.stdout)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		if err := out.Encode(l); err != nil {
			return err
		}
	} else if err := writeLife(a.stdout, l); err != nil {
		return err
	}
	for _, s := range l.Stages {
		if s.Err != "" {
			return verdictError{exitInconclusive}
		}
	}
	return nil
}

func writeLife(w io.Writer, l *replay.Life) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: a record of log type %s, of run %s (%s)\n\n", l.ID, l.Planned.LogType, l.Run, l.Scenario)
	writePlanned(&b, l.Planned)
	writeLedger(&b, l.Ledger)
	for _, s := range l.Stages {
		writeStage(&b, s)
	}
	if len(l.Stages) == 0 {
		b.WriteString("\nThe run names no stage, so nothing was looked for; give the lake's folder with --stage raw=DIR.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writePlanned(b *strings.Builder, p replay.PlannedLife) {
	fmt.Fprintf(b, "planned  It is number %d of the %d records of user %d, of cohort %s", p.Event+1, p.Events, p.User, p.Cohort)
	for i, f := range p.UserID {
		fmt.Fprintf(b, "%s%s %s", map[bool]string{true: "; in it the user is ", false: ", "}[i == 0], f.Path, f.Value)
	}
	b.WriteString(".\n")
	if p.Copy > 0 {
		fmt.Fprintf(b, "         It is a copy that the scenario injects: copy %d.\n", p.Copy)
	}
	if p.EventTime != nil {
		fmt.Fprintf(b, "         It happened at %s.\n", p.EventTime.Format(time.RFC3339Nano))
	}
	if p.DueMS != nil {
		fmt.Fprintf(b, "         It was due %s after the schedule began.\n", time.Duration(*p.DueMS)*time.Millisecond)
	}
	if p.Alike > 1 {
		fmt.Fprintf(b, "         It is one of %d records that are alike byte for byte: no row tells which of them it is.\n", p.Alike)
	}
	fmt.Fprintf(b, "         It goes out to stream %s under partition key %q as\n           %s\n", p.Stream, p.PartitionKey, strings.TrimSuffix(p.Data, "\n"))
}

func writeLedger(b *strings.Builder, l replay.LedgerLife) {
	if l.Sent != nil {
		clock := ""
		if l.SenderBehindMS != 0 {
			clock = fmt.Sprintf(", by the stream's clock: %s later than by the sender's", time.Duration(l.SenderBehindMS)*time.Millisecond)
		}
		fmt.Fprintf(b, "sent     At %s%s.\n", l.Sent.Format(millis), clock)
	}
	fmt.Fprintf(b, "ledger   Seq %s of %s. ", report.Count(l.Seq), report.Count(l.Of))
	attempts := ""
	switch {
	case l.Unknowns == math.MaxUint32: // as ledger.OpenCopy has it
		attempts = " This copy of the ledger has no end: it may have been sent any number of times since."
	case l.Unknowns > 0:
		attempts = fmt.Sprintf(" %s of its attempts got no usable answer: each may have been stored.", report.Count(uint64(l.Unknowns)))
	}
	code := ""
	if l.Code != "" {
		code = ", last with " + l.Code
	}
	switch l.Fate {
	case "acked":
		b.WriteString("Acked: the stream has it." + attempts + "\n")
	case "refused":
		b.WriteString("Refused" + code + ": the stream does not have it.\n")
	case "unsent":
		b.WriteString("Unsent: it was never tried.\n")
	default:
		b.WriteString("Unknown" + code + ": it may be in the stream, or not." + attempts + "\n")
	}
	if l.InWindow {
		b.WriteString("         It was in flight when the run broke off, or may have been: the ledger ends before the answer.\n")
	}
}

func writeStage(b *strings.Builder, s replay.StageLife) {
	alike := s.Alike
	fmt.Fprintf(b, "%-8s ", s.Name)
	rows := len(s.Rows) + s.More
	switch {
	case s.Err != "":
		fmt.Fprintf(b, "The stage could not be read: %s\n", s.Err)
	case s.State == "" && rows > 0:
		fmt.Fprintf(b, "%s for the %d records that are alike, in", plural(rows, "row"), alike)
	case s.State == "":
		b.WriteString("No row, in")
	default:
		fmt.Fprintf(b, "%s%s: %s in", strings.ToUpper(s.State[:1]), s.State[1:], plural(rows, "row"))
	}
	if s.Err == "" {
		what := "object"
		if s.Name == "stream" {
			what = "shard"
		}
		fmt.Fprintf(b, " %s read", plural(s.Objects, what))
		if s.Older > 0 {
			fmt.Fprintf(b, ", %s older than the run left out", report.Count(uint64(s.Older)))
		}
		b.WriteString(".\n")
		if extra := rows - alike; extra > 0 && s.State != "rejected" {
			fmt.Fprintf(b, "         One row a record is as planned: %s more than that.\n", plural(extra, "row"))
		}
		if s.Damaged > 0 && rows == 0 {
			fmt.Fprintf(b, "         It may be in one of %s that cannot be read.\n", plural(s.Damaged, "span"))
		}
	}
	for _, r := range s.Rows {
		writeRow(b, r)
	}
	if s.More > 0 {
		fmt.Fprintf(b, "         %s more rows.\n", report.Count(uint64(s.More)))
	}
}

// millis is a time to the millisecond; S3 tells whole seconds.
const millis = "2006-01-02T15:04:05.999Z07:00"

func writeRow(b *strings.Builder, r replay.RowLife) {
	state := "intact"
	if !r.Intact {
		state = "not as it was sent"
	}
	if r.Reason != "" {
		state += "; rejected: " + r.Reason
	}
	if r.Misplaced {
		state += "; misplaced: the object does not lie where one of this run belongs"
	}
	where := fmt.Sprintf("offset %d", r.Offset)
	if r.Sequence != "" {
		where = "sequence number " + r.Sequence
	}
	lag := ""
	switch {
	case r.LagMS == nil:
	case *r.LagMS < 0:
		lag = fmt.Sprintf(", %s before it was sent, by the clocks", -time.Duration(*r.LagMS)*time.Millisecond)
	default:
		lag = fmt.Sprintf(", %s after it was sent", time.Duration(*r.LagMS)*time.Millisecond)
	}
	fmt.Fprintf(b, "         %s, %s, %d bytes, there since %s%s: %s\n", r.Object, where, r.Bytes, r.Modified.Format(millis), lag, state)
	for _, c := range r.Changes {
		fmt.Fprintf(b, "           %s\n", c)
	}
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return report.Count(uint64(n)) + " " + what
}

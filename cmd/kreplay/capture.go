package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kreplay/pkg/capture"
	"kreplay/pkg/report"
)

type captureFlags struct {
	from, out, since, until string
	opts                    capture.Options
	dryRun                  bool
}

func (a *app) captureCommand() *cobra.Command {
	var f captureFlags
	c := &cobra.Command{
		Use: "capture", Short: "Take one user's records out of a lake as a template and a first scenario",
		Example: "  kreplay capture --from /mnt/lake/raw --user 15 --user-field userId --time-field ts --type-field page --out whale\n" +
			"  kreplay capture --from s3://lake/raw --dry-run",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.capture(c, &f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.from, "from", "", "where the lake lies: a folder, or s3://BUCKET/PREFIX")
	fl.StringVar(&f.out, "out", "", "scenario directory to write")
	fl.StringVar(&f.opts.User, "user", "", "the user's id")
	fl.StringVar(&f.opts.UserField, "user-field", "", "field that holds the user's id; several are tried in order, as in user_id,uid")
	fl.StringVar(&f.opts.TimeField, "time-field", "", "field that holds the event time, or several")
	fl.StringVar(&f.opts.TypeField, "type-field", "", "field that holds the log type, or several")
	fl.IntVar(&f.opts.TypeSegment, "type-segment", 0, "or: the path segment that is the log type, from 1")
	fl.StringVar(&f.since, "since", "", "only records from this time on, RFC 3339")
	fl.StringVar(&f.until, "until", "", "only records before this time, RFC 3339")
	fl.StringArrayVar(&f.opts.NoMask, "no-mask", nil, "field that is no secret though it looks like one: it is not masked; a name or a pattern as in rules; may be given again")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print the objects and bytes that would be read, and read nothing")
	return c
}

func (f *captureFlags) check() error {
	var err error
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", f.since, &f.opts.From}, {"--until", f.until, &f.opts.To}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = time.Parse(time.RFC3339, t.text); err != nil {
			return usagef("%s %q: want RFC 3339, as in 2026-09-14T00:00:00+09:00", t.flag, t.text)
		}
	}
	var missing []string
	for _, need := range []struct {
		there     bool
		flag, why string
	}{
		{f.from != "", "--from", "the folder of the lake, or s3://BUCKET/PREFIX"},
		{f.dryRun || f.opts.User != "", "--user", "the id of the user to take"},
		{f.dryRun || f.opts.UserField != "", "--user-field", "the field that holds the user's id"},
		{f.dryRun || f.opts.TimeField != "", "--time-field", "the field that holds the event time"},
		{f.dryRun || f.opts.TypeField != "" || f.opts.TypeSegment != 0, "--type-field or --type-segment", "where the log type stands"},
		{f.dryRun || f.out != "", "--out", "the scenario directory to write"},
	} {
		if !need.there {
			missing = append(missing, fmt.Sprintf("%s is missing: %s", need.flag, need.why))
		}
	}
	if len(missing) > 0 {
		return usagef("capture: %s", strings.Join(missing, "\n\t"))
	}
	return nil
}

func (a *app) capture(c *cobra.Command, f *captureFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	store, closer, err := a.openPlace(c.Context(), f.from)
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }()
	f.opts.Store, f.opts.Source, f.opts.Out = store, f.from, f.out
	if f.dryRun {
		d, err := capture.DryRun(c.Context(), f.opts)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "%s objects, %s bytes would be read\n", report.Count(uint64(d.Objects)), report.Count(uint64(d.Bytes)))
		return err
	}
	t, stats, err := capture.Run(c.Context(), f.opts)
	if err != nil {
		return err
	}
	if err := capture.WriteScenario(f.out, filepath.Base(f.out), t); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: %d log types, %d events of user %s\n", f.out, len(t.LogTypes), stats.Events, f.opts.User)
	for _, l := range stats.Types {
		note := ""
		if l.Events == 0 {
			note = "  the user never touched it"
		}
		fmt.Fprintf(a.stdout, "  %-24s %8s rows  %6s events%s\n", l.Name, report.Count(l.Rows), report.Count(l.Events), note)
	}
	fmt.Fprintln(a.stdout, "inferred, with the evidence beside each in scenario.yaml:")
	for _, i := range capture.Infer(t) {
		fmt.Fprintf(a.stdout, "  %-24s %s\n", i.Field, i.Role)
	}
	if len(stats.Masked) > 0 {
		fmt.Fprintln(a.stdout, "masked, as they look like secrets; --no-mask FIELD keeps a field as it is:")
	}
	for _, m := range stats.Masked {
		fmt.Fprintf(a.stdout, "  %-24s %s values\n", m.Field, report.Count(uint64(m.Values)))
	}
	folded := ""
	if stats.Folded > 0 {
		folded = fmt.Sprintf("; line breaks between the tokens of %s records were taken out", report.Count(uint64(stats.Folded)))
	}
	fmt.Fprintf(a.stdout, "read %s objects, %s bytes, %s rows; %d unreadable spans%s\nnext: kreplay scenario check %s, then kreplay run %s --local\n",
		report.Count(uint64(stats.Objects)), report.Count(uint64(stats.Bytes)), report.Count(stats.Rows), stats.Damaged, folded, f.out, f.out)
	return nil
}

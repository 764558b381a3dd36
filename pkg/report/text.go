package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// shown is how many differences the text report names; all are on disk.
const shown = 20

// Text writes r for people: the verdict, what failed, what to do next, then the account.
func Text(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", strings.ToUpper(string(r.Verdict)), r.Run.Scenario, headline(r))
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  - %s\n", reason)
	}
	if text := next(r); text != "" {
		fmt.Fprintf(&b, "next: %s\n", text)
	}
	p := r.Push
	fmt.Fprintf(&b, "\npush   %s planned, %s acked, %s refused, %s unknown, %s unsent\n", Count(p.Planned), Count(p.Acked), Count(p.Refused), Count(p.Unknown), Count(p.Unsent))
	fmt.Fprintf(&b, "       %s attempts in %s requests, %.3f a record, %s throttled; %.1f s, %s records/s\n", Count(p.Attempts), Count(p.Requests),
		p.Amplification, Count(p.Throttled), p.Seconds, Count(uint64(p.RecordsPerSecond)))
	if p.Put != nil {
		fmt.Fprintf(&b, "       requests took %.1f ms at p50, %.1f at p99, %.1f at most", p.Put.P50, p.Put.P99, p.Put.Max)
		if p.Slip != nil {
			fmt.Fprintf(&b, "; records were late by %.1f ms at p50, %.1f at p99, %.1f at most", p.Slip.P50, p.Slip.P99, p.Slip.Max)
		}
		b.WriteByte('\n')
	}
	for _, s := range r.Stages {
		if s.Objects == 0 && s.Rows+s.Missing+s.InFlight+s.Undecided+s.Absent == 0 {
			fmt.Fprintf(&b, "%-6s empty\n", s.Name)
			continue
		}
		objects := "objects"
		if s.Name == "stream" {
			objects = "shards"
		}
		fmt.Fprintf(&b, "%-6s %s %s, %s bytes, %s rows: %s delivered, %s mutated, %s rejected, %s missing, %s in flight, %s undecided, %s absent\n", s.Name,
			Count(uint64(s.Objects)), objects, Count(uint64(s.Bytes)), Count(s.Rows), Count(s.Delivered), Count(s.Mutated), Count(s.Rejected), Count(s.Missing), Count(s.InFlight), Count(s.Undecided), Count(s.Absent))
		fmt.Fprintf(&b, "       duplicates: %s by the producer, %s by the pipeline; %s strangers, %s foreign rows, %s unreadable spans\n",
			Count(s.Duplicates.Producer), Count(s.Duplicates.Pipeline), Count(s.Strangers), Count(s.Foreign), Count(s.Damaged))
		foreign(&b, s.ForeignSpans)
		lag(&b, s)
	}
	changes(&b, r)
	blame(&b, r)
	expectations(&b, r)
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	logTypes(&b, r)
	differences(&b, r)
	_, err := io.WriteString(w, b.String())
	return err
}

// foreign shows what nobody can read and is not the run's.
func foreign(b *strings.Builder, f ForeignSpans) {
	if f.Spans == 0 {
		return
	}
	fmt.Fprintf(b, "       foreign spans: %s, %s bytes that cannot be read and hold nothing of this run", Count(f.Spans), Count(f.Bytes))
	if len(f.Samples) > 0 {
		s := f.Samples[0]
		fmt.Fprintf(b, "; the first in %s at byte %d: %s", s.Object, s.Offset, s.Reason)
	}
	b.WriteByte('\n')
}

// changes shows what changed rows, by cause.
func changes(b *strings.Builder, r Report) {
	for _, s := range r.Stages {
		c := s.Changes
		if len(c.Fields) == 0 {
			continue
		}
		fmt.Fprintf(b, "\nchanged in %s, by cause (compare: %s):\n", s.Name, c.Compare)
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "rows\tcause\t  field, and one example")
		named := min(shown, len(c.Fields))
		for _, f := range c.Fields[:named] {
			fmt.Fprintf(t, "%s\t%s\t  %s\n", Count(f.Rows), f.Cause, example(f))
		}
		_ = t.Flush() // a strings.Builder does not fail
		if more := len(c.Fields) - named; more > 0 || !c.Whole {
			fmt.Fprintf(b, "  and more: the JSON report has %s\n", Count(uint64(len(c.Fields))))
		}
		if c.Beyond > 0 {
			fmt.Fprintf(b, "  %s more changed rows were not looked into\n", Count(c.Beyond))
		}
	}
}

func example(c Change) string {
	field := c.LogType
	if c.Field != "" {
		field += "." + c.Field
	}
	switch {
	case c.Want == "" && c.Got == "":
		return field
	case c.Want == "":
		return fmt.Sprintf("%s: got %s (%s)", field, c.Got, c.ID)
	case c.Got == "":
		return fmt.Sprintf("%s: want %s (%s)", field, c.Want, c.ID)
	}
	return fmt.Sprintf("%s: want %s, got %s (%s)", field, c.Want, c.Got, c.ID)
}

// blame shows where on the way of records each kind of difference arose, if
// there is more than one stage on it.
func blame(b *strings.Builder, r Report) {
	var gaps []Stage
	for _, s := range r.Stages {
		if s.Arose != nil {
			gaps = append(gaps, s)
		}
	}
	if len(gaps) < 2 {
		return
	}
	b.WriteByte('\n')
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "missing\trejected\tmutated\tduplicates\tstrangers\t  arose between")
	for _, s := range gaps {
		a := s.Arose
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t  %s and %s\n", Count(a.Missing), Count(a.Rejected), Count(a.Mutated), Count(a.Duplicates), Count(a.Strangers), a.Since, s.Name)
	}
	_ = t.Flush() // a strings.Builder does not fail
}

// next says what helps. RUN is the run directory, which a report does not know.
func next(r Report) string {
	var inFlight uint64
	for _, s := range r.Stages {
		inFlight += s.InFlight
	}
	switch {
	case r.Verdict == Pass:
		return ""
	case r.Verdict == Fail && r.Differences.Total > 0:
		return "differences.ndjson in the run directory names each record, with object and offset where a row is concerned"
	case r.Verdict == Fail:
		return "look at the stages for what is named above; there is no record to blame"
	case inFlight > 0:
		return "kreplay verify RUN, when the pipeline has caught up; it sends nothing and may be repeated"
	default:
		return "see to what is named above and run again; nothing is proven about the pipeline yet"
	}
}

func headline(r Report) string {
	if len(r.Stages) == 0 {
		return fmt.Sprintf("%s planned, no stage verified", Count(r.Push.Planned))
	}
	s := r.Stages[0]
	for _, on := range r.Stages { // the end of the way, as far as it could be read
		if on.Arose != nil {
			s = on
		}
	}
	return fmt.Sprintf("%s planned, %s delivered, %s missing, %s duplicates, %s mutated", Count(r.Push.Planned), Count(s.Delivered),
		Count(s.Missing), Count(s.Duplicates.Producer+s.Duplicates.Pipeline), Count(s.Mutated))
}

// expectations shows what did not pass with its SQL, then the scenario's that
// passed, then how many counts did that nobody asked for.
func expectations(b *strings.Builder, r Report) {
	if len(r.Expectations) == 0 {
		return
	}
	b.WriteByte('\n')
	for _, e := range r.Expectations {
		if e.Verdict == Pass {
			continue
		}
		fmt.Fprintf(b, "%-12s %s%s: want %s, got %s%s\n", strings.ToUpper(string(e.Verdict)), of(r, e), e.Name, e.Want, e.Got, owner(e))
		fmt.Fprintf(b, "  %s\n", e.Reason)
		for line := range strings.Lines(strings.TrimSpace(e.SQL)) {
			fmt.Fprintf(b, "  | %s\n", strings.TrimRight(line, "\n"))
		}
	}
	counts, stage := 0, ""
	for _, e := range r.Expectations {
		switch {
		case e.Verdict != Pass:
		case e.Asked:
			fmt.Fprintf(b, "%-12s %s%s = %s%s\n", e.Verdict, of(r, e), e.Name, oneLine(e.Got), owner(e))
		default:
			counts++
			stage = of(r, e)
		}
	}
	if counts > 0 {
		fmt.Fprintf(b, "%-12s %s%d counts of log types and users\n", Pass, stage, counts)
	}
}

// of names the stage that an expectation is about, where there are several.
func of(r Report, e Expectation) string {
	if r.Several {
		return e.Stage + " "
	}
	return ""
}

func owner(e Expectation) string {
	if e.Owner == "" {
		return ""
	}
	return "  (" + e.Owner + ")"
}

// oneLine shortens a table to its first line.
func oneLine(text string) string {
	first, _, more := strings.Cut(text, "\n")
	if more {
		return first + " …"
	}
	return first
}

func logTypes(b *strings.Builder, r Report) {
	if len(r.LogTypes) == 0 {
		return
	}
	b.WriteByte('\n')
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "planned\tdelivered\tmissing\tduplicates\tmutated\t  log type")
	several := r.LogTypes[0].Stage != r.LogTypes[len(r.LogTypes)-1].Stage // they stand stage by stage
	for _, l := range r.LogTypes {
		name := l.Name
		if several {
			name = l.Stage + " " + name
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t  %s\n", Count(l.Planned), Count(l.Delivered), Count(l.Missing), Count(l.Duplicates), Count(l.Mutated), name)
	}
	_ = t.Flush() // a strings.Builder does not fail
}

func differences(b *strings.Builder, r Report) {
	if r.Differences.Total == 0 {
		return
	}
	named := min(shown, len(r.Differences.Samples))
	fmt.Fprintf(b, "\n%s differences, all of them in differences.ndjson of the run directory; the first %d:\n", Count(r.Differences.Total), named)
	for _, d := range r.Differences.Samples[:named] {
		fmt.Fprintf(b, "  %-10s", d.Kind)
		if d.ID != "" {
			fmt.Fprintf(b, " %s %s", d.ID, d.LogType)
		}
		if d.Object != "" {
			fmt.Fprintf(b, " in %s %s", d.Object, d.Place)
		}
		if d.Detail != "" {
			fmt.Fprintf(b, ": %s", d.Detail)
		}
		b.WriteByte('\n')
	}
}

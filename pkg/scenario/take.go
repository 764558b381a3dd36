package scenario

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// The takes and opens of schema.

func last[T any](s []T) *T { return &s[len(s)-1] }

func takeVersion(_ *draft, n node) error {
	v, err := wholeNumber(n, 0, 1<<32)
	if err == nil && v != 1 {
		err = fmt.Errorf("version %d: this kreplay reads version 1", v)
	}
	return err
}

func scenarioName(n node) (string, error) {
	s, err := plainText(n)
	if err != nil {
		return "", err
	}
	return s, name(s, "_-.")
}

func takeTemplate(s *draft, n node) error {
	dir, err := folder(n)
	base := path.Base(dir)
	if dir == "." {
		base = "template"
	}
	s.Templates = append(s.Templates, TemplateRef{base, dir, n.pos})
	return err
}

func openTemplate(s *draft, key string, pos Pos) error {
	s.Templates = append(s.Templates, TemplateRef{Name: key, Pos: pos})
	return name(key, "_-.")
}

func takeTemplateDir(s *draft, n node) (err error) {
	t := last(s.Templates)
	t.Pos = n.pos
	t.Dir, err = folder(n)
	return err
}

func openRule(s *draft, pattern string, pos Pos) error {
	s.Rewrite = append(s.Rewrite, Rule{Field: pattern, Pos: pos})
	return fieldPattern(pattern)
}

func takeRole(s *draft, n node) (err error) {
	last(s.Rewrite).Role, err = role(n)
	return err
}

func takeKeep(s *draft, n node) error {
	pattern, err := plainText(n)
	if err != nil {
		return err
	}
	s.Keep = append(s.Keep, Pattern{pattern, n.pos})
	return fieldPattern(pattern)
}

func openCohort(s *draft, key string, pos Pos) error {
	s.Population.Cohorts = append(s.Population.Cohorts, Cohort{Name: key, Pos: pos})
	return name(key, "_-")
}

// takeCohortTemplate stores the name; whether there is such a template is known at the end.
func takeCohortTemplate(s *draft, n node) (err error) {
	last(s.Population.Cohorts).Template, err = plainText(n)
	return err
}

func openStage(s *draft, key string, pos Pos) error {
	s.Stages = append(s.Stages, Stage{Name: key, Pos: pos})
	return nil
}

// takeUntil stores the log type; whether there is one is known to who has the templates.
func takeUntil(s *draft, n node) (err error) {
	c := last(s.Population.Cohorts)
	c.Until, err = plainText(n)
	c.UntilPos = n.pos
	return err
}

func openNumber(s *draft, key string, _ Pos) error {
	c := last(s.Population.Cohorts)
	c.Numbers = append(c.Numbers, Number{Name: key})
	return nil
}

func takeNumber(s *draft, n node) (err error) {
	last(last(s.Population.Cohorts).Numbers).Value, err = plainNumber(n)
	return err
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func stagePath(n node) (string, error) {
	p, err := plainText(n)
	scheme, rest, url := strings.Cut(p, "://")
	switch bucket, _, _ := strings.Cut(rest, "/"); {
	case err != nil || !url:
	case scheme != "s3":
		err = fmt.Errorf("%s: want a directory, a file or s3://bucket/prefix", quote(p))
	case !bucketName.MatchString(bucket):
		err = fmt.Errorf("%s: %s is no name of a bucket: want 3 to 63 of a-z, 0-9, . and -", quote(p), quote(bucket))
	}
	if err == nil && strings.ContainsFunc(p, func(r rune) bool { return r < ' ' }) {
		err = fmt.Errorf("%s: want a path without control characters", quote(p))
	}
	return p, err
}

func takeStreamName(s *draft, n node) (err error) {
	if n.shape == mapping {
		return errors.New(`want text, got a mapping: put a name that begins with { in quotes, as in "{log_type}-logs"`)
	}
	if s.Stream.Name, err = plainText(n); err == nil {
		err = CheckStreamName(s.Stream.Name)
	}
	if PerLogType(s.Stream.Name) {
		s.Stream.NamePos = n.pos
	}
	return err
}

func takePartitionKey(s *draft, n node) error {
	field, err := plainText(n)
	if err == nil && strings.ContainsAny(field, "*{}") {
		err = fmt.Errorf("%s: want one field, without * and {}", quote(field))
	}
	if err == nil {
		err = fieldPattern(field)
	}
	s.Stream.PartitionKey, s.Stream.KeyPos = field, n.pos
	return err
}

func newline(n node) (Newline, error) {
	i, err := oneOf(n, "auto", "true", "false")
	return Newline(i), err
}

func onUnknown(n node) (Policy, error) {
	i, err := oneOf(n, "resend", "hold")
	return Policy(i), err
}

func wire(n node) (Wire, error) {
	i, err := oneOf(n, "json", "cbor")
	return Wire(i), err
}

func requests(n node) (int, error) {
	v, err := wholeNumber(n, 1, 1000)
	return int(v), err
}

// maxShards is the highest default quota of shards in any region; a shard
// takes 1,000 records and 1 MB a second (Kinesis Data Streams, quotas and limits).
const (
	maxShards  = 20_000
	maxRecords = maxShards * 1000
	maxBytes   = maxShards * 1_000_000
)

func recordRate(n node) (uint64, error) {
	v, err := perSecond(n, rateUnits, "40k/s")
	if err == nil && v > maxRecords {
		err = fmt.Errorf("%s: no stream takes more than 20M/s (20,000 shards): want max for no limit", n.text)
	}
	return v, err
}

func byteRate(n node) (uint64, error) {
	v, err := perSecond(n, byteUnits, "40MB/s")
	if err == nil && v > maxBytes {
		err = fmt.Errorf("%s: no stream takes more than 20GB/s (20,000 shards): want max for no limit", n.text)
	}
	return v, err
}

// somePercentage reads a percentage above 0.
func somePercentage(n node) (Share, error) {
	s, err := percentage(n)
	if err == nil && s == 0 {
		err = fmt.Errorf("%s: want more than 0%%", n.text)
	}
	return s, err
}

func order(n node) (Order, error) {
	i, err := oneOf(n, "none", "user")
	return Order(i), err
}

// takePayload and takeEncoding are of the stages that hold records: those of dlq
// are wrapped as the service does it.
func takePayload(s *draft, n node) (err error) {
	st := last(s.Stages)
	if st.Name == "dlq" {
		return errors.New("payload: dlq holds error records, whose form is known: leave it out")
	}
	if st.Payload, err = plainText(n); err == nil && strings.ContainsAny(st.Payload, "*{}") {
		err = fmt.Errorf("%s: want one field, without * and {}", quote(st.Payload))
	}
	if err == nil {
		err = fieldPattern(st.Payload)
	}
	return err
}

func takeEncoding(s *draft, n node) error {
	i, err := oneOf(n, "text", "base64")
	last(s.Stages).Base64 = i == 1
	return err
}

var errCompared = errors.New("dlq holds error records, which are not compared: leave it out")

func takeCompare(s *draft, n node) error {
	if last(s.Stages).Name == "dlq" {
		return errCompared
	}
	i, err := oneOf(n, compares...)
	last(s.Stages).Compare = Compare(i)
	return err
}

func takeIgnore(s *draft, n node) error {
	st := last(s.Stages)
	if st.Name == "dlq" {
		return errCompared
	}
	pattern, err := plainText(n)
	if err != nil {
		return err
	}
	st.Ignore = append(st.Ignore, Pattern{pattern, n.pos})
	return fieldPattern(pattern)
}

func takeFormat(s *draft, n node) error {
	st := last(s.Stages)
	if st.Name == "dlq" {
		return errors.New("format: dlq holds error records, whose form is known: leave it out")
	}
	i, err := oneOf(n, "auto", "csv")
	st.CSV = i == 1
	return err
}

func takeEmpty(s *draft, n node) error {
	st := last(s.Stages)
	if n.shape != text || n.text != "empty" {
		return fmt.Errorf("want empty, got %s", n.got())
	}
	if st.Name != "dlq" {
		return fmt.Errorf("empty: only dlq can be expected to be: %s is where records go", st.Name)
	}
	st.Empty = true
	return nil
}

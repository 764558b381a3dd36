package scenario

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// The takes and opens of schema.

func last[T any](s []T) *T { return &s[len(s)-1] }

func takeVersion(_ *Scenario, n node) error {
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

func takeTemplate(s *Scenario, n node) error {
	dir, err := folder(n)
	base := path.Base(dir)
	if dir == "." {
		base = "template"
	}
	s.Templates = append(s.Templates, TemplateRef{base, dir, n.pos})
	return err
}

func openTemplate(s *Scenario, key string, pos Pos) error {
	s.Templates = append(s.Templates, TemplateRef{Name: key, Pos: pos})
	return name(key, "_-.")
}

func takeTemplateDir(s *Scenario, n node) (err error) {
	t := last(s.Templates)
	t.Pos = n.pos
	t.Dir, err = folder(n)
	return err
}

func openRule(s *Scenario, pattern string, pos Pos) error {
	s.Rewrite = append(s.Rewrite, Rule{Field: pattern, Pos: pos})
	return fieldPattern(pattern)
}

func takeRole(s *Scenario, n node) (err error) {
	last(s.Rewrite).Role, err = role(n)
	return err
}

func takeKeep(s *Scenario, n node) error {
	pattern, err := plainText(n)
	if err != nil {
		return err
	}
	s.Keep = append(s.Keep, Pattern{pattern, n.pos})
	return fieldPattern(pattern)
}

func openCohort(s *Scenario, key string, pos Pos) error {
	s.Population.Cohorts = append(s.Population.Cohorts, Cohort{Name: key, Pos: pos})
	return name(key, "_-")
}

// takeCohortTemplate stores the name; whether there is such a template is known at the end.
func takeCohortTemplate(s *Scenario, n node) (err error) {
	last(s.Population.Cohorts).Template, err = plainText(n)
	return err
}

func openStage(s *Scenario, key string, pos Pos) error {
	s.Stages = append(s.Stages, Stage{Name: key, Pos: pos})
	return nil
}

func stagePath(n node) (string, error) {
	p, err := plainText(n)
	if err == nil && strings.Contains(p, "://") {
		err = fmt.Errorf("%s: this version reads only directories and files", quote(p))
	}
	if err == nil && strings.ContainsFunc(p, func(r rune) bool { return r < ' ' }) {
		err = fmt.Errorf("%s: want a path without control characters", quote(p))
	}
	return p, err
}

func kinesisName(n node) (string, error) {
	s, err := plainText(n)
	if err == nil && !streamName.MatchString(s) {
		err = fmt.Errorf("%s: want 1 to 128 of a-z, A-Z, 0-9, _, . and -", quote(s))
	}
	return s, err
}

func partitionKey(n node) (string, error) {
	s, err := plainText(n)
	if err == nil && strings.ContainsAny(s, "*{}") {
		err = fmt.Errorf("%s: want one field, without * and {}", quote(s))
	}
	if err == nil {
		err = fieldPattern(s)
	}
	return s, err
}

func newline(n node) (Newline, error) {
	i, err := oneOf(n, "auto", "true", "false")
	return Newline(i), err
}

func onUnknown(n node) (Policy, error) {
	i, err := oneOf(n, "resend", "hold")
	return Policy(i), err
}

func requests(n node) (int, error) {
	v, err := wholeNumber(n, 1, 1000)
	return int(v), err
}

func recordRate(n node) (uint64, error) { return perSecond(n, rateUnits, "40k/s") }

func byteRate(n node) (uint64, error) { return perSecond(n, byteUnits, "40MB/s") }

var (
	takeQuiet = store(duration, func(s *Scenario) *time.Duration { return &s.Settle.Quiet })
	takeMax   = store(duration, func(s *Scenario) *time.Duration { return &s.Settle.Max })
)

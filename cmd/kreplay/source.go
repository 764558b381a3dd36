package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/replay"
	"kreplay/scenarios"
)

// sourceFlags are the flags that every command with a scenario has.
type sourceFlags struct {
	set   []string
	vars  []string
	users uint64
	seed  uint64
	rate  string
	wire  string
}

func (s *sourceFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&s.set, "set", nil, "override a scenario key, as in population.users=2000 (repeatable)")
	f.StringArrayVar(&s.vars, "var", nil, "value of a variable of the scenario, as in day=2026-09-14 (repeatable)")
	f.Uint64Var(&s.users, "users", 0, "number of users (population.users)")
	f.Uint64Var(&s.seed, "seed", 0, "seed of the generator")
}

// An override is what a flag puts in the place of a key of the scenario.
type override struct {
	set       string // key=value
	flag      string
	nth, from int // of the flag; where in set its own text begins
}

func (s *sourceFlags) overrides(c *cobra.Command) ([]override, error) {
	var list []override
	for i, set := range s.set {
		list = append(list, override{set, "--set", i + 1, 0})
	}
	for i, v := range s.vars {
		set, err := scenario.SetVar(v)
		if err != nil {
			return nil, usagef("--var %v", err)
		}
		list = append(list, override{set, "--var", i + 1, len("vars.")})
	}
	for _, f := range []struct{ name, key, value string }{
		{"users", "population.users=", strconv.FormatUint(s.users, 10)},
		{"seed", "seed=", strconv.FormatUint(s.seed, 10)},
		{"rate", "stream.limits.rate=", s.rate},
		{"wire", "stream.wire=", s.wire},
	} {
		if c.Flags().Changed(f.name) {
			list = append(list, override{f.key + f.value, "--" + f.name, 1, len(f.key)})
		}
	}
	return list, nil
}

// sets are overrides as scenarios take them.
func sets(list []override) (all []string) {
	for _, o := range list {
		all = append(all, o.set)
	}
	return all
}

// flagged tells what is wrong with overrides of their flags. In faults they are
// numbered, behind so many others.
func flagged(err error, list []override, others int) error {
	var faults scenario.Faults
	if !errors.As(err, &faults) {
		return err
	}
	faults = slices.Clone(faults)
	for i := range faults {
		at := &faults[i].Pos
		if n := at.Line - 1 - others; at.File == "--set" && 0 <= n && n < len(list) { // a value may have lines of its own
			*at = scenario.Pos{File: list[n].flag, Line: list[n].nth, Col: max(at.Col-list[n].from, 1)}
		}
	}
	return faults.Err()
}

// addWire is for the commands that send to a stream.
func (s *sourceFlags) addWire(c *cobra.Command) {
	c.Flags().StringVar(&s.wire, "wire", "", "how requests are written: json, or cbor, which is less to send (stream.wire)")
}

// addRate is for the commands that send.
func (s *sourceFlags) addRate(c *cobra.Command) {
	c.Flags().StringVar(&s.rate, "rate", "", "records a second, as in 40k/s, or max (stream.limits.rate)")
}

// job reads the scenario that an argument names: a directory, a file, or a shipped one.
func (s *sourceFlags) job(c *cobra.Command, arg string) (*replay.Job, error) {
	fsys, name, err := locate(arg)
	if err != nil {
		return nil, err
	}
	list, err := s.overrides(c)
	if err != nil {
		return nil, err
	}
	job, err := replay.Check(fsys, name, sets(list))
	return job, flagged(err, list, 0)
}

func locate(arg string) (fs.FS, string, error) {
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return os.DirFS(arg), ".", nil
	case err == nil:
		return os.DirFS(filepath.Dir(arg)), filepath.Base(arg), nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, "", err
	case slices.Contains(scenarios.Names(), arg):
		return scenarios.FS, path.Clean(arg), nil
	}
	return nil, "", usagef("scenario %q: no such directory or file, and not one of the shipped scenarios (%s)",
		arg, strings.Join(scenarios.Names(), ", "))
}

// parseSlice reads i/n, counted from 1.
func parseSlice(text string) (generate.Slice, error) {
	if text == "" {
		return generate.Slice{}, nil
	}
	i, n, ok := strings.Cut(text, "/")
	index, err1 := strconv.ParseUint(i, 10, 32)
	of, err2 := strconv.ParseUint(n, 10, 32)
	if !ok || err1 != nil || err2 != nil || index < 1 || index > of {
		return generate.Slice{}, usagef("--worker %q: want i/n with 1 <= i <= n, as in 1/4", text)
	}
	return generate.Slice{Index: index, Of: of}, nil
}

// parseAnchor reads the time from which all workers count.
func parseAnchor(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usagef("--anchor %q: want RFC 3339, as in 2026-09-14T00:00:00+09:00", text)
	}
	return t, nil
}

// runID is what may name a directory and stand in a report.
var runID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkRunID(id string) error {
	if !runID.MatchString(id) {
		return usagef("run id %q (--run-id, $KREPLAY_RUN_ID, or the job's): want 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first", id)
	}
	return nil
}

// runDir is the directory of a run: as given, else runs/<id>.
func runDir(given, id string) (string, error) {
	if err := checkRunID(id); err != nil {
		return "", err
	}
	if given == "" {
		given = filepath.Join("runs", id)
	}
	dir, err := filepath.Abs(given)
	if err != nil {
		return "", fmt.Errorf("--run-dir %s: %w", given, err)
	}
	return dir, nil
}

// Package fleet says who a process is among the workers of a run, and what all of them agree on.
package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Variables of the environment. AWS Batch sets those that begin with AWS_BATCH
// (Batch user guide, job_env_vars), Kubernetes JOB_COMPLETION_INDEX in each pod of
// an Indexed Job; both count from 0. The others are the submitter's.
const (
	BatchIndex   = "AWS_BATCH_JOB_ARRAY_INDEX"
	BatchSize    = "AWS_BATCH_JOB_ARRAY_SIZE"
	BatchJob     = "AWS_BATCH_JOB_ID"      // PARENT:INDEX in an array
	BatchAttempt = "AWS_BATCH_JOB_ATTEMPT" // from 1
	KubeIndex    = "JOB_COMPLETION_INDEX"  // there is none that tells how many
	EnvRun       = "KREPLAY_RUN_ID"
	EnvAnchor    = "KREPLAY_ANCHOR"
	EnvStart     = "KREPLAY_START_AT"
)

// Flags are what the command line says; it comes before the environment.
type Flags struct {
	Worker  string // i/n, counted from 1; /n: the index is the environment's
	Workers uint64 // n; 0: not given
	Run     string // id of the run
	Anchor  string // RFC 3339
	StartAt string // RFC 3339
}

// A Member is one worker of a run. Two members of one run differ in Index and
// Attempt only.
type Member struct {
	Index, Of uint64    // from 1; 1 of 1 is alone
	Attempt   int       // from 1: how often this worker was started, as far as somebody says so
	Run       string    // id of the run; empty only where Of is 1: choose one
	Anchor    time.Time // event time of the first user's first event; zero: nobody says
	StartAt   time.Time // nothing is sent before; zero: at once
}

// Who returns the member that flags and environment describe; lookup is
// [os.LookupEnv]. What contradicts itself, or is nonsense, is an error: a worker
// that guesses sends another one's records. All faults come back at once.
func Who(flags Flags, lookup func(string) (string, bool)) (Member, error) {
	e := env{lookup: lookup}
	m := Member{Attempt: 1}
	m.Index, m.Of = e.place(flags)
	if n, ok := e.number(BatchAttempt); ok {
		if n < 1 || n > 1000 {
			e.fault("%s=%d: want a number from 1", BatchAttempt, n)
		}
		m.Attempt = int(n)
	}
	m.Run = e.run(flags.Run)
	m.Anchor = e.time("--anchor", flags.Anchor, EnvAnchor)
	m.StartAt = e.time("--start-at", flags.StartAt, EnvStart)
	if m.Of > 1 && m.Run == "" && len(e.faults) == 0 {
		e.fault("worker %d of %d: workers need one run id, the same for all: pass --run-id, or set %s", m.Index, m.Of, EnvRun)
	}
	return m, errors.Join(e.faults...)
}

// env reads one environment and keeps what is wrong with it.
type env struct {
	lookup func(string) (string, bool)
	faults []error
}

func (e *env) fault(format string, args ...any) {
	e.faults = append(e.faults, fmt.Errorf(format, args...))
}

// number reads a variable; ok is false where it is not set, or wrong.
func (e *env) number(name string) (uint64, bool) {
	text, ok := e.lookup(name)
	if !ok || text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		e.fault("%s=%q: want a number from 0", name, text)
		return 0, false
	}
	return n, true
}

// claim is what one source says of the place; 0: nothing.
type claim struct {
	source    string
	index, of uint64 // from 1
}

// place brings together what flags and environment say of index and number.
func (e *env) place(flags Flags) (index, of uint64) {
	var sum claim
	for _, c := range e.claims(flags) {
		if c.index > 0 && sum.index > 0 && c.index != sum.index || c.of > 0 && sum.of > 0 && c.of != sum.of {
			e.fault("%s, but %s: which of them is this worker?", sum.says(), c.says())
			return 1, 1
		}
		sum = claim{cmp.Or(sum.source, c.source), cmp.Or(sum.index, c.index), cmp.Or(sum.of, c.of)}
	}
	switch {
	case len(e.faults) > 0 || sum.index == 0 && sum.of == 0:
		return 1, 1
	case sum.of == 0:
		e.fault("%s says which worker this is, and nothing says of how many: pass --workers N (in Kubernetes: spec.completions)", sum.source)
	case sum.index == 0 && sum.of == 1:
		return 1, 1
	case sum.index == 0:
		e.fault("%s: nothing says which of the %d workers this is: pass --worker I/%d, or run it as an array job (%s) or an Indexed Job (%s)",
			sum.source, sum.of, sum.of, BatchIndex, KubeIndex)
	case sum.index > sum.of:
		e.fault("%s: there is no worker %d of %d (counted from 1)", sum.source, sum.index, sum.of)
	}
	return sum.index, sum.of
}

func (c claim) says() string {
	switch {
	case c.of == 0:
		return fmt.Sprintf("%s says worker %d (counted from 1)", c.source, c.index)
	case c.index == 0:
		return fmt.Sprintf("%s says %d workers", c.source, c.of)
	}
	return fmt.Sprintf("%s says worker %d of %d (counted from 1)", c.source, c.index, c.of)
}

func (e *env) claims(flags Flags) (list []claim) {
	if flags.Worker != "" {
		list = append(list, e.worker(flags.Worker))
	}
	if flags.Workers > 0 {
		list = append(list, claim{source: "--workers", of: flags.Workers})
	}
	if n, ok := e.number(BatchSize); ok {
		if n == 0 {
			e.fault("%s=0: want a number from 1", BatchSize)
		}
		list = append(list, claim{source: BatchSize, of: n})
	}
	for _, name := range []string{BatchIndex, KubeIndex} {
		if n, ok := e.number(name); ok {
			list = append(list, claim{source: fmt.Sprintf("%s=%d", name, n), index: n + 1})
		}
	}
	return list
}

// worker reads i/n or /n.
func (e *env) worker(text string) claim {
	c := claim{source: "--worker " + text}
	i, n, ok := strings.Cut(text, "/")
	var err1, err2 error
	c.of, err2 = strconv.ParseUint(n, 10, 32)
	if i != "" {
		c.index, err1 = strconv.ParseUint(i, 10, 32)
	}
	if !ok || err1 != nil || err2 != nil || c.of < 1 || i != "" && (c.index < 1 || c.index > c.of) {
		e.fault("--worker %q: want i/n with 1 <= i <= n, as in 1/4, or /n where the environment says i", text)
	}
	return c
}

// run is the id that all workers share: as given, else the parent's job id.
func (e *env) run(given string) string {
	if given != "" {
		return given
	}
	if id, ok := e.lookup(EnvRun); ok && id != "" {
		return id
	}
	job, _ := e.lookup(BatchJob)
	parent, index, child := strings.Cut(job, ":")
	if want, _ := e.lookup(BatchIndex); child && index != want {
		e.fault("%s=%s, but %s=%s: the job is not the child that it says it is", BatchJob, job, BatchIndex, want)
	}
	return parent
}

func (e *env) time(flag, given, name string) time.Time {
	source, text := flag, given
	if text == "" {
		source = name
		text, _ = e.lookup(name)
	}
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.IsZero() {
		e.fault("%s %q: want RFC 3339, as in 2026-09-14T00:00:00+09:00", source, text)
	}
	return t
}

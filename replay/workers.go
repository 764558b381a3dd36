package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
	"kreplay/pkg/report"
)

// Ledgers are those of all workers of one run, read as one. A run that was not
// divided has one worker.
type Ledgers struct {
	Manifest ledger.Manifest   // of the whole run, as one worker had written it
	Workers  []*ledger.Account // that of worker i+1; nil: it left no run directory

	Attempts ledger.Attempts
	Clean    bool      // all pushes ended in order
	Window   uint64    // records that were in flight when a push broke off
	Ended    time.Time // the last of them
	Segments int

	absent []absence
	told   bool // an object stage was read that has settled: an absent worker without a row has sent nothing
}

// An absence is a worker of which there is no run directory, although it had
// something to send.
type absence struct {
	worker  uint64 // from 1
	first   uint64 // its users: first <= user < end
	end     uint64
	records uint64
	sent    bool // rows of its records were seen: it was started, and its run directory is somewhere else
}

// fates are those of an absent worker. Before the first record is sent there is
// a manifest, so one without any row was never started, once it is told that there
// is none. Of one with rows nothing is known: its records may have been sent any
// number of times; nor is it where rows may come still, or could not be read.
func (a absence) fates(told bool) iter.Seq[ledger.Span] {
	span := ledger.Span{Count: a.records, Fate: record.Unsent}
	if a.sent || !told {
		span.Fate, span.Unknowns, span.Code = record.Unknown, math.MaxUint32, "no run directory"
	}
	return func(yield func(ledger.Span) bool) { yield(span) }
}

// runDirs finds the run directories that a list of paths names: each is one, or
// holds those of workers, as worker-1, worker-2, …
func runDirs(paths []string) (list []string, err error) {
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(path, ledger.ManifestFile)); err == nil {
			list = append(list, path)
			continue
		}
		entries, err := fs.Glob(os.DirFS(path), workerPattern+"/"+ledger.ManifestFile)
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		for _, e := range entries {
			list = append(list, filepath.Join(path, filepath.Dir(e)))
		}
		if len(entries) == 0 {
			list = append(list, path) // whose reader says what it lacks
		}
	}
	return list, nil
}

// workerPattern matches the run directories of workers in that of their run.
const workerPattern = "worker-*"

// gather reads the ledgers of run directories as one. They have to be of one
// run: all that is not is said at once.
func gather(dirs []string, read func(dir string) (*ledger.Account, error)) (*Ledgers, error) {
	var l *Ledgers
	var faults []error
	at := map[uint64]string{}
	for _, dir := range dirs {
		a, err := read(dir)
		if err != nil {
			return nil, err
		}
		m := a.Manifest
		if l == nil {
			l = &Ledgers{Manifest: m, Workers: make([]*ledger.Account, m.Worker.Of), Clean: true}
		}
		if err := sameRun(l.Manifest, m); err != nil {
			faults = append(faults, fmt.Errorf("replay: %s is not of the same run as %s: %w", dir, dirs[0], err))
			continue
		}
		if twice, ok := at[m.Worker.Index]; ok {
			faults = append(faults, fmt.Errorf("replay: worker %d of %d is there twice: %s and %s", m.Worker.Index, m.Worker.Of, twice, dir))
			continue
		}
		at[m.Worker.Index] = dir
		l.add(a)
	}
	return l, errors.Join(faults...)
}

// sameRun says in what two manifests differ that have to be of one run.
func sameRun(a, b ledger.Manifest) error {
	var faults []error
	differ := func(what string, a, b any) {
		if a != b {
			faults = append(faults, fmt.Errorf("%s is %v, not %v", what, b, a))
		}
	}
	differ("the run id", a.Run, b.Run)
	differ("the digest", fmt.Sprintf("%.12s", a.Digest), fmt.Sprintf("%.12s", b.Digest))
	differ("the tag", a.Tag, b.Tag)
	differ("the seed", a.Seed, b.Seed)
	differ("users", a.Users, b.Users)
	differ("the anchor", a.Anchor.UTC().Format(time.RFC3339Nano), b.Anchor.UTC().Format(time.RFC3339Nano))
	differ("the number of workers", a.Worker.Of, b.Worker.Of)
	differ("the stream", a.Stream, b.Stream)
	return errors.Join(faults...)
}

func (l *Ledgers) add(a *ledger.Account) {
	l.Workers[a.Manifest.Worker.Index-1] = a
	if a.Manifest.Started.Before(l.Manifest.Started) {
		l.Manifest.Started = a.Manifest.Started
	}
	if a.Ended.After(l.Ended) {
		l.Ended = a.Ended
	}
	l.Attempts.Requests += a.Attempts.Requests
	l.Attempts.Acked += a.Attempts.Acked
	l.Attempts.Refused += a.Attempts.Refused
	l.Attempts.Unknown += a.Attempts.Unknown
	l.Clean = l.Clean && a.Clean
	l.Window += a.Window
	l.Segments += a.Segments
}

// complete holds the ledgers against the plan of the whole run, and finds out
// who is absent.
func (l *Ledgers) complete(plan *generate.Plan) error {
	of := l.Manifest.Worker.Of
	var faults []error
	for i, a := range l.Workers {
		s := generate.Slice{Index: uint64(i) + 1, Of: of}
		first, end := plan.Range(s)
		n := plan.Count(s)
		switch {
		case a == nil && n > 0:
			l.absent = append(l.absent, absence{worker: s.Index, first: first, end: end, records: n})
		case a == nil:
		case a.Manifest.Planned != n || a.Manifest.FirstUser != first || a.Manifest.EndUser != end:
			m := a.Manifest
			faults = append(faults, fmt.Errorf("replay: worker %d of %d has %d records of users %d to %d, but planned are %d of users %d to %d: another version of kreplay wrote it",
				s.Index, of, m.Planned, m.FirstUser, m.EndUser, n, first, end))
		}
	}
	l.Manifest.Worker = ledger.Worker{Index: 1, Of: 1}
	l.Manifest.FirstUser, l.Manifest.EndUser, l.Manifest.Planned = 0, plan.Users, plan.Total()
	return errors.Join(faults...)
}

// look finds out which of those absent have sent something.
func (l *Ledgers) look(stage *account.Account) {
	for i := range l.absent {
		a := &l.absent[i]
		a.sent = a.sent || stage.Seen(generate.Slice{Index: a.worker, Of: uint64(len(l.Workers))}) > 0
	}
}

// fates are those of each worker.
func (l *Ledgers) fates() (list []iter.Seq[ledger.Span]) {
	absent := l.absent
	for i, a := range l.Workers {
		switch {
		case a != nil:
			list = append(list, a.Fates())
		case len(absent) > 0 && absent[0].worker == uint64(i)+1:
			list = append(list, absent[0].fates(l.told))
			absent = absent[1:]
		default: // a worker without users
			list = append(list, func(func(ledger.Span) bool) {})
		}
	}
	return list
}

// of is the ledger of the worker that has a user; nil: it is not there.
func (l *Ledgers) of(plan *generate.Plan, user uint32) *ledger.Account {
	return l.Workers[plan.WorkerOf(user, uint64(len(l.Workers)))-1]
}

// each yields all planned records in the order of sending, with what the ledgers
// that are there know of them.
func (l *Ledgers) each(plan *generate.Plan) iter.Seq2[generate.Step, ledger.Span] {
	return func(yield func(generate.Step, ledger.Span) bool) {
		type book struct {
			next func() (ledger.Span, bool)
			span ledger.Span
			seq  uint64
		}
		var books []book
		for _, f := range l.fates() {
			next, stop := iter.Pull(f)
			defer stop()
			books = append(books, book{next: next})
		}
		for step := range plan.Order(generate.Slice{}) {
			b := &books[plan.WorkerOf(step.User, uint64(len(books)))-1]
			for b.seq >= b.span.First+b.span.Count {
				span, ok := b.next()
				if !ok {
					span = ledger.Span{First: b.seq, Count: 1, Fate: record.Unsent}
				}
				b.span = span
			}
			b.seq++
			if !yield(step, b.span) {
				return
			}
		}
	}
}

// Totals counts planned records of the whole run by their final fate.
func (l *Ledgers) Totals() (sum ledger.Totals) {
	for _, a := range l.Workers {
		if a == nil {
			continue
		}
		t := a.Totals()
		sum.Acked += t.Acked
		sum.Refused += t.Refused
		sum.Unknown += t.Unknown
		sum.Unsent += t.Unsent
	}
	for _, a := range l.absent {
		if a.sent || !l.told {
			sum.Unknown += a.records
		} else {
			sum.Unsent += a.records
		}
	}
	return sum
}

// Throttled counts the attempts at records that met a throughput limit.
func (l *Ledgers) Throttled() (n uint64) {
	for _, a := range l.Workers {
		if a != nil {
			n += a.Throttled()
		}
	}
	return n
}

// Check says whether the books balance, each and all together. A sum that does
// not is kreplay's bug.
func (l *Ledgers) Check() error {
	var faults []error
	for _, a := range l.Workers {
		if a == nil {
			continue
		}
		if err := a.Check(); err != nil {
			faults = append(faults, err)
		}
	}
	t := l.Totals()
	if sum := t.Acked + t.Refused + t.Unknown + t.Unsent; sum != l.Manifest.Planned {
		faults = append(faults, fmt.Errorf("replay: broken books: %d planned, but the workers' ledgers sum up to %d", l.Manifest.Planned, sum))
	}
	return errors.Join(faults...)
}

// doubts say what the ledgers leave open: who is absent, and who did not end.
func (l *Ledgers) doubts() (list []string) {
	of := len(l.Workers)
	for rest := l.absent; len(rest) > 0; {
		a, n := rest[0], 1
		for n < len(rest) && rest[n].worker == a.worker+uint64(n) && rest[n].sent == a.sent {
			a.end, a.records = rest[n].end, a.records+rest[n].records
			n++
		}
		rest = rest[n:]
		who := fmt.Sprintf("worker %d of %d", a.worker, of)
		if n > 1 {
			who = fmt.Sprintf("workers %d to %d of %d", a.worker, a.worker+uint64(n)-1, of)
		}
		what := " never started: no run directory, and no row"
		switch {
		case a.sent:
			what = " sent something, but left no run directory here: give it to verify as well"
		case !l.told:
			what = ": no run directory here; whether it started is not known yet"
		}
		list = append(list, fmt.Sprintf("%s%s; users %d to %d, %s records", who, what, a.first, a.end-1, report.Count(a.records)))
	}
	for i, a := range l.Workers {
		if a == nil || a.Clean {
			continue
		}
		who := "the push"
		if of > 1 {
			who = fmt.Sprintf("the push of worker %d of %d", i+1, of)
		}
		list = append(list, fmt.Sprintf("%s did not end in order: %s records may have been in flight", who, report.Count(a.Window)))
	}
	return list
}

// readStats merges what the pushes measured; nil: one of them was killed.
func readStats(dirs []string) (sum *Stats, err error) {
	for _, dir := range dirs {
		s, err := ReadStats(dir)
		if s == nil || err != nil {
			return nil, err
		}
		if sum == nil {
			sum = s
		} else if err := sum.Merge(s); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

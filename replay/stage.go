package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/object"
	"kreplay/pkg/report"
)

// verifier accounts for one stage. Its source calls read for each object; what
// that finds is judged when the stage has settled.
type verifier struct {
	cfg   VerifyConfig
	res   *Result
	stage Stage

	store  object.Store
	source source
	news   news // of the last poll

	rules *generate.Comparer
	quick *generate.Recogniser // nil: rows may be another text than was sent
	cause *generate.Causes     // of what was read so far
	place *partition           // nil: anywhere
	found *findings

	readers  sync.Pool // of *reader
	ask      *inquiry  // nil: nobody asks this stage
	kept     bool      // what was read is kept for the next verify
	unjudged string    // why what is asked of it was not judged; empty: it was
	judged   *judgement
	rests    bool // nothing is asked: an earlier verify has judged it, which holds until rows come

	// What was read so far, and since begin. Of an error stage it is errs and
	// rejects, of any other one acc and away.
	acc     *account.Account
	away    atomic.Uint64 // misplaced rows
	others  foreignSpans
	errs    errorCounts
	rejects *account.Rejects

	begun int       // how often that was
	next  time.Time // when it is saved again

	late  lateness // what came after the stage had been judged
	notes []string // what people should know of how it was read

	past            bool
	folders, listed int // before all of the stage was listed: folders and objects

	soFar   soFar // what follows is for progress
	settled atomic.Bool
	objects atomic.Int64 // read, as bytes are
	bytes   atomic.Int64
	newest  atomic.Int64 // when the newest of them came, in ns since 1970
}

// lateness is a stage as it was judged before more came.
type lateness struct {
	objects int
	begun   int
	open    uint64
	settled bool
	unread  bool
}

// open opens a stage; one that cannot be opened is the stage's error.
func (w *waiting) open(ctx context.Context, name string) (*verifier, error) {
	v := &verifier{cfg: w.cfg, kept: w.keep, res: w.res, stage: Stage{Name: name, Path: w.paths[name]}, rules: w.res.rules(name)}
	v.readers.New = func() any { return new(reader) }
	if w.res.Job.stage(name).Payload == "" && name != errorStage {
		v.quick = generate.NewRecogniser(v.rules)
	}
	v.place = w.res.place(name)
	v.stage.Partitioned = v.place != nil
	if name == streamStage {
		v.source, v.stage.Err = w.tailed(ctx, v)
	} else {
		v.source, v.stage.Err = w.objects(ctx, v)
	}
	var err error
	if v.found, err = newFindings(w.cfg.Dir, name); err != nil {
		return nil, errors.Join(err, v.source.Close())
	}
	if t, ok := v.source.(*tailed); ok && v.kept && !v.found.private {
		t.next, t.put = func() time.Time { return v.next }, v.save
	}
	err = v.begin(ctx)
	if err == nil {
		err = v.resume(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

// objects opens the store that a stage lies in.
func (w *waiting) objects(ctx context.Context, v *verifier) (*objects, error) {
	store, closer, err := w.cfg.Open(ctx, v.stage.Path)
	if err != nil {
		closer = io.NopCloser(nil)
	}
	v.store = store
	o := &objects{store: store, closer: closer, since: v.since(), within: within(w.paths, v.stage.Name), pool: w.pool, read: v.read, looks: new(lookout)}
	if s := w.cfg.scouting; s != nil && s.lookouts[v.stage.Name] != nil {
		o.looks = s.lookouts[v.stage.Name]
	}
	if v.place.bounded() && !w.cfg.Everywhere {
		o.window = func(now time.Time) []string { return v.place.prefixes(w.res.Ledger.Manifest.Started, now) }
	}
	if w.keep {
		o.put, o.due = v.save, v.due
	}
	return o, err
}

// begin starts the account of the stage, or starts it afresh.
func (v *verifier) begin(ctx context.Context) error {
	v.begun++
	v.away.Store(0)
	v.others.store(ForeignSpans{})
	v.objects.Store(0)
	v.bytes.Store(0)
	v.soFar.store(SoFar{})
	v.errs.store(errorFound{})
	err := v.drop()
	v.acc, v.rejects = account.NewOf(v.rules), account.NewRejects(v.res.Plan)
	v.acc.Folder = v.cfg.Dir
	v.acc.Time(v.res.timing(v.stage.Name))
	v.cause, v.judged, v.rests = new(generate.Causes), nil, false
	if v.begun > 1 {
		err = errors.Join(err, v.clear())
	}
	return errors.Join(err, v.inquire(ctx))
}

// clear drops what was found, and the state that counts on it.
func (v *verifier) clear() error {
	if !v.found.private {
		if err := os.Remove(v.statePath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("replay: state: %w", err)
		}
	}
	return v.found.clear()
}

// drop gives up what was counted.
func (v *verifier) drop() (err error) {
	if v.acc != nil {
		err = v.acc.Close()
	}
	if v.rejects != nil {
		err = errors.Join(err, v.rejects.Close())
	}
	v.acc, v.rejects = nil, nil
	return err
}

func (v *verifier) close() error {
	return errors.Join(v.source.Close(), v.found.close(), v.dismiss(), v.drop())
}

// poll reads what is new in the stage. What cannot be read is the stage's error.
func (v *verifier) poll(ctx context.Context) error {
	if v.unread() {
		return nil
	}
	news, err := v.source.poll(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	v.news, v.stage.Err = news, err
	switch s := v.source.(type) {
	case *objects:
		v.stage.Objects, v.stage.Bytes, v.stage.Older, v.stage.Folders = s.there.objects, s.there.bytes, s.there.older, s.there.folders
	case *tailed:
		v.stage.Objects, v.stage.Bytes = s.shards, s.bytes
		return v.polled(s)
	}
	return nil
}

// polled saves what was read of the stream, now and then, and says once that an
// earlier verify had read all of the run that it held.
func (v *verifier) polled(t *tailed) error {
	switch {
	case t.past != nil && !v.past:
		v.past = true
		v.note("all that it ever held of the run had been read by %s; since then nothing was read: %v", t.asked.UTC().Format(time.RFC3339), t.past)
	case v.kept && t.kept() && !v.unread() && v.news.changed == "" && v.due():
		return v.save()
	}
	return nil
}

// unread says that the stage could not be read: it proves nothing then (law 5).
func (v *verifier) unread() bool { return v.stage.Err != nil }

// read counts the rows of one object, and says whether any is of the run, or may be.
func (v *verifier) read(ctx context.Context, info object.Info) (ours bool, err error) {
	defer v.was(info)
	if v.stage.Name == errorStage {
		return v.readErrors(ctx, info)
	}
	r, _ := v.readers.Get().(*reader)
	defer v.readers.Put(r)
	var has content
	stats, err := v.rows(ctx, info, r, &has).Scan(ctx, v.store, info.Key)
	v.soFar.add(r.batch.Flush())
	return has.ours || stats.Rows == 0 && !has.others, err // whose an empty object is nobody can tell
}

// was counts an object that was read, for progress.
func (v *verifier) was(info object.Info) {
	v.objects.Add(1)
	v.bytes.Add(info.Size)
	v.latest(info.Modified)
}

// latest notes, for progress, when something came.
func (v *verifier) latest(came time.Time) {
	for at := came.UnixNano(); ; {
		so := v.newest.Load()
		if at <= so || v.newest.CompareAndSwap(so, at) {
			return
		}
	}
}

func (v *verifier) progress() StageProgress {
	p := StageProgress{
		Name: v.stage.Name, Planned: v.res.Plan.Total(), SoFar: v.soFar.load(), Rejected: v.errs.rejected.Load(),
		Objects: uint64(v.objects.Load()), Bytes: v.bytes.Load(), Settled: v.settled.Load(),
	}
	if at := v.newest.Load(); at > 0 {
		p.Newest = time.Unix(0, at)
	}
	return p
}

// soFar is a SoFar that is counted by many and read meanwhile.
type soFar struct{ delivered, mutated, duplicates atomic.Uint64 }

func (s *soFar) add(n account.Counted) {
	if n == (account.Counted{}) { // most rows wait
		return
	}
	s.delivered.Add(n.Intact)
	s.mutated.Add(n.Mutated)
	s.duplicates.Add(n.Extra)
}

func (s *soFar) load() SoFar {
	return SoFar{s.delivered.Load(), s.mutated.Load(), s.duplicates.Load()}
}

func (s *soFar) store(n SoFar) {
	s.delivered.Store(n.Delivered)
	s.mutated.Store(n.Mutated)
	s.duplicates.Store(n.Duplicates)
}

// settle gives each planned record its state in the stage, and names what is not
// as planned. It may be called again when more was read.
func (v *verifier) settle(rejects *account.Rejects, before *account.Account, list *differences) error {
	name := func(d account.Difference) error { return list.add(Named{v.stage.Name, d}) }
	if err := v.found.each(name); err != nil {
		return err
	}
	if v.stage.Name == errorStage {
		v.countErrors()
		return nil
	}
	v.acc.Stage, v.acc.Before = v.stage.Name, before
	if v.stage.Name != streamStage { // what was rejected was on its way behind it
		v.acc.Rejects = rejects
	}
	v.stage.Misplaced, v.stage.ForeignSpans = v.away.Load(), v.others.load()
	v.stage.Causes = v.cause
	missing, most := uint64(0), v.res.Job.Scenario.Guard.Missing
	v.res.Ledger.look(v.acc)
	var err error
	v.stage.Tally, err = v.acc.Settle(v.res.Ledger.fates(), v.stage.Settled && v.stage.Err == nil, func(d account.Difference) error {
		if d.Kind == account.KindMissing {
			missing++
		}
		if most > 0 && missing > most {
			return fmt.Errorf("%w: %s: more than %d records are missing (guard.missing); those found so far are in %s", ErrGuard, v.stage.Name, most, differencesFile)
		}
		return name(d)
	})
	if err == nil && !v.unread() {
		v.stage.Lag, err = v.lag()
	}
	return err
}

// tells says whether a row that is not in the stage is nowhere: an object stage has
// to be readable, and to have settled.
func (v *verifier) tells() bool {
	return v.stage.Name != errorStage && v.stage.Name != streamStage && v.stage.Settled && !v.unread()
}

// open is how many records have no row although they may have one still.
func (v *verifier) open() uint64 {
	t := v.stage.Tally
	return t.Missing + t.InFlight + t.Undecided
}

func (v *verifier) note(format string, args ...any) {
	v.notes = append(v.notes, v.stage.Name+": "+fmt.Sprintf(format, args...))
}

// isLate says that the stage was judged too early: the first time is told.
func (v *verifier) isLate(before lateness) {
	if v.late.begun == 0 {
		v.late = before
	}
}

// told is what people should know of how the stage was read.
func (v *verifier) told() []string {
	if l := v.late; l.begun > 0 {
		when := "while the account was made"
		if quiet, _ := patience(v.cfg, v.res); l.settled {
			when = fmt.Sprintf("after the stage had been quiet for %v", quiet)
		}
		v.note("%d objects came %s; %s records that were missing then are delivered", v.stage.Objects-l.objects, when, report.Count(l.open-min(v.open(), l.open)))
	}
	if n := v.stage.Older; n > 0 && v.stage.Name != errorStage {
		v.note("%d objects of before the run were left out", n)
	}
	if v.stage.Folders > 0 {
		v.note("only the %d folders of the run's time were listed; --everywhere lists them all", v.stage.Folders)
	}
	if last, ok := v.previous(); ok {
		open, now := last.Missing+last.InFlight, v.stage.Tally
		arrived := now.Delivered + now.Mutated - min(last.Delivered+last.Mutated, now.Delivered+now.Mutated)
		v.note("of %s records that were missing or in flight when it was last verified, %s have arrived since", report.Count(open), report.Count(min(arrived, open)))
	}
	return v.notes
}

// previous is what the last verify of the run reported of the stage, if that left
// anything open.
func (v *verifier) previous() (report.Stage, bool) {
	if p := v.cfg.Previous; p != nil && p.Run.ID == v.res.Ledger.Manifest.Run {
		for _, s := range p.Stages {
			if s.Name == v.stage.Name && s.Missing+s.InFlight > 0 {
				return s, v.stage.Name != errorStage
			}
		}
	}
	return report.Stage{}, false
}

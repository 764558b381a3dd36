package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"kreplay/pkg/account"
	"kreplay/pkg/report"
)

// waiting reads the stages of a run side by side until they have settled, and
// judges them. Each poll reads what is new, so that reading overlaps waiting.
type waiting struct {
	cfg      VerifyConfig
	res      *Result
	paths    map[string]string // of the stages, by their names
	stages   []*verifier       // the error stage first: the others have to know which records it holds
	quiet    time.Duration
	deadline time.Time
	keep     bool          // what was read is kept for the next verify
	pool     chan struct{} // bounds the objects read at a time
	took     time.Duration // the last poll
	over     bool          // the push has ended
	reread   time.Time     // when its ledger is read next
	held     time.Time     // when the pipeline last said that it holds records
}

const (
	// pollEvery is how long a stage is left alone at the most while it settles.
	pollEvery = 10 * time.Second
	// followEvery is that while somebody looks on.
	followEvery = 2 * time.Second
	// copyLag is how long the copy of a ledger may stand still while the push goes on.
	copyLag = 6 * mirrorEvery
	// mostBegun is how often an account is begun in all when its objects are
	// replaced after the time to wait has passed.
	mostBegun = 3
)

func newWaiting(cfg VerifyConfig, res *Result, paths map[string]string) *waiting {
	quiet, most := patience(cfg, res)
	return &waiting{cfg: cfg, res: res, paths: paths, quiet: quiet, over: !cfg.Follow, deadline: time.Now().Add(most), pool: make(chan struct{}, max(cfg.Workers, defaultWorkers))}
}

func (w *waiting) openAll(ctx context.Context) error {
	for _, name := range judged(w.paths) {
		v, err := w.open(ctx, name)
		if err != nil {
			return err
		}
		w.stages = append(w.stages, v)
	}
	return nil
}

func patience(cfg VerifyConfig, res *Result) (quiet, most time.Duration) {
	s := res.Job.Scenario.Settle
	return cmp.Or(cfg.Quiet, s.Quiet), cmp.Or(cfg.Max, s.Max)
}

// leave saves what was read for the next verify.
func (w *waiting) leave() (err error) {
	for _, v := range w.stages {
		err = errors.Join(err, v.leave())
	}
	return err
}

func (w *waiting) close() (err error) {
	for _, v := range w.stages {
		err = errors.Join(err, v.close())
	}
	return err
}

// conclude waits and judges.
func (w *waiting) conclude(ctx context.Context) error {
	if err := w.openAll(ctx); err != nil {
		return err
	}
	for more := true; more; {
		if err := w.wait(ctx); err != nil {
			return err
		}
		var err error
		if more, err = w.account(ctx); err != nil {
			return err
		}
	}
	for _, v := range w.stages {
		w.res.Notes = append(w.res.Notes, v.told()...)
	}
	if s := w.cfg.scouting; s != nil {
		s.stop()
		w.res.Notes = append(w.res.Notes, s.notes()...)
	}
	for _, v := range w.stages {
		if o, ok := v.source.(*objects); ok {
			v.stage.Listed = o.listings()
		}
	}
	return w.judge(ctx)
}

// account judges the stages. Before anything is held against the pipeline they
// are listed once more; what has come meanwhile is judged as well, after another
// quiet time if there is still time to wait.
func (w *waiting) account(ctx context.Context) (more bool, err error) {
	stop := watch(ctx, w.cfg.Observe, func() Progress { return w.progress(PhaseVerify) })
	defer stop()
	last := !time.Now().Before(w.deadline)
	guard, err := w.settle()
	if err != nil || guard == nil && !w.wrong() {
		return false, err
	}
	again, err := w.again(ctx)
	if err == nil && (!again || last) {
		var wider bool
		wider, err = w.widen(ctx)
		again = again || wider
	}
	switch {
	case err != nil:
		return false, err
	case again && !last:
		return true, nil
	case again:
		guard, err = w.settle()
	}
	return false, errors.Join(guard, err)
}

// wait polls the stages until nothing new of the run has come into any of them for the
// quiet time, counted from the newest object or the end of the push, whichever
// is later; or until the time to wait has passed.
func (w *waiting) wait(ctx context.Context) error {
	stop := watch(ctx, w.cfg.Observe, func() Progress { return w.progress(PhaseSettle) })
	defer stop()
	for {
		if err := w.follow(ctx); err != nil {
			return err
		}
		if w.cfg.Pending != nil && w.cfg.Pending() > 0 { // asked before the stages are listed
			w.held = time.Now()
		}
		if err := w.poll(ctx); err != nil {
			return err
		}
		wait, settled := w.left()
		left := time.Until(w.deadline)
		if settled || left <= 0 {
			return nil
		}
		if err := sleep(ctx, min(wait, left, w.every())); err != nil {
			return err
		}
	}
}

// every is how long stages are left alone at the most: while somebody looks on,
// as briefly as their listing allows.
func (w *waiting) every() time.Duration {
	if !w.cfg.Follow {
		return pollEvery
	}
	return min(max(followEvery, 4*w.took), pollEvery)
}

// follow reads the ledger of a push that goes on. The time to wait begins when it
// has ended: its ledger has, and what it measured is there, which comes behind that.
func (w *waiting) follow(ctx context.Context) error {
	began := time.Now()
	if w.over || began.Before(w.reread) {
		return nil
	}
	still, least := w.quiet, time.Duration(0)
	if w.cfg.Refresh != nil {
		if err := w.cfg.Refresh(ctx); err != nil {
			return err
		}
		still, least = max(still, copyLag), mirrorEvery
	}
	if err := w.res.reread(w.cfg.Runs, w.cfg.Copy); err != nil {
		return err
	}
	now := time.Now()
	w.reread = now.Add(max(10*now.Sub(began), least))
	_, most := patience(w.cfg, w.res)
	w.deadline = now.Add(most)
	l := w.res.Ledger
	w.over = l.Clean && len(l.absent) == 0 && w.res.Stats != nil || now.Sub(l.Ended) >= still
	return nil
}

// left says how long until the stages have settled if nothing comes any more.
func (w *waiting) left() (wait time.Duration, settled bool) {
	settled = true
	for _, v := range w.stages {
		quiet := w.res.Ledger.Ended
		for _, at := range []time.Time{v.news.newest, w.held} {
			if at.After(quiet) {
				quiet = at
			}
		}
		quiet = quiet.Add(w.quietOf(v))
		v.stage.Settled = w.over && v.stage.Err == nil && !v.news.asked.Before(quiet)
		v.settled.Store(v.stage.Settled)
		if v.stage.Err == nil && !v.stage.Settled {
			settled, wait = false, max(wait, time.Until(quiet))
		}
	}
	if !w.over {
		return max(wait, followEvery), false
	}
	return wait, settled
}

// quietOf is how long nothing must have come into a stage. A stream has all
// that it will ever have at the end of the push.
func (w *waiting) quietOf(v *verifier) time.Duration {
	if v.stage.Name == streamStage {
		return min(w.quiet, streamQuiet)
	}
	return w.quiet
}

// poll reads what is new in all stages.
func (w *waiting) poll(ctx context.Context) error {
	defer func(began time.Time) { w.took = time.Since(began) }(time.Now())
	g, within := errgroup.WithContext(ctx)
	for _, v := range w.stages {
		g.Go(func() error { return w.pollStage(within, v) })
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// pollStage polls one stage, and again from the beginning if what was read is not
// what is there.
func (w *waiting) pollStage(ctx context.Context, v *verifier) error {
	for {
		if err := v.poll(ctx); err != nil || v.stage.Err != nil {
			return err
		}
		if v.news.changed == "" && v.rests && !v.judged.on(v) {
			v.news.changed = "rows came that an earlier verify had not judged"
		}
		if v.news.changed == "" {
			return nil
		}
		v.note("%s: its account was started afresh", v.news.changed)
		if v.begun >= mostBegun && !time.Now().Before(w.deadline) {
			v.stage.Err = fmt.Errorf("its objects are replaced or removed while they are read (%s); verify again when nothing rewrites them", v.news.changed)
			return nil
		}
		v.source.forget()
		if err := v.begin(ctx); err != nil {
			return err
		}
	}
}

// settle gives each record its state in each stage. The guard says that too many
// records are missing.
func (w *waiting) settle() (guard, err error) {
	list, err := newDifferences(filepath.Join(w.cfg.Dir, differencesFile), w.cfg.Samples)
	if err != nil {
		return nil, err
	}
	w.res.Ledger.told = slices.ContainsFunc(w.stages, (*verifier).tells)
	var rejects *account.Rejects
	var before *account.Account // of the stage before, of those that can be blamed on
	for _, v := range w.stages {
		if v.stage.Name == errorStage {
			rejects = v.rejects
		}
		onWay := slices.Contains(way, v.stage.Name)
		from := before
		if !onWay {
			from = nil
		}
		if err = v.settle(rejects, from, list); err != nil {
			break
		}
		if onWay && v.stage.Settled && v.stage.Err == nil {
			before = v.acc
		}
	}
	w.res.Samples, w.res.Total = list.samples, list.total
	err = errors.Join(err, list.close())
	if errors.Is(err, ErrGuard) {
		return err, nil
	}
	return nil, err
}

// wrong says whether anything is held against the pipeline, or open.
func (w *waiting) wrong() bool {
	for _, v := range w.stages {
		if v.open() > 0 || v.stage.Tally.Mutated > 0 {
			return true
		}
	}
	return false
}

// again polls the stages once more after they were judged, and says whether
// anything is to be judged anew: one that cannot be read any more proves nothing.
func (w *waiting) again(ctx context.Context) (late bool, err error) {
	before := make([]lateness, len(w.stages))
	for i, v := range w.stages {
		before[i] = lateness{objects: v.stage.Objects, begun: v.begun, open: v.open(), settled: v.stage.Settled, unread: v.unread()}
	}
	if err := w.poll(ctx); err != nil {
		return false, err
	}
	for i, v := range w.stages {
		switch {
		case v.unread():
			late = late || !before[i].unread
		case v.news.came > 0 || v.begun != before[i].begun:
			late = true
			v.isLate(before[i])
		}
	}
	if late {
		w.left()
	}
	return late, nil
}

// widen lists all of the stages when records have no row where they belong, and
// says whether anything is to be judged anew.
func (w *waiting) widen(ctx context.Context) (again bool, err error) {
	var open uint64
	for _, v := range w.stages {
		open += v.open()
	}
	if open == 0 {
		return false, nil
	}
	var wider []*verifier
	for _, v := range w.stages {
		v.folders, v.listed = v.stage.Folders, v.stage.Objects
		if !v.unread() && v.source.widen() {
			wider = append(wider, v)
		}
	}
	if len(wider) == 0 {
		return false, nil
	}
	if err := w.poll(ctx); err != nil {
		return false, err
	}
	for _, v := range wider {
		if v.unread() {
			again = true
			continue
		}
		n := v.stage.Objects - v.listed
		again = again || n > 0
		v.note("%s records had no row in the %d folders of the run's time; the rest was listed too: %d objects of its time are there", report.Count(open), v.folders, n)
	}
	if again {
		w.left()
	}
	return again, nil
}

// progress is what was read so far of all stages but the error stage.
func (w *waiting) progress(phase Phase) Progress {
	p := Progress{Phase: phase}
	for _, v := range w.stages {
		s := v.progress()
		p.Stages = append(p.Stages, s)
		if v.stage.Name != errorStage {
			p.Done += s.Delivered + s.Mutated
			p.Total += s.Planned
		}
		p.Bytes += uint64(s.Bytes)
	}
	return p
}

// sleep is time.Sleep that a cancelled context cuts short.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

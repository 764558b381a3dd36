package replay

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/object"
)

// verifier accounts for one stage.
type verifier struct {
	cfg   VerifyConfig
	res   *Result
	list  *differences
	stage Stage

	within  []string         // prefixes of keys that are another stage's
	rejects *account.Rejects // shared: written by the error stage, then read by the others

	store object.Store
	ask   *inquiry // nil: nobody asks this stage
	place partition
	away  atomic.Uint64 // misplaced rows
	read  atomic.Int64
	size  int64
}

func (v *verifier) run(ctx context.Context) error {
	store, closer, err := v.cfg.Open(ctx, v.stage.Path)
	if err == nil {
		defer func() { _ = closer.Close() }()
		v.store = store
		err = v.settle(ctx)
	}
	acc := account.New(v.res.Plan)
	defer func() { _ = acc.Close() }()
	acc.Rejects, acc.Folder = v.rejects, v.cfg.Dir
	acc.Time(v.res.timing)
	listed := time.Now() // what comes later is not read
	if err == nil {
		err = v.scan(ctx, acc)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// A stage that cannot be read proves nothing: law 5.
	v.stage.Err = err
	v.stage.Misplaced = v.away.Load()
	settled := v.stage.Settled && err == nil
	missing, most := uint64(0), v.res.Job.Scenario.Guard.Missing
	v.res.Ledger.look(acc)
	v.stage.Tally, err = acc.Settle(v.res.Ledger.fates(), settled, func(d account.Difference) error {
		if d.Kind == account.KindMissing {
			missing++
		}
		if most > 0 && missing > most {
			return fmt.Errorf("%w: %s: more than %d records are missing (guard.missing); those found so far are in %s", ErrGuard, v.stage.Name, most, differencesFile)
		}
		return v.list.add(Named{v.stage.Name, d})
	})
	if err == nil && v.stage.Err == nil {
		v.stage.Lag, err = v.res.lag(acc, listed, settled)
	}
	return err
}

// settle waits until nothing new has come for the quiet time, counted from the
// newest object or the end of the push, whichever is later.
func (v *verifier) settle(ctx context.Context) error {
	quiet, most := v.patience()
	stop := watch(ctx, v.cfg.Observe, func() Progress { return Progress{Phase: PhaseSettle} })
	defer stop()
	deadline := time.Now().Add(most)
	for {
		newest := v.res.Ledger.Ended
		v.stage.Objects, v.size = 0, 0
		for info, err := range v.store.List(ctx, "") {
			if err != nil {
				return err
			}
			if v.elsewhere(info.Key) {
				continue
			}
			v.stage.Objects++
			v.size += info.Size
			if info.Modified.After(newest) {
				newest = info.Modified
			}
		}
		v.stage.Bytes = v.size
		wait := time.Until(newest.Add(quiet))
		if wait <= 0 {
			v.stage.Settled = true
			return nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, min(wait, left)); err != nil {
			return err
		}
	}
}

func (v *verifier) patience() (quiet, most time.Duration) {
	quiet, most = v.res.Job.Scenario.Settle.Quiet, v.res.Job.Scenario.Settle.Max
	if v.cfg.Quiet > 0 {
		quiet = v.cfg.Quiet
	}
	if v.cfg.Max > 0 {
		most = v.cfg.Max
	}
	return quiet, most
}

// scan reads every object once and counts its rows.
func (v *verifier) scan(ctx context.Context, acc *account.Account) error {
	stop := watch(ctx, v.cfg.Observe, func() Progress {
		return Progress{Phase: PhaseVerify, Done: uint64(v.read.Load()), Total: uint64(v.size)}
	})
	defer stop()
	workers := max(v.cfg.Workers, defaultWorkers)
	return lake.Objects(ctx, v.store, "", workers, func(ctx context.Context, info object.Info) error {
		if v.elsewhere(info.Key) {
			return nil
		}
		defer v.read.Add(info.Size)
		return v.scanObject(ctx, info, acc)
	})
}

func (v *verifier) scanObject(ctx context.Context, info object.Info, acc *account.Account) error {
	scratch := new(generate.Scratch)
	began := v.res.Ledger.Manifest.Started.Add(-clockSkew)
	misplaced := v.stage.Partitioned && !v.place.holds(info.Key, began, info.Modified.Add(clockSkew))
	row := func(r lake.Row) error {
		m := v.res.Plan.Identify(r.Data, scratch)
		acc.See(m, account.Place{Object: r.Object, Offset: r.Offset, At: info.Modified.UnixMilli()})
		if m.Kind != generate.Planned {
			return nil
		}
		if misplaced {
			if err := v.misplaced(m, r); err != nil {
				return err
			}
		}
		if v.ask == nil {
			return nil
		}
		return v.ask.feed(m, r.Data)
	}
	damage := func(d lake.Damage) error {
		acc.Damage()
		return v.list.add(Named{v.stage.Name, damaged(d)})
	}
	if said := v.res.Job.stage(v.stage.Name); said.Payload != "" {
		row = lake.Wrap{Path: said.Payload, Base64: said.Base64}.Rows(ctx, row, damage)
	}
	_, err := lake.Scan(ctx, v.store, info.Key, row, damage)
	return err
}

func damaged(d lake.Damage) account.Difference {
	return account.Difference{
		Kind: account.KindDamaged, Object: d.Object, Offset: d.Offset, Detail: fmt.Sprintf("%d bytes: %s", d.Length, d.Reason),
	}
}

// misplaced names a row that lies where nothing of this run belongs.
func (v *verifier) misplaced(m generate.Match, r lake.Row) error {
	v.away.Add(1)
	id := v.res.Plan.ID(m.User, m.Event)
	return v.list.add(Named{v.stage.Name, account.Difference{
		Kind: account.KindMisplaced, ID: id, LogType: v.res.Plan.LogType(id), Object: r.Object, Offset: r.Offset,
		Detail: "no folder of " + v.place.pattern + " while the run was on",
	}})
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

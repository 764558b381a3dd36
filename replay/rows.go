package replay

import (
	"context"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/object"
)

// A reader is the memory of what reads one object at a time.
type reader struct {
	scratch generate.Scratch
	batch   account.Batch
}

// content says whether an object holds anything of the run, or what may be; and
// what cannot be read and is not.
type content struct{ ours, others bool }

// rows says what to do with each row and unreadable span of an object, and notes
// what it has. The rows count when reader's batch is flushed.
func (v *verifier) rows(ctx context.Context, info object.Info, reader *reader, has *content) lake.Sweep {
	scratch := &reader.scratch
	scratch.Causes = v.cause
	said := v.res.Job.stage(v.stage.Name)
	spot := v.place.spot(info.Key, v.res.Ledger.Manifest.Started, info.Modified)
	reader.batch.Begin(v.acc, account.Place{Object: info.Key, At: info.Modified.UnixMilli(), Visible: v.visible(info)})
	sweep := lake.Sweep{Format: v.res.Job.format(v.stage.Name)}
	var known generate.Match // the row that sweep has just said is known
	if v.quick != nil {
		sweep.Known = func(b []byte) (n int) {
			known, n = v.quick.Recognise(b, scratch)
			return n
		}
	}
	sweep.Row = func(r lake.Row) error {
		m := known
		if !r.Known {
			m = v.rules.Identify(r.Data, formOf(said, r), scratch)
		}
		v.soFar.add(reader.batch.See(m, r.Offset))
		has.ours = has.ours || m.Kind != generate.Foreign
		if m.Kind != generate.Planned {
			return nil
		}
		if why := spot.wrong(m.User, m.Event); why != "" {
			if err := v.misplaced(m, r, why); err != nil {
				return err
			}
		}
		if v.ask == nil {
			return nil
		}
		return v.ask.feed(m, r.Data)
	}
	owner := v.res.owner(v.stage.Name)
	sweep.Unread, sweep.Damage = owner.unread, v.unreadable(owner, has)
	if said.Payload != "" {
		sweep.Row = owner.within(lake.Wrap{Path: said.Payload, Base64: said.Base64}.Rows(ctx, sweep.Row, sweep.Damage))
	}
	if columns := v.cfg.columns; columns != nil { // of a copy, which is JSON
		sweep.Format, sweep.Row = lake.Auto, inColumns(columns[info.Key], sweep.Row)
	}
	return sweep
}

// unreadable says what to do with an unreadable span of an object.
func (v *verifier) unreadable(owner *owner, has *content) func(lake.Damage) error {
	return func(d lake.Damage) error {
		foreign, whose := owner.of(d)
		if foreign {
			has.others = true
			v.others.add(d)
			return nil
		}
		has.ours = true
		v.acc.Damage()
		return v.found.add(damaged(d, whose))
	}
}

func damaged(d lake.Damage, whose string) account.Difference {
	return account.Difference{
		Kind: account.KindDamaged, Object: d.Object, Offset: d.Offset, Detail: d.Extent() + ": " + d.Reason + whose,
	}
}

// misplaced names a row that lies where nothing of this run belongs.
func (v *verifier) misplaced(m generate.Match, r lake.Row, why string) error {
	v.away.Add(1)
	id := v.res.Plan.ID(m.User, m.Event)
	return v.found.add(account.Difference{
		Kind: account.KindMisplaced, ID: id, LogType: v.res.Plan.LogType(id), Object: r.Object, Offset: r.Offset, Detail: why,
	})
}

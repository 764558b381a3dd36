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
	planned := func(user, event uint32, data []byte, offset int64) error {
		if why := spot.wrong(user, event); why != "" {
			if err := v.misplaced(user, event, info.Key, offset, why); err != nil {
				return err
			}
		}
		if v.ask == nil {
			return nil
		}
		return v.ask.feed(user, event, data)
	}
	sweep := lake.Sweep{Format: v.res.Job.format(v.stage.Name)}
	if v.quick != nil {
		sweep.Known = func(b []byte, offset int64) (int, error) {
			user, event, n := v.quick.Recognise(b, scratch)
			if n == 0 {
				return 0, nil
			}
			v.soFar.add(reader.batch.SeeIntact(user, event, offset))
			has.ours = true
			return n, planned(user, event, b[:n], offset)
		}
	}
	sweep.Row = func(r lake.Row) error {
		m := v.rules.Identify(r.Data, formOf(said, r), scratch)
		v.soFar.add(reader.batch.See(m, r.Offset))
		has.ours = has.ours || m.Kind != generate.Foreign
		if m.Kind != generate.Planned {
			return nil
		}
		return planned(m.User, m.Event, r.Data, r.Offset)
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
func (v *verifier) misplaced(user, event uint32, object string, offset int64, why string) error {
	v.away.Add(1)
	id := v.res.Plan.ID(user, event)
	return v.found.add(account.Difference{
		Kind: account.KindMisplaced, ID: id, LogType: v.res.Plan.LogType(id), Object: object, Offset: offset, Detail: why,
	})
}

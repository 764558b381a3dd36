package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"

	"kreplay/pkg/account"
)

// accounted is the account of one copy, before it is settled.
type accounted struct {
	acc   *account.Account
	rows  []Named // what the reading itself found: damage and misplaced rows
	away  uint64  // misplaced rows
	spans uint64  // foreign ones
	tally account.Tally
	err   error // of the settling: the books do not balance
}

// account reads one copy the way Verify does. The caller closes what it returns.
func (t *trial) account(ctx context.Context, folder string) (*accounted, error) {
	cfg := VerifyConfig{Dir: t.temp, Workers: t.cfg.Workers, Everywhere: true, Open: openDir, columns: t.columns}
	v, err := newWaiting(cfg, t.res, map[string]string{t.stage.Name: filepath.Join(t.temp, folder)}).open(ctx, t.stage.Name)
	if err != nil {
		return nil, err
	}
	if v.stage.Err != nil {
		return nil, errors.Join(v.stage.Err, v.close())
	}
	var size uint64
	for info, err := range v.store.List(ctx, "") {
		if err != nil {
			return nil, errors.Join(err, v.close())
		}
		size += uint64(info.Size)
	}
	stop := watch(ctx, t.cfg.Observe, func() Progress { return Progress{Phase: PhaseVerify, Done: uint64(v.bytes.Load()), Total: size} })
	defer stop()
	err = v.poll(ctx)
	a := &accounted{acc: v.acc, away: v.away.Load(), spans: v.others.load().Spans}
	err = errors.Join(err, v.stage.Err, v.found.each(func(d account.Difference) error {
		a.rows = append(a.rows, Named{t.stage.Name, d})
		return nil
	}))
	v.acc = nil // the caller's
	if err = errors.Join(err, v.close()); err != nil {
		err = errors.Join(err, a.acc.Close())
	}
	return a, err
}

var errEnough = errors.New("enough")

// settle yields the differences of the account in the order of sending.
func (t *trial) settle(a *accounted) iter.Seq[account.Difference] {
	return func(yield func(account.Difference) bool) {
		a.tally, a.err = a.acc.Settle(t.res.Ledger.fates(), true, func(d account.Difference) error {
			if !yield(d) {
				return errEnough
			}
			return nil
		})
	}
}

// compare returns what the account of the doctored copy says more than that of
// the clean one, and fewer. Both are settled side by side, for each names every
// record outside the sample.
func (t *trial) compare(before, after *accounted, p *plantings) (effects, error) {
	changed := effects{}
	back := map[string]string{}
	for from, to := range p.moved {
		back[to] = from
	}
	count := func(d account.Difference, n int) {
		f := t.finding(d, back)
		if changed[f] += n; changed[f] == 0 {
			delete(changed, f)
		}
	}
	for _, d := range before.rows {
		count(d.Difference, -1)
	}
	for _, d := range after.rows {
		count(d.Difference, 1)
	}
	old, stopOld := iter.Pull(t.settle(before))
	defer stopOld()
	young, stopYoung := iter.Pull(t.settle(after))
	defer stopYoung()
	for more := true; more; {
		a, ok := old()
		if ok {
			count(a, -1)
		}
		b, ok2 := young()
		if ok2 {
			count(b, 1)
		}
		more = ok || ok2
	}
	return changed, cmp.Or(before.err, after.err)
}

// finding reduces a difference to what can be told beforehand.
func (t *trial) finding(d account.Difference, back map[string]string) finding {
	f := finding{kind: d.Kind, charge: d.Charge}
	switch d.Kind {
	case account.KindStranger, account.KindDamaged, account.KindMisplaced:
		f.object = d.Object
		if from := back[d.Object]; from != "" {
			f.object = from
		}
	default:
		f.class = class{d.ID.User, t.rules.Class(d.ID.User, d.ID.Event)}
	}
	return f
}

// examples of what was not expected.
const maxExamples = 10

// judge holds what changed against what was planted.
func (t *trial) judge(p *plantings, changed effects, before, after *accounted) {
	expected := effects{}
	for _, f := range p.faults {
		for key, n := range f.want {
			expected[key] += n
		}
	}
	classes := []ClassProof{
		{Class: faultDrop}, {Class: faultDuplicate}, {Class: faultCorrupt}, {Class: faultTruncate}, {Class: faultMove}, {Class: faultForeign}, {Class: faultStranger},
	}
	for i := range classes {
		c := &classes[i]
		for _, f := range p.faults {
			if f.fault != c.Class {
				continue
			}
			c.Planted += f.n
			if f.found(expected, changed) {
				c.Found += f.n
			}
			c.Note = f.note(c.Note)
		}
		if c.Class == faultForeign {
			c.Planted, c.Found = p.foreign, int(after.tally.Foreign-before.tally.Foreign)
		}
		if c.Planted == 0 {
			c.Note = t.unplanted(c.Class)
		}
	}
	t.proof.Classes = classes
	for _, key := range union(expected, changed) {
		if more := changed[key] - expected[key]; more != 0 {
			t.unexpected(fmt.Sprintf("%s: %+d, planted %+d", key, changed[key], expected[key]), max(more, -more))
		}
	}
	t.sums(p, changed, before, after)
}

// sums holds the tally's counts against the differences by name.
func (t *trial) sums(p *plantings, changed effects, before, after *accounted) {
	named := map[string]int{}
	for f, n := range changed {
		named[f.kind] += n
	}
	a, b := before.tally, after.tally
	for _, s := range []struct {
		what          string
		before, after uint64
		want          int
	}{
		{"rows", a.Rows, b.Rows, p.delta},
		{"missing", a.Missing, b.Missing, named[account.KindMissing]},
		{"undecided", a.Undecided, b.Undecided, named[account.KindUndecided]},
		{"mutated", a.Mutated, b.Mutated, named[account.KindMutated]},
		{"duplicates", a.Duplicates(), b.Duplicates(), named[account.KindDuplicate]},
		{"strangers", a.Strangers, b.Strangers, named[account.KindStranger]},
		{"damaged", a.Damaged, b.Damaged, named[account.KindDamaged]},
		{"foreign spans", before.spans, after.spans, p.spans},
		{"misplaced", before.away, after.away, named[account.KindMisplaced]},
	} {
		if got := int(s.after - s.before); got != s.want {
			t.unexpected(fmt.Sprintf("%s in the tally: %+d, want %+d", s.what, got, s.want), 1)
		}
	}
}

func (t *trial) unexpected(text string, n int) {
	t.proof.Unexpected += n
	if len(t.proof.Examples) < maxExamples {
		t.proof.Examples = append(t.proof.Examples, text)
	}
}

// found says whether all of a fault shows, and nothing more in its place.
func (f planted) found(expected, changed effects) bool {
	for key := range f.want {
		if changed[key] != expected[key] {
			return false
		}
	}
	return true
}

func (f planted) note(so string) string {
	switch f.fault {
	case faultTruncate:
		return fmt.Sprintf("an object ends within a record: %d lost", f.lost)
	case faultMove:
		for _, n := range f.want {
			return fmt.Sprintf("an object in another partition: %d rows", n)
		}
	}
	return so
}

// unplanted says why there is no fault of a class.
func (t *trial) unplanted(fault string) string {
	switch {
	case t.proof.Rows == 0:
		return "the sample has no rows"
	case fault == faultMove && !t.stage.Partitioned:
		return "the scenario names no partition of this stage"
	case fault == faultMove:
		return "no object of the sample lies where it belongs and holds records of the run"
	case fault == faultTruncate:
		return "no object of the sample ends in rows of this run directory"
	}
	return "no row of the sample is fit for it"
}

func (f finding) String() string {
	s := f.kind
	if f.charge != "" {
		s += " (" + f.charge + ")"
	}
	if f.object != "" {
		return s + " in " + f.object
	}
	return fmt.Sprintf("%s of user %d, event %d", s, f.class.user, f.class.event)
}

// union lists the findings of both, in a fixed order.
func union(a, b effects) (list []finding) {
	for _, e := range []effects{a, b} {
		for f := range e {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b finding) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	return slices.Compact(list)
}

package replay

import (
	"bytes"
	"fmt"
	"slices"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// Classes of faults that a self-test plants.
const (
	faultDrop      = "drop"
	faultDuplicate = "duplicate"
	faultCorrupt   = "corrupt"
	faultTruncate  = "truncate"
	faultMove      = "move"
	faultForeign   = "foreign"
	faultStranger  = "stranger"
)

// finding is what a difference says, its place within the object aside.
type finding struct {
	kind, charge string
	class        class  // of records
	object       string // as delivered; of what is no planned record's, and of misplaced rows
}

// effects count findings: more of them, or fewer.
type effects map[finding]int

// plantings are the faults of one trial.
type plantings struct {
	rows    map[string]map[int64]*edit // by object and offset
	cut     map[string]int64           // offset of the row within which an object ends
	moved   map[string]string          // key as delivered → as it will be
	faults  []planted
	planned map[string]int // by object: rows of planned records more
	away    map[string]int // of those, the misplaced ones
	delta   int            // rows more
	foreign int
	spans   int // foreign ones more
}

// edit is what becomes of one row.
type edit struct {
	drop    bool
	replace []byte
	behind  [][]byte // rows that come behind it
}

// planted is one fault with all that it must change.
type planted struct {
	fault string
	n     int // how many faults it is; 0: only what comes with others
	want  effects
	lost  int // rows
}

func (p *plantings) at(c candidate) *edit {
	if p.rows[c.object] == nil {
		p.rows[c.object] = map[int64]*edit{}
	}
	if p.rows[c.object][c.offset] == nil {
		p.rows[c.object][c.offset] = &edit{}
	}
	return p.rows[c.object][c.offset]
}

// owed is law 4 for a class of records alike, said once more and apart from
// package account: how many of each finding so many rows owe. Rows go to acked
// records first, then to those of unknown fate.
func (s standing) owed(c class, intact, mutated int) effects {
	rank := [...]int{record.Acked: 0, record.Unknown: 1, record.Refused: 2, record.Unsent: 3}
	fates := slices.Clone(s.fates)
	slices.SortFunc(fates, func(a, b ledger.Span) int { return rank[a.Fate] - rank[b.Fate] })
	e, unknowns := effects{}, 0
	for i, f := range fates {
		unknowns += int(f.Unknowns)
		switch {
		case i < intact:
		case i < intact+mutated:
			e[finding{kind: account.KindMutated, class: c}]++
		case f.Fate == record.Acked:
			e[finding{kind: account.KindMissing, class: c}]++
		case f.Fate == record.Unknown:
			e[finding{kind: account.KindUndecided, class: c}]++
		}
	}
	extra := max(intact+mutated-len(fates), 0)
	producer := min(extra, unknowns)
	e[finding{kind: account.KindDuplicate, class: c, charge: "producer"}] = producer
	e[finding{kind: account.KindDuplicate, class: c, charge: "pipeline"}] = extra - producer
	return e
}

// change is what so many rows more, or fewer, owe; nil: nothing.
func (s standing) change(c class, intact, mutated int) effects {
	e := s.owed(c, s.intact+intact, s.mutated+mutated)
	for f, n := range s.owed(c, s.intact, s.mutated) {
		if e[f] -= n; e[f] == 0 {
			delete(e, f)
		}
	}
	if len(e) == 0 {
		return nil
	}
	return e
}

// plant decides what goes wrong where.
func (t *trial) plant(objects []*sampled, pool []candidate, wanted map[class]*standing) (*plantings, error) {
	p := &plantings{rows: map[string]map[int64]*edit{}, cut: map[string]int64{}, moved: map[string]string{}, planned: map[string]int{}, away: map[string]int{}}
	t.dice.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
	order := slices.Clone(objects)
	t.dice.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	pool = t.truncate(p, order, pool, wanted)
	slices.Reverse(order) // another object, where there is one
	t.move(p, order)
	t.rows(p, pool, wanted)
	if err := t.others(p, pool); err != nil {
		return nil, err
	}
	for _, o := range objects {
		p.settle(o)
	}
	return p, nil
}

// truncate ends an object within one of its last rows, and returns the
// candidates that no other fault may touch then.
func (t *trial) truncate(p *plantings, order []*sampled, pool []candidate, wanted map[class]*standing) []candidate {
	for _, o := range order {
		if o.rows < 2 {
			continue
		}
		k := 1 + t.dice.IntN(min(len(o.tail), o.rows-1))
		lost := o.tail[len(o.tail)-k:]
		if !lost[0].told || slices.ContainsFunc(lost, func(r tip) bool { return !r.mine }) {
			continue
		}
		fewer := map[class][2]int{}
		touched := map[class]bool{}
		away := 0
		for _, r := range lost {
			away += r.away
			n := fewer[r.class]
			if r.intact {
				n[0]--
			} else {
				n[1]--
			}
			fewer[r.class], touched[r.class] = n, true
		}
		want := effects{{kind: account.KindDamaged, object: o.Key}: 1}
		for c, n := range fewer {
			for f, n := range wanted[c].change(c, n[0], n[1]) {
				want[f] += n
			}
		}
		p.cut[o.Key] = lost[0].offset
		p.faults = append(p.faults, planted{fault: faultTruncate, n: 1, want: want, lost: k})
		p.delta -= k
		p.planned[o.Key] -= k
		p.away[o.Key] -= away
		return slices.DeleteFunc(slices.Clone(pool), func(c candidate) bool {
			return touched[c.class] || c.object == o.Key && c.offset >= lost[0].offset
		})
	}
	return pool
}

// move takes an object to where nothing of the run belongs. What of its rows
// that changes is counted last; see misplaced.
func (t *trial) move(p *plantings, order []*sampled) {
	if !t.stage.Partitioned {
		return
	}
	for _, o := range order {
		if to, ok := t.elsewhere(o); ok && o.planned > 0 && o.misplaced == 0 {
			p.moved[o.Key] = to
			return
		}
	}
}

// rows plants drops, duplicates and corrupt rows, each in a class of its own.
func (t *trial) rows(p *plantings, pool []candidate, wanted map[class]*standing) {
	used, left := map[class]bool{}, map[string]int{faultDrop: t.cfg.Faults, faultDuplicate: t.cfg.Faults, faultCorrupt: t.cfg.Faults}
	turn := []string{faultDrop, faultDuplicate, faultCorrupt}
	for i, c := range pool {
		if used[c.class] {
			continue
		}
		for j := range turn {
			fault := turn[(i+j)%len(turn)]
			if left[fault] > 0 && t.row(p, fault, c, wanted[c.class]) {
				left[fault]--
				used[c.class] = true
				break
			}
		}
	}
}

// row plants one fault in one row, if it can be seen.
func (t *trial) row(p *plantings, fault string, c candidate, s *standing) bool {
	var want effects
	var spoiled []byte
	delta := 0
	switch fault {
	case faultDrop:
		want, delta = s.change(c.class, -1, 0), -1
	case faultDuplicate:
		want, delta = s.change(c.class, 1, 0), 1
	default:
		if spoiled = spoil(t.dice, t.res.Plan, t.rules, c); spoiled != nil {
			want = s.change(c.class, -1, 1)
		}
	}
	if want == nil {
		return false
	}
	e := p.at(c)
	e.drop, e.replace = fault == faultDrop, spoiled
	if fault == faultDuplicate {
		e.behind = append(e.behind, c.data)
	}
	p.delta += delta
	p.planned[c.object] += delta
	p.away[c.object] += delta * c.away
	p.faults = append(p.faults, planted{fault: fault, n: 1, want: want})
	return true
}

// others plants rows that are no planned record's, behind rows that are.
func (t *trial) others(p *plantings, pool []candidate) error {
	if len(pool) == 0 {
		return nil
	}
	foreign, err := t.foreign()
	if err != nil {
		return err
	}
	for i := range t.cfg.Faults {
		c := pool[t.dice.IntN(len(pool))]
		p.at(c).behind = append(p.at(c).behind, foreign(i))
		c = pool[t.dice.IntN(len(pool))]
		p.at(c).behind = append(p.at(c).behind, t.stranger(i))
		p.faults = append(p.faults, planted{fault: faultStranger, n: 1, want: effects{{kind: account.KindStranger, object: c.object}: 1}})
	}
	p.foreign, p.delta = t.cfg.Faults, p.delta+2*t.cfg.Faults
	return nil
}

// foreign makes rows of other producers; every second one is another run's of
// the same scenario, where ids leave room for another run.
func (t *trial) foreign() (func(i int) []byte, error) {
	plan := t.res.Plan
	run := generate.Run{ID: fmt.Sprintf("selftest-%d-%s", t.cfg.Seed, t.res.Ledger.Manifest.Run), Anchor: plan.Anchor}
	other, err := t.res.Job.Plan(run)
	if err != nil {
		return nil, err
	}
	apart := other.Reserved != plan.Reserved && other.Tag != plan.Tag
	return func(i int) []byte {
		if apart && i%2 == 1 {
			user := uint32(t.dice.Uint64N(plan.Users))
			return bytes.TrimSuffix(other.Append(nil, user, uint32(t.dice.IntN(other.Cohort(user).Events))), []byte("\n"))
		}
		return fmt.Appendf(nil, `{"kreplay_selftest":"foreign","number":%d}`, i)
	}, nil
}

// stranger makes a row of our run tag that is not planned: of a user who does
// not play, or with a slot that its user does not have.
func (t *trial) stranger(i int) []byte {
	plan := t.res.Plan
	user, slot := plan.Users+uint64(i), uint32(0)
	if i%2 == 1 || user > 1<<32-1 {
		user, slot = t.dice.Uint64N(plan.Users), record.MaxSlot
		if len(plan.Cohort(uint32(user)).Program.SlotEvent) > record.MaxSlot {
			user, slot = plan.Users, 0
		}
	}
	uuid := record.AppendUUID(nil, record.EncodeUUID(plan.Tag, uint32(user), slot), record.UUIDForm(4))
	return fmt.Appendf(nil, `{"kreplay_selftest":"%s","number":%d}`, uuid, i)
}

// settle says what all that was planted in an object does to the object: its
// planned rows count where they lie elsewhere, and one that is written anew has
// none of its damage.
func (p *plantings) settle(o *sampled) {
	n := p.planned[o.Key]
	misplaced := finding{kind: account.KindMisplaced, object: o.Key}
	switch {
	case p.moved[o.Key] != "" && o.planned+n > 0:
		p.faults = append(p.faults, planted{fault: faultMove, n: 1, want: effects{misplaced: o.planned + n}})
	case o.misplaced > 0:
		p.faults = append(p.faults, planted{want: effects{misplaced: p.away[o.Key]}})
	}
	if p.anew(o.Key) {
		p.faults = append(p.faults, planted{want: effects{{kind: account.KindDamaged, object: o.Key}: -o.damaged}})
		p.spans -= o.foreign
	}
}

// anew says whether an object is written row by row.
func (p *plantings) anew(key string) bool {
	_, cut := p.cut[key]
	return cut || len(p.rows[key]) > 0
}

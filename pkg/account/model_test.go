package account

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/generate"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// row is what a test puts into the lake.
type row struct {
	match generate.Match
	place Place
}

// books is the model's account of one stage.
type books struct {
	states   States
	fates    Fates
	rows     uint64
	producer uint64
	pipeline uint64
	stranger uint64
	foreign  uint64
	types    map[string]LogType
	diffs    []string // sorted
}

type class struct {
	user, first uint32
}

type world struct {
	plan    *generate.Plan
	records []record.ID // in the order of sending
	names   []string    // log type of each
	fates   []fate
	rows    []row
	rejects []generate.Match // error records
	settled bool

	batched bool // rows are seen many at a time
	flush   int  // and so far behind this one
}

// model is laws 3 and 4 written down naively: per class of records alike, which
// for most is one record, count rows, give states, charge what is left.
func (w world) model() books {
	b := books{types: map[string]LogType{}, rows: uint64(len(w.rows))}
	members, rows, rejects := map[class][]int{}, map[class][]row{}, map[class]int{}
	for i, id := range w.records {
		k := class{id.User, classOf(w.plan, id.User, id.Event)}
		members[k] = append(members[k], i)
		switch w.fates[i].fate {
		case record.Acked:
			b.fates.Acked++
		case record.Refused:
			b.fates.Refused++
		case record.Unknown:
			b.fates.Unknown++
		case record.Unsent:
			b.fates.Unsent++
		}
	}
	for _, r := range w.rows {
		switch r.match.Kind {
		case generate.Foreign:
			b.foreign++
		case generate.Stranger:
			b.stranger++
			b.name(KindStranger, "", record.ID{Run: w.plan.Tag, User: r.match.User}, "", r.place)
		case generate.Planned:
			k := class{r.match.User, r.match.Event}
			rows[k] = append(rows[k], r)
		}
	}
	for _, m := range w.rejects {
		rejects[class{m.User, m.Event}]++
	}
	for k, list := range members {
		b.class(w, list, rows[k], rejects[k])
	}
	slices.Sort(b.diffs)
	return b
}

func (b *books) class(w world, members []int, rows []row, rejects int) {
	first := w.plan.ID(w.records[members[0]].User, classOf(w.plan, w.records[members[0]].User, w.records[members[0]].Event))
	rank := map[record.Fate]int{record.Acked: 0, record.Unknown: 1, record.Refused: 2, record.Unsent: 3}
	slices.SortStableFunc(members, func(x, y int) int {
		a, b := w.records[x], w.records[y]
		return cmp.Or(cmp.Compare(rank[w.fates[x].fate], rank[w.fates[y].fate]), cmp.Compare(a.Event, b.Event), cmp.Compare(a.Copy, b.Copy))
	})
	// Intact rows first: a record is mutated only where no row of it is intact.
	slices.SortStableFunc(rows, func(x, y row) int {
		switch {
		case x.match.Intact == y.match.Intact:
			return cmp.Compare(x.place.Offset, y.place.Offset)
		case x.match.Intact:
			return -1
		default:
			return 1
		}
	})
	unknowns := 0
	for n, i := range members {
		f, l := w.fates[i], b.types[w.names[i]]
		unknowns += int(f.unknowns)
		l.Planned++
		switch {
		case n < len(rows) && rows[n].match.Intact:
			l.Delivered++
		case n < len(rows):
			l.Mutated++
			b.name(KindMutated, "", first, w.names[i], rows[n].place)
		case n < len(rows)+rejects:
			l.Rejected++
		case f.fate == record.Acked && w.settled:
			l.Missing++
			b.name(KindMissing, "", w.records[i], w.names[i], Place{})
		case f.fate == record.Acked:
			l.InFlight++
			b.name(KindInFlight, "", w.records[i], w.names[i], Place{})
		case f.fate == record.Unknown:
			l.Undecided++
			b.name(KindUndecided, "", w.records[i], w.names[i], Place{})
		default:
			l.Absent++
		}
		b.types[w.names[i]] = l
	}
	for n := len(members); n < len(rows); n++ {
		l := b.types[w.names[members[0]]]
		l.Duplicates++
		b.types[w.names[members[0]]] = l
		if unknowns > 0 {
			unknowns--
			b.producer++
		} else {
			b.pipeline++
		}
	}
}

func (b *books) name(kind, charge string, id record.ID, logType string, at Place) {
	b.diffs = append(b.diffs, fmt.Sprintf("%s %s %s %s %s+%d", kind, charge, id, logType, at.Object, at.Offset))
}

// What a user is like: of a calm one, each record was acked and came once, of an
// uncopied one each but the copies, which were refused; of an unheard one each came
// once without an ack.
const (
	wild = iota
	calm
	uncopied
	unheard
)

// draw makes a world: few records, so that fates and rows meet.
func draw(t *rapid.T, plan *generate.Plan) world {
	w := world{plan: plan, settled: rapid.Bool().Draw(t, "settled")}
	types := plan.LogTypes()
	like := rapid.SliceOfN(rapid.SampledFrom([]int{wild, calm, uncopied, unheard}), int(plan.Users), int(plan.Users)).Draw(t, "users")
	for r := range plan.Records(generate.Slice{}) {
		w.records = append(w.records, r.ID)
		w.names = append(w.names, types[plan.Cohort(r.ID.User).LogType[r.ID.Event]])
		f := fate{fate: record.Acked}
		if like[r.ID.User] == uncopied && r.ID.Copy > 0 {
			f.fate = record.Refused
		}
		if like[r.ID.User] == unheard {
			f = fate{record.Unknown, 1, "timeout"}
		}
		if like[r.ID.User] == wild && rapid.IntRange(0, 3).Draw(t, "odd fate") == 0 {
			f.fate = rapid.SampledFrom([]record.Fate{record.Acked, record.Refused, record.Unknown, record.Unsent}).Draw(t, "fate")
			if f.fate != record.Unsent {
				f.unknowns = uint32(rapid.IntRange(0, 2).Draw(t, "unknowns"))
			}
			if f.fate == record.Unknown {
				f.unknowns, f.code = f.unknowns+1, "InternalFailure"
			}
		}
		w.fates = append(w.fates, f)
	}
	see := func(m generate.Match) {
		w.rows = append(w.rows, row{m, Place{Object: "raw/1.gz", Offset: int64(len(w.rows) * 100)}})
	}
	for i, id := range w.records {
		n := 1
		if like[id.User] == uncopied && id.Copy > 0 {
			n = 0
		}
		if like[id.User] == wild && rapid.IntRange(0, 2).Draw(t, "odd rows") == 0 {
			n = rapid.IntRange(0, 5).Draw(t, "rows")
		}
		for range n {
			m := generate.Match{Kind: generate.Planned, User: id.User, Event: classOf(plan, w.records[i].User, id.Event), Intact: true}
			if like[id.User] == wild && rapid.IntRange(0, 4).Draw(t, "mutated") == 0 {
				m.Intact, m.Detail = false, "byte 7"
			}
			see(m)
		}
		if rapid.IntRange(0, 5).Draw(t, "rejected") == 0 {
			for range rapid.IntRange(1, 4).Draw(t, "error records") {
				w.rejects = append(w.rejects, generate.Match{Kind: generate.Planned, User: id.User, Event: classOf(plan, id.User, id.Event), Intact: true})
			}
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "strangers") {
		see(generate.Match{Kind: generate.Stranger, User: uint32(rapid.IntRange(0, 9).Draw(t, "user")), Detail: "no such event"})
	}
	for range rapid.IntRange(0, 3).Draw(t, "foreign") {
		see(generate.Match{Kind: generate.Foreign})
	}
	w.rows = rapid.Permutation(w.rows).Draw(t, "order")
	w.batched, w.flush = rapid.Bool().Draw(t, "batched"), rapid.IntRange(0, 99).Draw(t, "flush")
	return w
}

// see has an account count the rows, one by one or many at a time.
func (w world) see(t fatal, a *Account) {
	var b Batch
	var n, one Counted
	b.Begin(a, Place{Object: "raw/1.gz"})
	for i, r := range w.rows {
		if !w.batched {
			a.See(r.match, r.place)
			continue
		}
		one = b.See(r.match, r.place.Offset)
		n = Counted{n.Intact + one.Intact, n.Mutated + one.Mutated, n.Extra + one.Extra}
		if i == w.flush {
			one = b.Flush()
			n = Counted{n.Intact + one.Intact, n.Mutated + one.Mutated, n.Extra + one.Extra}
		}
	}
	one = b.Flush()
	if sum := n.Intact + n.Mutated + n.Extra + one.Intact + one.Extra; w.batched && sum != a.Delivered() {
		t.Errorf("%d rows were counted, and %+v, %+v said", a.Delivered(), n, one)
	}
}

// settle accounts for a world and returns the books in the model's form, with
// duplicates as the model has no say in: which place is the extra one.
func (w world) settle(t fatal, workers uint64) (books, []Difference) {
	a := newAccount(t, w.plan)
	if len(w.rejects) > 0 || len(w.rows)%2 == 0 { // no error stage and an empty one are the same
		a.Rejects = NewRejects(w.plan)
		defer func() { _ = a.Rejects.Close() }()
	}
	for _, m := range w.rejects {
		a.Rejects.See(m)
	}
	w.see(t, a)
	var named, duplicates []Difference
	tally, err := a.Settle(w.ledgers(workers), w.settled, func(d Difference) error { named = append(named, d); return nil })
	if err != nil {
		t.Fatalf("Settle: %v", err)
	}
	b := books{
		states: tally.States, fates: tally.Fates, rows: tally.Rows, producer: tally.Producer, pipeline: tally.Pipeline,
		stranger: tally.Strangers, foreign: tally.Foreign, types: map[string]LogType{},
	}
	for _, l := range tally.LogTypes {
		name := l.Name
		l.Name = ""
		b.types[name] = l
	}
	for _, d := range named {
		if d.Kind == KindDuplicate {
			duplicates = append(duplicates, d)
			continue
		}
		b.name(d.Kind, d.Charge, d.ID, d.LogType, Place{Object: d.Object, Offset: d.Offset})
	}
	slices.Sort(b.diffs)
	return b, duplicates
}

// A Tally says what a naive reading of the laws says, and names every
// difference with its record, object and offset.
func TestTallyAgreesWithTheModel(t *testing.T) {
	t.Run("user by user", func(t *testing.T) { agrees(t, smokePlan(t, 2)) })
	t.Run("as due, with copies", func(t *testing.T) { agrees(t, smokePlan(t, 2, scheduled)) })
	t.Run("as due", func(t *testing.T) { agrees(t, smokePlan(t, 2, late)) })
}

func agrees(t *testing.T, plan *generate.Plan) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t, plan)
		got, duplicates := w.settle(t, 1)
		want := w.model()
		for _, l := range want.types {
			want.states.add(l.States)
		}
		if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(books{})); diff != "" {
			t.Fatalf("model (-), account (+):\n%s", diff)
		}
		w.checkDuplicates(t, got, duplicates)
		w.checkSums(t, got)
	})
}

// checkDuplicates holds the duplicates that are named against the rows: each
// is one row, named once, with its record; as many to each account as counted.
func (w world) checkDuplicates(t fatal, got books, duplicates []Difference) {
	rows := map[int64]row{}
	for _, r := range w.rows {
		rows[r.place.Offset] = r
	}
	charged := map[string]uint64{}
	for _, d := range duplicates {
		r, ok := rows[d.Offset]
		delete(rows, d.Offset)
		id := w.plan.ID(r.match.User, r.match.Event)
		if !ok || d.Object != r.place.Object || d.ID != id || d.LogType == "" {
			t.Errorf("duplicate %+v: not a row of the lake, or named twice; want record %s", d, id)
		}
		if (d.Detail == "") != r.match.Intact {
			t.Errorf("duplicate %+v: detail of an intact row, or none of a mutated one", d)
		}
		charged[d.Charge]++
	}
	if charged["producer"] != got.producer || charged["pipeline"] != got.pipeline || len(charged) > 2 {
		t.Errorf("named duplicates %v, counted %d by the producer and %d by the pipeline", charged, got.producer, got.pipeline)
	}
}

// checkSums is law 4, written out.
func (w world) checkSums(t fatal, b books) {
	s, f, planned := b.states, b.fates, uint64(len(w.records))
	if sum := f.Acked + f.Refused + f.Unknown + f.Unsent; sum != planned {
		t.Errorf("fates sum up to %d, %d planned", sum, planned)
	}
	if sum := s.Delivered + s.Mutated + s.Rejected + s.Missing + s.InFlight + s.Undecided + s.Absent; sum != planned {
		t.Errorf("states sum up to %d, %d planned", sum, planned)
	}
	if sum := s.Delivered + s.Mutated + b.producer + b.pipeline + b.stranger + b.foreign; sum != uint64(len(w.rows)) {
		t.Errorf("rows sum up to %d, %d seen", sum, len(w.rows))
	}
}

// The order in which objects are read decides nothing.
func TestOrderOfRowsDecidesNothing(t *testing.T) {
	plan := smokePlan(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t, plan)
		before, dupsBefore := w.settle(t, 1)
		w.rows = rapid.Permutation(w.rows).Draw(t, "another order")
		after, dupsAfter := w.settle(t, 1)
		if diff := gocmp.Diff(before, after, gocmp.AllowUnexported(books{})); diff != "" {
			t.Fatalf("another order of rows, another account:\n%s", diff)
		}
		if len(dupsBefore) != len(dupsAfter) {
			t.Fatalf("%d duplicates named, in another order of rows %d", len(dupsBefore), len(dupsAfter))
		}
	})
}

// ledgers deals the fates to the ledgers of so many workers, each of which writes
// its own records in its own order of sending.
func (w world) ledgers(workers uint64) (list []iter.Seq[ledger.Span]) {
	fates := map[record.ID]fate{}
	for i, id := range w.records {
		fates[id] = w.fates[i]
	}
	for i := range workers {
		var own []fate
		for s := range w.plan.Order(generate.Slice{Index: i + 1, Of: workers}) {
			id := w.plan.ID(s.User, s.Event)
			id.Copy = s.Copy
			own = append(own, fates[id])
		}
		list = append(list, spans(own))
	}
	return list
}

// However many workers kept the books, the account is that of one: number by
// number, difference by difference.
func TestWorkersBooksAreOne(t *testing.T) {
	for name, plan := range map[string]*generate.Plan{"user by user": smokePlan(t, 3), "as due, with copies": smokePlan(t, 3, scheduled)} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := draw(t, plan)
				want, wantNamed := w.settle(t, 1)
				workers := rapid.Uint64Range(2, 5).Draw(t, "workers") // also more than users
				got, named := w.settle(t, workers)
				if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(books{})); diff != "" {
					t.Errorf("one worker (-), %d workers (+):\n%s", workers, diff)
				}
				if diff := gocmp.Diff(wantNamed, named); diff != "" {
					t.Errorf("duplicates named, one worker (-), %d workers (+):\n%s", workers, diff)
				}
			})
		})
	}
}

// The rows of the slices add up to the rows of planned records.
func TestSeenAddsUp(t *testing.T) {
	plan := smokePlan(t, 3)
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t, plan)
		a := newAccount(t, plan)
		want := [3]uint64{}
		for _, r := range w.rows {
			a.See(r.match, r.place)
			if r.match.Kind == generate.Planned {
				want[r.match.User]++
			}
		}
		for i, n := range want {
			if got := a.Seen(generate.Slice{Index: uint64(i) + 1, Of: 3}); got != n {
				t.Errorf("worker %d of 3: %d rows, want %d", i+1, got, n)
			}
		}
	})
}

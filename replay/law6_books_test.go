package replay_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"kreplay/pkg/account"
	"kreplay/pkg/local"
	"kreplay/pkg/report"
)

// planted lists what has to be found, in the words of found.
func (x *trial) planted(t *testing.T) (list []string, bad bool) {
	t.Helper()
	for _, p := range x.pipe.Planted() {
		if p.Kind == local.Truncated && p.Data == nil {
			if half := x.halves[p.Object]; half.broken || isOurs(half.text, x.plans...) {
				list, bad = append(list, "raw damaged "+p.Object), true
			}
			continue
		}
		class, _ := x.classOf(t, p.Data)
		l := x.lives[class]
		if l == nil {
			continue
		}
		switch p.Kind {
		case local.Delayed:
			if p.Object == "" {
				x.fault(t, local.Planted{Kind: local.Dropped, Data: p.Data}, 1)
			}
		case local.Throttled:
			if p.Way != "" { // whoever does not learn of it has to take it for stored
				l.unknowns++
			}
		case local.Failed:
			l.unknowns++
			if p.Seq != "" {
				x.fault(t, local.Planted{Kind: local.AnswerLost, Data: p.Data}, 0)
			}
		case local.AnswerLost:
			l.unknowns++
			x.fault(t, p, 0)
		case local.StreamDropped, local.StreamDuplicated, local.StreamCorrupted:
			x.fault(t, p, 0)
			if p.Kind == local.StreamCorrupted {
				l.changed = append(l.changed, "")
			}
		case local.Misplaced:
			if x.part {
				list, bad = append(list, "raw misplaced "+class+" "+p.Object), true
			}
		case local.Rejected, local.Truncated: // a record that broke off was not converted
			list = append(list, "dlq rejected "+class+" "+p.Object)
			x.fault(t, local.Planted{Kind: local.Rejected, Data: p.Data}, 1)
		case local.Cut:
			x.fault(t, local.Planted{Kind: local.Dropped, Data: p.Data}, 1)
		case local.Dropped, local.Duplicated, local.Corrupted:
			x.fault(t, p, 1)
			if p.Kind == local.Corrupted {
				l.changed = append(l.changed, p.Object)
			}
		default:
			t.Fatalf("planted %q, which is not expected here", p.Kind)
		}
	}
	for _, p := range x.faults {
		x.fault(t, p, 2)
	}
	for class, l := range x.lives {
		sent := math.MaxInt
		for i, stage := range way {
			if !x.has(i) {
				continue
			}
			sent = min(sent, max(0, l.at[i].all()-l.planned))
			var before *rowsAt
			if x.has(i - 1) {
				before = &l.at[i-1]
			}
			found, rejected := l.found(l.at[i], before, i, sent)
			bad = bad || rejected > 0
			for _, f := range found {
				list, bad = append(list, stage+" "+fmt.Sprintf(f, class)), bad || !strings.HasSuffix(f, "producer")
			}
		}
	}
	slices.Sort(list)
	return list, bad
}

// way are the stages of a life.
var way = []string{"stream", "raw", "table"}

// has says whether the run has a stage of the way.
func (x *trial) has(i int) bool { return i == 0 && x.stream || i == 1 || i == 2 && x.table }

// found is what law 4 says of a class in a stage that has these rows, and whose
// stage before it has those, and how many are rejected; sent is how many extra rows all stages up to it have,
// which are those that the producer may have made. %s stands for the class.
func (l *life) found(now rowsAt, before *rowsAt, stage, sent int) (list []string, rejected int) {
	add := func(n int, text string) { list = append(list, slices.Repeat([]string{text}, max(0, n))...) }
	present := min(l.planned, now.all())
	extra, kept := now.all()-present, present
	if before != nil && stage == 2 { // what raw has was not kept out of it
		kept = max(kept, min(l.planned, before.all()))
	}
	if stage > 0 {
		rejected = min(now.rejected, l.planned-kept)
	}
	producer := min(extra, l.unknowns, sent)
	add(present-min(l.planned, now.intact), "mutated %s")
	add(l.planned-present-rejected, "missing %s")
	add(producer, "duplicate %s producer")
	add(extra-producer, "duplicate %s pipeline")
	return list, rejected
}

// found lists what verify found.
func (x *trial) found() (list []string) {
	once := map[string]bool{}
	for _, d := range x.res.Samples {
		text := d.Stage + " " + d.Kind
		switch class := x.of[nameOfRecord(d.ID)]; d.Kind {
		case account.KindDamaged: // compressed, it has two spans: half a row, and the broken end
			if text += " " + d.Object; once[text] {
				continue
			}
			once[text] = true
		case account.KindRejected:
			text += " " + class + " errors/" + d.Object
		case account.KindMisplaced:
			text += " " + class + " " + d.Object
		case account.KindDuplicate:
			text += " " + class + " " + d.Charge
		case account.KindMissing:
			if again := fmt.Sprint(d.Stage, d.ID); once[again] {
				text += " twice"
			} else {
				once[again] = true
			}
			text += " " + class
		default:
			text += " " + class
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

// judge holds what was reported against what was planted.
func (x *trial) judge(t *testing.T) {
	t.Helper()
	want, bad := x.planted(t)
	if diff := gocmp.Diff(want, x.found()); diff != "" {
		t.Errorf("planted (-), reported (+):\n%s%s", diff, x.text())
	}
	verdict, rep := report.Pass, x.res.Report()
	if bad {
		verdict = report.Fail
	}
	if err := x.res.Ledger.Check(); err != nil || rep.Verdict != verdict {
		t.Errorf("%s, want %s; ledger: %v; %q\n%s", rep.Verdict, verdict, err, rep.Reasons, x.text())
	}
	for _, s := range x.res.Stages {
		if s.Name == "dlq" {
			continue
		}
		i, rows := slices.Index(way, s.Name), uint64(0)
		for _, l := range x.lives {
			rows += uint64(l.at[i].all())
		}
		if err := errors.Join(s.Err, s.Tally.Check()); err != nil || s.Tally.Rows != rows+s.Tally.Foreign || (s.Tally.Foreign > 0) != x.shared || s.Tally.Strangers > 0 || !s.Settled {
			t.Errorf("%s: %v, settled %v, %+v; want %d rows beside foreign ones, which another run has, no stranger\n%s", s.Name, err, s.Settled, s.Tally, rows, x.text())
		}
	}
	x.objects(t)
	x.spans(t)
}

// objects holds the objects of changed rows against those that they were planted in.
func (x *trial) objects(t *testing.T) {
	t.Helper()
	for _, d := range x.res.Samples {
		l := x.lives[x.of[nameOfRecord(d.ID)]]
		if d.Stage == "raw" && d.Kind == account.KindMutated && !slices.Contains(l.changed, "") && !slices.Contains(l.changed, d.Object) {
			t.Errorf("%s is said to be changed in %s, and was in %q\n%s", nameOfRecord(d.ID), d.Object, l.changed, x.text())
		}
	}
}

// spans holds the foreign spans of raw against what truncations left that names
// nobody, and against others' text.
func (x *trial) spans(t *testing.T) {
	t.Helper()
	want := uint64(0)
	for _, half := range x.halves {
		if half.text != "" && !isOurs(half.text, x.plans...) {
			want++
		}
	}
	for _, s := range x.res.Stages {
		if got := s.ForeignSpans.Spans; s.Name != "raw" && got > 0 || s.Name == "raw" && x.texts == 0 && got != want {
			t.Errorf("%s: %+v, want %d in raw\n%s", s.Name, s.ForeignSpans, want, x.text())
		}
	}
}

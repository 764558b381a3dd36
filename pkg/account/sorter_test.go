package account

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/generate"
)

// A sorter yields what it took, in order, however much of it memory holds, as
// often as it is asked, and leaves no file.
func TestSorterSorts(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		n := newNames()
		s := &sorter{folder: folder, names: n, most: rapid.SampledFrom([]int{1, 3 * entrySize, mostHeld}).Draw(t, "bytes")}
		var want []entry
		for i := range rapid.IntRange(0, 150).Draw(t, "entries") {
			e := entry{
				index: rapid.Uint64Range(0, 20).Draw(t, "index"), offset: rapid.Int64().Draw(t, "offset"), intact: rapid.Bool().Draw(t, "intact"),
				object: n.number(rapid.SampledFrom([]string{"b", "a", "", "ab"}).Draw(t, "object")), text: rapid.SampledFrom([]string{"", "byte 7", "x"}).Draw(t, "text"),
			}
			want = append(want, e)
			s.add(e)
			if i == 70 { // asked in the middle
				for _, err := range s.all() {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		slices.SortFunc(want, s.order)
		for range 2 {
			var got []entry
			for e, err := range s.all() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(entry{})); diff != "" {
				t.Fatalf("sorted (-), sorter (+):\n%s", diff)
			}
		}
		runs := 0
		for _, level := range s.levels {
			runs += len(level)
		}
		if runs >= 2*fanIn {
			t.Errorf("%d runs of %d entries are open, want fewer than %d", runs, len(want), 2*fanIn)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Fatalf("left in the folder: %v, %v", left, err)
		}
	})
}

// However many rows are to be named, each is, and the list is the same whether
// memory holds it or not, in whatever order and by however many they are read.
func TestTheListIsComplete(t *testing.T) {
	const copies, strangers = 3000, 500
	plan := smokePlan(t, 2)
	var rows []row
	for i := range copies {
		place := Place{Object: []string{"b.gz", "a.gz"}[i%2], Offset: int64(i)}
		rows = append(rows, row{generate.Match{Kind: generate.Planned, User: uint32(i % 2), Intact: true}, place},
			row{generate.Match{Kind: generate.Planned, User: 1, Event: 1, Detail: "byte 7"}, place})
	}
	for i := range strangers {
		rows = append(rows, row{generate.Match{Kind: generate.Stranger, User: uint32(i), Detail: "no such event"}, Place{Object: "a.gz", Offset: int64(i)}})
	}
	list := func(most int) (all []Difference) {
		a := newAccount(t, plan)
		a.Folder, a.places.most = t.TempDir(), most
		for _, r := range rows {
			a.See(r.match, r.place)
		}
		if runs := len(a.places.levels); (runs > 0) != (most < mostHeld) {
			t.Fatalf("%d levels of runs with %d bytes of memory", runs, most)
		}
		tally, err := a.Settle(alone(allAcked(plan)), false, func(d Difference) error {
			if d.Kind != KindInFlight {
				all = append(all, d)
			}
			return nil
		})
		if err != nil || tally.Duplicates()+tally.Mutated+tally.Strangers != uint64(len(all)) {
			t.Fatalf("%d named of %d + %d + %d, %v", len(all), tally.Duplicates(), tally.Mutated, tally.Strangers, err)
		}
		return all
	}
	want := list(mostHeld)
	if len(want) < 2*copies-5 {
		t.Fatalf("%d named of %d rows", len(want), len(rows))
	}
	if diff := gocmp.Diff(want, list(20*entrySize)); diff != "" {
		t.Errorf("held in memory (-), on disk (+):\n%s", diff)
	}
	// Which of several intact rows is the extra one is the order's to say; all else is not.
	intact := func(d Difference) bool { return d.Detail == "" }
	slices.Reverse(rows)
	if diff := gocmp.Diff(slices.DeleteFunc(slices.Clone(want), intact), slices.DeleteFunc(list(20*entrySize), intact)); diff != "" {
		t.Errorf("read in one order (-), in the other (+):\n%s", diff)
	}
	if slices.ContainsFunc(want[len(want)-strangers:], func(d Difference) bool { return d.Kind != KindStranger }) {
		t.Error("strangers are not the last")
	}
}

// A folder that takes no file costs the names of differences: the account says so
// instead of leaving them out.
func TestAFolderThatIsNotThere(t *testing.T) {
	plan := smokePlan(t, 1)
	a := newAccount(t, plan)
	a.Folder = filepath.Join(t.TempDir(), "gone")
	for range 100 {
		a.See(generate.Match{Kind: generate.Stranger}, Place{Object: "o"})
	}
	_, err := a.Settle(alone(allAcked(plan)), true, ignore)
	if err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("Settle = %v, want an error that names the folder", err)
	}
	if err := a.Save(new(strings.Builder)); err == nil {
		t.Error("Save = nil, want the same error")
	}
}

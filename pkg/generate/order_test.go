package generate

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/pace"
	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

// scheduled draws a plan of mixed or smoke with a schedule, arrivals and injections.
func scheduled(t *rapid.T, speedup uint64) *Plan {
	name := rapid.SampledFrom([]string{"smoke", "mixed"}).Draw(t, "scenario")
	users := rapid.Uint64Range(1, 30).Draw(t, "users")
	sized(t, name, users, Run{}) // compiles
	known, _ := compiled.Load(name)
	c, _ := known.(checked)
	sc := *c.sc
	sc.Population.Users, sc.Seed = users, rapid.Uint64().Draw(t, "seed")
	sc.Time.Speedup = scenario.Decimal{Digits: speedup, Scale: 1}
	if rapid.Bool().Draw(t, "arrivals") {
		sc.Time.Arrivals = pace.NewCurve([]pace.Part{{Length: 10 * time.Minute, Weight: 1}, {Length: 20 * time.Minute, Weight: 5}})
	}
	sc.Inject.Duplicate = scenario.Share(rapid.Uint64Range(0, uint64(scenario.Whole)/10).Draw(t, "twice"))
	sc.Inject.Late = scenario.Share(rapid.Uint64Range(0, uint64(scenario.Whole)/4).Draw(t, "late"))
	sc.Inject.LateBy = 17 * time.Minute
	p, err := New(&sc, c.programs, Run{ID: "r"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func gather(t *rapid.T, p *Plan, s Slice) map[record.ID][]byte {
	all := map[record.ID][]byte{}
	var seq uint64
	for r := range p.Records(s) {
		if _, twice := all[r.ID]; twice || r.Seq != seq {
			t.Fatalf("%v: twice: %v; seq %d, want %d", r.ID, twice, r.Seq, seq)
		}
		seq++
		all[r.ID] = r.Data
	}
	if seq != p.Count(s) {
		t.Fatalf("%d records in slice %v, counted %d", seq, s, p.Count(s))
	}
	return all
}

// Find gives each record as Records yields it, and nothing else.
func TestFindIsOneOfRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := scheduled(t, rapid.Uint64Range(0, 50).Draw(t, "speedup"))
		s := Slice{Index: rapid.Uint64Range(1, 2).Draw(t, "worker"), Of: 2}
		want := map[record.ID]record.Record{}
		for r := range p.Records(s) {
			want[r.ID] = r
		}
		ids := slices.Collect(maps.Keys(gather(t, p, Slice{})))
		slices.SortFunc(ids, func(a, b record.ID) int { return strings.Compare(a.String(), b.String()) })
		id := rapid.SampledFrom(ids).Draw(t, "id")
		w, planned := want[id]
		w.Chunk = nil // Find gives data of its own
		got, ok := p.Find(s, id, nil)
		if ok != planned || !reflect.DeepEqual(got, w) {
			t.Fatalf("Find(%v) = %+v, %v; want %+v, %v", id, got, ok, w, planned)
		}
		other := id
		other.Copy += 2
		if _, ok := p.Find(Slice{}, other, nil); ok {
			t.Fatalf("%v is not planned and was found", other)
		}
		id.Run++
		if _, ok := p.Find(Slice{}, id, nil); ok {
			t.Fatalf("%v is another run's and was found", id)
		}
	})
}

// Whatever is done once for many, each record is what its user's program renders.
func TestRecordsAreTheirPrograms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := scheduled(t, rapid.Uint64Range(0, 50).Draw(t, "speedup"))
		for r := range p.Records(Slice{}) {
			v, prog, event := p.Values(r.ID.User), p.Cohort(r.ID.User).Program, int(r.ID.Event)
			want, key := prog.Append(nil, event, &v), string(prog.Key(nil, event, p.key, &v))
			if got := bytes.TrimSuffix(r.Data, []byte("\n")); !bytes.Equal(got, want) || r.PartitionKey != key {
				t.Fatalf("%v is %s with key %q, want %s with %q", r.ID, got, r.PartitionKey, want, key)
			}
		}
	})
}

// A user's id is the key in the form of each record, whatever form the one before had.
func TestKeysOfTwoForms(t *testing.T) {
	p := newPlan(t, Run{}, fstest.MapFS{
		"s/scenario.yaml": {Data: []byte("kreplay: 1\nname: s\nseed: 1\ntemplate: t\nrewrite: {name: user U%06d, id: user}\npopulation: {users: 2}\nstream: {partition_key: name}\n")},
		"s/t/a.ndjson":    {Data: []byte("{\"id\":\"15\",\"name\":\"15\"}\n{\"id\":\"15\"}\n{\"id\":\"15\",\"name\":\"15\",\"x\":1}\n")},
	}, "s")
	var keys []string
	for r := range p.Records(Slice{}) {
		keys = append(keys, r.PartitionKey)
	}
	id := p.ids.of(0)
	want := []string{fmt.Sprintf("U%06d", id), fmt.Sprint(id), fmt.Sprintf("U%06d", id), fmt.Sprintf("U%06d", id+1), fmt.Sprint(id + 1), fmt.Sprintf("U%06d", id+1)}
	if !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
}

// Law 1 across due order: the set of records of a paced run is that of an
// unpaced one, whoever sends which slice of it.
func TestDueOrderChangesNoRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paced := scheduled(t, 25)
		unpaced := *paced
		unpaced.paced = false
		want := gather(t, &unpaced, Slice{})
		if got := gather(t, paced, Slice{}); !maps.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%d records in due order are not the %d user by user", len(got), len(want))
		}
		joined := map[record.ID][]byte{}
		workers := rapid.Uint64Range(1, 5).Draw(t, "workers")
		for i := range workers {
			maps.Copy(joined, gather(t, paced, Slice{Index: i + 1, Of: workers}))
		}
		if !maps.EqualFunc(joined, want, bytes.Equal) {
			t.Fatalf("%d records of %d slices are not the whole %d", len(joined), workers, len(want))
		}
	})
}

// A worker sends its users' records in the order of the whole run, others left
// out: so one walk can read all workers' ledgers. Each user is one worker's.
func TestSlicesKeepTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := scheduled(t, rapid.SampledFrom([]uint64{0, 25}).Draw(t, "speedup"))
		workers := rapid.Uint64Range(1, 40).Draw(t, "workers") // also more than users
		want := make([][]Step, workers)
		for s := range p.Order(Slice{}) {
			i := p.WorkerOf(s.User, workers) - 1
			want[i] = append(want[i], s)
		}
		for i := range want {
			s := Slice{Index: uint64(i) + 1, Of: workers}
			first, end := p.Range(s)
			for _, step := range want[i] {
				if user := uint64(step.User); user < first || user >= end {
					t.Fatalf("user %d is worker %d's, whose users are %d to %d", user, s.Index, first, end)
				}
			}
			if got := slices.Collect(p.Order(s)); !slices.Equal(got, want[i]) {
				t.Fatalf("worker %d of %d sends %v, want %v", s.Index, workers, got, want[i])
			}
		}
	})
}

// Where there are very many users, the ranges still meet at each user.
func TestWorkerOfIsTheRangesInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Plan{Users: rapid.Uint64Range(1, 1<<32-1).Draw(t, "users")}
		of := rapid.Uint64Range(1, 10_000).Draw(t, "workers")
		s := Slice{Index: rapid.Uint64Range(1, of).Draw(t, "worker"), Of: of}
		first, end := p.Range(s)
		if first == end {
			return
		}
		if a, b := p.WorkerOf(uint32(first), of), p.WorkerOf(uint32(end-1), of); a != s.Index || b != s.Index {
			t.Errorf("users %d and %d of %d are of workers %d and %d of %d, want %d", first, end-1, p.Users, a, b, of, s.Index)
		}
	})
}

// Records come as they are due: arrival, then the gaps as captured, late ones
// later, all of it faster by the speedup; a copy directly behind its original.
func TestRecordsComeAsTheyAreDue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := scheduled(t, 25) // 2.5 times
		last := Step{Due: -1}
		late := uint64(0)
		for s := range p.Order(Slice{}) {
			if s.Due < last.Due {
				t.Fatalf("%+v behind %+v", s, last)
			}
			c := p.Cohort(s.User)
			want := (p.arrival(s.User) + c.since[s.Event]) * 10 / 25
			if s.Due != want {
				want = (p.arrival(s.User) + c.since[s.Event] + p.lateBy) * 10 / 25
				if s.Copy == 0 {
					late++
				}
			}
			if s.Due != want {
				t.Fatalf("%+v, want due at %v", s, want)
			}
			if original := (Step{s.User, s.Event, 0, s.Due}); s.Copy > 0 && last != original {
				t.Fatalf("copy %+v behind %+v", s, last)
			}
			last = s
		}
		if late != p.late.picked {
			t.Errorf("%d late, want %d", late, p.late.picked)
		}
	})
}

// What is injected is exact: each record has its copy or none, and as many have
// one as the share says.
func TestCopiesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := scheduled(t, 0)
		copies := map[record.ID]bool{}
		types := make([]uint64, len(p.LogTypes()))
		for s := range p.Order(Slice{}) {
			id := p.ID(s.User, s.Event)
			if s.Copy > 0 {
				copies[id] = true
			}
			types[p.Cohort(s.User).LogType[s.Event]]++
		}
		if uint64(len(copies)) != p.twice.picked || p.Total() != p.Distinct()+p.twice.picked {
			t.Errorf("%d copies of %d records, planned %d", len(copies), p.Distinct(), p.twice.picked)
		}
		yielded := uint64(0)
		for range p.Copies() {
			yielded++
		}
		if yielded != p.twice.picked {
			t.Errorf("Copies yields %d, planned %d", yielded, p.twice.picked)
		}
		for i, n := range p.Planned() {
			if types[i] != n {
				t.Errorf("%s: %d records, planned %d", p.LogTypes()[i], types[i], n)
			}
		}
	})
}

// Counts per minute equal the curve's, rounded, whatever the order of arrivals.
func TestArrivalsFollowTheCurve(t *testing.T) {
	sized(t, "smoke", 1, Run{})
	known, _ := compiled.Load("smoke")
	c, _ := known.(checked)
	sc := *c.sc
	sc.Population.Users = 9000
	sc.Time.Arrivals = pace.NewCurve([]pace.Part{{Length: 10 * time.Minute, Weight: 10}, {Length: 10 * time.Minute, Weight: 20}})
	p, err := New(&sc, c.programs, Run{})
	if err != nil {
		t.Fatal(err)
	}
	var minutes [20]int
	for user := range uint32(p.Users) {
		minutes[p.arrival(user)/time.Minute]++
	}
	for i, got := range minutes {
		if want := 300 * (1 + i/10); got != want {
			t.Errorf("minute %d: %d arrivals, want %d", i, got, want)
		}
	}
}

// Who stops with a log type plays up to its last event, and nobody else notices.
func TestUntil(t *testing.T) {
	sized(t, "smoke", 1, Run{})
	known, _ := compiled.Load("smoke")
	c, _ := known.(checked)
	sc := *c.sc
	all := sc.Population.Cohorts[0]
	quit := all
	all.Share, quit.Share, quit.Name, quit.Until = scenario.Whole/2, scenario.Whole/2, "quitters", "tutorial_step"
	sc.Population.Cohorts, sc.Population.Users = []scenario.Cohort{all, quit}, 10
	p, err := New(&sc, c.programs, Run{})
	if err != nil {
		t.Fatal(err)
	}
	whole, cut := p.Cohorts()[0], p.Cohorts()[1]
	if cut.Events >= whole.Events || p.LogTypes()[cut.LogType[cut.Events-1]] != "tutorial_step" {
		t.Errorf("quitters play %d of %d events", cut.Events, whole.Events)
	}
	for _, e := range whole.LogType[cut.Events:] {
		if p.LogTypes()[e] == "tutorial_step" {
			t.Error("quitters stop before their last tutorial step")
		}
	}
	if want := 5 * uint64(whole.Events+cut.Events); p.Total() != want {
		t.Errorf("%d records, want %d", p.Total(), want)
	}
	scratch := new(Scratch)
	for r := range p.Records(Slice{}) {
		if m := p.Identify(bytes.TrimSpace(r.Data), scratch); m.Kind != Planned || !m.Intact || m.User != r.ID.User {
			t.Fatalf("%v is %+v", r.ID, m)
		}
	}
	quit.Until = "tutorial"
	sc.Population.Cohorts = []scenario.Cohort{all, quit}
	if _, err := New(&sc, c.programs, Run{}); err == nil {
		t.Error("a log type that is not there was taken for until")
	}
}

func TestShuffleIsUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 1<<40).Draw(t, "n")
		s := newShuffle(n, rapid.Uint64().Draw(t, "seed"))
		x := rapid.Uint64Range(0, n-1).Draw(t, "x")
		if y := s.at(x); y >= n || s.of(y) != x {
			t.Errorf("%d of %d → %d → %d", x, n, y, s.of(y))
		}
	})
}

func TestQuotaPicksExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Uint64Range(1, 5000).Draw(t, "total")
		share := scenario.Share(rapid.Uint64Range(0, uint64(scenario.Whole)).Draw(t, "share"))
		q := newQuota(total, share, rapid.Uint64().Draw(t, "seed"))
		picked := map[uint64]bool{}
		for i := range total {
			if q.has(i) {
				picked[i] = true
			}
		}
		listed := map[uint64]bool{}
		for i := range q.all() {
			listed[i] = true
		}
		exact := float64(total) * float64(share) / float64(scenario.Whole)
		if got := float64(len(picked)); got < exact-1 || got > exact+1 || !maps.Equal(picked, listed) {
			t.Errorf("%d of %d picked for %v, %d listed", len(picked), total, share, len(listed))
		}
	})
}

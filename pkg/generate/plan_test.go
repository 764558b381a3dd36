package generate

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// The same scenario makes the same records for ever (law 1). A change of these
// digests breaks every user's stored expectations, `gen` output and old run
// directories: it needs another format number, not another digest here.
func TestGoldenRecords(t *testing.T) {
	for name, c := range map[string]struct {
		plan func() *Plan
		want string
	}{
		"smoke":       {func() *Plan { return smoke(t, 200, Run{}) }, "91cb761f1046151aa6f125835010360fa52feabd9d9681c77f034e7db2dbc179"},
		"social-game": {func() *Plan { return sized(t, "social-game", 60, Run{}) }, "646f30c7ee76d1923a263b1ea40e85c7fe780ba109f0aa4772ab24e08fadf787"},
		"mixed":       {func() *Plan { return newPlan(t, Run{}, mixed, "mixed") }, "540f13fbadb8f0da143e9d29281d8ecd42bb33e33993c36602b68f879285af99"},
	} {
		p := c.plan()
		if got := fingerprint(p); got != c.want {
			t.Errorf("%s: fingerprint %s, want %s; its first record is\n%s", name, got, c.want, p.Append(nil, 0, 0))
		}
		if again := fingerprint(p); again != c.want || fingerprint(c.plan()) != c.want {
			t.Errorf("%s: another fingerprint the second time", name)
		}
	}
}

// With the empty run id and the captured anchor, times are as captured and ids start at the range's first.
func TestRecordsAsCaptured(t *testing.T) {
	p := newPlan(t, Run{}, mixed, "mixed")
	var got []string
	for _, user := range []uint32{2, 0} {
		for event := range p.Cohort(user).Program.Events {
			got = append(got, strings.TrimSuffix(string(p.Append(nil, user, uint32(event))), "\n"))
		}
	}
	uuid := func(user, slot uint32, like string) string {
		_, form, _ := record.ParseUUID([]byte(like))
		return `"` + string(record.AppendUUID(nil, record.EncodeUUID(p.Tag, user, slot), form)) + `"`
	}
	const v4, compact1 = "04b48064-7ee4-4a23-a74e-6cf210177212", "8C47BE83C79B1545A901E9C730FA276E"
	session := uuid(0, 0, v4)
	want := []string{
		`{"user_id":"1000000000000002","ts":1541207073250,"login_at":"2018-11-03T01:04:33.250Z","what":"jump","no":"0000000005"}`,
		`{"event_id":` + uuid(2, 0, v4) + `,"user_id":"1000000000000002","session_id":` + uuid(2, 1, v4) + `,"ts":1541207074250}`,
		`{"user_id":"1000000000000000","hello":1}`,
		`{"user_id":"1000000000000000","hello":2}`,
		`{"user_id":"1000000000000000","ts":1541207073,"what":"jump","region":"eu"}`,
		`{"user_id":"1000000000000000","ts":1541207073,"what":"fall","region":""}`,
		`{"user_id":"1000000000000000","ts":1541207074,"what":"jump"}`,
		`{"user_id":"1000000000000000","ts":1541207074,"what":"jump"}`,
		`{"ts":1541207074500,"session_id":` + session + `,"what":"run"}`,
		`{"event_id":` + uuid(0, 1, compact1) + `,"user_id":"1000000000000000","ts":1541207075,"no":"0000000001","session_id":` + session + `}`,
		`{"event_id":` + uuid(0, 2, v4) + `,"user_id":"1000000000000000","ts":1541207075,"no":"0000000002","session_id":` + session + `}`,
		`{"user_id":"1000000000000000","login_at":"2018-11-03 01:04:33","ts":1541207079,"what":"quit"}`,
		`{"user_id":"1000000000000000","ts":1541207080,"login_at":"2018-11-03 01:04:33","what":"stop"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
}

// Slices joined are the whole, each with its own Seq from 0; Append renders the same.
func TestSlicesJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		of := rapid.Uint64Range(1, 9).Draw(t, "of")
		var joined, whole []record.Record
		for i := range of {
			s := Slice{Index: i + 1, Of: of}
			n := uint64(0)
			for r := range p.Records(s) {
				if r.Seq != n {
					t.Fatalf("slice %d/%d: record %v has seq %d, want %d", s.Index, of, r.ID, r.Seq, n)
				}
				r.Seq = uint64(len(joined))
				joined = append(joined, r)
				n++
			}
			if n != p.Count(s) {
				t.Errorf("slice %d/%d: %d records, Count says %d", s.Index, of, n, p.Count(s))
			}
		}
		for r := range p.Records(Slice{}) {
			whole = append(whole, r)
			if again := p.Append(nil, r.ID.User, r.ID.Event); string(again) != string(r.Data) {
				t.Errorf("%v: Append gives %q, Records %q", r.ID, again, r.Data)
			}
		}
		if !slices.EqualFunc(whole, joined, func(a, b record.Record) bool {
			return a.ID == b.ID && a.Seq == b.Seq && a.PartitionKey == b.PartitionKey && string(a.Data) == string(b.Data)
		}) {
			t.Errorf("%d slices joined are not the whole", of)
		}
		if p.Total() != uint64(len(whole)) || p.Count(Slice{}) != p.Total() {
			t.Errorf("%d records, Total %d, Count %d", len(whole), p.Total(), p.Count(Slice{}))
		}
	})
}

// Slices are half-open, do not overlap, cover all users and differ by one at most.
func TestSlicesCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Plan{Users: rapid.Uint64Range(1, 1<<32-1).Draw(t, "users")}
		of := rapid.Uint64Range(1, 10_000).Draw(t, "of")
		next := uint64(0)
		for i := range of {
			first, end := p.Range(Slice{Index: i + 1, Of: of})
			if first != next || end < first || end-first > p.Users/of+1 || end-first < p.Users/of {
				t.Fatalf("slice %d/%d of %d users is [%d,%d), want it to begin at %d and to be %d long, or one more", i+1, of, p.Users, first, end, next, p.Users/of)
			}
			next = end
		}
		if next != p.Users {
			t.Errorf("%d slices end at user %d of %d", of, next, p.Users)
		}
	})
}

// Whoever stops reading gets no more; what was read stays, whatever is done to its neighbour.
func TestRecordsAreTheReadersOwn(t *testing.T) {
	p := smoke(t, 3, Run{})
	var first []record.Record
	for r := range p.Records(Slice{}) {
		if first = append(first, r); len(first) == 5 {
			break
		}
	}
	second := string(first[1].Data)
	_ = append(first[0].Data, "overwritten"...)
	if len(first) != 5 || string(first[1].Data) != second {
		t.Errorf("%d records, the second is %q, want 5 and %q", len(first), first[1].Data, second)
	}
	for range p.UsersOf(Slice{}) {
		break
	}
}

// Cohorts have their exact quotas: largest remainder, sum = users, and as many users as Cohort says.
func TestCohortsAreExact(t *testing.T) {
	_, programs := load(t, mixed, "mixed")
	rapid.Check(t, func(t *rapid.T) {
		sc := &scenario.Scenario{Seed: rapid.Uint64().Draw(t, "seed")}
		sc.Population.Users = rapid.Uint64Range(1, 3000).Draw(t, "users")
		rest := scenario.Whole
		n := rapid.IntRange(1, 6).Draw(t, "cohorts")
		for i := range n {
			share := scenario.Share(rapid.Uint64Range(0, uint64(rest)).Draw(t, "share"))
			if i == n-1 {
				share = rest
			}
			rest -= share
			name := rapid.SampledFrom([]string{"whale", "newbie"}).Draw(t, "template")
			sc.Population.Cohorts = append(sc.Population.Cohorts, scenario.Cohort{Name: fmt.Sprint(i), Template: name, Share: share})
		}
		p, err := New(sc, programs, Run{})
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]uint64{}
		for user := range p.UsersOf(Slice{}) {
			count[p.Cohort(user).Name]++
		}
		var sum uint64
		for i, c := range p.Cohorts() {
			sum += c.Users
			if want := remaindered(sc, i); c.Users != want || count[c.Name] != want {
				t.Errorf("cohort %d of %v: quota %d, %d users, want %d", i, sc.Population, c.Users, count[c.Name], want)
			}
		}
		if sum != p.Users {
			t.Errorf("the cohorts have %d users, want %d", sum, p.Users)
		}
	})
}

// remaindered is the quota of cohort n by the textbook: floors, then one more for the largest remainders.
func remaindered(sc *scenario.Scenario, n int) uint64 {
	one := func(i int) (floor uint64, remainder *big.Rat) {
		exact := new(big.Rat).SetFrac(
			new(big.Int).Mul(new(big.Int).SetUint64(sc.Population.Users), new(big.Int).SetUint64(uint64(sc.Population.Cohorts[i].Share))),
			new(big.Int).SetUint64(uint64(scenario.Whole)))
		whole := new(big.Int).Div(exact.Num(), exact.Denom())
		return whole.Uint64(), exact.Sub(exact, new(big.Rat).SetInt(whole))
	}
	left, better := sc.Population.Users, uint64(0)
	mine, my := one(n)
	for i := range sc.Population.Cohorts {
		floor, r := one(i)
		left -= floor
		if c := r.Cmp(my); c > 0 || c == 0 && i < n {
			better++
		}
	}
	if better < left {
		mine++
	}
	return mine
}

// Index takes every number below Total once; the first events of classes have numbers of their own.
func TestIndexIsDense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		taken := make([]bool, p.Total())
		for user := range p.UsersOf(Slice{}) {
			for event := range p.Cohort(user).Program.Events {
				i := p.Index(user, uint32(event))
				if i >= p.Total() || taken[i] {
					t.Fatalf("user %d event %d has index %d of %d, which is taken or outside", user, event, i, p.Total())
				}
				taken[i] = true
			}
		}
		if slices.Contains(taken, false) {
			t.Errorf("index %d is no record's", slices.Index(taken, false))
		}
	})
}

// No two users of a run share a counter, a uuid of one event, or a user id.
func TestNoTwoUsersShareAnID(t *testing.T) {
	p := smoke(t, 50, Run{ID: "x"})
	owner := map[string]uint32{}
	for r := range p.Records(Slice{}) {
		_ = template.Walk(r.Data, func(f template.Field) error {
			if slices.Contains([]string{"user_id", "viewer_id", "event_id", "order_no"}, string(f.Key)) {
				value := string(r.Data[f.Start:f.End])
				if other, ok := owner[value]; ok && other != r.ID.User {
					t.Errorf("%s %s is user %d's and user %d's", f.Key, value, other, r.ID.User)
				}
				owner[value] = r.ID.User
			}
			return nil
		})
	}
	if len(owner) != 50*(2+37+2) { // user_id and viewer_id; an event_id in 37 of the 40 records; order_no in 2
		t.Errorf("%d ids, want %d", len(owner), 50*41)
	}
}

// Counters are no two users' whatever their templates hold: one of mixed's
// templates has two, the other one.
func TestNoTwoCohortsShareACounter(t *testing.T) {
	p := newPlan(t, Run{}, mixed, "mixed")
	owner := map[string]uint32{}
	for r := range p.Records(Slice{}) {
		_ = template.Walk(r.Data, func(f template.Field) error {
			value := string(r.Data[f.Start:f.End])
			if string(f.Key) != "no" {
				return nil
			}
			if other, ok := owner[value]; ok && other != r.ID.User {
				t.Errorf("%s is user %d's and user %d's", value, other, r.ID.User)
			}
			owner[value] = r.ID.User
			return nil
		})
	}
	if len(owner) != 8*2+32 { // 20% of 40 users are whales
		t.Errorf("%d counters, want %d", len(owner), 8*2+32)
	}
}

// A newline is as the scenario says, else as captured, and nothing else depends on it but the digest.
func TestNewline(t *testing.T) {
	for set, want := range map[string]bool{"auto": true, "true": true, "false": false} {
		p := newPlan(t, Run{}, os.DirFS("../../scenarios"), "smoke", "stream.newline="+set)
		for r := range p.Records(Slice{}) {
			if got := strings.HasSuffix(string(r.Data), "}\n"); got != want {
				t.Errorf("newline: %s: %q ends in one: %v, want %v", set, r.Data, got, want)
				break
			}
		}
	}
}

// The first user's first event is at the anchor's second; all gaps stay; the run id alone decides the tag.
func TestAnchor(t *testing.T) {
	for _, name := range []string{"smoke", "mixed"} {
		fsys := folders[name]
		captured := newPlan(t, Run{}, fsys, name)
		at := time.Date(2030, 2, 3, 4, 5, 6, 7, time.UTC)
		moved := newPlan(t, Run{Anchor: at}, fsys, name)
		if captured.Tag != moved.Tag || newPlan(t, Run{ID: "x"}, fsys, name).Tag == captured.Tag {
			t.Errorf("%s: want the tag to go by the run id alone", name)
		}
		for _, c := range moved.Cohorts() {
			if first, ok := c.start(); !ok || first/1e9+c.shift != at.Unix() {
				t.Errorf("%s: cohort %s starts at second %d, want %d", name, c.Name, first/1e9+c.shift, at.Unix())
			}
		}
		if c := captured.Cohort(0); c.shift != 0 {
			t.Errorf("%s: without anchor, times move by %d s, want 0", name, c.shift)
		}
	}
}

// A first user without times leaves the anchor to the others: they do not end up in the year 1.
func TestAnchorOfTimelessUsers(t *testing.T) {
	fsys := fstest.MapFS{}
	for name, file := range mixed {
		fsys[name] = file
	}
	text := string(mixed["mixed/scenario.yaml"].Data)
	fsys["mixed/scenario.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(strings.ReplaceAll(text, "  ts: time\n  login_at: time\n", ""), "\n  no: counter", ""))}
	sc, programs := load(t, fsys, "mixed") // nothing of it has a time
	p, err := New(sc, programs, Run{})
	if err != nil || !p.Anchor.IsZero() || p.Cohort(0).shift != 0 {
		t.Fatalf("%v, anchor %v; want none, since no record has a time", err, p.Anchor)
	}
	_, timed := load(t, mixed, "mixed")
	for _, c := range sc.Population.Cohorts {
		if c.Name == p.Cohort(0).Name {
			timed[c.Template] = programs[c.Template]
		}
	}
	if p, err = New(sc, timed, Run{}); err != nil {
		t.Fatal(err)
	}
	if p.Anchor.Year() != 2018 {
		t.Errorf("the anchor is %v, want one in 2018, where the other cohorts were captured", p.Anchor)
	}
	now := time.Date(2026, 9, 14, 0, 0, 0, 0, time.UTC)
	if at := p.AnchorBefore(now); now.Sub(at) < 0 || now.Sub(at) > time.Hour {
		t.Errorf("AnchorBefore(%v) = %v, want one within the hour before", now, at)
	}
}

// AnchorBefore lets the last event of all be no later than now, and hardly earlier.
func TestAnchorBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(11e8, 29e8).Draw(t, "s"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns"))
		name := rapid.SampledFrom([]string{"smoke", "mixed"}).Draw(t, "scenario")
		p := sized(t, name, 40, Run{Anchor: sized(t, name, 40, Run{}).AnchorBefore(now)})
		var last time.Time
		for _, c := range p.Cohorts() {
			for _, e := range c.Program.Events {
				if at := time.Unix(e.Time/1e9+c.shift, e.Time%1e9); e.HasTime && at.After(last) {
					last = at
				}
			}
		}
		if ago := now.Sub(last); ago < 0 || ago > 2*time.Second {
			t.Errorf("the last event is %v before %v, want 0 to 2 s", ago, now)
		}
	})
}

// New says what is wrong with what it was given.
func TestNewRefuses(t *testing.T) {
	sc, programs := load(t, mixed, "mixed")
	empty := &template.Program{}
	for name, c := range map[string]struct {
		programs map[string]*template.Program
		users    uint64
		want     string
	}{
		"not compiled": {map[string]*template.Program{"whale": programs["whale"]}, 40, "generate: cohort newbies: template newbie is not compiled"},
		"no events":    {map[string]*template.Program{"whale": empty, "newbie": empty}, 40, "generate: the templates hold no events: there is nothing to send"},
		"no room": {map[string]*template.Program{"whale": {Events: make([]template.Event, 1), Class: []int32{0}, LogTypes: []string{"x"},
			UserForms: []template.UserForm{{Width: 1, Padded: true}}}, "newbie": programs["newbie"]}, 40,
			"generate: the captured user id leaves room for 10 users, not 40; give the field another form, as in `user U%010d`"},
	} {
		sc.Population.Users = c.users
		p, err := New(sc, c.programs, Run{})
		var faults scenario.Faults
		if err == nil || err.Error() != c.want || errors.As(err, &faults) {
			t.Errorf("%s: New = %v, %v; want %s", name, p, err, c.want)
		}
	}
}

// Describe names the weakest record of each log type.
func TestDescribe(t *testing.T) {
	p := newPlan(t, Run{}, mixed, "mixed")
	got := map[string][]TypeInfo{}
	for _, c := range p.Cohorts() {
		got[c.Name] = c.Describe()
	}
	newbie := []TypeInfo{{"action", 1, "user + time"}, {"shop", 1, "uuid"}}
	want := map[string][]TypeInfo{
		"whales": {
			{"action", 7, "class: some are alike, counted by multiplicity"}, {"empty", 0, "uuid"}, {"hello", 2, "user"}, {"shop", 2, "uuid"}},
		"newbies": newbie, "nobody": newbie, "idlers": newbie,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"action", "hello", "shop"}, slices.Sorted(slices.Values(p.LogTypes()))); diff != "" {
		t.Errorf("LogTypes: want (-), got (+)\n%s", diff)
	}
	for r := range p.Records(Slice{}) {
		if name := p.LogType(r.ID); !strings.Contains(string(r.Data), map[string]string{"action": "what", "hello": "hello", "shop": "event_id"}[name]) {
			t.Errorf("%v is said to be of log type %s: %s", r.ID, name, r.Data)
		}
	}
}

// Batches are the records, so many at a time, and may be left at any time.
func TestBatchesAreTheRecords(t *testing.T) {
	p := smoke(t, 3, Run{ID: "x"})
	want := slices.Collect(p.Records(Slice{}))
	rapid.Check(t, func(t *rapid.T) {
		n, stop := rapid.IntRange(1, 50).Draw(t, "n"), rapid.IntRange(1, len(want)).Draw(t, "stop")
		var got []record.Record
		for recs := range p.Batches(Slice{}, n) {
			if len(recs) != n && len(got)+len(recs) != len(want) {
				t.Fatalf("a batch of %d, want %d", len(recs), n)
			}
			if got = append(got, recs...); len(got) >= stop {
				break
			}
		}
		same := func(a, b record.Record) bool {
			return a.ID == b.ID && a.Seq == b.Seq && a.Due == b.Due && a.PartitionKey == b.PartitionKey && bytes.Equal(a.Data, b.Data)
		}
		if len(got) < stop || !slices.EqualFunc(got, want[:len(got)], same) {
			t.Fatalf("%d of %d, stopped at %d: got %v, want %v", len(got), len(want), stop, got, want)
		}
	})
}

// Records yields smoke at this many records a second.
func BenchmarkRecords(b *testing.B) {
	p := smoke(b, 200, Run{ID: "x"})
	var n, size int64
	for r := range p.Records(Slice{}) {
		size += int64(len(r.Data))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for range p.Records(Slice{}) {
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

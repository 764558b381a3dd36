package account

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/generate"
)

// again returns the Account that is left of a by Save and Restore, of small pages
// as newAccount makes them.
func again(t fatal, a *Account) *Account {
	t.Helper()
	var state bytes.Buffer
	if err := a.Save(&state); err != nil {
		t.Fatalf("Save: %v", err)
	}
	first := slices.Clone(state.Bytes())
	state.WriteString("beyond")
	b := newAccount(t, a.plan)
	if err := restore(&state, b.counts, b); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	if state.String() != "beyond" {
		t.Errorf("Restore left %q, want what is beyond the state", state.String())
	}
	var second bytes.Buffer
	if err := b.Save(&second); err != nil || !bytes.Equal(first, second.Bytes()) {
		t.Errorf("restored and saved again it is another state: %d bytes, %d before, %v", second.Len(), len(first), err)
	}
	return b
}

// An account that is saved and restored, wherever it is in its rows, comes to the
// same end: every number, every difference.
func TestARestoredAccountGoesOn(t *testing.T) {
	all := plans(t, 2)
	names := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t, all[rapid.SampledFrom(names).Draw(t, "plan")])
		at := rapid.IntRange(0, len(w.rows)).Draw(t, "saved after rows")
		end := func(a *Account) (tally Tally, named []Difference) {
			tally, err := a.Settle(w.ledgers(1), w.settled, func(d Difference) error { named = append(named, d); return nil })
			if err != nil {
				t.Fatalf("Settle: %v", err)
			}
			return tally, named
		}
		see := func(a *Account, rows []row) {
			for _, r := range rows {
				a.See(r.match, r.place)
			}
		}
		a := newAccount(t, w.plan)
		a.Damage()
		see(a, w.rows[:at])
		b := again(t, a)
		if rapid.Bool().Draw(t, "settled meanwhile") {
			end(b)
		}
		see(a, w.rows[at:])
		see(b, w.rows[at:])
		wantTally, want := end(a)
		tally, named := end(b)
		if diff := gocmp.Diff(wantTally, tally) + gocmp.Diff(want, named); diff != "" {
			t.Errorf("in one go (-), restored after %d of %d rows (+):\n%s", at, len(w.rows), diff)
		}
	})
}

// Complete pages and those without a row take no room, and what spilled is kept.
func TestStateIsCompact(t *testing.T) {
	plan := smokePlan(t, 4000)
	a, rejects := New(plan), NewRejects(plan)
	defer func() { _, _ = a.Close(), rejects.Close() }()
	for s := range plan.Order(generate.Slice{}) {
		m := generate.Match{Kind: generate.Planned, User: s.User, Event: classOf(plan, s.User, s.Event), Intact: true}
		if s.User < 2000 {
			a.See(m, Place{})
		}
	}
	for range 3 {
		rejects.See(generate.Match{Kind: generate.Planned, User: 3999})
	}
	var state bytes.Buffer
	if err := a.Save(&state); err != nil {
		t.Fatal(err)
	}
	if n := state.Len(); n > 2*pageUnit {
		t.Errorf("%d bytes for one page that is neither complete nor empty, want about %d", n, pageUnit)
	}
	if err := rejects.Save(&state); err != nil {
		t.Fatal(err)
	}
	b, err := Restore(plan, t.TempDir(), &state)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if b.Rejects, err = RestoreRejects(plan, &state); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Rejects.Close() }()
	if got := b.Rejects.of(3999, 0); got != 3 {
		t.Errorf("%d error records of one record, want 3", got)
	}
	if got, want := b.Delivered(), a.Delivered(); got != want || want == 0 {
		t.Errorf("%d rows delivered, want %d", got, want)
	}
}

// state is that of a small account with something of everything.
func state(t fatal, plan *generate.Plan) []byte {
	t.Helper()
	a := newAccount(t, plan)
	lake(a, plan, func(n int) int { return 1 + n/20%2*n%5 })
	a.See(generate.Match{Kind: generate.Stranger, User: 7, Detail: "no such event"}, Place{Object: "p", Offset: 7})
	a.See(generate.Match{Kind: generate.Planned, User: 1, Detail: "byte 7"}, Place{Object: "o", Offset: 7})
	a.See(generate.Match{Kind: generate.Foreign}, Place{})
	var b bytes.Buffer
	if err := a.Save(&b); err != nil {
		t.Fatalf("Save: %v", err)
	}
	return b.Bytes()
}

func restored(t fatal, plan *generate.Plan, from []byte) (*Account, error) {
	t.Helper()
	a := newAccount(t, plan)
	return a, restore(bytes.NewReader(from), a.counts, a)
}

// A state that is cut off anywhere, or of which any byte is changed, is refused.
func TestADamagedStateIsRefused(t *testing.T) {
	plan := smokePlan(t, 4)
	whole := state(t, plan)
	if _, err := restored(t, plan, whole); err != nil {
		t.Fatalf("the whole state: %v", err)
	}
	for n := range whole {
		if _, err := restored(t, plan, whole[:n]); !errors.Is(err, ErrState) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at byte %d of %d: %v, want ErrState", n, len(whole), err)
		}
		bad := slices.Clone(whole)
		bad[n] ^= 1 << (n % 8)
		if _, err := restored(t, plan, bad); !errors.Is(err, ErrState) {
			t.Fatalf("byte %d of %d changed: %v, want ErrState", n, len(whole), err)
		}
	}
}

// A frame counts in its place only.
func TestFramesKeepTheirOrder(t *testing.T) {
	var b bytes.Buffer
	w := newFrameWriter(&b)
	for i := range 2 * frameSize {
		_, _ = w.Write([]byte{byte(i / frameSize)})
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	const whole = frameHeader + frameSize
	one, two, end := b.Bytes()[:whole], b.Bytes()[whole:2*whole], b.Bytes()[2*whole:]
	for name, list := range map[string][][]byte{"as written": {one, two, end}, "swapped": {two, one, end}, "one lost": {one, end}, "one twice": {one, one, two, end}} {
		got, err := io.ReadAll(&frameReader{r: bytes.NewReader(bytes.Join(list, nil))})
		if ok := err == nil && len(got) == 2*frameSize; ok != (name == "as written") || !ok && !errors.Is(err, errDamaged) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// A state counts for the plan that it was saved of, and for nothing else.
func TestAnotherRunsStateIsRefused(t *testing.T) {
	plan, other := smokePlan(t, 4), smokePlan(t, 4, scheduled)
	if _, err := restored(t, other, state(t, plan)); !errors.Is(err, ErrState) {
		t.Errorf("state of another plan: %v, want ErrState", err)
	}
	run := smokeRun(t, "again", 4) // the same content, sent again
	if _, err := restored(t, run, state(t, plan)); !errors.Is(err, ErrState) {
		t.Errorf("state of another run: %v, want ErrState", err)
	}
	var b bytes.Buffer
	if err := NewRejects(plan).Save(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(plan, "", &b); !errors.Is(err, ErrState) {
		t.Errorf("state of the error stage: %v, want ErrState", err)
	}
}

// Whatever bytes there are, Restore refuses them or they are a state that can be
// saved again; checksums that are right do not make it trust what they are of.
func FuzzRestore(f *testing.F) {
	plan := smokePlan(f, 4)
	whole := state(f, plan)
	body, err := io.ReadAll(&frameReader{r: bytes.NewReader(whole)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, false)
	f.Add(body, true)
	f.Add(body[:len(body)-3], true)
	f.Fuzz(func(t *testing.T, data []byte, framed bool) {
		if framed {
			var b bytes.Buffer
			w := newFrameWriter(&b)
			_, _ = w.Write(data)
			if err := w.end(); err != nil {
				t.Fatal(err)
			}
			data = b.Bytes()
		}
		a, err := restored(t, plan, data)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Errorf("%v, want ErrState", err)
			}
			return
		}
		again(t, a)
		tally, err := a.Settle(alone(allAcked(plan)), true, ignore)
		if err == nil && tally.Check() != nil {
			t.Errorf("an account that does not balance: %v", tally.Check())
		}
	})
}

package generate

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/template"
)

func cohortOf(forms ...template.UserForm) []*Cohort {
	return []*Cohort{{Program: &template.Program{UserForms: forms}}}
}

// The range goes by the narrowest form of the id; block 0 is the first.
func TestReserve(t *testing.T) {
	bare := template.UserForm{Captured: 15}
	quoted := template.UserForm{Captured: 15, Prefix: `"`, Suffix: `"`}
	padded := func(width int, captured uint64) template.UserForm {
		return template.UserForm{Captured: captured, Prefix: `"`, Suffix: `"`, Width: width, Padded: true}
	}
	for _, c := range []struct {
		name         string
		forms        []template.UserForm
		base, blocks uint64
	}{
		{"no id", nil, 1e15, 8e15 / 100},
		{"quoted", []template.UserForm{quoted}, 1e15, 8e15 / 100},
		{"bare", []template.UserForm{bare}, 1e9, 11_474_836},
		{"bare, at the limit", []template.UserForm{{Captured: 1<<31 - 1}}, 1e9, 11_474_836},
		{"bare, above 2^31", []template.UserForm{{Captured: 1 << 31}}, 1e15, 8e15 / 100},
		{"both", []template.UserForm{quoted, bare}, 1e9, 11_474_836},
		{"padded", []template.UserForm{padded(6, 15)}, 5e5, 5e5 / 100},
		{"padded, 15 digits", []template.UserForm{padded(15, 15)}, 5e14, 5e14 / 100},
		{"padded, 16 digits", []template.UserForm{padded(16, 15)}, 1e15, 8e15 / 100},
		{"padded and quoted", []template.UserForm{quoted, padded(6, 15)}, 5e5, 5e5 / 100},
		{"pattern", []template.UserForm{padded(6, 0)}, 0, 1e6 / 100},
		{"pattern, no width", []template.UserForm{{Prefix: `"U`, Suffix: `"`}}, 1e15, 8e15 / 100},
		{"just room", []template.UserForm{padded(2, 0)}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := reserve(cohortOf(c.forms...), 100, "")
			if err != nil || r.base != c.base || r.blocks != c.blocks {
				t.Errorf("reserve = %+v, %v; want base %d and %d blocks", r, err, c.base, c.blocks)
			}
		})
	}
}

// A form without room for the users is refused with what it has room for.
func TestReserveNoRoom(t *testing.T) {
	for _, c := range []struct {
		form  template.UserForm
		users uint64
		room  uint64
	}{
		{template.UserForm{Width: 2, Padded: true}, 101, 100},
		{template.UserForm{Width: 4, Padded: true, Captured: 15}, 5001, 5000},
		{template.UserForm{Captured: 15}, 1<<31 - 1e9 + 1, 1<<31 - 1e9},
	} {
		_, err := reserve(cohortOf(c.form), c.users, "x")
		want := fmt.Sprintf("generate: the captured user id leaves room for %d users, not %d; give the field another form, as in `user U%%010d`", c.room, c.users)
		if err == nil || err.Error() != want {
			t.Errorf("reserve = %v, want %s", err, want)
		}
		if _, err := reserve(cohortOf(c.form), c.users-1, "x"); err != nil {
			t.Errorf("one user less: %v, want no error", err)
		}
	}
}

// Two runs get blocks of their own, within the range; the same run gets the same.
func TestRunsDoNotMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := rapid.SliceOfNDistinct(rapid.String(), 2, 2, rapid.ID).Draw(t, "runs")
		users := rapid.Uint64Range(1, 1e6).Draw(t, "users")
		cohorts := cohortOf(template.UserForm{Captured: 15, Prefix: `"`, Suffix: `"`})
		var r [3]idRange
		for i, run := range []string{runs[0], runs[1], runs[0]} {
			var err error
			if r[i], err = reserve(cohorts, users, run); err != nil {
				t.Fatal(err)
			}
			if r[i].base < wideFirst || r[i].base+users > wideEnd {
				t.Errorf("run %q has %v, want ids from %d to %d", run, r[i], uint64(wideFirst), uint64(wideEnd))
			}
		}
		if (r[0].base-wideFirst)%users != 0 {
			t.Errorf("%v begins within a block of %d", r[0], users)
		}
		if r[0].base != r[2].base {
			t.Errorf("run %q has %v, then %v", runs[0], r[0], r[2])
		}
		if r[0].base < r[1].base+users && r[1].base < r[0].base+users {
			t.Errorf("%q and %q meet: %v, %v", runs[0], runs[1], r[0], r[1])
		}
	})
}

// Ids are read back in every form they are written in, and no other.
func TestParseID(t *testing.T) {
	r, err := reserve(cohortOf(template.UserForm{Prefix: `"U`, Suffix: `@x"`, Width: 8, Padded: true}, template.UserForm{Captured: 15}), 10, "")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		`"U00000003@x"`: 3, `0`: 0, `9`: 9, `10`: -1, `"3"`: -1, `"U@x"`: -1, `"U3@y"`: -1, `U3`: -1, ``: -1, `"Ux@x"`: -1, `-1`: -1, `99999999999999999999`: -1,
	} {
		if user, ok := r.parse([]byte(text)); ok != (want >= 0) || ok && int(user) != want {
			t.Errorf("parse(%s) = %d, %v; want %d", text, user, ok, want)
		}
	}
}

// The text says which ids, and warns where all runs share them.
func TestReservedText(t *testing.T) {
	for _, c := range []struct {
		users uint64
		want  string
	}{
		{10, "user ids 50 to 59"},
		{30, "user ids 50 to 79; the id's form leaves room for one run only: rows of an earlier run cannot be told from this one's"},
	} {
		r, err := reserve(cohortOf(template.UserForm{Width: 2, Padded: true, Captured: 1}), c.users, "")
		if err != nil || r.String() != c.want {
			t.Errorf("%q, %v; want %q", r, err, c.want)
		}
	}
}

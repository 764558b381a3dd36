package template

import (
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
)

// A program bound to a shift renders records and keys as the program does for a
// user of that shift, and keeps no slot of a time. Keys of one form are one text.
func TestAtRendersAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines []string
		for range rapid.IntRange(1, 4).Draw(t, "lines") {
			fields := []string{`"u":"15"`, `"u":15`, `"ts":1789311600`, `"ts":1789311600.25,"d":"2026-09-13"`, `"at":"2026-09-13T15:00:00Z"`, `"p":"9"`, `"h":"abc"`,
				`"f":"Lily"`, `"n":"0001"`, `"k":7`, `"k":""`, `"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"`}
			line := `{"x":1`
			for _, f := range rapid.SliceOfN(rapid.SampledFrom(fields), 0, 8).Draw(t, "fields") {
				line += "," + f
			}
			lines = append(lines, line+"}")
		}
		p := compile(t, append([]scenario.Rule{rule("at", scenario.Time)}, every...), lines...)
		shift := rapid.Int64Range(-1e9, 1e9).Draw(t, "shift")
		bound := p.At(shift)
		field := rapid.SampledFrom([]string{"", "u", "ts", "d", "at", "p", "h", "k", "id"}).Draw(t, "key")
		v := &Values{Tag: 1, User: rapid.Uint32Range(0, 8).Draw(t, "user"), UserID: 77, Users: 9, Seed: 3, Shift: shift}
		own := map[UserForm]string{}
		for i := range p.Events {
			got, want := string(bound.Append(nil, i, v)), string(p.Append(nil, i, v))
			if got != want {
				t.Fatalf("event %d at shift %d is\n%s\nwant\n%s", i, shift, got, want)
			}
			key := string(p.Key(nil, i, field, v))
			if got := string(bound.Key(nil, i, field, v)); got != key {
				t.Fatalf("event %d: key %s is %q, want %q", i, field, got, key)
			}
			for _, s := range bound.Events[i].parts {
				if s.kind == slotTime || s.kind == slotDate {
					t.Fatalf("event %d has a slot of kind %d left", i, s.kind)
				}
			}
			form, ok := p.KeyForm(i, field)
			if !ok {
				continue
			}
			if before, seen := own[form]; seen && before != key {
				t.Fatalf("keys of one form are %q and %q", before, key)
			}
			other := *v
			other.User, other.UserID, other.Shift = 5, 78, shift+1
			if string(p.Key(nil, i, field, &other)) == key {
				t.Fatalf("users 77 and 78 have the key %q", key)
			}
			own[form] = key
		}
	})
}

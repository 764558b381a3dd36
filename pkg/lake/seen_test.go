package lake

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/object"
)

// Whatever was added is known with its last ETag, and nothing else is.
func TestSeenKnowsEachObjectByItsLastETag(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Seen
		model := map[string]string{}
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			info := object.Info{Key: fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "key")), ETag: fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "etag"))}
			tag, known := model[info.Key]
			fresh, replaced := s.Look(info)
			if want := !known || tag != info.ETag; fresh != want || replaced != (known && want) {
				t.Fatalf("look %v: fresh %v, replaced %v; it was %q, %v", info, fresh, replaced, tag, known)
			}
			if rapid.Bool().Draw(t, "add") {
				s.Add(info)
				model[info.Key] = info.ETag
			}
			if s.Len() != len(model) {
				t.Fatalf("%d remembered, want %d", s.Len(), len(model))
			}
		}
	})
}

// What is saved is restored, and not a byte behind it is read; what is damaged or
// cut off is refused.
func TestSeenIsSavedAndRestored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s, back Seen
		var infos []object.Info
		for i := range rapid.IntRange(0, 50).Draw(t, "objects") {
			infos = append(infos, object.Info{Key: fmt.Sprint(i), ETag: fmt.Sprint(rapid.Int().Draw(t, "etag"))})
			s.Add(infos[i])
		}
		var out bytes.Buffer
		if err := s.Save(&out); err != nil {
			t.Fatal(err)
		}
		whole := slices.Clone(out.Bytes())
		out.WriteString("rest")
		if err := back.Restore(&out); err != nil || out.String() != "rest" || back.Len() != len(infos) {
			t.Fatalf("%v, %d of %d, left %q", err, back.Len(), len(infos), out.String())
		}
		for _, info := range infos {
			if fresh, _ := back.Look(info); fresh {
				t.Fatalf("%v is forgotten", info)
			}
		}
		bad := whole[:rapid.IntRange(0, len(whole)-1).Draw(t, "length")]
		if rapid.Bool().Draw(t, "flip") {
			bad = whole
			bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		if err := back.Restore(bytes.NewReader(bad)); !errors.Is(err, ErrSeen) || back.Len() != 0 {
			t.Fatalf("%v, %d remembered; want ErrSeen, none", err, back.Len())
		}
	})
}

func BenchmarkSeen(b *testing.B) {
	infos := make([]object.Info, 1_000_000)
	for i := range infos {
		infos[i] = object.Info{Key: fmt.Sprintf("raw/2026/11/23/10/actions-1-2026-11-23-10-00-00-%036d.gz", i), ETag: fmt.Sprintf("%032x", i)}
	}
	b.ReportAllocs()
	for b.Loop() {
		var s Seen
		for i := range infos {
			if fresh, _ := s.Look(infos[i]); fresh {
				s.Add(infos[i])
			}
		}
	}
}

package lake

import (
	"fmt"
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

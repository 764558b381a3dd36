package scenario

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A name with the log type in it makes a legal name or none, and for two log
// types two names.
func TestStreamOfALogType(t *testing.T) {
	part := rapid.StringMatching(`([a-z._-]|\{log_type\}){0,40}`)
	logType := rapid.OneOf(rapid.StringMatching(`[a-z_.-]{0,40}`), rapid.StringMatching(`[a-z/ é{}]{1,4}`), rapid.Just("{log_type}"))
	rapid.Check(t, func(t *rapid.T) {
		name := part.Draw(t, "front") + "{log_type}" + part.Draw(t, "back")
		if err := CheckStreamName(name); err != nil && len(strings.ReplaceAll(name, "{log_type}", "x")) <= 128 {
			t.Fatal(err)
		}
		one, other := logType.Draw(t, "one"), logType.Draw(t, "other")
		a, errA := StreamOf(name, one)
		b, errB := StreamOf(name, other)
		want := strings.Join(strings.Split(name, "{log_type}"), one)
		if legal := streamName.MatchString(want); (errA == nil) != legal || legal && a != want {
			t.Fatalf("%q of %q: got %q, %v, want %q", name, one, a, errA, want)
		}
		if errA == nil && errB == nil && (a == b) != (one == other) {
			t.Fatalf("%q: log types %q and %q go to %q and %q", name, one, other, a, b)
		}
	})
}

package local

import (
	"testing"
	"time"
)

// A shard gives 2 MiB a second: after an answer of 10 MiB it is silent for five
// seconds, and asking in between does not make it longer.
func TestAnswersArePaidOff(t *testing.T) {
	now := time.Unix(1000, 0)
	var r reads
	if !r.begin(now) {
		t.Fatal("the first call is refused")
	}
	r.end(MaxReadBytes)
	for _, x := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {time.Second, false}, {4999 * time.Millisecond, false}, {5 * time.Second, true}, {5 * time.Second, true}} {
		if got := r.begin(now.Add(x.after)); got != x.want {
			t.Errorf("%v after 10 MiB: answered %v, want %v", x.after, got, x.want)
		}
	}
	calls := 0
	for range 20 {
		if r.begin(now.Add(6 * time.Second)) {
			calls++
		}
	}
	if calls != ShardReads {
		t.Errorf("%d calls in an instant, want %d", calls, ShardReads)
	}
}

package local_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/local"
)

// A shard that is asked without pause takes its limit's worth and a second's burst, neither
// more nor less, also when the limit changes on the way.
func TestBucketTakesItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b local.Bucket
		const size = 40
		now := time.Unix(1e9, 0)
		rate := func() local.ShardLimit {
			return local.ShardLimit{Records: rapid.IntRange(50, 1000).Draw(t, "records"), Bytes: size * rapid.IntRange(50, 1000).Draw(t, "size")}
		}
		worth := func(l local.ShardLimit) float64 { return min(float64(l.Records), float64(l.Bytes/size)) }
		drain := func(l local.ShardLimit) (n int) {
			for b.Take(now, size, l) {
				n++
			}
			return n
		}
		l := rate()
		if n := drain(l); float64(n) != worth(l) {
			t.Fatalf("a full bucket gave %d records, want %v", n, worth(l))
		}
		for range rapid.IntRange(1, 4).Draw(t, "rates") {
			steps := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 200).Draw(t, "steps")
			taken, gone := 0, time.Duration(0)
			l = local.ShardLimit{Records: rapid.IntRange(50, 1000).Draw(t, "records")}
			want := float64(l.Records)
			if rapid.Bool().Draw(t, "by bytes") {
				l = local.ShardLimit{Bytes: size * l.Records}
			}
			drain(l) // what the bucket kept of the other limit
			for _, ms := range steps {
				now, gone = now.Add(time.Duration(ms)*time.Millisecond), gone+time.Duration(ms)*time.Millisecond
				taken += drain(l)
			}
			// One more or less: what the bucket held before and holds after, and that in floats.
			if all := want * gone.Seconds(); math.Abs(float64(taken)-all) > 1+1e-6 {
				t.Fatalf("%d records taken in %v at %v a second, want %.1f", taken, gone, want, all)
			}
			now = now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "idle")) * time.Second)
			if n := drain(l); float64(n) != want {
				t.Fatalf("%d records taken after a rest, want %v", n, want)
			}
		}
	})
}

package kinesis_test

import (
	"context"
	"testing"
	"time"

	"kreplay/pkg/local"
)

// Questions about the stream are not asked faster than an account can bear: of
// many at once, those that cannot wait are not asked, whichever stream they are about.
func TestControlCallsAreFew(t *testing.T) {
	c := client(t, serve(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 1}, {Name: "another", Shards: 1}}}).URL())
	began := time.Now()
	asked := 0
	for i := range 40 {
		to := c
		if i%2 > 0 {
			to = c.Of("another")
		}
		ctx, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := to.Shards(ctx); err == nil {
			asked++
		}
		end()
	}
	if most := 5 + 1 + int(5*time.Since(began).Seconds()); asked > most || asked == 0 {
		t.Errorf("%d of 40 questions were asked in %v, want at most %d", asked, time.Since(began), most)
	}
}

package stream_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/stream"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// answer is one at a local time, of a service whose clock is ahead.
func answer(c *stream.Clock, local time.Time, ahead, there, back time.Duration) {
	date := local.Add(there + ahead).UTC().Format(http.TimeFormat)
	c.Answer(date, local, local.Add(there+back))
}

// Whatever the clocks differ by and however long answers take, the difference is
// within what the Clock says, which only gets narrower as answers come.
func TestClockHoldsTheDifference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var c stream.Clock
		ahead := time.Duration(rapid.Int64Range(-5e9, 5e9).Draw(rt, "ahead"))
		ms := rapid.Int64Range(0, 3e9)
		width := time.Duration(1 << 62)
		n := rapid.IntRange(1, 40).Draw(rt, "answers")
		local := noon
		for range n {
			local = local.Add(time.Duration(ms.Draw(rt, "later")))
			answer(&c, local, ahead, time.Duration(ms.Draw(rt, "there")), time.Duration(ms.Draw(rt, "back")))
			o := c.Offset()
			if o.Low > ahead || o.High < ahead || o.High-o.Low > width {
				rt.Fatalf("%+v, %v wide before; ahead by %v", o, width, ahead)
			}
			width = o.High - o.Low
		}
		o := c.Offset()
		if o.Answers != uint64(n) || !o.Known() {
			rt.Fatalf("%+v of %d answers", o, n)
		}
		guess, off := o.Ahead()
		if d := (guess - ahead).Abs(); d > off+1 {
			rt.Fatalf("%v ± %v, but it is %v", guess, off, ahead)
		}
		if d := (o.Correction() - ahead).Abs(); d > o.Off() {
			rt.Fatalf("corrected by %v, off by %v at most, but it is %v", o.Correction(), o.Off(), ahead)
		}
	})
}

// Many answers say it to within a few ms although each is of whole seconds.
func TestClockNarrows(t *testing.T) {
	var c stream.Clock
	local := noon
	for range 1000 {
		local = local.Add(37 * time.Millisecond)
		answer(&c, local, 1234*time.Millisecond, 2*time.Millisecond, 3*time.Millisecond)
	}
	guess, off := c.Offset().Ahead()
	if off > 5*time.Millisecond || (guess-1234*time.Millisecond).Abs() > off {
		t.Errorf("%v ± %v, want 1.234s within 5 ms", guess, off)
	}
	if got := c.Offset().Correction(); got != guess {
		t.Errorf("corrected by %v, want %v", got, guess)
	}
}

// Clocks that may agree are not corrected.
func TestClocksThatMayAgree(t *testing.T) {
	var c stream.Clock
	answer(&c, noon.Add(250*time.Millisecond), 0, 0, 0)
	o := c.Offset()
	if o.Correction() != 0 || o.Off() != 750*time.Millisecond || o.String() != "250ms ± 500ms" {
		t.Errorf("%+v: corrected by %v, off by %v, %q", o, o.Correction(), o.Off(), o)
	}
}

// When a clock is set, both differences hold; what came before an answer without a
// date is not lost.
func TestClockThatIsSet(t *testing.T) {
	var c stream.Clock
	if c.Offset().Known() || c.Offset().String() != "not known" {
		t.Errorf("%v of no answer", c.Offset())
	}
	answer(&c, noon, 0, 0, 0)
	answer(&c, noon.Add(time.Minute), time.Hour, 0, 0)
	c.Answer("", noon, noon)
	c.Answer("yesterday", noon, noon)
	if got, want := c.Offset(), (stream.Offset{Low: 0, High: time.Hour + time.Second, Answers: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Or holds both, and what is not known takes nothing away.
func TestOffsetsOfTwo(t *testing.T) {
	a, b := stream.Offset{Low: -3, High: 4, Answers: 2}, stream.Offset{Low: 1, High: 9, Answers: 3}
	if got, want := a.Or(b), (stream.Offset{Low: -3, High: 9, Answers: 5}); got != want || b.Or(a) != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if a.Or(stream.Offset{}) != a || (stream.Offset{}).Or(a) != a {
		t.Error("an unknown offset changed a known one")
	}
}

func TestClockOfManyGoroutines(t *testing.T) {
	var c stream.Clock
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for range 100 {
				answer(&c, noon, 0, 0, 0)
				_ = c.Offset()
			}
		})
	}
	g.Wait()
	if n := c.Offset().Answers; n != 400 {
		t.Errorf("%d answers, want 400", n)
	}
}

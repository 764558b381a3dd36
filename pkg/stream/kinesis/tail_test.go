package kinesis_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"kreplay/pkg/local"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

// fast leaves nothing to other consumers.
var fast = kinesis.TailOptions{Share: math.Inf(1)}

// haul is what a Tail gave, text by text.
type haul struct {
	mu    sync.Mutex
	texts map[string]int
	last  map[string]string // sequence number by shard
}

func newHaul() *haul { return &haul{texts: map[string]int{}, last: map[string]string{}} }

func (h *haul) take(e stream.Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := e.Stream + "/" + e.Shard
	if e.Sequence <= h.last[at] {
		return fmt.Errorf("%s: %s after %s", at, e.Sequence, h.last[at])
	}
	h.last[at] = e.Sequence
	if e.Key == "" || time.Since(e.Arrived).Abs() > time.Minute {
		return fmt.Errorf("entry %+v: no key, or not of this minute", e)
	}
	h.texts[string(e.Data)]++
	return nil
}

// read reads to the tip and returns how many entries were new.
func read(t *testing.T, tail stream.Tail, h *haul) int {
	t.Helper()
	tip, err := tail.Read(t.Context(), h.take)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return int(tip.Entries)
}

// fill puts records first..first+n-1 into the stream.
func fill(t testing.TB, c *kinesis.Client, first, n int) {
	t.Helper()
	for ; n > 0; first, n = first+500, n-500 {
		out, err := c.Put(t.Context(), streamtest.Records(first, min(n, 500), 100))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
}

// once checks that n texts were given, each once.
func (h *haul) once(t *testing.T, n int) {
	t.Helper()
	for text, times := range h.texts {
		if times != 1 {
			t.Fatalf("%.40q was given %d times", text, times)
		}
	}
	if len(h.texts) != n {
		t.Fatalf("%d texts, want %d", len(h.texts), n)
	}
}

// Whatever happens to shards between reads and whatever calls fail, each entry
// is given once, in the order of its shard, and a Read comes to the tip. That holds
// also where another Tail goes on from where one is, even one that was stopped
// while it read.
func TestTailConserves(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // it waits before it asks again
			conserves(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func conserves(t *testing.T, rng *rand.Rand) {
	var f local.Faults
	for range rng.IntN(4) {
		code := []string{"ExpiredIteratorException", "InternalFailure", "ProvisionedThroughputExceededException"}[rng.IntN(3)]
		f.Reads = append(f.Reads, local.CallFault{Way: local.Refused, Code: code, Calls: 1, After: rng.IntN(10)})
	}
	p := serve(t, local.Config{Faults: f, Streams: []local.StreamSpec{{Name: streamName, Shards: 2}}})
	c := client(t, p.URL())
	since := time.Now()
	tail, h, n := client(t, p.URL()).Tail(since, fast), newHaul(), 0
	for range 1 + rng.IntN(8) {
		switch rng.IntN(6) {
		case 4:
			left := rng.IntN(1 + n)
			ctx, stop := context.WithCancel(t.Context())
			if _, err := tail.Read(ctx, func(e stream.Entry) error {
				h.mu.Lock()
				left--
				if left < 0 {
					stop()
				}
				h.mu.Unlock()
				return h.take(e)
			}); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			stop()
			if rng.IntN(2) == 0 { // or this one itself
				tail = another(t, p, since, tail)
			}
		case 5:
			tail = another(t, p, since, tail)
		case 0:
			more := 1 + rng.IntN(700)
			fill(t, c, n, more)
			n += more
		case 1:
			if err := p.Resize(streamName, 1+rng.IntN(5)); err != nil {
				t.Fatal(err)
			}
		case 2:
			read(t, tail, h)
			h.once(t, n)
		case 3:
			all, err := c.Shards(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Split(streamName, all[rng.IntN(len(all))].ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	read(t, tail, h)
	h.once(t, n)
	if again := read(t, tail, h); again != 0 {
		t.Errorf("%d entries after the tip", again)
	}
}

// another is a Tail that goes on from where one is, through the form in which marks
// are kept.
func another(t *testing.T, p *local.Pipeline, since time.Time, tail stream.Tail) *kinesis.Tail {
	t.Helper()
	text, err := json.Marshal(tail.Marks())
	var marks []stream.Mark
	if err = errors.Join(err, json.Unmarshal(text, &marks)); err != nil {
		t.Fatal(err)
	}
	next := client(t, p.URL()).Tail(since, fast)
	next.Resume(marks)
	return next
}

// Marks are not believed of a stream that was deleted and made anew, nor of one of
// which nobody knows whether it is another one; and what was not read in time is trimmed.
func TestTailKnowsItsStream(t *testing.T) {
	p := serve(t, local.Config{Retain: 20_000, Streams: []local.StreamSpec{{Name: streamName, Shards: 2}}})
	c := client(t, p.URL())
	tail, h, since := c.Tail(time.Now(), fast), newHaul(), time.Now()
	fill(t, c, 0, 40)
	read(t, tail, h)
	t.Run("another entry", func(t *testing.T) {
		next := another(t, p, since, tail)
		if n := read(t, next, newHaul()); n != 0 {
			t.Errorf("%d entries were read again", n)
		}
		if tip, err := next.Read(t.Context(), h.take); err != nil || tip.Shards != 2 {
			t.Errorf("%+v, %v; want 2 shards", tip, err)
		}
	})
	for name, change := range map[string]func(m *stream.Mark){
		"made at another time":        func(m *stream.Mark) { m.Created = m.Created.Add(-time.Hour) },
		"other numbers":               func(m *stream.Mark) { m.Shards[1].First = "1" },
		"nothing to tell it by":       func(m *stream.Mark) { m.Created, m.Shards[0].First, m.Shards[1].First = time.Time{}, "", "" },
		"trimmed: another shard":      func(m *stream.Mark) { m.Shards[0].ID = "shardId-000000000009" },
		"trimmed: too late":           func(m *stream.Mark) { m.Shards[0].Read = m.Shards[0].Read.Add(-25 * time.Hour) },
		"trimmed: a new shard":        func(m *stream.Mark) { m.Known, m.Shards = m.Known.Add(-25*time.Hour), m.Shards[:1] },
		"trimmed: no such record":     func(m *stream.Mark) { m.Shards[0].Last = "5" },
		"an ended shard may be gone":  func(m *stream.Mark) { m.Shards = append(m.Shards, stream.ShardMark{ID: "gone", Ended: true}) },
		"another stream's are no use": func(m *stream.Mark) { m.Stream = "else" },
	} {
		t.Run(name, func(t *testing.T) {
			marks := tail.Marks()
			change(&marks[0])
			next := client(t, p.URL()).Tail(since, fast) // with a limit of its own on listings
			next.Resume(marks)
			tip, err := next.Read(t.Context(), newHaul().take)
			switch {
			case name == "another stream's are no use":
				if err != nil || tip.Entries != 40 {
					t.Errorf("%+v, %v; want all of it", tip, err)
				}
			case name == "an ended shard may be gone":
				if err != nil || tip.Entries != 0 || tip.Shards != 3 {
					t.Errorf("%+v, %v; want nothing new", tip, err)
				}
			case strings.HasPrefix(name, "trimmed"):
				wantTrimmed(t, err)
			case !errors.Is(err, stream.ErrAnother):
				t.Errorf("%v, want ErrAnother", err)
			default:
				wantSentence(t, err, streamName)
			}
		})
	}
	t.Run("an entry in vain", func(t *testing.T) {
		next := client(t, p.URL()).Tail(time.Now(), fast)
		if _, err := next.Read(t.Context(), func(stream.Entry) error { return errors.New("full") }); err == nil || next.Marks() != nil {
			t.Errorf("%v, %v; want an error and no marks", err, next.Marks())
		}
	})
	t.Run("trimmed by bytes", func(t *testing.T) {
		next := another(t, p, since, tail)
		fill(t, c, 40, 1000)
		_, err := next.Read(t.Context(), h.take)
		wantTrimmed(t, err)
	})
}

// A reshard while a Tail reads is followed to the children.
func TestTailFollowsAReshardInMidRead(t *testing.T) {
	p := serve(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
	c := client(t, p.URL())
	fill(t, c, 0, 3000) // more than a page
	h, split := newHaul(), sync.OnceValue(func() error {
		err := p.Split(streamName, "shardId-000000000000")
		fill(t, c, 3000, 100)
		return err
	})
	tip, err := c.Tail(time.Now(), fast).Read(t.Context(), func(e stream.Entry) error { return errors.Join(split(), h.take(e)) })
	h.once(t, 3100)
	if err != nil || tip.Shards != 3 || tip.Entries != 3100 || time.Since(tip.Newest) > time.Minute {
		t.Errorf("%+v, %v; want 3100 entries of 3 shards", tip, err)
	}
}

// Iterators that are too old whenever they are used again are asked for anew.
func TestTailAsksForNewIterators(t *testing.T) {
	p := serve(t, local.Config{IteratorLife: 100 * time.Millisecond, Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
	c := client(t, p.URL())
	tail, h := c.Tail(time.Now(), kinesis.TailOptions{Share: 1}), newHaul() // a call each 200 ms
	for n := range 3 {
		fill(t, c, n*2500, 2500)
		read(t, tail, h)
		h.once(t, n*2500+2500)
	}
}

// With limits on, a Tail that uses all that a shard gives is hardly refused, one
// that asks for more still reads all.
func TestTailKeepsToTheLimits(t *testing.T) {
	for name, o := range map[string]kinesis.TailOptions{"at the limit": {Share: 1}, "without measure": fast} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, local.Config{Limits: true, ShardRecords: 100_000, ShardBytes: 100 << 20})
			c := client(t, p.URL())
			fill(t, c, 0, 12_000)
			h := newHaul()
			read(t, c.Tail(time.Now(), o), h)
			h.once(t, 12_000)
		})
	}
}

// Several streams are read as one.
func TestTailsAreOne(t *testing.T) {
	p := serve(t, local.Config{Streams: []local.StreamSpec{{Name: "a", Shards: 2}, {Name: "b", Shards: 1}}})
	h, n := newHaul(), 0
	var all stream.Tails
	for _, name := range []string{"a", "b"} {
		c := kinesis.New(config(p.URL()), name, kinesis.Options{})
		t.Cleanup(c.Close)
		fill(t, c, n, 300)
		n += 300
		all = append(all, c.Tail(time.Now(), fast))
	}
	tip, err := all.Read(t.Context(), h.take)
	h.once(t, 600)
	if err != nil || tip.Shards != 3 || tip.Entries != 600 || tip.Bytes != 60_000 {
		t.Errorf("%+v, %v; want 600 entries of 3 shards", tip, err)
	}
}

// What is not kept any more is an error of its own: it is no loss.
func TestTailTellsTrimmingFromLoss(t *testing.T) {
	t.Run("by bytes", func(t *testing.T) {
		p := serve(t, local.Config{Retain: 1000})
		c := client(t, p.URL())
		began := time.Now()
		fill(t, c, 0, 400)
		_, err := c.Tail(began, fast).Read(t.Context(), newHaul().take)
		wantTrimmed(t, err)
	})
	t.Run("between two reads", func(t *testing.T) {
		p := serve(t, local.Config{Retain: 1000, Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
		c := client(t, p.URL())
		tail, h := c.Tail(time.Now(), fast), newHaul()
		fill(t, c, 0, 5)
		if n := read(t, tail, h); n != 5 {
			t.Fatalf("%d entries, want 5", n)
		}
		fill(t, c, 5, 400)
		_, err := tail.Read(t.Context(), h.take)
		wantTrimmed(t, err)
	})
	t.Run("before the retention", func(t *testing.T) {
		p := serve(t, local.Config{})
		_, err := client(t, p.URL()).Tail(time.Now().Add(-25*time.Hour), fast).Read(t.Context(), newHaul().take)
		wantTrimmed(t, err) // the stream is younger, too
	})
	t.Run("older stream, older run", func(t *testing.T) {
		s := answers(t, canned(map[string]string{
			"DescribeStreamSummary": fmt.Sprintf(`{"StreamDescriptionSummary":{"StreamName":"events","RetentionPeriodHours":24,"StreamCreationTimestamp":%d}}`, time.Now().Add(-100*time.Hour).Unix()),
			"ListShards":            `{"Shards":[{"ShardId":"s"}]}`,
		}))
		_, err := client(t, s.URL).Tail(time.Now().Add(-25*time.Hour), fast).Read(t.Context(), newHaul().take)
		wantTrimmed(t, err)
	})
}

func wantTrimmed(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, stream.ErrTrimmed) {
		t.Errorf("%v, want ErrTrimmed", err)
		return
	}
	wantSentence(t, err, streamName)
}

// canned answers each operation with a text; an unknown one with an error.
func canned(by map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		text, ok := by[op]
		if !ok || strings.HasPrefix(text, "!") {
			w.WriteHeader(http.StatusBadRequest)
			text = fmt.Sprintf(`{"__type":%q,"message":"no"}`, strings.TrimPrefix(text, "!"))
		}
		_, _ = w.Write([]byte(text))
	}
}

// What no second call can mend ends the reading, with a sentence.
func TestTailErrors(t *testing.T) {
	tip := map[string]string{
		"DescribeStreamSummary": `{"StreamDescriptionSummary":{"StreamName":"events"}}`, "ListShards": `{"Shards":[{"ShardId":"s"}]}`,
		"GetShardIterator": `{"ShardIterator":"x"}`, "GetRecords": `{"Records":[],"NextShardIterator":"y","MillisBehindLatest":0}`,
	}
	for name, x := range map[string]struct {
		op, answer string
		want       error
	}{
		"as it should be":  {"", "", nil},
		"a shard's end":    {"GetRecords", `{"Records":[]}`, nil},
		"tip is not told":  {"GetRecords", `{"Records":[],"NextShardIterator":"y"}`, nil},
		"no stream":        {"DescribeStreamSummary", "!ResourceNotFoundException", kinesis.ErrNoStream},
		"list not allowed": {"ListShards", "!AccessDeniedException", kinesis.ErrDenied},
		"read not allowed": {"GetRecords", "!AccessDeniedException", kinesis.ErrDenied},
		"key not allowed":  {"GetRecords", "!KMSAccessDeniedException", kinesis.ErrDenied},
		"bad credentials":  {"GetRecords", "!ExpiredTokenException", kinesis.ErrCredentials},
		"throttled":        {"GetRecords", "!ProvisionedThroughputExceededException", kinesis.ErrInvalid},
		"broken answer":    {"GetRecords", `{"Records":`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			by := map[string]string{}
			for op, text := range tip {
				by[op] = text
			}
			if x.op != "" {
				by[x.op] = x.answer
			}
			cfg := config(answers(t, canned(by)).URL)
			cfg.Credentials = credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")
			_, err := clientOf(t, cfg).Tail(time.Now(), kinesis.TailOptions{Share: math.Inf(1), Patience: 300 * time.Millisecond}).Read(t.Context(), newHaul().take)
			if name == "broken answer" {
				wantSentence(t, err, "")
				return
			}
			if !errors.Is(err, x.want) {
				t.Errorf("%v, want %v", err, x.want)
			}
			if x.want != nil {
				wantSentence(t, err, "")
			}
		})
	}
}

// A shard that gives nothing but errors ends the reading also where that is cut
// into many Reads.
func TestTailLosesItsPatienceOverManyReads(t *testing.T) {
	tail := client(t, answers(t, canned(map[string]string{
		"DescribeStreamSummary": `{"StreamDescriptionSummary":{"StreamName":"events"}}`, "ListShards": `{"Shards":[{"ShardId":"s"}]}`,
		"GetShardIterator": `{"ShardIterator":"x"}`, "GetRecords": "!ProvisionedThroughputExceededException",
	})).URL).Tail(time.Now(), kinesis.TailOptions{Share: math.Inf(1), Patience: 300 * time.Millisecond})
	for range 20 {
		ctx, stop := context.WithTimeout(t.Context(), 350*time.Millisecond)
		_, err := tail.Read(ctx, newHaul().take)
		stop()
		if !errors.Is(err, context.DeadlineExceeded) {
			wantSentence(t, err, streamName)
			return
		}
	}
	t.Error("it goes on for ever")
}

// An error of who takes the entries ends the reading; so does the end of its context, at whatever wait.
func TestTailEnds(t *testing.T) {
	p := serve(t, local.Config{})
	c := client(t, p.URL())
	fill(t, c, 0, 100)
	full := errors.New("disk full")
	if _, err := c.Tail(time.Now(), fast).Read(t.Context(), func(stream.Entry) error { return full }); !errors.Is(err, full) {
		t.Errorf("%v, want %v", err, full)
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := c.Tail(time.Now(), kinesis.TailOptions{Share: 1e-6}).Read(ctx, func(stream.Entry) error { cancel(stopped); return nil })
	if err == nil {
		_, err = c.Tail(time.Now(), fast).Read(ctx, func(stream.Entry) error { return nil })
	}
	if err == nil {
		t.Error("a cancelled Read succeeds")
	}
}

// A stream that is written to all the time is read to where it was when Read began.
func TestTailOfABusyStreamEnds(t *testing.T) {
	reads := 0
	s := answers(t, func(w http.ResponseWriter, r *http.Request) {
		reads++
		canned(map[string]string{
			"DescribeStreamSummary": `{"StreamDescriptionSummary":{"StreamName":"events"}}`, "ListShards": `{"Shards":[{"ShardId":"s"}]}`, "GetShardIterator": `{"ShardIterator":"x"}`,
			"GetRecords": fmt.Sprintf(`{"Records":[{"Data":"eA==","PartitionKey":"k","SequenceNumber":"%09d","ApproximateArrivalTimestamp":%d}],"NextShardIterator":"y","MillisBehindLatest":200}`, reads, time.Now().Unix()),
		})(w, r)
	})
	began, h := time.Now(), newHaul()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := client(t, s.URL).Tail(began, kinesis.TailOptions{Share: 1}).Read(ctx, h.take)
	if took := time.Since(began); err != nil || took < 1200*time.Millisecond {
		t.Errorf("%v after %v; want the tip of the beginning after 1.2 s", err, took)
	}
}

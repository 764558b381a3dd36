package local_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/local"
)

// readBack counts the texts that a stream holds.
func readBack(t *testing.T, p *local.Pipeline, c *kinesis.Client) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for _, n := range p.Counts() {
		it := iterator(t, c, n.ID, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
		if err != nil || *out.MillisBehindLatest != 0 {
			t.Fatal(err)
		}
		for _, r := range out.Records {
			seen[string(r.Data)]++
		}
	}
	return seen
}

func iterator(t *testing.T, c *kinesis.Client, shard string, in kinesis.GetShardIteratorInput) *string {
	t.Helper()
	in.StreamName, in.ShardId = aws.String(streamName), &shard
	out, err := c.GetShardIterator(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return out.ShardIterator
}

// A fault at the stream is acked like any other entry; what the stream holds,
// and what is delivered from it, is what was planted. Entries whose call is
// lost pass their turn on, so that a resend does not undo it.
func TestStreamFaultsHappenBehindAnAck(t *testing.T) {
	for _, every := range []int{0, 2} {
		lake := t.TempDir()
		p := start(t, local.Config{Lake: lake, Faults: local.Faults{Seed: 7, Of: 600, StreamDrop: 5, StreamDuplicate: 4, StreamCorrupt: 3, LostEvery: every}})
		c := client(t, p, "AKID")
		put(t, c, 0, 600)
		seen, want, kinds := readBack(t, p, c), map[string]int{}, map[string]int{}
		for i := range 600 {
			want[text(i)] = 1
		}
		for _, f := range p.Planted() {
			switch kinds[f.Kind]++; f.Kind {
			case local.StreamDropped:
				want[string(f.Data)]--
				if f.Seq != "" {
					t.Errorf("%s has the number %s", f.Kind, f.Seq)
				}
			case local.StreamDuplicated:
				want[string(f.Data)]++
			case local.StreamCorrupted:
				want[string(f.Data)]--
			case local.AnswerLost:
			default:
				t.Errorf("planted %s", f.Kind)
			}
		}
		if every == 0 && (kinds[local.StreamDropped] != 5 || kinds[local.StreamDuplicated] != 4 || kinds[local.StreamCorrupted] != 3) {
			t.Errorf("planted %v, want 5 drops, 4 duplicates, 3 corruptions", kinds)
		}
		strange := 0
		for s, n := range seen {
			if w, ok := want[s]; !ok {
				strange++
			} else if n != w {
				t.Errorf("lost every %d: %s: %d times in the stream, want %d", every, s, n, w)
			}
		}
		for s, w := range want {
			if w > 0 && seen[s] == 0 {
				t.Errorf("lost every %d: %s is not in the stream", every, s)
			}
		}
		flush(t, p)
		if delivered := len(names(t, lake)); strange != kinds[local.StreamCorrupted] || delivered == 0 {
			t.Errorf("lost every %d: %d other texts, want %d; %d objects", every, strange, kinds[local.StreamCorrupted], delivered)
		}
	}
}

// What is forgotten is told apart from what never was; who begins at the horizon is not told.
func TestForgottenRecordsAreRefused(t *testing.T) {
	p := start(t, local.Config{Retain: 1000, Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
	c := client(t, p, "AKID")
	const shard = "shardId-000000000000"
	began := time.Now().Add(-time.Minute)
	early := iterator(t, c, shard, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest})
	put(t, c, 0, 5)
	since := kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &began}
	read := func(it *string) (int, string) {
		out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
		if err != nil {
			return 0, code(err)
		}
		return len(out.Records), ""
	}
	if n, refused := read(iterator(t, c, shard, since)); n != 5 || refused != "" {
		t.Errorf("%d records, %q; want 5", n, refused)
	}
	put(t, c, 5, 200)
	for what, it := range map[string]*string{"by time": iterator(t, c, shard, since), "by an old iterator": early} {
		if n, refused := read(it); refused != "TrimmedDataAccessException" {
			t.Errorf("%s: %d records, %q; want TrimmedDataAccessException", what, n, refused)
		}
	}
	if n, refused := read(iterator(t, c, shard, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})); refused != "" {
		t.Errorf("at the horizon: %d records, %q", n, refused)
	}
}

// With limits a shard gives five answers a second and 2 MiB; a large answer is paid off first.
func TestReadsAreLimited(t *testing.T) {
	p := start(t, local.Config{Limits: true, ShardBytes: 100 << 20, Streams: []local.StreamSpec{{Name: streamName, Shards: 1, MaxRecordKiB: 4096}}})
	c := client(t, p, "AKID")
	const shard = "shardId-000000000000"
	last := iterator(t, c, shard, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest})
	begin := time.Now()
	refused := 0
	for range 20 {
		if _, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: last}); code(err) == "ProvisionedThroughputExceededException" {
			refused++
		}
	}
	most := 5 + int(time.Since(begin).Seconds()*5) + 1
	if 20-refused > most || refused == 20 {
		t.Errorf("%d of 20 calls at once were answered, want 5 to %d", 20-refused, most)
	}
}

// Reads fail as planted, and then no more.
func TestPlantedReadFaults(t *testing.T) {
	f, err := local.ParseFaults("refuse-read=ExpiredIteratorException:2@1,refuse-read=InternalFailure:1")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, local.Config{Faults: f})
	c := client(t, p, "AKID")
	it := iterator(t, c, "shardId-000000000000", kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest})
	for i, want := range []string{"", "ExpiredIteratorException", "ExpiredIteratorException", "InternalFailure", ""} {
		_, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
		if got := code(err); err != nil && got != want || err == nil && want != "" {
			t.Errorf("read %d: %q, want %q", i, got, want)
		}
	}
	if _, err := local.ParseFaults("refuse-read=:1"); err == nil {
		t.Error("a refusal without a code is taken")
	}
}

// An iterator lives as long as said.
func TestIteratorsGetOld(t *testing.T) {
	p := start(t, local.Config{IteratorLife: time.Nanosecond})
	c := client(t, p, "AKID")
	it := iterator(t, c, "shardId-000000000000", kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest})
	if _, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it}); code(err) != "ExpiredIteratorException" {
		t.Errorf("%v, want ExpiredIteratorException", err)
	}
}

package local_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"kreplay/pkg/local"
)

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

// Each limit holds to the byte, and a refused call stores nothing.
func TestLimitsAreRefused(t *testing.T) {
	p := start(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 1}, {Name: "large", Shards: 1, MaxRecordKiB: 10240}}})
	c := client(t, p, "AKID")
	one := func(data, key int) []types.PutRecordsRequestEntry {
		return []types.PutRecordsRequestEntry{{Data: make([]byte, data), PartitionKey: aws.String(strings.Repeat("é", key))}}
	}
	many := func(n, data int) (all []types.PutRecordsRequestEntry) {
		for range n {
			all = append(all, one(data, 1)...)
		}
		return all
	}
	for _, x := range []struct {
		name, stream string
		recs         []types.PutRecordsRequestEntry
		want         string // "": accepted
	}{
		{"500 records", streamName, many(500, 1), ""},
		{"501 records", streamName, many(501, 1), "ValidationException"},
		{"no record", streamName, []types.PutRecordsRequestEntry{}, "ValidationException"},
		{"empty data", streamName, one(0, 1), ""},
		{"empty key", streamName, one(1, 0), "ValidationException"},
		{"key of 256 characters", streamName, one(1, 256), ""},
		{"key of 257 characters", streamName, one(1, 257), "ValidationException"},
		{"1 MiB with key", streamName, one(1<<20-2, 1), ""},
		{"1 MiB and a byte", streamName, one(1<<20-1, 1), "ValidationException"},
		{"10 MiB request", "large", many(10, 1<<20-2), ""},
		{"10 MiB record", "large", one(10<<20-2, 1), ""},
		{"10 MiB request and a byte", "large", append(many(10, 1<<20-2), types.PutRecordsRequestEntry{Data: []byte{}, PartitionKey: aws.String("k")}), "InvalidArgumentException"},
		{"unknown stream", "nowhere", many(1, 1), "ResourceNotFoundException"},
	} {
		before := p.Counts()
		_, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(x.stream), Records: x.recs})
		if x.want == "" && err != nil || x.want != "" && code(err) != x.want {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
		if x.want != "" && fmt.Sprint(before) != fmt.Sprint(p.Counts()) {
			t.Errorf("%s: something was stored", x.name)
		}
	}
	_, err := c.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String(streamName), Data: []byte("x"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("12345678901234567890123456789012345678901")})
	if code(err) != "InvalidArgumentException" {
		t.Errorf("explicit hash key: %v", err)
	}
}

// A stream is made, described, tagged, listed and deleted as the SDK expects.
func TestStreamLife(t *testing.T) {
	p := start(t, local.Config{})
	c, ctx := client(t, p, "AKID"), t.Context()
	name := aws.String("made")
	create := &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(3), MaxRecordSizeInKiB: aws.Int32(2048), Tags: map[string]string{"a": "1"}}
	if _, err := c.CreateStream(ctx, create); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateStream(ctx, create); code(err) != "ResourceInUseException" {
		t.Errorf("second CreateStream: %v", err)
	}
	sum, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name})
	if err != nil {
		t.Fatal(err)
	}
	d := sum.StreamDescriptionSummary
	if *d.StreamARN != "arn:aws:kinesis:eu-west-1:000000000000:stream/made" || *d.OpenShardCount != 3 ||
		aws.ToInt32(d.MaxRecordSizeInKiB) != 2048 || d.StreamStatus != types.StreamStatusActive || time.Since(*d.StreamCreationTimestamp).Abs() > time.Minute {
		t.Errorf("summary: %+v", d)
	}
	full, err := c.DescribeStream(ctx, &kinesis.DescribeStreamInput{StreamARN: d.StreamARN, Limit: aws.Int32(2)}, func(o *kinesis.Options) { o.BaseEndpoint = aws.String(p.URL()) })
	if err != nil || len(full.StreamDescription.Shards) != 2 || !*full.StreamDescription.HasMoreShards {
		t.Errorf("DescribeStream: %+v, %v", full, err)
	}
	if _, err := c.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{StreamName: name, Tags: map[string]string{"b": "2", "c": "3"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RemoveTagsFromStream(ctx, &kinesis.RemoveTagsFromStreamInput{StreamName: name, TagKeys: []string{"b"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := c.ListTagsForStream(ctx, &kinesis.ListTagsForStreamInput{StreamName: name})
	if err != nil || len(tags.Tags) != 2 || *tags.Tags[1].Key != "c" || *tags.HasMoreTags {
		t.Errorf("tags: %+v, %v", tags, err)
	}
	list, err := c.ListStreams(ctx, &kinesis.ListStreamsInput{Limit: aws.Int32(1)})
	if err != nil || list.StreamNames[0] != streamName || !*list.HasMoreStreams {
		t.Errorf("ListStreams: %+v, %v", list, err)
	}
	if _, err := c.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: name}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name}); code(err) != "ResourceNotFoundException" {
		t.Errorf("after DeleteStream: %v", err)
	}
}

// A reader gets every record of every shard, in the order of sequence numbers, from wherever it starts.
func TestGetRecordsSeesWhatWasPutInOrder(t *testing.T) {
	p := start(t, local.Config{})
	c, ctx := client(t, p, "AKID"), t.Context()
	put(t, c, 0, 300)
	seen := map[string]int{}
	for _, n := range p.Counts() {
		id := n.ID
		iter := func(in kinesis.GetShardIteratorInput) *string {
			in.StreamName, in.ShardId = aws.String(streamName), &id
			out, err := c.GetShardIterator(ctx, &in)
			if err != nil {
				t.Fatal(err)
			}
			return out.ShardIterator
		}
		get := func(it *string, limit int32) *kinesis.GetRecordsOutput {
			out, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: &limit})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		var seqs []string
		it := iter(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		for {
			out := get(it, 40)
			if len(out.Records) > 40 {
				t.Errorf("%s: %d records, asked for 40", id, len(out.Records))
			}
			for _, r := range out.Records {
				seen[string(r.Data)]++
				if len(seqs) > 0 && *r.SequenceNumber <= seqs[len(seqs)-1] {
					t.Errorf("%s: %s after %s", id, *r.SequenceNumber, seqs[len(seqs)-1])
				}
				seqs = append(seqs, *r.SequenceNumber)
				if time.Since(*r.ApproximateArrivalTimestamp).Abs() > time.Minute {
					t.Errorf("arrival %v", r.ApproximateArrivalTimestamp)
				}
			}
			if it = out.NextShardIterator; *out.MillisBehindLatest == 0 {
				break
			}
		}
		if int64(len(seqs)) != n.Records {
			t.Fatalf("%s: read %d of %d", id, len(seqs), n.Records)
		}
		for _, x := range []struct {
			in   kinesis.GetShardIteratorInput
			want int
		}{
			{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest}, 0},
			{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &seqs[10]}, len(seqs) - 10},
			{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: &seqs[10]}, len(seqs) - 11},
			{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now().Add(-time.Hour))}, len(seqs)},
			{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now().Add(time.Hour))}, 0},
		} {
			if got := len(get(iter(x.in), 10_000).Records); got != x.want {
				t.Errorf("%s %s: %d records, want %d", id, x.in.ShardIteratorType, got, x.want)
			}
		}
	}
	if len(seen) != 300 {
		t.Errorf("%d different records read, want 300", len(seen))
	}
}

// Retention forgets delivered records, oldest first, and no other.
func TestRetentionKeepsWhatIsUndelivered(t *testing.T) {
	p := start(t, local.Config{Retain: 1000, Lake: t.TempDir(), Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
	c, ctx := client(t, p, "AKID"), t.Context()
	read := func() int {
		it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String(streamName), ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Records)
	}
	put(t, c, 0, 200)
	if n := read(); n != 200 {
		t.Errorf("%d records before delivery, want 200", n)
	}
	flush(t, p)
	put(t, c, 200, 201)
	if n := read(); n > 1 {
		t.Errorf("%d records after delivery, want 1", n)
	}
}

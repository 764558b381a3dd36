package local_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/local"
)

var keyForm = regexp.MustCompile(`^raw\d{4}/\d\d/\d\d/\d\d/events-1-\d{4}(-\d\d){5}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.gz)?$`)

// What was put is delivered once, whatever the compression, by several clients at a time.
func TestEveryPutRecordIsDeliveredOnce(t *testing.T) {
	for _, gz := range []bool{false, true} {
		t.Run(fmt.Sprint("gzip ", gz), func(t *testing.T) {
			dir := t.TempDir()
			p := start(t, local.Config{Lake: dir, Prefix: "raw", BufferBytes: 10_000, Compression: map[bool]string{true: "gzip"}[gz], Delimiter: "\n"})
			c := client(t, p, "AKID")
			var wg sync.WaitGroup
			for w := range 4 {
				wg.Go(func() { put(t, c, w*500, w*500+500) })
			}
			wg.Wait()
			flush(t, p)
			objects := lake(t, dir)
			got := rows(objects)
			for i := range 2000 {
				if got[text(i)] != 1 {
					t.Fatalf("record %d delivered %d times", i, got[text(i)])
				}
			}
			if len(got) != 2000 || len(objects) < 5 {
				t.Errorf("%d rows in %d objects, want 2000 in 5 or more", len(got), len(objects))
			}
			for k := range objects {
				if !keyForm.MatchString(k) || strings.HasSuffix(k, ".gz") != gz {
					t.Errorf("key %q is not Firehose's", k)
				}
			}
		})
	}
}

// Close delivers what was acked, without a Flush, also of a stream made and deleted on the way.
func TestCloseAndDeleteDeliver(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, Streams: []local.StreamSpec{}, Delimiter: "\n"})
	c := client(t, p, "AKID")
	name := aws.String(streamName)
	if _, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
	put(t, c, 0, 10)
	if _, err := c.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: name}); err != nil {
		t.Fatal(err)
	}
	if n := len(rows(lake(t, dir))); n != 10 {
		t.Errorf("%d rows after DeleteStream, want 10", n)
	}
	if put(t, c, 10, 20) != 1 {
		t.Error("a deleted stream takes records")
	}
	if _, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
	put(t, c, 20, 30)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(rows(lake(t, dir))); n != 20 {
		t.Errorf("%d rows after Close, want 20", n)
	}
}

// A shard refuses what is above its limit, entry by entry, and counts it.
func TestThrottleAtLimit(t *testing.T) {
	p := start(t, local.Config{Limits: true, ShardRecords: 10, Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
	c := client(t, p, "AKID")
	out, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: entries(0, 25)})
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for i, r := range out.Records {
		switch {
		case r.ErrorCode == nil && i < 10:
		case aws.ToString(r.ErrorCode) == "ProvisionedThroughputExceededException" && i >= 10 &&
			*r.ErrorMessage == "Rate exceeded for shard shardId-000000000000 in stream events under account 000000000000.":
			failed++
		default:
			t.Errorf("entry %d: %+v", i, r)
		}
	}
	if failed != 15 || aws.ToInt32(out.FailedRecordCount) != 15 {
		t.Errorf("%d refused, FailedRecordCount %d, want 15", failed, aws.ToInt32(out.FailedRecordCount))
	}
	if n := p.Counts()[0]; n.Records != 10 || n.Throttled != 15 {
		t.Errorf("counts %+v, want 10 records, 15 throttled", n)
	}
	// bytes: a full bucket lets one record pass that is above it, and then none
	q := start(t, local.Config{Limits: true, ShardBytes: 100, Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
	big := types.PutRecordsRequestEntry{Data: make([]byte, 5000), PartitionKey: aws.String("k")}
	out, err = client(t, q, "AKID").PutRecords(t.Context(), &kinesis.PutRecordsInput{
		StreamName: aws.String(streamName), Records: []types.PutRecordsRequestEntry{big, big},
	})
	if err != nil || out.Records[0].ErrorCode != nil || out.Records[1].ErrorCode == nil {
		t.Errorf("large records: %+v, %v", out, err)
	}
}

// Ranges of n shards meet without gap or overlap and cover all hash keys.
func TestRoutingCoversTheRange(t *testing.T) {
	const top = "340282366920938463463374607431768211455"
	for _, n := range []int{1, 2, 3, 4, 7, 100, 1000} {
		p := start(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: n}}})
		c := client(t, p, "AKID")
		var shards []types.Shard
		in := &kinesis.ListShardsInput{StreamName: aws.String(streamName), MaxResults: aws.Int32(37)}
		for {
			out, err := c.ListShards(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			shards = append(shards, out.Shards...)
			if out.NextToken == nil {
				break
			}
			in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(37)}
		}
		if len(shards) != n || *shards[0].HashKeyRange.StartingHashKey != "0" || *shards[n-1].HashKeyRange.EndingHashKey != top {
			t.Fatalf("%d shards listed of %d, from %s to %s", len(shards), n, *shards[0].HashKeyRange.StartingHashKey, *shards[n-1].HashKeyRange.EndingHashKey)
		}
		for i, s := range shards {
			if a, b := local.Route(n, *s.HashKeyRange.StartingHashKey), local.Route(n, *s.HashKeyRange.EndingHashKey); a != i || b != i {
				t.Errorf("ends of shard %d of %d go to %d and %d", i, n, a, b)
			}
		}
	}
	for _, bad := range []string{"", "-1", "01", "340282366920938463463374607431768211456", "999999999999999999999999999999999999999", "1e3"} {
		if local.Route(2, bad) != -1 {
			t.Errorf("hash key %q accepted", bad)
		}
	}
}

// MD5 of the key, read big endian, chooses the shard; an explicit hash key overrides it.
func TestPartitionKeysGoWhereKinesisPutsThem(t *testing.T) {
	p := start(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 4}}})
	c := client(t, p, "AKID")
	for _, x := range []struct {
		key, explicit string
		shard         int
	}{ // md5: a=0cc1… b=92eb… c=4a8a… hello=5d41… é=1cb6…
		{"a", "", 0}, {"b", "", 2}, {"c", "", 1}, {"hello", "", 1},
		{"a", "340282366920938463463374607431768211455", 3}, {"b", "0", 0},
	} {
		in := &kinesis.PutRecordInput{StreamARN: aws.String("arn:aws:kinesis:eu-west-1:000000000000:stream/events"), Data: []byte("x"), PartitionKey: &x.key}
		if x.explicit != "" {
			in.ExplicitHashKey = &x.explicit
		}
		out, err := c.PutRecord(t.Context(), in, func(o *kinesis.Options) { o.BaseEndpoint = aws.String(p.URL()) })
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("shardId-%012d", x.shard); *out.ShardId != want {
			t.Errorf("key %q, explicit %q: %s, want %s", x.key, x.explicit, *out.ShardId, want)
		}
	}
}

// A signature by another access key is refused, and nothing is stored.
func TestWrongAccessKey(t *testing.T) {
	p := start(t, local.Config{AccessKey: "AKGOOD"})
	if put(t, client(t, p, "AKGOOD"), 0, 10) != 0 {
		t.Error("the right key is refused")
	}
	_, err := client(t, p, "AKBAD").ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	if err == nil || !strings.Contains(err.Error(), "UnrecognizedClientException") {
		t.Errorf("wrong key: %v", err)
	}
	if put(t, client(t, p, "AKBAD"), 10, 20) != 1 {
		t.Error("a wrong key puts")
	}
}

// A client that goes away in the middle of a body leaves the server as it was.
func TestAbortedRequestHurtsNobody(t *testing.T) {
	p := start(t, local.Config{})
	for range 20 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Kinesis_20131202.PutRecords\r\nContent-Length: 1000\r\n\r\n{\"Records\":[{")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if put(t, client(t, p, "AKID"), 0, 100) != 0 {
		t.Error("puts fail after aborted requests")
	}
	for body, want := range map[string]string{
		`{"Records":[`: "SerializationException", `{}`: "InvalidArgumentException", `{"StreamName":"none","Records":[]}`: "ResourceNotFoundException",
		`{"StreamName":"events","Records":[{"Data":"!","PartitionKey":"k"}]}`: "SerializationException",
		`{"StreamName":"events","Records":[{"PartitionKey":"k"}]}`:            "ValidationException",
		`{"StreamName":"events","Records":[{"Data":"YQ=="}]}`:                 "ValidationException",
	} {
		if got := post(t, p, body); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

func post(t testing.TB, p *local.Pipeline, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecords")
	r.Close = true
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

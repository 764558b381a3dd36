package kinesis_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

// The map foretells the shard that answers, whatever the key.
func TestMapForetellsTheShard(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, shards := range []int{1, 2, 3, 7, 64, 1200} { // 1200: more than a page
		p := serve(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: shards}}})
		c := client(t, p.URL())
		list, err := c.Shards(t.Context())
		if err != nil || len(list) != shards {
			t.Fatalf("%d shards, %v, want %d", len(list), err, shards)
		}
		m, err := stream.NewMap(list)
		if err != nil {
			t.Fatal(err)
		}
		recs := make([]record.Record, 500)
		for i := range recs {
			recs[i] = record.Record{ID: record.ID{Event: uint32(i)}, PartitionKey: fmt.Sprintf("user-%d", r.Uint32()), Data: []byte("{}")}
			edge := m.Shard(r.IntN(shards))
			switch i % 5 {
			case 1:
				recs[i].ExplicitHashKey = stream.HashKey{Hi: r.Uint64(), Lo: r.Uint64()}.String()
			case 2:
				recs[i].ExplicitHashKey = edge.First.String()
			case 3:
				recs[i].ExplicitHashKey = edge.Last.String()
			case 4:
				recs[i].PartitionKey += string([]byte{byte(r.IntN(256)), byte(r.IntN(256)), 0xff}) + "é\u2028<\x00\x7f"
			}
		}
		out, err := c.Put(t.Context(), recs)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out {
			at, err := m.Route(&recs[i])
			if err != nil || o.Fate != record.Acked || m.Shard(at).ID != o.Shard {
				t.Fatalf("%d shards, %q %q: foretold %s, %v; got %+v", shards, recs[i].PartitionKey, recs[i].ExplicitHashKey, m.Shard(at).ID, err, o)
			}
		}
	}
}

// bodies serves the answers of an operation in turn and keeps what was asked.
func bodies(t *testing.T, texts ...string) (url string, asked *[]map[string]any) {
	t.Helper()
	asked = new([]map[string]any)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		*asked = append(*asked, in)
		_, _ = io.WriteString(w, texts[min(len(*asked), len(texts))-1])
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func shardText(id, first, last, more string) string {
	return fmt.Sprintf(`{"ShardId":%q,"HashKeyRange":{"StartingHashKey":%q,"EndingHashKey":%q}%s}`, id, first, last, more)
}

// The first page names the stream and asks for open shards; a further one may
// name nothing but its token. A closed shard is none.
func TestShardsReadsAllPages(t *testing.T) {
	url, asked := bodies(t,
		`{"Shards":[`+shardText("a", "0", "9", `,"SequenceNumberRange":{"StartingSequenceNumber":"1"}`)+`],"NextToken":"more"}`,
		`{"Shards":[`+shardText("old", "0", "99", `,"SequenceNumberRange":{"StartingSequenceNumber":"1","EndingSequenceNumber":"2"}`)+`],"NextToken":"most"}`,
		`{"Shards":[`+shardText("b", "10", "340282366920938463463374607431768211455", "")+`]}`)
	got, err := client(t, url).Shards(t.Context())
	want := []stream.Shard{{ID: "a", Last: stream.HashKey{Lo: 9}}, {ID: "b", First: stream.HashKey{Lo: 10}, Last: stream.MaxHashKey}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, shards (-want +got):\n%s", err, diff)
	}
	wantAsked := []map[string]any{
		{"StreamName": streamName, "ShardFilter": map[string]any{"Type": "AT_LATEST"}},
		{"NextToken": "more"}, {"NextToken": "most"},
	}
	if diff := cmp.Diff(wantAsked, *asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestShardsOfSomethingElse(t *testing.T) {
	for _, text := range []string{
		`{"Shards":[{"ShardId":"a"}]}`,
		`{"Shards":[` + shardText("a", "x", "9", "") + `]}`,
		`{"Shards":[` + shardText("a", "0", "-9", "") + `]}`,
		"<html>\n",
	} {
		url, _ := bodies(t, text)
		_, err := client(t, url).Shards(t.Context())
		wantSentence(t, err, url)
	}
}

func TestDescribeReadsModes(t *testing.T) {
	url, _ := bodies(t, `{"StreamDescriptionSummary":{"StreamName":"events","StreamStatus":"UPDATING","OpenShardCount":8,
		"StreamModeDetails":{"StreamMode":"ON_DEMAND"},"EncryptionType":"KMS","MaxRecordSizeInKiB":10240,
		"RecordDistributionStrategy":"AUTO","WarmThroughput":{"CurrentMiBps":50,"TargetMiBps":100}}}`, `{"Tags":[]}`)
	got, err := client(t, url).Describe(t.Context())
	want := kinesis.Info{Name: "events", Status: "UPDATING", Mode: "ON_DEMAND", Distribution: "AUTO", Encryption: "KMS",
		OpenShards: 8, MaxRecordBytes: 10 << 20, WarmMiBps: 50, WarmTargetMiBps: 100, Tags: map[string]string{}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || !got.Auto() {
		t.Errorf("%v, describe (-want +got):\n%s", err, diff)
	}
}

// What only reads is asked again when it is throttled.
func TestReadsOutlastThrottles(t *testing.T) {
	c := script(t, map[string][]string{
		"ListShards": {`{"__type":"LimitExceededException","message":"slow down"}`, `{"Shards":[` + shardText("a", "0", "9", "") + `]}`},
	})
	if got, err := c.Shards(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v, want a shard", got, err)
	}
}

// A stream that is deleted while records go into it ends the run.
func TestDeletedStreamIsFatal(t *testing.T) {
	p := serve(t, local.Config{})
	c := client(t, p.URL())
	_ = wantAll(t, c, record.Acked, "", false)
	name := streamName
	if _, err := sdk.NewFromConfig(config(p.URL())).DeleteStream(t.Context(), &sdk.DeleteStreamInput{StreamName: &name}); err != nil {
		t.Fatal(err)
	}
	err := wantAll(t, c, record.Refused, "http-400", true)
	if !errors.Is(err, kinesis.ErrNoStream) {
		t.Errorf("got %v, want ErrNoStream", err)
	}
	if _, err := c.Shards(t.Context()); !errors.Is(err, kinesis.ErrNoStream) {
		t.Errorf("shards: got %v, want ErrNoStream", err)
	}
}

// A batch over the service's limit, or over that of a proxy before it, is
// refused as too large and gets through in parts; a lone record does not.
func TestTooLargeRequestsAreSplit(t *testing.T) {
	p := serve(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 1, MaxRecordKiB: 10240}}})
	c := client(t, p.URL())
	recs := make([]record.Record, 7)
	for i := range recs {
		recs[i] = record.Record{ID: record.ID{Event: uint32(i)}, PartitionKey: "user", Data: bytes.Repeat([]byte("x"), 3<<20)}
	}
	out, err := c.Put(t.Context(), recs)
	if err != nil || out[0].Fate != record.Refused || out[0].Code != "too-large" || !errors.Is(out[0].Err, stream.ErrTooLarge) || stored(p) != 0 {
		t.Errorf("got %v, %+v, %d stored, want it refused as too large", err, out[0], stored(p))
	}
	for _, part := range [][]record.Record{recs[:3], recs[3:6], recs[6:]} {
		out, err = c.Put(t.Context(), part)
		if n := streamtest.Fates(out); err != nil || n[record.Acked] != len(part) {
			t.Errorf("%v, %v: want %d acked", err, n, len(part))
		}
	}
	if stored(p) != len(recs) {
		t.Errorf("%d stored, want %d", stored(p), len(recs))
	}
	proxy := answers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	out, err = client(t, proxy.URL).Put(t.Context(), recs[:1])
	if !errors.Is(err, kinesis.ErrInvalid) || out[0].Fate != record.Refused {
		t.Errorf("a lone record: got %v, %+v, want it fatal", err, out[0])
	}
}

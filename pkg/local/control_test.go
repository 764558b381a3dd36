package local_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"kreplay/pkg/local"
)

// Whatever a client sends, an operation answers, and with no fault of the server's.
func FuzzOperations(f *testing.F) {
	operations := []string{
		"SplitShard", "MergeShards", "UpdateShardCount", "UpdateStreamRecordDistributionStrategy", "ListShards",
		"GetShardIterator", "GetRecords", "DescribeStream", "DescribeStreamSummary", "CreateStream", "PutRecord",
	}
	token := base64.StdEncoding.EncodeToString([]byte(`{"Stream":"events","Shard":"shardId-000000000002","Made":9e17,"Filter":{"Type":"AT_TIMESTAMP"}}`))
	for i, body := range []string{
		`{"StreamName":"events","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"5"}`,
		`{"StreamName":"events","ShardToMerge":"shardId-000000000000","AdjacentShardToMerge":"shardId-000000000001"}`,
		`{"StreamName":"events","ScalingType":"UNIFORM_SCALING","TargetShardCount":4}`,
		`{"StreamARN":"arn:aws:kinesis:x:000000000000:stream/events","RecordDistributionStrategy":"AUTO"}`,
		`{"NextToken":"` + token + `"}`,
		`{"StreamName":"events","ShardId":"shardId-000000000001","ShardIteratorType":"AT_TIMESTAMP","Timestamp":-1e300}`,
		`{"ShardIterator":"` + token + `","Limit":1}`,
		`{"StreamName":"events","ExclusiveStartShardId":"shardId-000000000001"}`,
		`{"StreamName":"events"}`,
		`{"StreamName":"made","ShardCount":2,"StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`,
		`{"StreamName":"events","Data":"YQ==","PartitionKey":"k"}`,
		`{"StreamName":"events","ShardFilter":{"Type":"AFTER_SHARD_ID","ShardId":"shardId-000000000001"}}`,
	} {
		f.Add(i%len(operations), body)
	}
	p := start(f, local.Config{})
	tr := &http.Transport{}
	f.Cleanup(tr.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, operation int, body string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		name := operations[(operation%len(operations)+len(operations))%len(operations)]
		r.Header.Set("X-Amz-Target", "Kinesis_20131202."+name)
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s %s: %v", name, body, err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode >= http.StatusInternalServerError {
			t.Errorf("%s %s: %s, %s, %v", name, body, resp.Status, answer, err)
		}
	})
}

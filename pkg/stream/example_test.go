package stream_test

import (
	"fmt"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// A map of two shards, and where three records go.
func ExampleNewMap() {
	half := stream.HashKey{Hi: 1 << 63}
	m, err := stream.NewMap([]stream.Shard{
		{ID: "shardId-000000000001", First: half, Last: stream.MaxHashKey},
		{ID: "shardId-000000000000", Last: stream.HashKey{Hi: half.Hi - 1, Lo: ^uint64(0)}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range []record.Record{
		{PartitionKey: "user-1"}, {PartitionKey: "user-2"}, {PartitionKey: "user-1", ExplicitHashKey: half.String()},
	} {
		i, err := m.Route(&r)
		fmt.Println(m.Shard(i).ID, err)
	}
	// Output:
	// shardId-000000000001 <nil>
	// shardId-000000000000 <nil>
	// shardId-000000000001 <nil>
}

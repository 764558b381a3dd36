package stream_test

import (
	"context"
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

// A Sink of one's own counts what goes into another. Push and the tests take any.
func ExampleSink() {
	var sink stream.Sink = &counted{Sink: new(memory)}
	out, err := sink.Put(context.Background(), []record.Record{{PartitionKey: "user-1"}, {PartitionKey: "user-2"}, {PartitionKey: "user-3"}})
	for _, o := range out {
		fmt.Println(o.Fate)
	}
	fmt.Println(err)
	// Output:
	// 3 records
	// acked
	// acked
	// refused
	// <nil>
}

type counted struct{ stream.Sink }

func (c *counted) Put(ctx context.Context, recs []record.Record) ([]record.Outcome, error) {
	fmt.Println(len(recs), "records")
	return c.Sink.Put(ctx, recs)
}

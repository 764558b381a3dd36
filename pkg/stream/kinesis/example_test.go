package kinesis_test

import (
	"context"
	"fmt"
	"net"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream/kinesis"
)

// Two records go into a stream of the embedded pipeline. On AWS the
// configuration comes from config.LoadDefaultConfig.
func Example() {
	ctx := context.Background()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := local.Start(ctx, ln, local.Config{Streams: []local.StreamSpec{{Name: "actions", Shards: 1}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Close() }()

	c := kinesis.New(aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(p.URL()),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}, "actions", kinesis.Options{Requests: 4})
	defer c.Close()
	recs := []record.Record{
		{PartitionKey: "user-1", Data: []byte(`{"action":"login"}`)},
		{PartitionKey: "user-2", Data: []byte(`{"action":"login"}`)},
	}
	outcomes, err := c.Put(ctx, recs)
	for _, o := range outcomes {
		fmt.Println(o.Fate, o.Shard)
	}
	fmt.Println(err)
	// Output:
	// acked shardId-000000000000
	// acked shardId-000000000000
	// <nil>
}

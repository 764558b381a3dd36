package replay_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"kreplay/pkg/local"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
	"kreplay/scenarios"
)

// A shipped scenario goes into a stream of the embedded pipeline. Against AWS
// the configuration comes from config.LoadDefaultConfig, and Target.Shards is
// the client's Shards, so that each shard is sent no more than it takes.
func ExamplePush() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kreplay")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	pipe, err := local.Start(ctx, ln, local.Config{Streams: []local.StreamSpec{{Name: "actions", Shards: 2}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = pipe.Close() }()

	job, err := replay.Check(scenarios.FS, "smoke", []string{"population.users=100"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := kinesis.New(sdkConfig(pipe.URL()), "actions", kinesis.Options{})
	defer client.Close()
	led, err := replay.Push(ctx, job, replay.PushConfig{
		Dir:    filepath.Join(dir, "run"),
		Target: replay.Target{Sink: client, Stream: "actions"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+v of %d\n", led.Totals(), led.Manifest.Planned)
	// Output: {Acked:4000 Refused:0 Unknown:0 Unsent:0} of 4000
}

package replay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
	"kreplay/scenarios"
)

// cutShort is a row without its end: all that it says of itself is there.
func cutShort(row string) string { return row[:len(row)-1] }

// TestMain is also the sender that TestKilledPushBalances and TestResumeAfterKills start and kill.
func TestMain(m *testing.M) {
	if len(os.Args) == 6 && (os.Args[1] == sender || os.Args[1] == resumer) {
		if err := send(context.Background(), os.Args[1] == resumer, [4]string(os.Args[2:])); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == server {
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const (
	sender     = "push" // first argument of the sender, before endpoint, run directory, lake and stream
	resumer    = "resume"
	server     = "serve" // likewise, before where the server's end comes from
	streamName = "s"
)

func send(ctx context.Context, resume bool, args [4]string) error {
	endpoint, run, lake, to := args[0], args[1], args[2], args[3]
	job, err := replay.Check(scenarios.FS, "smoke", []string{fmt.Sprintf("population.users=%d", killedUsers), "stream.limits.requests=4"})
	if err != nil {
		return err
	}
	client := kinesis.New(sdkConfig(endpoint), to, kinesis.Options{Requests: 4})
	defer client.Close()
	cfg := pushConfig(run, client, lake)
	cfg.Resume = resume
	if cfg.Target, err = aim(job, client, to); err != nil {
		return err
	}
	_, err = replay.Push(ctx, job, cfg)
	return err
}

// aim is the target of one stream, or of those of each log type.
func aim(job *replay.Job, client *kinesis.Client, name string) (to replay.Target, err error) {
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		return to, err
	}
	to = replay.Target{Sink: client, Stream: name}
	names, of, err := replay.Streams(plan, name)
	for l, i := range of {
		if to.LogTypes == nil {
			to.LogTypes = map[string]replay.Target{}
		}
		to.LogTypes[l] = replay.Target{Sink: client.Of(names[i]), Stream: names[i]}
	}
	return to, err
}

// smoke is the shipped scenario for so many users, 40 records each; set overrides its keys.
func smoke(t testing.TB, users int, set ...string) *replay.Job {
	t.Helper()
	job, err := replay.Check(scenarios.FS, "smoke", append(set, fmt.Sprintf("population.users=%d", users)))
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// start serves the pipeline until the test ends; wrap may stand in front of its listener.
func start(t testing.TB, cfg local.Config, wrap func(net.Listener) net.Listener) *local.Pipeline {
	t.Helper()
	if cfg.Streams == nil {
		cfg.Streams = []local.StreamSpec{{Name: streamName, Shards: 3}}
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		ln = wrap(ln)
	}
	pipe, err := local.Start(t.Context(), ln, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pipe.Close(); err != nil {
			t.Error(err)
		}
	})
	return pipe
}

func sdkConfig(url string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
}

func pushConfig(run string, sink stream.Sink, lake string) replay.PushConfig {
	return replay.PushConfig{Dir: run, Target: replay.Target{Sink: sink, Stream: streamName}, Stages: map[string]string{"raw": lake}}
}

// serve is the server's process; it ends with its standard input.
func serve(string) error {
	ctx := context.Background()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	pipe, err := local.Start(ctx, ln, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 4}}, Retain: 32 << 20})
	if err != nil {
		return err
	}
	if _, err := fmt.Println(pipe.URL()); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return pipe.Close()
}

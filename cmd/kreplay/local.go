package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kreplay/pkg/local"
)

// embeddedFlags shape the embedded pipeline.
type embeddedFlags struct {
	limits      string
	buffer      time.Duration
	size        int
	format      string
	names       string
	compression string
	delimiter   string
	faults      string

	flags *pflag.FlagSet // that set these
}

func (e *embeddedFlags) add(c *cobra.Command) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	e.flags = f
	f.StringVar(&e.limits, "limits", "off", "embedded pipeline: aws (1 MB/s and 1000 records/s a shard) or off")
	f.DurationVar(&e.buffer, "buffer", time.Second, "embedded pipeline: write an object after so long")
	f.IntVar(&e.size, "buffer-mib", 5, "embedded pipeline: write an object at so many MiB")
	f.StringVar(&e.format, "format", "json", "embedded pipeline: write json, csv (say format: csv of the stage) or parquet")
	f.StringVar(&e.names, "column-names", "", "embedded pipeline: lower, names of columns lose their case, or keep (default of parquet lower, as Firehose has it; of csv keep)")
	f.StringVar(&e.compression, "compression", "", "embedded pipeline: none, gzip, zstd, snappy or hadoop-snappy (default gzip; of parquet, snappy)")
	f.StringVar(&e.delimiter, "delimiter", "none", "embedded pipeline: newline behind each record, or none")
	f.StringVar(&e.faults, "faults", "", "embedded pipeline: plant faults, as in drop=7,duplicate=5,corrupt=3,reject=2,delay=4:30s,misplace=1,truncate=1,throttle=100,stream-drop=1,stream-duplicate=1,stream-corrupt=1,lost=2%,reset=1%,failure=0.1%,latency=5ms,refuse=KMSThrottlingException:3@10")
	c.Flags().AddFlagSet(f)
}

// unused refuses flags of an embedded pipeline that is not there.
func (e *embeddedFlags) unused() (err error) {
	e.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed && err == nil {
			err = usagef("--%s is for the embedded pipeline: add --local; kreplay local, to which a run may go, has its own", f.Name)
		}
	})
	return err
}

// keepAll is more bytes than a machine has memory.
const keepAll = 1 << 50

type embeddedTarget struct {
	listen, lake string
	prefix       string // below the lake; empty: as Firehose's own
	zone         *time.Location
	keys         map[string]string // of the prefix: their fields
	buckets      []string
	streams      []local.StreamSpec
	keep         bool   // all that was delivered, for the stage stream
	records      uint64 // expected in total: planted faults are spread over them
}

// quiet is how long nothing comes at most before something does: a buffer fills for
// its interval, and what is delayed on purpose comes so much after it.
func (e *embeddedFlags) quiet() (time.Duration, error) {
	faults, err := parseFaults(e.faults)
	if err != nil {
		return 0, err
	}
	return max(localQuiet, e.buffer+max(e.buffer, faults.DelayBy)), nil
}

func (e *embeddedFlags) start(ctx context.Context, to embeddedTarget) (*local.Pipeline, error) {
	faults, err := parseFaults(e.faults)
	if err != nil {
		return nil, err
	}
	if e.buffer <= 0 || e.size <= 0 {
		return nil, usagef("--buffer %v, --buffer-mib %d: an object is written after some time and at some size, so both are above 0", e.buffer, e.size)
	}
	faults.Of = int(min(to.records, math.MaxInt32))
	counted := faults.Drop + faults.Duplicate + faults.Corrupt + faults.Reject + faults.Delay + faults.Misplace + faults.Truncate + faults.Throttle +
		faults.StreamDrop + faults.StreamDuplicate + faults.StreamCorrupt
	if counted > 0 && to.records == 0 {
		return nil, usagef("--faults %s: faults that are counts are planted among the records that will come; say how many with --records N, as in --records 20000", e.faults)
	}
	cfg := local.Config{
		Streams: to.streams, Lake: to.lake, Prefix: to.prefix, TimeZone: to.zone, Keys: to.keys, Buckets: to.buckets, BufferInterval: e.buffer, BufferBytes: e.size << 20, Compression: e.compression, Faults: faults,
	}
	if err := e.written(&cfg); err != nil {
		return nil, err
	}
	if to.keep {
		cfg.Retain = keepAll
	}
	switch e.limits {
	case "aws":
		cfg.Limits = true
	case "off":
	default:
		return nil, usagef("--limits %q: want aws or off", e.limits)
	}
	switch e.delimiter {
	case "newline":
		cfg.Delimiter = "\n"
	case "none":
	default:
		return nil, usagef("--delimiter %q: want newline or none", e.delimiter)
	}
	l, err := listenLoopback(ctx, "--listen", to.listen)
	if err != nil {
		return nil, err
	}
	return local.Start(ctx, l, cfg)
}

// written says how objects are written.
func (e *embeddedFlags) written(cfg *local.Config) error {
	switch e.format {
	case "csv", "parquet":
		cfg.Format = e.format
	case "json":
	default:
		return usagef("--format %q: want json, csv or parquet", e.format)
	}
	switch e.names {
	case "":
	case local.LowerNames, local.KeepNames:
		if cfg.Names = e.names; e.format == "json" {
			return usagef("--column-names %s: json has no columns; add --format parquet or csv", e.names)
		}
	default:
		return usagef("--column-names %q: want lower or keep", e.names)
	}
	switch e.compression {
	case "":
		if e.format != "parquet" {
			cfg.Compression = "gzip"
		}
	case "none", "gzip", "zstd", "snappy":
	case "hadoop-snappy":
		if e.format == "parquet" {
			return usagef("--compression hadoop-snappy: Parquet has none, gzip, zstd and snappy")
		}
	default:
		return usagef("--compression %q: want none, gzip, zstd, snappy or hadoop-snappy", e.compression)
	}
	return nil
}

// parseFaults reads --faults.
func parseFaults(text string) (local.Faults, error) {
	f, err := local.ParseFaults(text)
	if err != nil {
		return f, usagef("--faults: %v", err)
	}
	f.Seed = 1
	return f, nil
}

func (a *app) localCommand() *cobra.Command {
	var emb embeddedFlags
	var listen, lake string
	var streams, buckets []string
	var records uint64
	c := &cobra.Command{
		Use: "local", Short: "Serve the embedded pipeline on loopback for other tools",
		Long: `Serve Kinesis and S3 on one loopback port and deliver what is put as Firehose would, until
it is interrupted. Buckets live in memory. Without --lake the objects come to s3://lake; a
folder is written to directly, and is not served as a bucket.`,
		Example: "  kreplay local --stream actions:4\n  kreplay local --stream actions:4 --lake ./lake\n  kreplay local --stream actions:4 --records 20000 --faults drop=7\n" +
			"  aws s3 ls s3://lake --recursive --endpoint-url http://127.0.0.1:4566",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			specs, err := parseStreams(streams)
			if err != nil {
				return err
			}
			pipe, err := emb.start(c.Context(), embeddedTarget{listen: listen, lake: lake, buckets: buckets, streams: specs, records: records})
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "Kinesis and S3 on %s\n", pipe.URL())
			<-c.Context().Done()
			return pipe.Close()
		},
	}
	emb.add(c)
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:4566", "loopback address to serve on")
	c.Flags().StringVar(&lake, "lake", "s3://lake", "where to deliver to: a folder, or s3://BUCKET/PREFIX in the S3 served here; empty: nothing is delivered")
	c.Flags().Uint64Var(&records, "records", 0, "with --faults: how many records will come; those that are counts, as in drop=7, are planted among so many")
	c.Flags().StringArrayVar(&buckets, "bucket", nil, "create a bucket, as NAME (repeatable)")
	c.Flags().StringArrayVar(&streams, "stream", nil, "create a stream, as NAME:SHARDS, with the tag "+allowTag+"=true (repeatable)")
	return c
}

func parseStreams(list []string) ([]local.StreamSpec, error) {
	var specs []local.StreamSpec
	for _, s := range list {
		name, shards, ok := strings.Cut(s, ":")
		n := 1
		if ok {
			var err error
			if n, err = strconv.Atoi(shards); err != nil || n < 1 {
				return nil, usagef("--stream %q: want NAME:SHARDS, as in actions:4", s)
			}
		}
		if name == "" {
			return nil, usagef("--stream %q: want NAME:SHARDS, as in actions:4", s)
		}
		specs = append(specs, local.StreamSpec{Name: name, Shards: n, Tags: map[string]string{allowTag: "true"}})
	}
	return specs, nil
}

package local

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
)

// Limits of Kinesis Data Streams, with their sources.
const (
	MaxRecords      = 500       // records a PutRecords call (API_PutRecords)
	MaxRequestBytes = 10 << 20  // data and partition keys of a PutRecords call (API_PutRecords)
	MaxKeyRunes     = 256       // Unicode characters of a partition key (PutRecordsRequestEntry)
	MinRecordKiB    = 1024      // default and least record limit of a stream (API_UpdateMaxRecordSize)
	MaxRecordKiB    = 10240     // greatest record limit of a stream (API_UpdateMaxRecordSize)
	MaxReadRecords  = 10_000    // records a GetRecords call (API_GetRecords)
	MaxReadBytes    = 10 << 20  // bytes a GetRecords call (API_GetRecords)
	ShardReads      = 5         // GetRecords calls a second and shard (API_GetRecords)
	ShardReadBytes  = 2 << 20   // bytes a second out of a shard, for all consumers together (API_GetRecords)
	ShardRecords    = 1000      // records a second into a shard (API_PutRecords)
	ShardBytes      = 1_000_000 // bytes a second into a shard; the docs mix MB and MiB, this is the lower
	onDemandShards  = 4         // of a new on-demand stream (service-sizes-and-limits)
	maxShards       = 20_000    // shards of a stream: the greatest default quota (service-sizes-and-limits)
	maxBody         = 20 << 20  // HTTP body: 10 MiB in base64, 500 keys in escapes, and room to say what is wrong
	minBacklog      = 256 << 20 // undelivered bytes from which on puts wait for the deliverer
	defaultRetain   = 256 << 20
	defaultBuffer   = 5 << 20           // Firehose SizeInMBs (BufferingHints)
	defaultInterval = 300 * time.Second // Firehose IntervalInSeconds (BufferingHints)
)

// StreamSpec is a stream that exists from the start.
type StreamSpec struct {
	Name         string // 1..128 of [a-zA-Z0-9_.-]
	Shards       int    // equal hash ranges; 0 with OnDemand: 4
	Tags         map[string]string
	MaxRecordKiB int // record limit, data and key; 0: 1024

	OnDemand   bool                        // clients cannot reshard it; its shards are limited all the same
	ShardLimit func(number int) ShardLimit // of each shard, by the number in its id; nil: the limits of Config
}

// Config says what to serve. The zero value serves no stream, delivers nothing and has no shard limit.
type Config struct {
	Streams []StreamSpec

	Reshard time.Duration // how long a stream is UPDATING after a reshard; the shards change at its start

	Limits       bool // per shard ShardRecords and ShardBytes, with a burst of one second, ShardReads and ShardReadBytes
	ShardRecords int  // records a second and shard, 0: 1000
	ShardBytes   int  // bytes of data and key a second and shard, 0: 1,000,000

	Buckets []string // of S3, there from the start, beside the lake's; clients may make more

	Lake     string         // folder to deliver to, made when missing, or s3://bucket/prefix in the S3 served here; "": no deliverer
	Prefix   string         // as Firehose: without a timestamp expression !{timestamp:yyyy/MM/dd/HH/} is appended
	TimeZone *time.Location // of the times in prefixes and in the names of objects, as CustomTimeZone of Firehose; nil: UTC
	// Keys say of each !{partitionKeyFromQuery:NAME} of Prefix, or FromLambda, which
	// field of a record, by its dotted path, gives its value: what has another one
	// goes into another object. A record without one goes to the error records.
	Keys           map[string]string
	ErrorPrefix    string        // of objects with error records, as Firehose's ErrorOutputPrefix; "": errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH/}
	BufferBytes    int           // data bytes from which on an object is written, 0: 5 MiB
	BufferInterval time.Duration // age of the oldest buffered record at which an object is written, 0: 300 s
	Format         string        // of objects: JSON, CSV or Parquet
	Compression    string        // "" or none, gzip, zstd, snappy or hadoop-snappy; of Parquet that of its pages, where "" is snappy, as Firehose has it, and hadoop-snappy is none
	Names          string        // of columns: LowerNames, or KeepNames, as they were sent; "": of Parquet LowerNames, as Firehose has it, of CSV KeepNames
	Delimiter      string        // after every record of JSON: "\n" or ""

	// Retain is how many bytes of delivered records are kept for readers, 0: 256
	// MiB; undelivered records are always kept. A read that asks for what was
	// forgotten is refused, with TrimmedDataAccessException: no period tells when
	// that was, as the retention of a real stream does.
	Retain       int64
	IteratorLife time.Duration // of a shard iterator, 0: 5 min as in Kinesis

	AccessKey string // requests signed with another access key id are refused; "": any, or none
	Faults    Faults
}

var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// ready returns c with its defaults filled in, or all that is wrong with it.
func (c Config) ready() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("local: "+format, args...)) }
	seen := map[string]bool{}
	c.Streams = slices.Clone(c.Streams)
	for i := range c.Streams {
		s := &c.Streams[i]
		if s.OnDemand {
			s.Shards = or(s.Shards, onDemandShards)
		}
		if !streamName.MatchString(s.Name) || seen[s.Name] {
			fault("stream %q: bad or repeated name", s.Name)
		}
		seen[s.Name] = true
		if s.Shards < 1 || s.Shards > maxShards {
			fault("stream %q: %d shards, want 1 to %d", s.Name, s.Shards, maxShards)
		}
		if s.MaxRecordKiB != 0 && (s.MaxRecordKiB < MinRecordKiB || s.MaxRecordKiB > MaxRecordKiB) {
			fault("stream %q: record limit %d KiB, want %d to %d", s.Name, s.MaxRecordKiB, MinRecordKiB, MaxRecordKiB)
		}
	}
	if c.Reshard < 0 || c.ShardRecords < 0 || c.ShardBytes < 0 || c.BufferBytes < 0 || c.BufferInterval < 0 || min(c.Retain, int64(c.IteratorLife)) < 0 {
		fault("a limit, a buffer, the retention, the life of an iterator or the time of a reshard is negative")
	}
	if c.Delimiter != "" && c.Delimiter != "\n" {
		fault("delimiter %q, want a newline or none", c.Delimiter)
	}
	if c.Names == "" && c.Format == Parquet {
		c.Names = LowerNames
	}
	c.written(fault)
	c.ShardRecords = or(c.ShardRecords, ShardRecords)
	c.ShardBytes = or(c.ShardBytes, ShardBytes)
	c.BufferBytes = or(c.BufferBytes, defaultBuffer)
	c.BufferInterval = or(c.BufferInterval, defaultInterval)
	c.Retain = or(c.Retain, defaultRetain)
	c.IteratorLife = or(c.IteratorLife, tokenLife)
	c.prefixes(fault)
	c.Buckets = c.buckets(fault)
	if err := c.Faults.check(c.Lake != ""); err != nil {
		faults = append(faults, err)
	}
	return c, errors.Join(faults...)
}

// prefixes fills in the defaults of prefixes, and checks them.
func (c *Config) prefixes(fault func(string, ...any)) {
	if c.TimeZone == nil {
		c.TimeZone = time.UTC
	}
	if !strings.Contains(c.Prefix, "!{timestamp:") && len(keysOf(c.Prefix)) == 0 {
		c.Prefix += "!{timestamp:yyyy/MM/dd/HH/}"
	}
	if c.ErrorPrefix == "" {
		c.ErrorPrefix = "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH/}"
	}
	if err := c.checkPrefix(); err != nil {
		fault("%w", err)
	}
	if p := errorPrefix(c.ErrorPrefix, conversionFailed, time.Time{}); strings.Contains(p, "!{") || !filepath.IsLocal(p+"x") {
		fault("error prefix %q: only !{timestamp:} and !{firehose:error-output-type} expressions and paths inside the lake", c.ErrorPrefix)
	}
}

// written checks how objects are written.
func (c Config) written(fault func(string, ...any)) {
	if !slices.Contains([]string{JSON, CSV, Parquet}, c.Format) {
		fault("format %q, want csv, parquet or none for JSON", c.Format)
	}
	if !slices.Contains([]string{"", LowerNames, KeepNames}, c.Names) || c.Names != "" && c.Format == JSON {
		fault("names %q, want lower or keep, and JSON has no columns", c.Names)
	}
	_, known := extensions[c.Compression]
	_, paged := pages[c.Compression]
	switch {
	case !known:
		fault("compression %q, want none, gzip, zstd, snappy or hadoop-snappy", c.Compression)
	case c.Format == Parquet && !paged:
		fault("compression %q, and Parquet has none, gzip, zstd and snappy", c.Compression)
	}
}

// buckets lists the buckets to make, each once, and reports bad names.
func (c Config) buckets(fault func(string, ...any)) []string {
	all := slices.Clone(c.Buckets)
	if bucket, prefix, ok := splitLake(c.Lake); ok {
		all = append(all, bucket)
		if !filepath.IsLocal(prefix + "x") {
			fault("lake %q: want s3://bucket/prefix", c.Lake)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for _, name := range all {
		if err := gofakes3.ValidateBucketName(name); err != nil {
			fault("bucket %q: want 3 to 63 of a-z, 0-9, . and -", name)
		}
	}
	return all
}

func or[T int | int64 | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}

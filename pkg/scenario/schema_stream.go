package scenario

import (
	"math"
	"time"
)

var stream = field{key: "stream", doc: "where records go", kind: section, fields: []field{
	{key: "name", doc: "name of the Kinesis stream; {log_type} in it makes a stream for each log type", form: "1 to 128 of a-z, A-Z, 0-9, _, . and -, with {log_type} anywhere", def: "kreplay",
		json: `{"type":"string","pattern":"^([a-zA-Z0-9_.-]|\\{log_type\\})+$"}`, take: takeStreamName},
	{key: "partition_key", doc: "field whose value is the partition key; without it, the user's id", form: "field without * and {}",
		take: takePartitionKey},
	{key: "newline", doc: "whether a record ends with a newline; auto: as it was captured", form: "auto, true or false",
		json: `{"enum":["auto","true","false",true,false]}`, def: "auto",
		take: store(newline, func(s *draft) *Newline { return &s.Stream.Newline })},
	{key: "limits", doc: "bounds of the traffic", kind: section, fields: []field{
		{key: "rate", doc: "records a second, also by the time since the push began", form: "40k/s, 1000/s or max; " + profileForms,
			json: `{"type":"string","pattern":"^[0-9.]+ *[kMG]?/s$|^max$|^(ramp|steps|sine|burst) .*/s|^file:"}`, def: "max",
			take: takeLimit(recordRate, func(l *Limits) (*uint64, *Profile) { return &l.Rate, &l.RateProfile })},
		{key: "bytes", doc: "bytes a second (MB is 10^6, MiB is 2^20), likewise", form: "40MB/s or max; likewise",
			json: `{"type":"string","pattern":"^[0-9.]+ *([kKMG]?B|[KMG]iB)/s$|^max$|^(ramp|steps|sine|burst) .*/s|^file:"}`, def: "max",
			take: takeLimit(byteRate, func(l *Limits) (*uint64, *Profile) { return &l.Bytes, &l.ByteProfile })},
		{key: "per_shard", doc: "how much of a shard's limits may be used; without it, they do not hold records back", form: "a percentage such as 95%", json: jsonShare,
			take: store(somePercentage, func(s *draft) *Share { return &s.Stream.Limits.PerShard })},
		{key: "requests", doc: "requests in flight", form: "1 to 1000", json: `{"type":"integer","minimum":1,"maximum":1000}`, def: "32",
			take: store(requests, func(s *draft) *int { return &s.Stream.Limits.Requests })},
	}},
	{key: "order", doc: "none: as records come; user: a user's records in order, at one request in flight for each; within each stream where there are several", form: "none or user",
		json: `{"enum":["none","user"]}`, def: "none",
		take: store(order, func(s *draft) *Order { return &s.Stream.Order })},
	{key: "on_unknown", doc: "what to do with a record that may or may not be stored", form: "resend or hold", json: `{"enum":["resend","hold"]}`, def: "resend",
		take: store(onUnknown, func(s *draft) *Policy { return &s.Stream.OnUnknown })},
	{key: "wire", doc: "how requests are written: json, as AWS documents it; cbor, as the AWS SDK for Java does: less to send, for Kinesis and endpoints that know it", form: "json or cbor",
		json: `{"enum":["json","cbor"]}`, def: "json",
		take: store(wire, func(s *draft) *Wire { return &s.Stream.Wire })},
	{key: "max_slip", doc: "a schedule that is later than this at p99 proves nothing; 0s: however late", form: "duration", json: jsonDuration, def: "1s",
		take: store(duration, func(s *draft) *time.Duration { return &s.Stream.MaxSlip })},
}}

// StageNames are the stages that there may be, in the order of a record's way.
var StageNames = []string{"stream", "raw", "table", "dlq"}

var stages = field{key: "stages", doc: "where records are looked for, in the order of their way: stream, raw, table; beside it dlq, which holds what was rejected on the way to raw", kind: named,
	names: StageNames, open: openStage, own: map[string]*field{"stream": &ownStream},
	each: &field{kind: section, fields: []field{
		{key: "path", doc: "directory, file or s3://bucket/prefix with what was delivered", form: "a directory, a file or s3://bucket/prefix", required: true,
			take: store(stagePath, func(s *draft) *string { return &last(s.Stages).Path })},
		{key: "partition", doc: "folder below path where a record belongs by its time and its values; without it, anywhere. As a prefix of Firehose: " +
			"!{timestamp:FORMAT} with yyyy, yy, MM, dd, DDD, HH, mm and 'text', !{partitionKeyFromQuery:NAME}, !{partitionKeyFromLambda:NAME}, !{firehose:random-string}",
			form: "such as !{timestamp:yyyy/MM/dd/HH} or country=!{partitionKeyFromQuery:country}/dt=!{timestamp:yyyy-MM-dd}/",
			take: store(partition, func(s *draft) *string { return &last(s.Stages).Partition })},
		{key: "time_zone", doc: "of the times in partition, as CustomTimeZone of Firehose; without it, UTC", form: "a time zone such as Asia/Tokyo or an offset such as +09:00", take: takeTimeZone},
		{key: "keys", doc: "field of the record that gives a key in partition its value; a key without one may have any", kind: named, filled: true, open: openKey,
			each: &field{form: "a dotted path such as country or data.country", take: takeKeyField}},
		{key: "format", doc: "how rows are written: JSON or Parquet, by content, or CSV with names in its first line", form: "auto or csv", json: `{"enum":["auto","csv"]}`, def: "auto",
			take: takeFormat},
		{key: "payload", doc: "field of a row that holds the record, where a transform wraps it", form: "a dotted path such as data.record", take: takePayload},
		{key: "encoding", doc: "how the payload is written: as text or an object, or in base64", form: "text or base64", json: `{"enum":["text","base64"]}`, take: takeEncoding},
		{key: "compare", doc: "how a row is held against its record: the same bytes; the same JSON value; or the same and fields may be added", form: "exact, json or subset",
			json: `{"enum":["exact","json","subset"]}`, take: takeCompare},
		{key: "ignore", doc: "fields that are left out of the comparison, with what is in them", kind: list, filled: true, each: &field{form: "field pattern", take: takeIgnore}},
		{key: "expect", doc: "of dlq: it holds nothing of this run", form: "empty", json: `{"const":"empty"}`, take: takeEmpty},
	}}}

// ownStream is the stage that lies nowhere else: the stream that the run is sent to, read back.
var ownStream = field{kind: section, doc: "the stream itself, read back", fields: []field{
	{key: "share", doc: "how much of what a shard gives to all its consumers, 5 reads and 2 MiB a second, reading back may take; without it, 50%: the others get the less", form: "a percentage such as 50%", json: jsonShare,
		take: store(somePercentage, func(s *draft) *Share { return &last(s.Stages).Share })},
}}

var inject = field{key: "inject", doc: "what is planned on purpose to look like a producer's fault", kind: section, fields: []field{
	{key: "duplicate", doc: "how many of the records are sent twice", form: "a percentage such as 0.01%", json: jsonShare,
		take: store(percentage, func(s *draft) *Share { return &s.Inject.Duplicate })},
	{key: "late", doc: "records that are sent late; needs time.speedup", kind: section, fields: []field{
		{key: "share", doc: "how many of the records", form: "a percentage such as 1%", json: jsonShare, required: true,
			take: store(percentage, func(s *draft) *Share { return &s.Inject.Late })},
		{key: "by", doc: "how much later, in event time", form: "duration", json: jsonDuration, required: true,
			take: store(positiveDuration, func(s *draft) *time.Duration { return &s.Inject.LateBy })},
	}},
}}

var settle = field{key: "settle", doc: "when a stage counts as done", kind: section, fields: []field{
	{key: "quiet", doc: "nothing new for this long", form: "duration", json: jsonDuration, def: "10m",
		take: store(duration, func(s *draft) *time.Duration { return &s.Settle.Quiet })},
	{key: "max", doc: "and after this long in any case", form: "duration", json: jsonDuration, def: "60m",
		take: store(duration, func(s *draft) *time.Duration { return &s.Settle.Max })},
}}

var guard = field{key: "guard", doc: "when a run is stopped", kind: section, fields: []field{
	{key: "spend_usd", doc: "its estimated cost is above this", form: "number", json: jsonNumber,
		take: store(positiveDecimal, func(s *draft) *Decimal { return &s.Guard.SpendUSD })},
	{key: "missing", doc: "so many records are missing", form: "whole number", json: jsonPositive,
		take: store(number(1, math.MaxInt64), func(s *draft) *uint64 { return &s.Guard.Missing })},
	{key: "throttled_for", doc: "nothing but throttles for this long", form: "duration", json: jsonDuration,
		take: store(positiveDuration, func(s *draft) *time.Duration { return &s.Guard.ThrottledFor })},
}}

package scenario

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// besides are the files that the faults below are about.
var besides = map[string]string{
	"c.csv":     "0m,1\n0m,2\n5x,1\n6m,-1\n7m,1,1\n8m,\"a\n",
	"z.csv":     "0m,0\n1h,0\n",
	"late.csv":  "offset,weight\n0m,1\n2h,1\n",
	"late2.csv": "1m,1\n",
	"big.csv":   "0m,1\n" + strings.Repeat("#\n", maxBeside/2),
	"q.sql":     "select ${a},\n  ${nope} from x",
	"e.sql":     " \n",
	"bin.sql":   "\xff",
}

// What stands behind minimal has these faults; a place without a file is of launch/scenario.yaml.
var faultyLanguage = []struct {
	text string
	want []string
}{
	{"rewrite: {a: date}\n", []string{`3:14: a: want date of FIELD, a time of the same record, as in date of ts`}},
	{"rewrite: {a: date on ts}\n", []string{`3:14: a: want date of FIELD, a time of the same record, as in date of ts`}},
	{"rewrite: {a: \"date of *_at\"}\n", []string{`3:14: a: date of "*_at": want one field, without *, {} and spaces`}},
	{"rewrite: {a: scale}\n", []string{`3:14: a: want scale NAME, a number that cohorts give, as in scale spend`}},
	{"rewrite: {a: scale share}\n", []string{`3:14: a: scale share: a cohort has that key already (template, share, until): want another name`}},
	{"rewrite: {a: scale spend}\n", []string{`3:14: scale spend: there are no population.cohorts to give it a number`}},
	{"rewrite: {a: scale spend}\npopulation: {cohorts: {a: {share: 50%}, b: {share: 50%}}}\n", []string{`3:14: scale spend: no cohort says spend: want it of one at least, as in spend: 2.5; the others have 1`}},
	{"rewrite: {a: scale spnd}\npopulation: {cohorts: {a: {share: 50%, spend: 1}, b: {share: 50%}}}\n", []string{
		`4:40: unknown key "spend": did you mean "spnd"?`,
	}},
	{"rewrite: {a: scael spend}\npopulation: {cohorts: {a: {share: 50%, spend: 1}, b: {share: 50%}}}\n", []string{`3:14: a: unknown role "scael": did you mean "scale"?`}},
	{"rewrite: {a: time x}\n", []string{`3:14: a: time takes nothing behind it, got "x"`}},
	{"rewrite: {a: peer U}\n", []string{`3:14: a: pattern "U": want exactly one %d or %010d (width 1 to 99)`}},
	{"rewrite: {a: scale s p}\n", []string{`3:14: a: "s p": want 1 to 128 letters, digits and any of _-, not beginning with a dot`}},
	{"rewrite: {a: scale spend}\npopulation: {cohorts: {a: {share: 100%, spend: -1}}}\n", []string{`4:48: spend: want a number in plain digits, without a sign, got -1`}},
	{"rewrite: {a: scale spend}\npopulation: {cohorts: {a: {share: 100%, spend: \"3\"}}}\n", []string{`4:48: spend: want a number, got the text "3": remove the quotes`}},
	{"rewrite: {a: scale spend}\npopulation: {cohorts: {a: {share: 100%, spend: 1234567890.1234567}}}\n", []string{`4:48: spend: want a number of at most 15 digits, got 1234567890.1234567`}},
	{"population: {cohorts: {a: {share: 100%, until: 5}}}\n", []string{`3:48: until: want text, got 5: put it in quotes`}},
	{"vars: {a: b}\nname: ${c}\n", []string{`4:7: unknown variable "c": known: a`}},
	{"vars: {ab: b}\nname: ${abc}\n", []string{`4:7: unknown variable "abc": did you mean "ab"?`}},
	{"name: ${c}\n", []string{`3:7: unknown variable "c": there are none: give it a value under vars, or write $${ for a ${ that is none`}},
	{"name: ${c\n", []string{`3:7: "${" is not closed by "}": write $${ for a ${ that is none`}},
	{"vars: {a-b: c}\n", []string{`3:8: vars: "a-b": want 1 to 63 of a-z, A-Z, 0-9 and _, not beginning with a digit`}},
	{"vars: {a: 5}\nname: ${a}\n", []string{`3:11: a: want text, got 5: put it in quotes`}},
	{"population: {users: ${n}}\n", []string{`3:21: put the value in quotes: YAML reads { and } otherwise`}},
	{"vars: {a: '${b}', b: x}\n", []string{`3:11: unknown variable "b": there are none: give it a value under vars, or write $${ for a ${ that is none`}},
	{"vars: {n: many}\npopulation:\n  users: ${n}\n", []string{`5:10: users: want a whole number, got "many"`}},
	{"time: {start: soon}\n", []string{`3:15: start: want RFC 3339, such as "2026-09-14T00:00:00+09:00", got "soon"`}},
	{"time: {start: \"2026-09-14T00:00:00.5Z\"}\n", []string{`3:15: start: 2026-09-14T00:00:00.5Z: want whole seconds`}},
	{"time: {start: \"1926-09-14T00:00:00Z\"}\n", []string{`3:15: start: 1926-09-14T00:00:00Z: want a year from 2000 to 2099`}},
	{"time: {zone: Asia/Tokio}\n", []string{`3:14: zone: "Asia/Tokio": want a time zone such as Asia/Tokyo or an offset such as +09:00`}},
	{"time: {zone: Local}\n", []string{`3:14: zone: "Local": want a time zone such as Asia/Tokyo or an offset such as +09:00`}},
	{"time: {arrivals: dirunal}\n", []string{`3:18: arrivals: want even, diurnal, burst, steps or file, got "dirunal": did you mean "diurnal"?`}},
	{"time: {arrivals: even}\n", []string{`3:18: arrivals: span is missing: want a duration such as 22h, over which users begin`}},
	{"time: {span: 0s}\n", []string{`3:14: span: 0s: want a duration above 0`}},
	{"time: {span: 1.5s}\n", []string{`3:14: span: 1.5s: want whole seconds`}},
	{"time: {span: 745h}\n", []string{`3:14: span: 745h: want at most 744h0m0s`}},
	{"time: {arrivals: even, span: 1h, peak: \"21:00\"}\n", []string{`3:40: peak: belongs to arrivals: diurnal, not to even: remove it`}},
	{"time: {span: 1h, steps: [1]}\n", []string{`3:25: steps: belongs to arrivals: steps: say that, or remove it`}},
	{"time: {arrivals: diurnal, span: 1h}\n", []string{`3:18: arrivals: diurnal needs start: without it nobody knows the time of the day`}},
	{"time: {arrivals: diurnal, span: 1h, start: \"2026-09-14T00:00:00Z\", peak: \"25:00\"}\n", []string{`3:74: peak: want a time of the day such as "21:00", got "25:00"`}},
	{"time: {arrivals: burst, span: 1h}\n", []string{`3:18: arrivals: burst needs the key burst`}},
	{"time: {arrivals: burst, span: 1h, burst: {at: 50m, length: 11m, share: 50%}}\n", []string{`3:42: burst: from 50m0s to 1h1m0s: want it within span, 1h0m0s, and some of span left for the others`}},
	{"time: {arrivals: burst, span: 1h, burst: {at: 50m, share: 0%}}\n", []string{
		`3:42: burst: length: missing: want duration`,
		`3:59: share: 0%: want more than 0%`,
	}},
	{"time: {arrivals: burst, span: 1h, burst: {at: 0s, length: 1h, share: 50%}}\n", []string{`3:42: burst: from 0s to 1h0m0s: want it within span, 1h0m0s, and some of span left for the others`}},
	{"time: {arrivals: file, span: 2h, curve: late.csv}\n", []string{`launch/late.csv:3:1: offset: 2h0m0s: not before the end of span, 2h0m0s`}},
	{"time: {arrivals: file, span: 2h, curve: big.csv}\n", []string{`3:41: curve: "big.csv": want at most 1048576 bytes`}},
	{"time: {arrivals: steps, span: 1h, steps: []}\n", []string{`3:42: steps: want at least one item in it`}},
	{"time: {arrivals: steps, span: 1h, steps: [0, 0]}\n", []string{`3:42: steps: no weight is above 0: nobody would ever begin`}},
	{"time: {arrivals: steps, span: 1h, steps: [1, x]}\n", []string{`3:46: steps: want a whole number, got "x"`}},
	{"time: {arrivals: steps, span: 1s, steps: [1, 1]}\n", []string{`3:42: steps: 2 of them in 1s: want at least a second for each`}},
	{"time: {arrivals: file, span: 1h, curve: c.csv}\n", []string{
		`launch/c.csv:2:1: offset: 0s: not behind that of the line before, 0s`,
		`launch/c.csv:3:1: offset: want a duration in whole seconds such as 90m, got "5x"`,
		`launch/c.csv:4:4: weight: want a whole number from 0 to 1000000000, got "-1"`,
		`launch/c.csv:5:1: want offset,weight such as 0m,10, got 3 fields`,
		`launch/c.csv:6:7: not readable as CSV: extraneous or missing " in quoted-field`,
	}},
	{"time: {arrivals: file, span: 1h, curve: z.csv}\n", []string{`launch/z.csv:1:1: no weight is above 0: nobody would ever begin`}},
	{"time: {arrivals: file, span: 1h, curve: late.csv}\n", []string{`launch/late.csv:3:1: offset: 2h0m0s: not before the end of span, 1h0m0s`}},
	{"time: {arrivals: file, span: 1h, curve: late2.csv}\n", []string{`launch/late2.csv:1:1: offset: 1m0s: the first line has to be at 0m`}},
	{"time: {arrivals: file, span: 1h, curve: none.csv}\n", []string{`3:41: curve: "none.csv": there is no such file in the scenario's folder`}},
	{"time: {arrivals: file, span: 1h, curve: ../none.csv}\n", []string{`3:41: curve: "../none.csv": want a file inside the scenario's folder, with / and no .. in it`}},
	{"time: {arrivals: file, span: 1h}\n", []string{`3:18: arrivals: file needs the key curve`}},
	{"time: {speedup: 0}\n", []string{`3:17: speedup: want a number above 0, got 0`}},
	{"time: {speedup: fast}\n", []string{`3:17: speedup: want a number such as 24 or 0.5, or max, got "fast"`}},
	{"time: {speedup: 1.0001}\n", []string{`3:17: speedup: 1.0001: want at most three decimals, from 0.001 to 1000000`}},
	{"time: {speedup: -1}\n", []string{`3:17: speedup: want a number in plain digits, without a sign, got -1`}},
	{"time: {speedup: .inf}\n", []string{`3:17: speedup: want a number in plain digits, without a sign, got .inf`}},
	{"time: {speedup: 10000000}\n", []string{`3:17: speedup: 10000000: want at most three decimals, from 0.001 to 1000000`}},
	{"inject: {duplicate: 2}\n", []string{`3:21: duplicate: want a percentage such as 2%, got 2`}},
	{"inject: {late: {share: 1%, by: 2h}}\n", []string{`3:16: late: needs time.speedup: without it nothing is due at a time, so nothing can be late`}},
	{"inject: {late: {share: 1%}}\n", []string{`3:16: late: by: missing: want duration`}},
	{"inject: {late: {share: 1%, by: 0s}}\n", []string{`3:32: by: 0s: want a duration above 0`}},
	{"stream: {limits: {rate: 21M/s}}\n", []string{`3:25: rate: 21M/s: no stream takes more than 20M/s (20,000 shards): want max for no limit`}},
	{"stream: {limits: {bytes: 21GB/s}}\n", []string{`3:26: bytes: 21GB/s: no stream takes more than 20GB/s (20,000 shards): want max for no limit`}},
	{"stream: {name: \"a-{logtype}\"}\n", []string{`3:16: name: "a-{logtype}": "{logtype}" means nothing in a stream's name: did you mean "{log_type}"?`}},
	{"stream: {name: \"{log_type}-{log_type\"}\n", []string{`3:16: name: "{log_type}-{log_type": "{log_type" means nothing in a stream's name: did you mean "{log_type}"?`}},
	{"stream: {name: {log_type}}\n", []string{`3:16: name: want text, got a mapping: put a name that begins with { in quotes, as in "{log_type}-logs"`}},
	{"stream: {name: \"a-{user}\"}\n", []string{`3:16: name: "a-{user}": "{user}" means nothing in a stream's name: known: {log_type}`}},
	{"stream: {name: \"a{log_type}}\"}\n", []string{`3:16: name: "a{log_type}}": "}" means nothing in a stream's name: known: {log_type}`}},
	{"stream: {name: \"a b-{log_type}\"}\n", []string{`3:16: name: "a b-{log_type}": want 1 to 128 of a-z, A-Z, 0-9, _, . and -`}},
	{"stream: {order: usr}\n", []string{`3:17: order: want none or user, got "usr": did you mean "user"?`}},
	{"stream: {limits: {per_shard: 0%}}\n", []string{`3:30: per_shard: 0%: want more than 0%`}},
	{"stages: {lake: {path: x}}\n", []string{`3:10: stages: unknown name "lake": known: stream, raw, table, dlq`}},
	{"stages: {table: {}}\n", []string{`3:17: table: path: missing: want a directory, a file or s3://bucket/prefix`}},
	{"stages: {stream: {path: x}}\n", []string{`3:19: unknown key "path": known: share`}},
	{"stages: {stream: {share: 0%, expect: empty}}\n", []string{`3:26: share: 0%: want more than 0%`, `3:30: unknown key "expect": known: share`}},
	{"stages: {stream: {share: 101%}}\n", []string{`3:26: share: 101%: want at most 100%`}},
	{"stages: {raw: {path: x, expect: empty}}\n", []string{`3:33: expect: empty: only dlq can be expected to be: raw is where records go`}},
	{"stages: {raw: {path: x, compare: bytes}}\n", []string{`3:34: compare: want exact, json or subset, got "bytes"`}},
	{"stages: {raw: {path: x, ignore: [a..b, \"{a\"]}}\n", []string{`3:34: ignore: "a..b": want a field's name, or type.path.to.field`, `3:40: ignore: "{a": "{" is not closed by "}"`}},
	{"stages: {raw: {path: x, ignore: []}}\n", []string{`3:33: ignore: want at least one item in it`}},
	{"stages: {dlq: {path: x, compare: json, ignore: [a]}}\n", []string{
		`3:34: compare: dlq holds error records, which are not compared: leave it out`, `3:49: ignore: dlq holds error records, which are not compared: leave it out`}},
	{"stages: {dlq: {path: x, expect: full}}\n", []string{`3:33: expect: want empty, got "full"`}},
	{"stages: {raw: {path: \"gs://b\"}}\n", []string{`3:22: path: "gs://b": want a directory, a file or s3://bucket/prefix`}},
	{"stages: {raw: {path: x, partition: \"!{timestamp:yyyy/ww}\"}}\n", []string{`3:36: partition: "!{timestamp:yyyy/ww}": !{timestamp:yyyy/ww} at character 1: ww at character 6 of the format is not read here: want yyyy, yy, MM, dd, DDD, HH, mm, 'text' and characters that are no letters`}},
	{"stages: {raw: {path: x, partition: \"a/!{timestamp:YYYY/MM}\"}}\n", []string{`3:36: partition: "a/!{timestamp:YYYY/MM}": !{timestamp:YYYY/MM} at character 3: YYYY at character 1 of the format is the year of the week: want yyyy`}},
	{"stages: {raw: {path: x, partition: \"!{timestamp:yyyy'T}\"}}\n", []string{`3:36: partition: "!{timestamp:yyyy'T}": !{timestamp:yyyy'T} at character 1: the ' at character 5 of the format is not closed by another`}},
	{"stages: {raw: {path: x, partition: \"!{timestamp:yyyy[MM]}\"}}\n", []string{`3:36: partition: "!{timestamp:yyyy[MM]}": !{timestamp:yyyy[MM]} at character 1: [ at character 5 of the format has a meaning in Java that is not read here: want yyyy, yy, MM, dd, DDD, HH, mm, 'text' and characters that are no letters`}},
	{"stages: {raw: {path: x, partition: \"!{timestamp:yyyy\"}}\n", []string{`3:36: partition: "!{timestamp:yyyy": "!{" at character 1 is not closed by "}"`}},
	{"stages: {raw: {path: x, partition: \"!{firehose:random}\"}}\n", []string{`3:36: partition: "!{firehose:random}": !{firehose:random} at character 1: want !{timestamp:FORMAT}, !{partitionKeyFromQuery:NAME}, !{partitionKeyFromLambda:NAME} or !{firehose:random-string}`}},
	{"stages: {raw: {path: x, partition: \"!{partitionKeyFromQuery:a}!{partitionKeyFromLambda:b}\"}}\n", []string{`3:36: partition: "!{partitionKeyFromQuery:a}!{partitionKeyFromLambda:b}": !{partitionKeyFromLambda:b} at character 27: where one key ends and the next begins cannot be told: put text between them`}},
	{"stages: {raw: {path: x, partition: \"!{partitionKeyFromQuery:.a}\"}}\n", []string{`3:36: partition: "!{partitionKeyFromQuery:.a}": !{partitionKeyFromQuery:.a} at character 1: ".a": want a name of letters, digits, _ and -`}},
	{"stages: {raw: {path: x, partition: \"c=!{partitionKeyFromQuery:country}\", keys: {land: country}}}\n", []string{`3:87: keys: the partition has no !{partitionKeyFromQuery:land}: known: country`}},
	{"stages: {raw: {path: x, keys: {land: country}}}\n", []string{`3:38: keys: the partition has no !{partitionKeyFromQuery:land}: it has none`}},
	{"stages: {raw: {path: x, partition: \"!{partitionKeyFromQuery:c}\", keys: {c: \"a*\"}}}\n", []string{`3:76: c: "a*": want one field, without * and {}`}},
	{"stages: {raw: {path: x, partition: \"!{partitionKeyFromQuery:dt}\", keys: {dt: date of ts}}}\n", []string{`3:78: dt: "date of ts": want a field; one that the template has with the role "date of ts" will do`}},
	{"stages: {raw: {path: x, time_zone: Asia/Tokyo}}\n", []string{`3:36: time_zone: the partition has no !{timestamp:FORMAT} that would be in it`}},
	{"stages: {raw: {path: x, partition: \"!{timestamp:yyyy}\", time_zone: Asia/Tokio}}\n", []string{`3:68: time_zone: "Asia/Tokio": want a time zone such as Asia/Tokyo or an offset such as +09:00`}},
	{"stages: {dlq: {path: x, partition: \"!{partitionKeyFromQuery:c}/\"}}\n", []string{`3:36: partition: !{partitionKeyFromQuery:c}: Firehose has no such keys in the prefix of errors`}},
	{"guard: {spend_usd: 0}\n", []string{`3:20: spend_usd: want a number above 0, got 0`}},
	{"guard: {missing: 0}\n", []string{`3:18: missing: want a whole number from 1 to 9223372036854775807, got 0`}},
	{"guard: {throttled_for: 0s}\n", []string{`3:24: throttled_for: 0s: want a duration above 0`}},
	{"aggregate: {a: b}\n", []string{`3:1: aggregate: not in this version of kreplay: remove it`}},
	{"expect: {delivery: {lag_p99: 0s}}\n", []string{`3:30: lag_p99: 0s: want a duration above 0`}},
	{"expect: {delivery: {lag_p99: 5}}\n", []string{`3:30: lag_p99: want a duration such as 10m or 1h30m, got 5`}},
	{"expect: {queries: {a b: {sql: x, equals: 1}}}\n", []string{`3:20: queries: "a b": want 1 to 63 of a-z, A-Z, 0-9 and _, not beginning with a digit: later queries use it as a table`}},
	{"expect: {queries: {a: {sql: x, equals: 1}, A: {sql: x, equals: 1}}}\n", []string{`3:44: queries: A: SQL takes it for a on line 3: want another name`}},
	{"expect: {queries: {a: {sql: x}}}\n", []string{`3:23: a: equals: missing: want a formula or oracle`}},
	{"expect: {queries: {a: {equals: 1}}}\n", []string{`3:23: a: sql: missing: want SQL, or file:PATH inside the scenario's folder`}},
	{"expect: {queries: {a: {sql: file:q.sql, equals: 1}}}\n", []string{
		`launch/q.sql:1:8: unknown variable "a": there are none: give it a value under vars, or write $${ for a ${ that is none`,
		`launch/q.sql:2:3: unknown variable "nope": there are none: give it a value under vars, or write $${ for a ${ that is none`,
	}},
	{"expect: {queries: {a: {sql: file:e.sql, equals: 1}}}\n", []string{`3:29: sql: "e.sql": the file is empty: want SQL`}},
	{"expect: {queries: {a: {sql: file:bin.sql, equals: 1}}}\n", []string{`3:29: sql: "bin.sql": want text in UTF-8`}},
	{"expect: {queries: {a: {sql: \" \", equals: 1}}}\n", []string{`3:29: sql: want SQL, got nothing`}},
	{"expect: {queries: {a: {sql: x, equals: 1, tolerance: wide}}}\n", []string{`3:54: tolerance: want a number such as 0.005 or a percentage such as 1%, got "wide"`}},
	{"expect: {queries: {a: {sql: x, equals: 1, tolerance: -1}}}\n", []string{`3:54: tolerance: want a number in plain digits, without a sign, got -1`}},
	{"expect: {queries: {a: {sql: x, equals: 1, tolerance: {}}}}\n", []string{`3:54: tolerance: want at least one name in it`}},
	{"expect: {queries: {a: {sql: x, equals: 1, tolerance: {b: \"1\"}}}}\n", []string{`3:58: b: want a number such as 0.005 or a percentage such as 1%, got "1"`}},
	{"expect: {queries: {a: {sql: x, equals: 1, tolerance: }}}\n", []string{`3:43: tolerance: want a number such as 0.005 or a percentage such as 1%, got nothing`}},
	{"expect: {queries: {a: {sql: x, equals: 1, stage: tabel}}}\n", []string{`3:50: stage: want raw or table, got "tabel": did you mean "table"?`}},
	{"expect: {queries: {a: {sql: x, equals: 1, stage: stream}}}\nstages: {stream: {}}\n", []string{`3:50: stage: want raw or table, got "stream"`}},
	{"expect: {queries: {a: {sql: x, equals: 1, stage: table}}}\nstages: {raw: {path: x}}\n", []string{`3:50: stage: stages has no table: name its path there, or ask another stage`}},
	{"expect: {queries: {a: {sql: x, equals: 1, stage: raw}}}\nstages: {table: {path: x}}\n", []string{`3:50: stage: stages has no raw: name its path there, or ask another stage`}},
	{"expect: {queries: {a: {sql: x, equals: 1, max_seconds: 0}}}\n", []string{`3:56: max_seconds: want a number above 0, got 0`}},
	{"expect: {queries: {a: {sql: x, equals: [1]}}}\n", []string{`3:40: equals: want text, got a list`}},
}

func TestAFaultOfTheLanguageSaysWhereWhatAndWhy(t *testing.T) {
	for _, c := range faultyLanguage {
		_, err := loadWith(besides, minimal+c.text)
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%q: got %v, want Faults", c.text, err)
			continue
		}
		got := strings.Split(strings.ReplaceAll(faults.Error(), "launch/scenario.yaml:", ""), "\n")
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q: -want +got\n%s", c.text, diff)
		}
	}
}

func TestAFaultOfAnOverrideOfTheLanguage(t *testing.T) {
	text := minimal + `vars: {bb: x}
expect: {queries: {q: {sql: x, equals: 1, tolerance: 5}}}
rewrite: {a: scale spend}
population: {cohorts: {a: {share: 100%, spend: 1}}}
`
	for _, c := range []struct{ set, want string }{
		{"vars.b=1", `--set:1:6: unknown variable "b": did you mean "bb"?`},
		{"population.cohorts.a.spnd=3", `--set:1:22: unknown key "spnd": did you mean "spend"?`},
		{"expect.queries.q.tolerance.x=1", `--set:1:28: tolerance: the file has one value for all: override that`},
		{"expect.delivery.lag_p99=0s", `--set:1:25: lag_p99: 0s: want a duration above 0`},
		{"aggregate.x=1", `--set:1:1: aggregate: not in this version of kreplay: remove it`},
	} {
		if _, err := load(text, c.set); err == nil || err.Error() != c.want {
			t.Errorf("--set %q:\n got %v\nwant %s", c.set, err, c.want)
		}
	}
}

// A cohort that does not say the number of a scale rule has 1: its values stay.
func TestACohortWithoutTheNumberHasOne(t *testing.T) {
	s, err := load("kreplay: 1\ntemplate: t\nrewrite: {a: scale spend}\npopulation: {cohorts: {a: {share: 50%, spend: 2.5}, b: {share: 50%}}}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []Number{{Name: "spend", Value: Decimal{Digits: 1}}}
	if diff := cmp.Diff(want, s.Population.Cohorts[1].Numbers); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

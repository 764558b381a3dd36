package scenario

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const minimal = "kreplay: 1\ntemplate: t\n"

// Each text has one fault; the place is of launch/scenario.yaml.
var faulty = []struct{ text, want string }{
	{"", `1:1: want keys and values, at least kreplay: 1 and template: DIR, got nothing`},
	{"# only\n", `1:1: want keys and values, at least kreplay: 1 and template: DIR, got nothing`},
	{"- a\n", `1:1: want keys and values, at least kreplay: 1 and template: DIR, got a list`},
	{"5\n", `1:1: want keys and values, at least kreplay: 1 and template: DIR, got 5`},
	{"kreplay: 1\n", `1:1: template: missing: want template: DIR or templates: {name: DIR}`},
	{"template: t\n", `1:1: kreplay: missing: want 1`},
	{"kreplay: 2\ntemplate: t\n", `1:10: kreplay: version 2: this kreplay reads version 1`},
	{"kreplay: \"1\"\ntemplate: t\n", `1:10: kreplay: want a whole number, got the text "1": remove the quotes`},
	{minimal + "templates: {a: b}\n", `3:12: templates: there is a template too: keep one of the two`},
	{"kreplay: 1\ntemplates: {}\n", `2:12: templates: want at least one name in it`},
	{"kreplay: 1\ntemplates: {a: b, c: d}\n", `2:12: templates: 2 of them: say with population.cohorts who replays which`},
	{"kreplay: 1\ntemplate: ../t\n", `2:11: template: "../t": want a directory inside the scenario's folder, with / and no .. in it`},
	{"kreplay: 1\ntemplate: /t\n", `2:11: template: "/t": want a directory inside the scenario's folder, with / and no .. in it`},
	{"kreplay: 1\ntemplate: 5\n", `2:11: template: want text, got 5: put it in quotes`},
	{"kreplay: 1\ntemplate:\n", `2:1: template: want text, got nothing`},
	{"kreplay: 1\ntemplate: [a]\n", `2:11: template: want text, got a list`},
	{"kreplay: 1\ntemplates: {\"a/b\": b}\n", `2:13: templates: "a/b": want 1 to 128 letters, digits and any of _-., not beginning with a dot`},
	{minimal + "nane: x\n", `3:1: unknown key "nane": did you mean "name"?`},
	{minimal + "name: 12\n", `3:7: name: want text, got 12: put it in quotes`},
	{minimal + "name: a/b\n", `3:7: name: "a/b": want 1 to 128 letters, digits and any of _-., not beginning with a dot`},
	{minimal + "name: \"\"\n", `3:7: name: want text, got nothing`},
	{minimal + "seed: -1\n", `3:7: seed: want a whole number from 0 to 18446744073709551615, got -1`},
	{minimal + "seed: 1.5\n", `3:7: seed: want a whole number in plain digits, got 1.5`},
	{minimal + "seed: 18446744073709551616\n", `3:7: seed: want a whole number from 0 to 18446744073709551615, got 18446744073709551616`},
	{minimal + "seed: 0x10\n", `3:7: seed: want a whole number in plain digits, got 0x10`},
	{minimal + "seed: 010\n", `3:7: seed: want a whole number in plain digits, got 010`},
	{minimal + "seed: 1_000\n", `3:7: seed: want a whole number in plain digits, got 1_000`},
	{minimal + "seed: 1e3\n", `3:7: seed: want a whole number, got "1e3"`},
	{minimal + "seed: true\n", `3:7: seed: want a whole number, got true`},
	{minimal + "seed: .nan\n", `3:7: seed: want a whole number in plain digits, got .nan`},
	{minimal + "seed: -.inf\n", `3:7: seed: want a whole number in plain digits, got -.inf`},
	{minimal + "x: 1\n", `3:1: unknown key "x": known: kreplay, name, seed, vars, template, templates, rewrite, keep, population, time, stream, stages, inject, settle, expect, guard`},
	{minimal + "name: a\nname: b\n", `4:1: name: this key is already on line 3: remove one`},
	{minimal + "rewrite: [a]\n", `3:10: rewrite: want a mapping, got a list`},
	{minimal + "rewrite: {a: usr}\n", `3:14: a: unknown role "usr": did you mean "user"?`},
	{minimal + "rewrite:\n  a: uuid per user\n", `4:6: a: want uuid or uuid per session, got "per user" behind uuid`},
	{minimal + "rewrite: {a: user U%s}\n", `3:14: a: pattern "U%s": want exactly one %d or %010d (width 1 to 99)`},
	{minimal + "rewrite: {a: user U%d%d}\n", `3:14: a: pattern "U%d%d": want exactly one %d or %010d (width 1 to 99)`},
	{minimal + "rewrite: {a: 'counter \"%d'}\n", `3:14: a: pattern "\"%d": want printable ASCII without " and \`},
	{minimal + "rewrite: {a: counter é%d}\n", `3:14: a: pattern "é%d": want printable ASCII without " and \`},
	{minimal + "rewrite: {a: spend}\n", `3:14: a: unknown role "spend": known: keep, user, uuid, time, counter, date, peer, scale, hash, fake`},
	{minimal + "rewrite: {a: 5}\n", `3:14: a: want text, got 5: put it in quotes`},
	{minimal + "rewrite: {a: }\n", `3:11: a: want text, got nothing`},
	{minimal + "rewrite:\n  \"{a,b\": time\n", `4:3: rewrite: "{a,b": "{" is not closed by "}"`},
	{minimal + "rewrite: {\"a}\": time}\n", `3:11: rewrite: "a}": "}" without "{" before it`},
	{minimal + "rewrite: {\"a..b\": time}\n", `3:11: rewrite: "a..b": want a field's name, or type.path.to.field`},
	{minimal + "rewrite: {\"\": time}\n", `3:11: rewrite: "": want a field's name, or type.path.to.field`},
	{minimal + "rewrite:\n  {a,b}: time\n", `4:3: put the pattern in quotes: YAML reads * and { otherwise`},
	{minimal + "rewrite: {*_at: time}\n", `3:11: put the pattern in quotes: YAML reads * and { otherwise`},
	{minimal + "keep: [*_at]\n", `3:8: alias: anchors, aliases and tags are not read here: write the value itself, in quotes if it begins with *, & or !`},
	{"kreplya: 1\ntemplate: t\n", `1:1: unknown key "kreplya": did you mean "kreplay"?`},
	{"kreplay: 1\ntempltae: t\n", `2:1: unknown key "templtae": did you mean "template"?`},
	{minimal + "stages: {raw: {pth: x}}\n", `3:16: unknown key "pth": did you mean "path"?`},
	{minimal + "rewrite:\n  *_at: time\n", `4:3: put the pattern in quotes: YAML reads * and { otherwise`},
	{minimal + "rewrite:\n  a: *b\n", `4:6: alias: anchors, aliases and tags are not read here: write the value itself, in quotes if it begins with *, & or !`},
	{minimal + "keep: price\n", `3:7: keep: want a list, got "price"`},
	{minimal + "keep: [5]\n", `3:8: keep: want text, got 5: put it in quotes`},
	{minimal + "keep: [\"{\"]\n", `3:8: keep: "{": "{" is not closed by "}"`},
	{minimal + "keep: [a, , b]\n", `3:11: not readable as YAML: unexpected scalar value type`},
	{minimal + "population: 5\n", `3:13: population: want a mapping, got 5`},
	{minimal + "population:\n  users: many\n", `4:10: users: want a whole number, got "many"`},
	{minimal + "population: {users: 0}\n", `3:21: users: want a whole number from 1 to 4294967295, got 0`},
	{minimal + "population: {users: 4294967296}\n", `3:21: users: want a whole number from 1 to 4294967295, got 4294967296`},
	{minimal + "population: {users: \"5\"}\n", `3:21: users: want a whole number, got the text "5": remove the quotes`},
	{minimal + "population: {user: 5}\n", `3:14: unknown key "user": did you mean "users"?`},
	{minimal + "population: {cohorts: {}}\n", `3:23: cohorts: want at least one name in it`},
	{minimal + "population:\n  cohorts:\n    a: {share: 50%}\n    b: {share: 49.9999999%}\n", `5:5: cohorts: the shares add up to 99.9999999%, want exactly 100%`},
	{minimal + "population: {cohorts: {a: {share: 100}}}\n", `3:35: share: want a percentage such as 2%, got 100`},
	{minimal + "population: {cohorts: {a: {share: -1%}}}\n", `3:35: share: want a percentage such as 2%, got "-1%"`},
	{minimal + "population: {cohorts: {a: {share: 101%}}}\n", `3:35: share: 101%: want at most 100%`},
	{minimal + "population: {cohorts: {a: {share: 33.33333333%}}}\n", `3:35: share: 33.33333333%: want at most seven decimals`},
	{minimal + "population: {cohorts: {a: {}}}\n", `3:27: a: share: missing: want a percentage such as 2%`},
	{minimal + "population: {cohorts: {a: {share: 100%, template: tt}}}\n", `3:51: template: no template is called "tt": did you mean "t"?`},
	{minimal + "population: {cohorts: {a.b: {share: 100%}}}\n", `3:24: cohorts: "a.b": want 1 to 128 letters, digits and any of _-, not beginning with a dot`},
	{minimal + "population: {cohorts: {a: {share: 100%, spend: 3}}}\n", `3:41: unknown key "spend": known: template, share, until`},
	{"kreplay: 1\ntemplates: {a: a, b: b}\npopulation:\n  cohorts:\n    c: {share: 100%}\n", `5:5: c: template: missing: there are 2`},
	{minimal + "population:\n  cohorts:\n    a: {share: 50%}\n    a: {share: 50%}\n", `6:5: a: this key is already on line 5: remove one`},
	{minimal + "stream: {name: a b}\n", `3:16: name: "a b": want 1 to 128 of a-z, A-Z, 0-9, _, . and -`},
	{minimal + "stream: {partition_key: \"*_id\"}\n", `3:25: partition_key: "*_id": want one field, without * and {}`},
	{minimal + "stream: {newline: yes}\n", `3:19: newline: want auto, true or false, got "yes"`},
	{minimal + "stream: {newline: maybe}\n", `3:19: newline: want auto, true or false, got "maybe"`},
	{minimal + "stream: {limits: {rate: 40k}}\n", `3:25: rate: want 40k/s or max, got "40k"`},
	{minimal + "stream: {limits: {rate: 1000}}\n", `3:25: rate: want 40k/s or max, got 1000`},
	{minimal + "stream: {limits: {rate: 0/s}}\n", `3:25: rate: 0/s: nothing would ever be sent: want 40k/s or max`},
	{minimal + "stream: {limits: {rate: -1/s}}\n", `3:25: rate: want 40k/s or max, got "-1/s"`},
	{minimal + "stream: {limits: {rate: 0.5/s}}\n", `3:25: rate: 0.5/s: want a whole number a second below 2^63`},
	{minimal + "stream: {limits: {rate: NaN/s}}\n", `3:25: rate: "NaN/s": want a rate that does not change, such as 40k/s, of bytes 40MB/s, or max; or one that does: ` + profileForms},
	{minimal + "stream: {limits: {rate: 40 x/s}}\n", `3:25: rate: want 40k/s or max, got "40 x/s"`},
	{minimal + "stream: {limits: {rate: 1e3/s}}\n", `3:25: rate: want 40k/s or max, got "1e3/s"`},
	{minimal + "stream: {limits: {rate: 99999999999G/s}}\n", `3:25: rate: 99999999999G/s: want a whole number a second below 2^63`},
	{minimal + "stream: {limits: {bytes: 40mb/s}}\n", `3:26: bytes: want 40MB/s or max, got "40mb/s"`},
	{minimal + "stream: {limits: {bytes: 0MB/s}}\n", `3:26: bytes: 0MB/s: nothing would ever be sent: want 40MB/s or max`},
	{minimal + "stream: {limits: {requests: 0}}\n", `3:29: requests: want a whole number from 1 to 1000, got 0`},
	{minimal + "stream: {limits: {requests: 1001}}\n", `3:29: requests: want a whole number from 1 to 1000, got 1001`},
	{minimal + "stream: {limits: {per_shard: 101%}}\n", `3:30: per_shard: 101%: want at most 100%`},
	{minimal + "stream: {on_unknown: drop}\n", `3:22: on_unknown: want resend or hold, got "drop"`},
	{minimal + "stream: {wire: CBOR}\n", `3:16: wire: want json or cbor, got "CBOR": did you mean "cbor"?`},
	{minimal + "stages: {raws: {path: a}}\n", `3:10: stages: unknown name "raws": did you mean "raw"?`},
	{minimal + "stages: {raw: {}}\n", `3:15: raw: path: missing: want a directory, a file or s3://bucket/prefix`},
	{minimal + "stages: {raw: a}\n", `3:15: raw: want a mapping, got "a"`},
	{minimal + "stages: {raw: {path: \"s3://b/c\"}}\n", `3:22: path: "s3://b/c": "b" is no name of a bucket: want 3 to 63 of a-z, 0-9, . and -`},
	{minimal + "stages: {raw: {path: \"a\\nb\"}}\n", `3:22: path: "a\nb": want a path without control characters`},
	{minimal + "settle: {quiet: 10}\n", `3:17: quiet: want a duration such as 10m or 1h30m, got 10`},
	{minimal + "settle: {quiet: -1s}\n", `3:17: quiet: -1s: want a duration that is not negative`},
	{minimal + "settle: {quiet: 10m, max: 5m}\n", `3:27: max: 5m0s is shorter than quiet, 10m0s: nothing could ever settle`},
	{minimal + "settle: {quiet: 2h}\n", `3:17: quiet: 2h0m0s is longer than max, 1h0m0s by default: give max too`},
	{minimal + "settle: {max: soon}\n", `3:15: max: want a duration such as 10m or 1h30m, got "soon"`},
	{minimal + "expect: {delivery: {mising: 0}}\n", `3:21: unknown key "mising": did you mean "missing"?`},
	{minimal + "expect: {delivery: {missing: -1}}\n", `3:30: missing: want a whole number from 0 to 9223372036854775807, got -1`},
	{minimal + "expect: {delivery: {missing: 0.5}}\n", `3:30: missing: want a whole number in plain digits, got 0.5`},
	{minimal + "expect: {querys: {}}\n", `3:10: unknown key "querys": did you mean "queries"?`},
	{minimal + "name: [a\n", `3:7: not readable as YAML: sequence end token ']' not found`},
	{minimal + "\tname: a\n", `3:1: not readable as YAML: found character '	' that cannot start any token`},
	{minimal + "name: a: b\n", `3:7: not readable as YAML: mapping value is not allowed in this context`},
	{minimal + "name: 'x\n", `3:7: not readable as YAML: could not find end character of single-quoted text`},
	{minimal + "name: \"\\q\"\n", `3:9: not readable as YAML: found unknown escape character 'q'`},
	{minimal + "---\na: b\n", `4:1: a second document: a scenario file has one, remove the "---" before it`},
	{minimal + "name: !!str a\n", `3:7: tag: anchors, aliases and tags are not read here: write the value itself, in quotes if it begins with *, & or !`},
	{minimal + "name: &x a\n", `3:7: anchor: anchors, aliases and tags are not read here: write the value itself, in quotes if it begins with *, & or !`},
	{minimal + "<<: {seed: 1}\n", `3:1: "<<": want plain or quoted text as a key; keys of another mapping have to be written out`},
	{minimal + "? [a]\n: b\n", `4:1: not readable as YAML: found an invalid key for this map`},
	{minimal + "name: |\n  abc\n", `3:7: name: "abc\n": want 1 to 128 letters, digits and any of _-., not beginning with a dot`},
	{minimal + "name: {b}\n", `3:7: name: want text, got a mapping`},
	{minimal + "5: b\n", `3:1: unknown key "5": known: kreplay, name, seed, vars, template, templates, rewrite, keep, population, time, stream, stages, inject, settle, expect, guard`},
	{minimal + "null: b\n", `3:1: unknown key "null": known: kreplay, name, seed, vars, template, templates, rewrite, keep, population, time, stream, stages, inject, settle, expect, guard`},
}

// Each override of minimal has one fault.
var faultyOverrides = []struct{ set, want string }{
	{"name", `--set:1:1: "name": want key=value`},
	{"nane=x", `--set:1:1: unknown key "nane": did you mean "name"?`},
	{"population.user=5", `--set:1:12: unknown key "user": did you mean "users"?`},
	{"population.users=many", `--set:1:18: users: want a whole number, got "many"`},
	{"population.users.x=5", `--set:1:18: unknown key "x": remove it`},
	{"name=", `--set:1:6: name: want text, got nothing`},
	{"name=[", `--set:1:6: not readable as YAML: sequence end token ']' not found`},
	{"keep=[a, 5]", `--set:1:10: keep: want text, got 5: put it in quotes`},
	{"é=1", `--set:1:1: unknown key "é": known: kreplay, name, seed, vars, template, templates, rewrite, keep, population, time, stream, stages, inject, settle, expect, guard`},
	{"stream.limits.rate=0/s", `--set:1:20: rate: 0/s: nothing would ever be sent: want 40k/s or max`},
	{"stages.row.path=x", `--set:1:8: stages: unknown name "row": did you mean "raw"?`},
	{"population.cohorts.x.shares=100%", `--set:1:22: unknown key "shares": did you mean "share"?`},
	{"rewrite.purchase.order_id=counter R%s", `--set:1:27: purchase.order_id: pattern "R%s": want exactly one %d or %010d (width 1 to 99)`},
	{"name=a: b", `--set:1:6: name: want text, got a mapping`},
	{"=", `--set:1:1: unknown key "": known: kreplay, name, seed, vars, template, templates, rewrite, keep, population, time, stream, stages, inject, settle, expect, guard`},
	{".=", `--set:1:1: unknown key "": known: kreplay, name, seed, vars, template, templates, rewrite, keep, population, time, stream, stages, inject, settle, expect, guard`},
	{"population.=1", `--set:1:12: unknown key "": known: users, cohorts`},
	{"seed=x\ny: z", `--set:1:6: not readable as YAML: unexpected key name`},
	{"population={users: [}", `--set:1:21: not readable as YAML: could not find '{' character corresponding to '}'`},
}

func TestAFaultSaysWhereWhatAndWhy(t *testing.T) {
	for _, c := range faulty {
		_, err := load(c.text)
		if err == nil || err.Error() != "launch/scenario.yaml:"+c.want {
			t.Errorf("%q:\n got %v\nwant launch/scenario.yaml:%s", c.text, err, c.want)
		}
	}
	for _, c := range faultyOverrides {
		_, err := load(minimal, c.set)
		if err == nil || err.Error() != c.want {
			t.Errorf("--set %q:\n got %v\nwant %s", c.set, err, c.want)
		}
	}
}

func TestAllFaultsAtOnceInTheOrderOfTheFile(t *testing.T) {
	_, err := load(`kreplay: 1
nane: x
template: ../t
population:
  users: many
  cohorts: { all: { share: 99% } }
stream:
  limits: { rate: 0/s, requests: 32 }
rewrite:
  user_id: usr
`, "seed=7", "steam.name=x", "stream.limits.requests=0")
	want := []string{
		`--set:2:1: unknown key "steam": did you mean "stream"?`,
		`--set:3:24: requests: want a whole number from 1 to 1000, got 0`,
		`launch/scenario.yaml:2:1: unknown key "nane": did you mean "name"?`,
		`launch/scenario.yaml:3:11: template: "../t": want a directory inside the scenario's folder, with / and no .. in it`,
		`launch/scenario.yaml:5:10: users: want a whole number, got "many"`,
		`launch/scenario.yaml:6:12: cohorts: the shares add up to 99%, want exactly 100%`,
		`launch/scenario.yaml:8:19: rate: 0/s: nothing would ever be sent: want 40k/s or max`,
		`launch/scenario.yaml:10:12: user_id: unknown role "usr": did you mean "user"?`,
	}
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %T, want Faults", err)
	}
	if diff := cmp.Diff(want, strings.Split(faults.Error(), "\n")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What is no scenario at all is refused before it can cost a stack or an hour.
func TestBounds(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{minimal + strings.Repeat(" ", 1<<16), "65559 bytes: a scenario file has at most 65536"},
		{minimal + "keep: " + strings.Repeat("[", 5000), "too many brackets"},
		{minimal + "keep: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than 100 deep"},
		{minimal + strings.Repeat("- ", 1<<14), "not readable as YAML"},
		{minimal + strings.Repeat("? ", 1<<14), "not readable as YAML"},
	} {
		if _, err := load(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q…: got %v, want %q", c.text, err, c.want)
		}
	}
}

func TestNoFaultsAreNoError(t *testing.T) {
	if err := (Faults{}).Err(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"users", "cohorts", "share", "template"}
	for word, want := range map[string]string{
		"user": "users", "suers": "users", "Share": "share", "templtae": "template", "cohort": "cohorts",
		"x": "", "": "", "entirely": "", strings.Repeat("users", 50): "",
	} {
		if got := nearest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

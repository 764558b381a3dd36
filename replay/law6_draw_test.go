package replay_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"kreplay/pkg/local"
)

// drawn is a scenario that chance made, and how its pipeline is.
type drawn struct {
	files  fs.FS
	set    []string // keys of the scenario
	prefix string   // of objects, where raw is partitioned
	stream bool     // the stream is read back
	table  bool     // raw is written anew into a table
	wrap   string   // how a table's rows hold records: "", text or base64
	mode   string   // of the table's comparison
	pack   string   // of the objects, instead of how they were delivered
	part   bool     // misplaced rows are told
	shared bool     // another run of the scenario is in the same lake
}

// author draws the lines of one player.
type author struct {
	rng      *rand.Rand
	user     string // as it is written
	time     int    // its form
	at       time.Time
	session  string
	counters int
	used     map[string]bool // fields
}

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

func uuidOf(rng *rand.Rand) string {
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", rng.Uint32(), rng.IntN(1<<16), rng.IntN(1<<12), rng.IntN(1<<12), rng.Uint64()>>16)
}

// ownUUID is an id of a record, in one of the forms of them.
func (a *author) ownUUID() string {
	id := uuidOf(a.rng)
	switch a.rng.IntN(4) {
	case 0:
		return strings.ToUpper(id)
	case 1:
		return strings.ReplaceAll(id, "-", "")
	case 2:
		return "01" + strings.ToUpper(strings.NewReplacer("-", "", "i", "j", "l", "k", "o", "p", "u", "v").Replace(id))[:24]
	}
	return id
}

// stamp is the time of an event in the player's form.
func (a *author) stamp(form int) string {
	ms := a.at.UnixMilli()
	return []string{
		fmt.Sprint(ms), fmt.Sprint(ms / 1000), fmt.Sprintf("%d.%06d", ms/1000, ms%1000*1000+17), fmt.Sprintf(`"%d"`, ms), fmt.Sprint(ms*1000 + 3),
		a.at.Format(`"2006-01-02T15:04:05.000Z07:00"`), a.at.In(time.FixedZone("", 9*3600)).Format(`"2006-01-02T15:04:05-07:00"`), a.at.Format(`"2006-01-02 15:04:05"`),
	}[form]
}

// value draws what a field that no rule names may hold.
func (a *author) value(depth int) string {
	if depth > 0 && a.rng.IntN(4) == 0 {
		var parts []string
		for i := range a.rng.IntN(3) {
			parts = append(parts, fmt.Sprintf(`"%c":%s`, 'p'+i, a.value(depth-1)))
		}
		if a.rng.IntN(2) == 0 {
			return "{" + strings.Join(parts, pick(a.rng, ",", ", ")) + "}"
		}
		return "[" + strings.Repeat(a.value(depth-1)+",", a.rng.IntN(3)) + a.value(0) + "]"
	}
	return pick(a.rng, `"strong plums"`, `"はじめての冒険"`, `"caf\u00e9 \"quote\" \\ \/"`, `"😀 smörgås\n"`, `"\ud83d\ude00x"`, `""`, "null", "true", "false",
		"0", "-7", "1.50", "19.90", "1e3", "2.5E-7", "0.1234567890123456789", "9007199254740993", "12345678901234567890", "[]", "{}", `"<&>,;|"`, `"a\"\"b"`)
}

// line draws a record; names are the fields of its log type with their roles.
func (a *author) line(logType string, names []string) string {
	var parts []string
	gap, colon := pick(a.rng, "", "", " "), pick(a.rng, ":", ":", ": ")
	for _, name := range names {
		a.used[name] = true
		var v string
		switch name {
		case "log_type":
			v = `"` + logType + `"`
		case "user_id":
			v = a.user
		case "ts", "done_at":
			v = a.stamp(a.time)
		case "event_id":
			v = `"` + a.ownUUID() + `"`
		case "session_id":
			v = `"` + a.session + `"`
		case "day":
			v = a.at.Format(`"2006-01-02"`)
		case "rival_id":
			v = strings.Replace(a.user, "4217", "4299", 1)
		case "order_no":
			a.counters++
			v = fmt.Sprintf(`"KR%06d"`, a.counters)
		case "nickname":
			v = `"Runner7"`
		case "amount":
			v = pick(a.rng, "12.50", "100", "0.333")
		default:
			v = a.value(2)
		}
		parts = append(parts, fmt.Sprintf(`"%s"%s%s`, name, colon, v))
	}
	return "{" + strings.Join(parts, ","+gap) + "}"
}

// twin is a line that a table cannot tell from line.
func twin(rng *rand.Rand, line string) string {
	switch rng.IntN(3) {
	case 0:
		return line[:len(line)-1] + `,"nothing":null}`
	case 1:
		return "{ " + line[1:]
	}
	return line
}

// template draws the log types of one player; names of fields are those of all players.
func (a *author) template(dir string, files fstest.MapFS) {
	a.at = time.Date(2026, 9, 14, a.rng.IntN(24), 59, 40, a.rng.IntN(1000)*1_000_000, time.UTC)
	a.session = uuidOf(a.rng)
	meta := fmt.Sprintf("template: 1\nsource: { kind: stream, from: drawn }\nuser: %s\nfields: { user: user_id, time: ts, type: log_type }\nnewline: %v\nlog_types:\n",
		map[bool]string{true: a.user, false: `"` + a.user + `"`}[strings.HasPrefix(a.user, `"`)], a.rng.IntN(2) == 0)
	timeless := false
	for i := range 2 + a.rng.IntN(4) {
		most := 1 + a.rng.IntN(4)
		logType := fmt.Sprintf("%s_%c", pick(a.rng, "jump", "shop", "quit", "log-in"), 'r'+i)
		names := []string{"log_type", "user_id"}
		switch n := a.rng.IntN(10); {
		case i == 0 || n > 2:
			names = append(names, "ts")
			if a.rng.IntN(2) == 0 {
				names = append(names, "event_id")
			}
			if a.rng.IntN(4) == 0 {
				names = append(names, "day")
			}
		case n > 0 || timeless: // two records without a time of a user could not be told apart when they are changed
			names = append(names, "event_id")
		default:
			timeless, most = true, 1
		}
		for _, name := range []string{"session_id", "done_at", "order_no", "nickname", "amount", "rival_id", "item", "detail", "note"} {
			if a.rng.IntN(2) == 0 && (name != "done_at" || slices.Contains(names, "ts")) {
				names = append(names, name)
			}
		}
		a.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		var lines []string
		for range most {
			a.at = a.at.Add(time.Duration(1000+a.rng.IntN(5000)) * time.Millisecond)
			one := a.line(logType, names)
			lines = append(lines, one)
			for a.rng.IntN(4) == 0 {
				lines = append(lines, twin(a.rng, one))
			}
		}
		meta += fmt.Sprintf("  - { name: %s, file: %s.ndjson, events: %d }\n", logType, logType, len(lines))
		files[dir+"/"+logType+".ndjson"] = &fstest.MapFile{Data: []byte(strings.Join(lines, "\n") + "\n")}
	}
	files[dir+"/template.yaml"] = &fstest.MapFile{Data: []byte(meta)}
}

// drawScenario draws what is sent, and where to.
func drawScenario(rng *rand.Rand) (d drawn) {
	files := fstest.MapFS{}
	user, form := pick(rng, `"10004217"`, "10004217", `"`+uuidOf(rng)+`"`, `"0010004217"`, "100042170001", `"P0004217"`), rng.IntN(8)
	templates, cohorts, used := "", "", map[string]bool{}
	many := 1 + rng.IntN(2)
	for i := range many {
		a := author{rng: rng, user: user, time: form, used: used}
		name := string(rune('a' + i))
		a.template("drawn/"+name, files)
		templates += fmt.Sprintf("  %s: %s\n", name, name)
		cohorts += fmt.Sprintf("    c%d: { template: %s, share: %d%%, spend: %s }\n", i, name, 100/many, pick(rng, "1", "2.5", "0.1"))
	}
	yaml := fmt.Sprintf("kreplay: 1\nname: drawn\nseed: %d\nrewrite:\n", rng.Uint32())
	rule := "user_id: user"
	if strings.Contains(user, "P") {
		rule += " P%010d"
	}
	for _, rule := range []string{rule, "session_id: uuid", "event_id: uuid", "ts: time", "done_at: time", "order_no: counter KR%06d", "nickname: fake", "amount: scale spend", "day: date of ts", "rival_id: peer"} {
		if name, _, _ := strings.Cut(rule, ":"); used[name] {
			yaml += "  " + rule + "\n"
		}
	}
	if !used["amount"] {
		cohorts = regexp.MustCompile(", spend: [^ ]*").ReplaceAllString(cohorts, "")
	}
	yaml += "templates:\n" + templates
	yaml += fmt.Sprintf("population:\n  users: %d\n  cohorts:\n%s", 2+rng.IntN(18), cohorts)
	yaml += fmt.Sprintf("stream: { name: %q, newline: %s, partition_key: %s, order: %s, max_slip: 0s }\n",
		pick(rng, streamName, streamName, "s-{log_type}"), pick(rng, "true", "false", "auto"), pick(rng, "user_id", "log_type"), pick(rng, "none", "none", "user"))
	if rng.IntN(2) == 0 {
		yaml += "inject: { duplicate: 5% }\n"
	} else if rng.IntN(2) == 0 {
		yaml += "inject: { duplicate: 3%, late: { share: 20%, by: 2h } }\ntime: { speedup: 100000 }\n"
	}
	yaml += "stages:\n  raw: { path: lake, compare: " + pick(rng, "exact", "exact", "json", "subset")
	if d.part = rng.IntN(3) > 0; d.part {
		d.prefix = pick(rng, "!{timestamp:yyyy/MM/dd/HH}", "dt=!{timestamp:yyyy-MM-dd}/", "x/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/")
		yaml += fmt.Sprintf(", partition: %q", d.prefix)
	}
	d.stream, d.table, d.shared = rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(4) == 0
	if d.table {
		d.mode, d.wrap = pick(rng, "exact", "json", "subset"), pick(rng, "", "", "text", "base64")
		d.set = append(d.set, "stages.table.path=table", "stages.table.compare="+d.mode)
		if d.wrap != "" {
			d.set = append(d.set, "stages.table.payload=data.record", "stages.table.encoding="+d.wrap)
		}
	}
	yaml += " }\n"
	files["drawn/scenario.yaml"] = &fstest.MapFile{Data: []byte(yaml)}
	if rng.IntN(2) == 0 {
		for _, f := range files {
			f.Data = []byte(camels.Replace(string(f.Data)))
		}
	}
	d.files = files
	return d
}

// camels gives the names of fields a case.
var camels = strings.NewReplacer("user_id", "userId", "event_id", "eventId", "session_id", "sessionID", "done_at", "DoneAt", "order_no", "orderNo", "rival_id", "rivalId",
	"nickname", "nickName", `"item":`, `"iTem":`, `"p":`, `"pP":`, `"q":`, `"Q":`)

// drawFaults draws a fault class by itself, several, all of them, or none.
func drawFaults(rng *rand.Rand, total int) local.Faults {
	f := local.Faults{Seed: rng.Uint64(), Of: total}
	most := max(1, total/14)
	classes := []func(){
		func() { f.Drop = 1 + rng.IntN(most) }, func() { f.Duplicate = 1 + rng.IntN(most) }, func() { f.Corrupt = 1 + rng.IntN(most) },
		func() { f.Delay = 1 + rng.IntN(most) }, func() { f.Misplace = 1 + rng.IntN(most) }, func() { f.Reject = 1 + rng.IntN(most) },
		func() { f.Truncate = 1 + rng.IntN(2) }, func() { f.Throttle = 1 + rng.IntN(most) },
		func() {
			f.LostEvery, f.LostMode = 2+rng.IntN(2), pick(rng, local.LostError, local.LostReset, local.LostBody, local.LostJSON)
		},
		func() { f.FailPercent, f.FailStoredPercent = 2, 3 },
		func() { f.StreamDrop = 1 + rng.IntN(most) }, func() { f.StreamDuplicate = 1 + rng.IntN(most) }, func() { f.StreamCorrupt = 1 + rng.IntN(most) },
	}
	share := pick(rng, 0, 1, 3, 6, len(classes))
	for i, n := range rng.Perm(len(classes)) {
		if i < share {
			classes[n]()
		}
	}
	return f
}

// drawPipeline draws what is between the push and the lake.
func drawPipeline(rng *rand.Rand, d *drawn, c *local.Config) {
	c.Prefix, c.BufferBytes = d.prefix, 2<<10<<rng.IntN(6)
	if strings.HasSuffix(c.Prefix, "HH}") {
		c.Prefix += "/"
	}
	c.Delimiter = pick(rng, "", "\n")
	c.Compression = pick(rng, "none", "gzip", "zstd", "snappy", "hadoop-snappy")
	if !d.table {
		c.Format = pick(rng, local.JSON, local.CSV, local.Parquet)
	}
	if c.Format != local.JSON {
		c.Names = pick(rng, "", local.LowerNames, local.KeepNames)
	}
	switch c.Format {
	case local.Parquet:
		c.Compression = pick(rng, "", "none", "gzip", "zstd", "snappy")
	case local.CSV:
		d.set = append(d.set, "stages.raw.format=csv")
	default:
		if c.Compression == "gzip" || c.Compression == "none" {
			d.pack = pick(rng, "", "", "zstd", "snappy", "hadoop", "zstd in gzip", "gzip members")
		}
	}
}

// canonical is what a record says, whatever its notation: records that say the same are alike.
func canonical(data []byte) string {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return "no JSON: " + string(data)
	}
	for name, x := range v {
		if x == nil {
			delete(v, name)
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "no JSON: " + string(data)
	}
	return string(text)
}

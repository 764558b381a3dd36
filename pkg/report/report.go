// Package report writes what a run found: one value, many writers.
package report

import (
	"encoding/json"
	"io"
	"strconv"
	"time"
)

// A Verdict is what a run proves.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
	Aborted      Verdict = "aborted"
)

// A Report is the JSON report, format 1. Durations are in ms, sizes in bytes.
// What this version does not measure is empty: aggregate; what a push did not
// write down because it was killed is null: slip_ms, put_ms, bytes, shards; and
// lag_ms where no record was timed.
type Report struct {
	Format       int           `json:"format"`
	Verdict      Verdict       `json:"verdict"`
	Reasons      []string      `json:"reasons"`
	Run          Run           `json:"run"`
	Push         Push          `json:"push"`
	Stages       []Stage       `json:"stages"`
	LogTypes     []LogType     `json:"log_types"`
	Aggregate    []struct{}    `json:"aggregate"`
	Expectations []Expectation `json:"expectations"`
	Several      bool          `json:"-"` // stages that expectations may be about: they are shown with theirs
	Differences  Differences   `json:"differences"`
	Notes        []string      `json:"-"` // for people
}

// Run names the run.
type Run struct {
	ID       string    `json:"id"`
	Scenario string    `json:"scenario"`
	Digest   string    `json:"digest"`
	Seed     uint64    `json:"seed"`
	Users    uint64    `json:"users"`
	Anchor   time.Time `json:"anchor"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
}

// Push is the sending side: records by final fate, attempts counted one by one.
type Push struct {
	Planned          uint64   `json:"planned"`
	Acked            uint64   `json:"acked"`
	Refused          uint64   `json:"refused"`
	Unknown          uint64   `json:"unknown"`
	Unsent           uint64   `json:"unsent"`
	Attempts         uint64   `json:"attempts"`
	Amplification    float64  `json:"amplification"` // attempts per planned record
	Throttled        uint64   `json:"throttled"`
	Bytes            *uint64  `json:"bytes"`
	Requests         uint64   `json:"requests"`
	Seconds          float64  `json:"seconds"`
	RecordsPerSecond float64  `json:"records_per_second"`
	Slip             *Latency `json:"slip_ms"` // from when a record was due until it was sent; null without a schedule
	Put              *Latency `json:"put_ms"`  // of requests
	Shards           []Shard  `json:"shards"`
	Streams          []Stream `json:"streams,omitempty"` // where there are several
}

// A Latency is a distribution of times in ms.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// A Stream says what went into one of several streams.
type Stream struct {
	Name      string   `json:"name"`
	Records   uint64   `json:"records"`
	Bytes     uint64   `json:"bytes"`
	Throttled uint64   `json:"throttled"` // attempts
	Unknown   uint64   `json:"unknown"`   // likewise
	Slip      *Latency `json:"slip_ms"`
}

// A Shard says what went into a shard, and how many attempts it refused.
type Shard struct {
	Stream    string `json:"stream,omitempty"` // where there are several
	ID        string `json:"id"`
	Records   uint64 `json:"records"`
	Bytes     uint64 `json:"bytes"`
	Throttled uint64 `json:"throttled"`
}

// States counts records by state.
type States struct {
	Delivered uint64 `json:"delivered"`
	Mutated   uint64 `json:"mutated"`
	Rejected  uint64 `json:"rejected"`
	Missing   uint64 `json:"missing"`
	InFlight  uint64 `json:"in_flight"`
	Undecided uint64 `json:"undecided"`
	Absent    uint64 `json:"absent"`
}

// A Stage is the account of one stage.
type Stage struct {
	Name    string `json:"name"`
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`
	Rows    uint64 `json:"rows"`
	States
	Duplicates Duplicates `json:"duplicates"`
	Strangers  uint64     `json:"strangers"`
	Foreign    uint64     `json:"foreign"`
	Damaged    uint64     `json:"damaged"` // unreadable spans, of the run or of nobody knows whom
	Misplaced  *uint64    `json:"misplaced"`
	Lag        *Lag       `json:"lag_ms"`
	LagDetail  *LagDetail `json:"lag"`
	Changes    Changes    `json:"changes"`
	Arose      *Arose     `json:"arose"` // null where nothing can be told: of the error stage, of a stage that could not be read

	ForeignSpans ForeignSpans `json:"foreign_spans"`
}

// ForeignSpans are unreadable spans that hold nothing of the run: other producers'.
type ForeignSpans struct {
	Spans   uint64        `json:"spans"`
	Bytes   uint64        `json:"bytes"`
	Samples []ForeignSpan `json:"samples"` // the first by object and offset
}

// A ForeignSpan says where one is, and why it cannot be read.
type ForeignSpan struct {
	Object string `json:"object"`
	Offset int64  `json:"offset"` // in decompressed bytes
	Bytes  int64  `json:"bytes"`
	Reason string `json:"reason"`
}

// An Arose counts the differences of a stage that the stage before it on the way
// of the records has not: they arose between the two.
type Arose struct {
	Since      string `json:"since"` // push, or the stage before that could be read
	Missing    uint64 `json:"missing"`
	Rejected   uint64 `json:"rejected"`
	Mutated    uint64 `json:"mutated"`
	Duplicates uint64 `json:"duplicates"`
	Strangers  uint64 `json:"strangers"`
}

// Changes says what changed rows, duplicates among them.
type Changes struct {
	Compare string   `json:"compare"` // how rows are held against records: exact, json, subset
	Beyond  uint64   `json:"beyond"`  // changed rows that were too many to look into
	Whole   bool     `json:"whole"`   // nothing else changed in those that were looked into
	Fields  []Change `json:"fields"`  // the most frequent first
}

// A Change is what happened to one field of one log type, with an example.
type Change struct {
	LogType string `json:"log_type"`
	Field   string `json:"field"` // dotted, without the numbers of elements; empty: the row as a whole
	Cause   string `json:"cause"`
	Rows    uint64 `json:"rows"`
	ID      string `json:"id"` // of the example
	Want    string `json:"want"`
	Got     string `json:"got"`
}

// Duplicates are charged to whoever can have made them.
type Duplicates struct {
	Producer uint64 `json:"producer"`
	Pipeline uint64 `json:"pipeline"`
}

// A LogType is one log type's share of a stage.
type LogType struct {
	Name    string `json:"name"`
	Stage   string `json:"stage"`
	Planned uint64 `json:"planned"`
	States
	Duplicates uint64 `json:"duplicates"`
}

// An Expectation is a query judged. Want and Got are written exactly.
type Expectation struct {
	Name      string     `json:"name"`
	Owner     string     `json:"owner"`
	SQL       string     `json:"sql"`
	Want      string     `json:"want"`
	Got       string     `json:"got"`
	Tolerance string     `json:"tolerance"`
	Verdict   Verdict    `json:"verdict"`
	Explained *Explained `json:"explained"` // of a count that is checked without anyone asking
	Seconds   float64    `json:"seconds"`
	Stage     string     `json:"stage"` // whose rows it is about
	Reason    string     `json:"-"`     // why not pass; the report's reasons have it
	Asked     bool       `json:"-"`     // by the scenario
}

// Explained says which part of a count's difference the stage's account explains.
type Explained struct {
	Missing     int64 `json:"missing"`
	Duplicates  int64 `json:"duplicates"`
	Mutated     int64 `json:"mutated"`
	Unexplained int64 `json:"unexplained"`
}

// Differences holds how many there are, and the first of them.
type Differences struct {
	Total   uint64   `json:"total"`
	Samples []Sample `json:"samples"`
}

// A Sample names one difference. Where in the object its row lies is for
// people and for differences.ndjson; JSON, format 1, has no key for it.
type Sample struct {
	ID      string `json:"id"`
	LogType string `json:"log_type"`
	Kind    string `json:"kind"`
	Object  string `json:"object"`
	Place   string `json:"-"` // in the object, as in at byte 120
	Detail  string `json:"detail"`
}

// JSON writes r as indented JSON. Lists are never null.
func JSON(w io.Writer, r Report) error {
	list(&r.Reasons)
	list(&r.Push.Shards)
	list(&r.Stages)
	for i := range r.Stages {
		list(&r.Stages[i].Changes.Fields)
		list(&r.Stages[i].ForeignSpans.Samples)
	}
	list(&r.LogTypes)
	list(&r.Aggregate)
	list(&r.Expectations)
	list(&r.Differences.Samples)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func list[T any](l *[]T) {
	if *l == nil {
		*l = []T{}
	}
}

// Count writes n with commas between thousands.
func Count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

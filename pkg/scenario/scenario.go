package scenario

import (
	"io/fs"
	"time"

	"kreplay/pkg/pace"
)

// A Scenario is what a run does, checked: every value is within its bounds and every name it uses is defined.
type Scenario struct {
	Name       string
	Seed       uint64
	Vars       map[string]string // as given, by name; ${name} has been put in everywhere already
	FS         fs.FS             // the scenario's folder
	File       string            // the scenario file inside FS
	Files      []string          // the others in FS that it names: SQL, curves; not those of templates
	Templates  []TemplateRef
	Rewrite    []Rule    // the first that matches wins
	Keep       []Pattern // fields that look like ids or times and are not
	Population Population
	Time       Schedule
	Stream     Stream
	Stages     []Stage
	Inject     Inject
	Settle     Settle
	Expect     Expect
	Guard      Guard
}

// A TemplateRef names a template and its directory inside Scenario.FS.
type TemplateRef struct {
	Name, Dir string
	Pos       Pos // of the directory
}

// A Pattern names fields as the left side of a rewrite rule does.
type Pattern struct {
	Field string
	Pos   Pos
}

// Population says who the users are. There is at least one cohort and the shares add up to Whole.
type Population struct {
	Users   uint64 // 1 to 2^32-1
	Cohorts []Cohort
}

// A Cohort is a share of the users that all replay one template.
type Cohort struct {
	Name, Template string // Template is the Name of one of Scenario.Templates
	Share          Share
	Until          string   // log type with whose last event its users stop; empty: they play all
	UntilPos       Pos      // of Until
	Numbers        []Number // what `scale` rules multiply by, by name
	Pos            Pos      // of the name
}

// A Number is a named number of a cohort.
type Number struct {
	Name  string
	Value Decimal
}

// A Decimal is Digits / 10^Scale, exactly.
type Decimal struct {
	Digits uint64
	Scale  int
}

// A Schedule says when users play. The zero value: all at once, unpaced, the last
// event just before now.
type Schedule struct {
	Start    time.Time      // when the first user begins; zero: so that the last event is just before now
	Zone     *time.Location // of dates and of peak; nil: UTC
	Arrivals pace.Curve     // how the users' beginnings are spread; zero: all at once
	Speedup  Decimal        // how much faster than recorded records are sent; zero: unpaced
}

// Paced says whether the schedule decides when a record is sent.
func (t Schedule) Paced() bool { return t.Speedup.Digits > 0 }

// Inject says what is planned on purpose to look like a fault of a producer.
type Inject struct {
	Duplicate Share // of the records: sent twice, the second as copy 1
	Late      Share // of the records: sent late
	LateBy    time.Duration
}

// Guard says when a run is stopped. Zero values guard nothing.
type Guard struct {
	SpendUSD     Decimal       // estimated cost of the run
	Missing      uint64        // missing records
	ThrottledFor time.Duration // nothing but throttles for so long
}

// A Newline says whether a record ends with a newline.
type Newline uint8

// What newline may be.
const (
	NewlineAuto   Newline = iota // as the template was captured
	NewlineAdd                   // true: every record ends with one
	NewlineRemove                // false: none does
)

// A Policy says what becomes of a record whose fate is unknown.
type Policy uint8

// What on_unknown may be.
const (
	Resend Policy = iota // send it again: it may be stored twice
	Hold                 // leave it: it may be stored not at all
)

// A Stream says where records go and how fast.
type Stream struct {
	Name         string // with {log_type} in it one for each log type; see StreamOf
	NamePos      Pos    // of such a name
	PartitionKey string // the field whose value is the partition key; empty: the user's id
	KeyPos       Pos    // of it
	Newline      Newline
	Limits       Limits
	Order        Order
	OnUnknown    Policy
	Wire         Wire
	MaxSlip      time.Duration // a schedule that slips further at p99 proves nothing; 0: no bound
}

// A Wire says how records are written on their way to the stream.
type Wire uint8

// What wire may be.
const (
	WireJSON Wire = iota
	WireCBOR      // a quarter fewer bytes, for endpoints that know it
)

// An Order says in what order a user's records arrive.
type Order uint8

// What order may be.
const (
	OrderNone Order = iota // as they come
	OrderUser              // a user's records in order: at most one request in flight holds some of them
)

// Limits bound the traffic; they delay records, never drop them.
type Limits struct {
	Rate     uint64 // records a second; 0: no limit
	Bytes    uint64 // bytes a second; 0: no limit
	Requests int    // requests in flight, 1 to 1000
	PerShard Share  // of a shard's nominal limits; at most Whole
	// Limits that change with time, in place of Rate and Bytes; see Ceilings.
	RateProfile, ByteProfile Profile
}

// A Stage is a place the pipeline delivers to.
type Stage struct {
	Name, Path string         // stream has no path
	Share      Share          // of stream: how much of what a shard gives to all its consumers is used to read it back; 0: half
	Partition  string         // where under Path a record belongs, such as !{timestamp:yyyy/MM/dd/HH}; empty: anywhere; see Parts
	TimeZone   string         // of the times in Partition; empty: UTC; see Zone
	Keys       []PartitionKey // where keys in Partition come from
	CSV        bool           // rows are CSV; otherwise the content tells
	Payload    string         // field of a row that holds the record, where a transform wraps it, as a dotted path; empty: the row is the record
	Base64     bool           // the payload is in base64
	Empty      bool           // it is expected to hold nothing of this run
	Compare    Compare
	Ignore     []Pattern // fields that are left out of the comparison
	Pos        Pos       // of the name
}

// A Compare says what holds between a record and its row.
type Compare uint8

// What compare may be.
const (
	CompareExact  Compare = iota // the same bytes; a row that has none of its own, as Parquet's, as with json
	CompareJSON                  // the same JSON value: order of keys, white space, escapes and forms of numbers do not matter
	CompareSubset                // the same, and fields may be added to objects
)

// String returns the word of the scenario file.
func (c Compare) String() string { return compares[c] }

var compares = []string{"exact", "json", "subset"}

// Settle says when a stage counts as done: nothing new for Quiet, or Max has passed.
type Settle struct {
	Quiet, Max time.Duration
	Set        bool // the scenario says so; otherwise these are the defaults for AWS
}

// Expect says what must hold of the run.
type Expect struct {
	Delivery Delivery
	Queries  []Query // in the file's order: an earlier one is a table to the later ones
}

// A Query is an expectation: SQL over what was delivered, and what it must give.
type Query struct {
	Name       string
	SQL        string // as text, file: references read
	Stage      string // raw or table; empty: as Asked says
	Equals     string // a formula, or oracle: the same SQL over what was planned
	Tolerance  []Tolerance
	MaxSeconds Decimal // zero: no bound
	Owner      string
	Pos        Pos // of the name
	SQLPos     Pos // of the first character of the SQL, in its own file if it has one
	StagePos   Pos
	EqualsPos  Pos
}

// A Tolerance is how far a number may be off: absolutely, or relative to what is wanted.
type Tolerance struct {
	Column   string // empty: every column
	Amount   Decimal
	Relative bool // Amount is a fraction of the wanted value: 1% is 0.01
}

// Delivery says how many records of each kind of difference are accepted.
type Delivery struct {
	Missing, PipelineDuplicates, Mutated, Strangers, Damaged, Misplaced uint64

	LagP99 time.Duration // from sent to the object, in each stage but dlq; 0: however long
}

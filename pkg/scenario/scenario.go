package scenario

import (
	"io/fs"
	"time"
)

// A Scenario is what a run does, checked: every value is within its bounds and every name it uses is defined.
type Scenario struct {
	Name       string
	Seed       uint64
	FS         fs.FS  // the scenario's folder
	File       string // the scenario file inside FS
	Templates  []TemplateRef
	Rewrite    []Rule    // the first that matches wins
	Keep       []Pattern // fields that look like ids or times and are not
	Population Population
	Stream     Stream
	Stages     []Stage
	Settle     Settle
	Expect     Expect
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
	Pos            Pos // of the name
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
	Name         string
	PartitionKey string // the field whose value is the partition key; empty: the user's id
	Newline      Newline
	Limits       Limits
	OnUnknown    Policy
}

// Limits bound the traffic; they delay records, never drop them.
type Limits struct {
	Rate     uint64 // records a second; 0: no limit
	Bytes    uint64 // bytes a second; 0: no limit
	Requests int    // requests in flight, 1 to 1000
}

// A Stage is a place the pipeline delivers to.
type Stage struct {
	Name, Path string
	Pos        Pos // of the name
}

// Settle says when a stage counts as done: nothing new for Quiet, or Max has passed.
type Settle struct {
	Quiet, Max time.Duration
	Set        bool // the scenario says so; otherwise these are the defaults for AWS
}

// Expect says what must hold of the run.
type Expect struct {
	Delivery Delivery
}

// Delivery says how many records of each kind of difference are accepted.
type Delivery struct {
	Missing, PipelineDuplicates, Mutated, Strangers, Damaged uint64
}

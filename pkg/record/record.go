// Package record defines the one value that travels the pipeline: a Kinesis
// record with an identity that survives delivery.
package record

import (
	"fmt"
	"time"
)

// A Tag names one run inside every invertible uuid. It is a hash of the content
// digest, the seed and the run id, so two runs do not share it.
type Tag uint32

// An ID names one planned record. It is a pure function of the scenario, so
// the set of records expected in the lake is recomputed, never stored.
type ID struct {
	Run   Tag
	User  uint32 // 0 <= User < users of the scenario
	Event uint32 // position in the user's template, in event-time order
	Copy  uint16 // 0, or 1, 2, … for an injected duplicate
}

// String returns run/user/event, with /copy behind it for a copy.
func (id ID) String() string {
	if id.Copy == 0 {
		return fmt.Sprintf("%08x/%d/%d", uint32(id.Run), id.User, id.Event)
	}
	return fmt.Sprintf("%08x/%d/%d/%d", uint32(id.Run), id.User, id.Event, id.Copy)
}

// A Record is one entry of a PutRecords request. PartitionKey and Data belong
// to the record and are not written to after it has been made, until its Chunk
// is told that it is done.
type Record struct {
	ID           ID
	Seq          uint64 // position in this worker's order of sending, from 0 without gaps
	PartitionKey string
	Data         []byte
	Due          time.Duration // when the schedule wants it sent, since it began; 0 where it does not pace
	// ExplicitHashKey says where on the ring of hash keys the record goes, in
	// decimal, 0 to 2^128-1; empty: the MD5 of PartitionKey says it.
	ExplicitHashKey string
	Chunk           *Chunk // that Data lies in, of which the record is a user; nil: Data is nobody else's
}

// Size is what Kinesis counts against its limits: data before base64 plus
// partition key, in bytes (aws-sdk-go-v2 kinesis types.go, PutRecordsRequestEntry).
// An explicit hash key does not count (amazon-kinesis-producer, put_records_request.h).
func (r Record) Size() int { return len(r.Data) + len(r.PartitionKey) }

// Fate says what is known of an attempt, or at the end of a record.
type Fate uint8

// The fates. An attempt that nobody can judge is Unknown. Unsent is the final
// fate of a record that was never attempted; no attempt has it.
const (
	Unknown Fate = iota // request sent, no usable answer: may or may not be stored
	Acked               // stored: a sequence number came back
	Refused             // surely not stored; safe to send again
	Unsent              // never attempted
)

func (f Fate) String() string {
	return [...]string{"unknown", "acked", "refused", "unsent"}[f&3]
}

// An Outcome is the fate of one attempt at one record. The sequence number
// that makes it Acked is not kept: 56 digits a record that nobody looks at.
type Outcome struct {
	ID    ID
	Fate  Fate
	Shard string // set when Acked
	Code  string // unless Acked: the service's error code, or timeout, reset, broken-answer, …
	Err   error  // unless Acked: the text behind Code
}

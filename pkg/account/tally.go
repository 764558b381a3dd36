package account

import "fmt"

// States counts planned records by what is known of them in one stage. Each
// planned record has exactly one state (law 4).
type States struct {
	Planned   uint64
	Delivered uint64 // a row that is intact
	Mutated   uint64 // rows, none of them intact
	Rejected  uint64 // in the error records
	Missing   uint64 // acked, the stage has settled, no row
	InFlight  uint64 // acked, the stage has not settled, no row yet
	Undecided uint64 // fate unknown, no row
	Absent    uint64 // refused or unsent, no row
}

func (s *States) add(o States) {
	s.Planned += o.Planned
	s.Delivered += o.Delivered
	s.Mutated += o.Mutated
	s.Rejected += o.Rejected
	s.Missing += o.Missing
	s.InFlight += o.InFlight
	s.Undecided += o.Undecided
	s.Absent += o.Absent
}

// Fates counts planned records by their final fate.
type Fates struct{ Acked, Refused, Unknown, Unsent uint64 }

// A Tally is the account of one stage. Its sums hold after every run; a Tally
// that breaks one is a bug in kreplay, not a finding about the pipeline.
type Tally struct {
	States
	Fates     Fates
	Rows      uint64  // all readable rows of the stage
	Producer  uint64  // extra rows that our own unknown attempts explain
	Pipeline  uint64  // extra rows beyond that
	Strangers uint64  // our run tag or user range, but not planned
	Foreign   uint64  // other producers' rows
	Damaged   uint64  // unreadable spans; they are not rows
	Arose     []Arose // where the differences arose, along the way of the records; of an error stage: nil
	LogTypes  []LogType
}

// A LogType is one log type's share of the account.
type LogType struct {
	Name string
	States
	Duplicates uint64
}

// Duplicates is the number of rows of records beyond each record's first.
func (t Tally) Duplicates() uint64 { return t.Producer + t.Pipeline }

// Check returns an error naming the first sum that does not hold.
func (t Tally) Check() error {
	f, s := t.Fates, t.States
	var types States
	var duplicates uint64
	var arose Arose
	for _, a := range t.Arose {
		arose.add(a)
	}
	for _, l := range t.LogTypes {
		types.add(l.States)
		duplicates += l.Duplicates
	}
	for _, sum := range []struct {
		name      string
		got, want uint64
	}{
		{"planned = acked + refused + unknown + unsent", f.Acked + f.Refused + f.Unknown + f.Unsent, s.Planned},
		{"planned = delivered + mutated + rejected + missing + in flight + undecided + absent",
			s.Delivered + s.Mutated + s.Rejected + s.Missing + s.InFlight + s.Undecided + s.Absent, s.Planned},
		{"rows = delivered + mutated + duplicates + strangers + foreign",
			s.Delivered + s.Mutated + t.Duplicates() + t.Strangers + t.Foreign, t.Rows},
		{"planned = the log types' sum", types.Planned, s.Planned},
		{"delivered = the log types' sum", types.Delivered, s.Delivered},
		{"duplicates = the log types' sum", duplicates, t.Duplicates()},
		{"missing = the gaps' sum", arose.Missing, s.Missing},
		{"rejected = the gaps' sum", arose.Rejected, s.Rejected},
		{"mutated = the gaps' sum", arose.Mutated, s.Mutated},
		{"duplicates = the gaps' sum", arose.Duplicates, t.Duplicates()},
		{"strangers = the gaps' sum", arose.Strangers, t.Strangers},
	} {
		if sum.got != sum.want {
			return fmt.Errorf("account: %s: %d != %d; this is a bug in kreplay, please report it", sum.name, sum.want, sum.got)
		}
	}
	return nil
}

package generate

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"

	"kreplay/pkg/record"
)

// Bounds of Causes: a transform may change every row of a lake.
const (
	MaxExamined  = 1 << 17 // changed rows that are looked into; each costs some 10 µs
	maxMutations = 1000    // of the table
)

// unexamined is what is said of a changed row beyond MaxExamined.
const unexamined = "changed; too many rows are to look into each"

// Causes counts the changed rows of one stage by what changed them. It is safe
// for concurrent use.
type Causes struct {
	mu       sync.Mutex
	rows     uint64 // that were changed
	examined uint64
	table    map[mutationKey]*Mutation
	full     bool
}

type mutationKey struct {
	logType, field string
	cause          Cause
}

// A Mutation is what happened to one field of one log type, with one example:
// that of the first record, so that it does not depend on who read what first.
type Mutation struct {
	LogType   string
	Field     string // as a pattern of fields has it, without the log type; empty: the row as a whole
	Cause     Cause
	Rows      uint64
	ID        record.ID // of the example
	Want, Got string

	seen uint64 // the row that was counted last
}

// begin says whether one more changed row is looked into.
func (c *Causes) begin() bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows++
	return c.rows <= MaxExamined
}

// add counts a row's changes.
func (c *Causes) add(id record.ID, logType string, list []found) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.examined++
	if len(list) == 0 { // white space, or no JSON
		list = []found{{Change: Change{Cause: CauseUnknown}}}
	}
	for _, change := range list {
		key := mutationKey{logType, change.field, change.Cause}
		m := c.table[key]
		if m == nil {
			if len(c.table) == maxMutations {
				c.full = true
				continue
			}
			if c.table == nil {
				c.table = map[mutationKey]*Mutation{}
			}
			m = &Mutation{LogType: logType, Field: change.field, Cause: change.Cause, ID: id, Want: change.Want, Got: change.Got}
			c.table[key] = m
		}
		if m.seen != c.examined {
			m.seen = c.examined
			m.Rows++
		}
		if compareExamples(id, change, m) < 0 {
			m.ID, m.Want, m.Got = id, change.Want, change.Got
		}
	}
}

func compareExamples(id record.ID, change found, m *Mutation) int {
	return cmp.Or(cmp.Compare(id.User, m.ID.User), cmp.Compare(id.Event, m.ID.Event), cmp.Compare(change.Want, m.Want), cmp.Compare(change.Got, m.Got))
}

// List returns what changed rows, the most frequent first, and how many changed
// rows were not looked into. Whole: nothing else changed in those that were.
func (c *Causes) List() (list []Mutation, beyond uint64, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.table {
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b Mutation) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.LogType, b.LogType), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Cause, b.Cause))
	})
	return list, c.rows - c.examined, !c.full
}

// savedCauses is a Causes as JSON.
type savedCauses struct {
	Rows     uint64     `json:"rows"`
	Examined uint64     `json:"examined"`
	Table    []Mutation `json:"table"`
	Full     bool       `json:"full"`
}

// MarshalJSON writes all that UnmarshalJSON needs to go on counting.
func (c *Causes) MarshalJSON() ([]byte, error) {
	list, _, _ := c.List()
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.Marshal(savedCauses{c.rows, c.examined, list, c.full})
}

// UnmarshalJSON reads what MarshalJSON wrote into an empty Causes.
func (c *Causes) UnmarshalJSON(text []byte) error {
	var s savedCauses
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows, c.examined, c.full, c.table = s.Rows, s.Examined, s.Full, map[mutationKey]*Mutation{}
	for _, m := range s.Table {
		c.table[mutationKey{m.LogType, m.Field, m.Cause}] = &m
	}
	return nil
}

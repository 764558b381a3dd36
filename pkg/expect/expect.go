// Package expect judges what a run must hold: a query's result against a
// formula over the plan, or against the same query over the regenerated records.
package expect

import (
	"context"
	"errors"
)

// A Set is a set of tables with one row a record: what was delivered, or what
// the plan says.
type Set string

// The sets. SQL names its tables without a set; a query across both writes
// delivered.purchase and expected.purchase.
const (
	Delivered Set = "delivered"
	Expected  Set = "expected"
)

// MaxRows is the most rows that a query may return: a result is held in memory
// and shown to people.
const MaxRows = 100_000

// ErrEngine says that the engine could not work: disk, memory, a bug of its own.
// Nothing is proven then. Every other error of Query is the query's.
var ErrEngine = errors.New("the SQL engine could not work")

// An Engine answers SQL over tables of log records. Its methods may be called
// from several goroutines, but the calls come in this order: Load, the loader's
// Add and Close, for each set; then Check and Query; then Close, by whoever
// opened the engine. The first Check or Query ends loading for good: from then
// on SQL reaches nothing but the tables, no file, no network, no setting.
type Engine interface {
	// Load makes the tables of a set, empty, and returns what fills them. A set
	// is loaded once.
	Load(ctx context.Context, set Set, tables []Table) (Loader, error)
	// Check says which columns a query would return. It runs nothing. The
	// query's name is a table, without rows, for the checks that follow. What is
	// wrong with the SQL comes back as a [QueryError]. An engine that has
	// checked queries is for checks only.
	Check(ctx context.Context, set Set, name, sql string) ([]ResultColumn, error)
	// Query runs one SELECT and keeps its result as a table of the query's name
	// for those that follow; an empty name keeps nothing. A cancelled ctx
	// interrupts it, and the error is then the ctx's cause. On any error nothing is kept
	// and the engine goes on working.
	Query(ctx context.Context, set Set, name, sql string) (Result, error)
	// Close frees everything, also what is on disk. It is called once, after
	// all other calls have returned.
	Close() error
}

// A Loader fills the tables of a set.
type Loader interface {
	// Add appends a row to the table of a log type. The row is not kept. It may
	// be called from several goroutines. An unknown log type is an error; a
	// value that does not fit its column is not: it becomes NULL and a [Misfit].
	Add(logType string, row []byte) error
	// Close makes the rows visible to queries, all of them or, on an error, an
	// unknown part. It is called once, after the last Add has returned.
	Close(ctx context.Context) ([]Misfit, error)
}

// A Misfit says how many values of a column became NULL because they did not fit, or how
// many rows could not be read at all (Column is empty then).
type Misfit struct {
	LogType, Column, Reason string
	Count                   uint64
	Example                 string // the first such value, cut to 100 bytes
}

// A Result is what a query returned.
type Result struct {
	Columns []ResultColumn
	Rows    [][]Value
	Ordered bool // the query's last word is its ORDER BY: the order of rows has a meaning
}

// A ResultColumn is a column of a result. Type is the engine's name of it, for
// people.
type ResultColumn struct {
	Name, Type string
	Numeric    bool
}

// A QueryError is a fault of a query's SQL. Line and Col are its place in the
// SQL, counted from 1 in characters; 0 where the engine does not tell.
type QueryError struct {
	Query     string
	Line, Col int
	Msg       string
}

// Error names the query, the place and the engine's words.
func (e *QueryError) Error() string {
	if e.Line == 0 {
		return "query " + e.Query + ": " + e.Msg
	}
	return "query " + e.Query + ": " + place(e.Line, e.Col) + e.Msg
}

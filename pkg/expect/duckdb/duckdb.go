//go:build cgo

package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	driverduckdb "github.com/duckdb/duckdb-go/v2"

	"kreplay/pkg/expect"
)

// Present says whether this binary has the engine.
const Present = true

// What DuckDB holds before it spills, in bytes. Its own default is 80 % of the
// machine, and a thread a core.
const (
	defaultMemory = 256 << 20
	leastMemory   = 128 << 20
	threadMemory  = 64 << 20 // its reader of JSON takes 32 MiB a thread and does not spill
)

// engine is one DuckDB database: a schema a set, a connection a schema.
type engine struct {
	dir  string
	db   *sql.DB
	sets map[expect.Set]*session

	mu      sync.Mutex
	sealed  bool
	loaders []*loader
}

// A session is a connection whose names are looked up in one schema. DuckDB
// interrupts a connection, not a statement, so a connection does one thing at a
// time.
type session struct {
	set  expect.Set
	conn *sql.Conn
	turn chan struct{}
}

// Open makes an empty engine.
func Open(ctx context.Context, o Options) (expect.Engine, error) {
	if i := strings.IndexAny(o.Dir, "?*["); i >= 0 {
		return nil, fmt.Errorf("duckdb: directory %s: DuckDB takes the %q in it for a pattern; give the engine another directory", o.Dir, o.Dir[i])
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.Memory < leastMemory {
		return nil, fmt.Errorf("duckdb: memory of %d bytes: it cannot load rows with less than %d", o.Memory, leastMemory)
	}
	dir, err := os.MkdirTemp(o.Dir, "sql-")
	if err != nil {
		return nil, fmt.Errorf("duckdb: %w", err)
	}
	e := &engine{dir: dir, sets: map[expect.Set]*session{}}
	if err := e.open(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("duckdb: open: %w", err), e.Close())
	}
	return e, nil
}

func (e *engine) open(ctx context.Context, o Options) error {
	// Not opened by path: the driver reads a path as a URL.
	connector, err := driverduckdb.NewConnector("", func(driver.ExecerContext) error { return nil })
	if err != nil {
		return err
	}
	e.db = sql.OpenDB(connector)
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	settings := []string{
		"set autoinstall_known_extensions = false",
		"set autoload_known_extensions = false",
		"set allow_community_extensions = false",
		"set errors_as_json = true", // with the place of the fault
		fmt.Sprintf("set memory_limit = '%d B'", o.Memory),
		fmt.Sprintf("set threads = %d", min(int64(o.Threads), o.Memory/threadMemory)),
		"set temp_directory = " + literal(filepath.Join(e.dir, "spill")),
		"set timezone = 'UTC'",                  // not the machine's: results are the same everywhere
		"pragma disable_checkpoint_on_shutdown", // nobody reads the file again
		"attach " + literal(filepath.Join(e.dir, "rows.duckdb")) + " as lake",
	}
	for _, statement := range settings {
		if _, err := e.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	for _, set := range []expect.Set{expect.Delivered, expect.Expected} {
		if err := e.session(ctx, set); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) session(ctx context.Context, set expect.Set) error {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return err
	}
	e.sets[set] = &session{set, conn, make(chan struct{}, 1)}
	for _, statement := range []string{
		"create schema lake." + string(set),
		"set search_path = 'lake." + string(set) + "'",
		"set timezone = 'UTC'",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Close implements [expect.Engine].
func (e *engine) Close() error {
	var errs []error
	for _, l := range e.loaders {
		l.discard()
	}
	for _, s := range e.sets {
		errs = append(errs, s.conn.Close())
	}
	if e.db != nil {
		errs = append(errs, e.db.Close())
	}
	if err := errors.Join(append(errs, os.RemoveAll(e.dir))...); err != nil {
		return fmt.Errorf("duckdb: close: %w", err)
	}
	return nil
}

// seal shuts the database off from files, network and settings. Nothing is
// loaded from then on.
func (e *engine) seal(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sealed {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // half a seal could not be mended
	for _, statement := range []string{"set enable_external_access = false", "set lock_configuration = true"} {
		if _, err := e.db.ExecContext(ctx, statement); err != nil {
			return engineFault(ctx, err)
		}
	}
	e.sealed = true
	return nil
}

// take waits for the set's connection; the caller calls give.
func (e *engine) take(ctx context.Context, set expect.Set) (s *session, give func(), err error) {
	s = e.sets[set]
	if s == nil {
		return nil, nil, fmt.Errorf("duckdb: no set %q", set)
	}
	select {
	case s.turn <- struct{}{}:
		return s, func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

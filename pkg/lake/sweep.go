package lake

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"kreplay/pkg/object"
)

// Sweep says what to scan of many objects and what to do with it.
type Sweep struct {
	Prefix   string // of the keys; "" for all
	Workers  int    // objects read at a time; at least 1
	MaxValue int    // longest row in bytes; 0 for the constant MaxValue
	Format   Format // of the objects

	// Keep, if set, says which of the listed objects to scan.
	// It is called by one goroutine, in key order.
	Keep func(object.Info) bool
	// Known, if set, is asked of bytes that begin with '{', at an offset, how many of
	// the first are a row that it knows; 0: it knows none. They have to be one JSON
	// object. It has taken the row then, for which Row is not called, so that nothing
	// is passed on of rows that are many. Known is not asked of CSV and Parquet, and
	// called by the workers as Row is.
	Known func(b []byte, offset int64) (n int, err error)
	// Row and Damage are called concurrently by the workers. The calls for one
	// object are made one at a time, in order of their offsets.
	Row    func(Row) error
	Damage func(Damage) error
	// Unread, if set, is shown the bytes of a damaged span that are not Blind, part
	// by part and white space within and behind them included, before Damage tells
	// of the span; Damage of length 0 may come in between. A part is valid
	// until Unread returns. It is called as Damage is.
	Unread func(part []byte)
}

// Scan scans one object of the sweep as [Scan] does.
func (s Sweep) Scan(ctx context.Context, store object.Store, key string) (Stats, error) {
	return scan(ctx, store, key, s)
}

// ScanAll scans the objects of a sweep as Scan does. Memory is bounded by
// Workers times the longest row. The first error stops all; which objects were
// scanned by then is not defined, the Stats count what was.
func ScanAll(ctx context.Context, store object.Store, sweep Sweep) (Stats, error) {
	var (
		mu    sync.Mutex
		total Stats
	)
	visit := func(ctx context.Context, info object.Info) error {
		stats, err := scan(ctx, store, info.Key, sweep)
		mu.Lock()
		defer mu.Unlock()
		total.add(stats)
		return err
	}
	err := visitAll(ctx, store, sweep, visit)
	return total, err
}

// Objects lists the objects below prefix and calls visit for each, once, from
// as many goroutines as there are workers. Objects are handed out in key order,
// and only as fast as they are visited. The first error cancels the context of
// the others and is returned when all have ended. To list only, use store.List.
func Objects(ctx context.Context, store object.Store, prefix string, workers int,
	visit func(context.Context, object.Info) error,
) error {
	return visitAll(ctx, store, Sweep{Prefix: prefix, Workers: workers}, visit)
}

func visitAll(ctx context.Context, store object.Store, sweep Sweep, visit func(context.Context, object.Info) error) error {
	g, ctx := errgroup.WithContext(ctx)
	infos := make(chan object.Info)
	g.Go(func() error {
		defer close(infos)
		return list(ctx, store, sweep, infos)
	})
	for range max(sweep.Workers, 1) {
		g.Go(func() error {
			for info := range infos {
				if err := visit(ctx, info); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func list(ctx context.Context, store object.Store, sweep Sweep, infos chan<- object.Info) error {
	for info, err := range store.List(ctx, sweep.Prefix) {
		if err != nil {
			return fmt.Errorf("lake: %w", err)
		}
		if sweep.Keep != nil && !sweep.Keep(info) {
			continue
		}
		select {
		case infos <- info:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	"kreplay/pkg/expect"
	"kreplay/pkg/expect/duckdb"
	"kreplay/replay"
)

// sendable reads a scenario and its queries too: nothing of it is left to be
// refused when records have been sent.
func (s *sourceFlags) sendable(c *cobra.Command, arg string) (*replay.Job, error) {
	job, err := s.job(c, arg)
	if err != nil {
		return nil, err
	}
	return job, job.CheckQueries(c.Context(), engine(job))
}

// engine opens DuckDB. A binary that was built without it judges delivery only:
// then there is an engine, whose error says so, only where a scenario has queries.
func engine(job *replay.Job) replay.OpenEngine {
	if !duckdb.Present && len(job.Scenario.Expect.Queries) == 0 {
		return nil
	}
	return func(ctx context.Context, dir string) (expect.Engine, error) {
		return duckdb.Open(ctx, duckdb.Options{Dir: dir})
	}
}

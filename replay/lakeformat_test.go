package replay_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/local"
)

// keysOf are the keys with which a scenario says that its lake has the format.
func keysOf(format string) []string {
	if format == local.CSV {
		return []string{"stages.raw.path=lake", "stages.raw.format=csv"}
	}
	return nil
}

// What was planted is what is reported, record by record, in lakes of every format.
func TestPlantedIsReportedInEveryFormat(t *testing.T) {
	for _, format := range []string{local.CSV, local.Parquet} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprint(format, seed), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(seed, 2))
				l := playIn(t, "", smoke(t, 5+rng.IntN(10), keysOf(format)...), func(c *local.Config) {
					c.Format, c.Compression = format, []string{"", "none", "gzip", "zstd", "snappy"}[rng.IntN(5)]
					c.Faults.Seed, c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt = seed, rng.IntN(8), rng.IntN(8), rng.IntN(8)
					c.Faults.Reject, c.Faults.Truncate, c.BufferBytes = rng.IntN(8), rng.IntN(3), 8<<10<<rng.IntN(5)
				})
				if diff := cmp.Diff(planted(t, l), reported(l)); diff != "" {
					t.Errorf("planted (-), reported (+):\n%s", diff)
				}
				raw := l.res.Stages[0]
				if s := raw.Tally; s.Foreign > 0 || s.Damaged > 0 || s.Strangers > 0 || raw.Err != nil {
					t.Errorf("%d foreign, %d strangers, %d damaged, %v; want none", s.Foreign, s.Strangers, s.Damaged, raw.Err)
				}
			})
		}
	}
}

// Without the key, CSV is damage that names the key.
func TestCSVWithoutTheKeyIsNamed(t *testing.T) {
	l := playIn(t, "", smoke(t, 2), func(c *local.Config) { c.Format, c.BufferInterval = local.CSV, time.Hour })
	if s := l.res.Stages[0].Tally; s.Damaged == 0 || s.Missing != s.Planned {
		t.Errorf("%d damaged, %d missing of %d", s.Damaged, s.Missing, s.Planned)
	}
	for _, d := range l.res.Samples {
		if want := "format: csv"; d.Kind == "damaged" && !strings.Contains(d.Detail, want) {
			t.Errorf("damage says %q, want it to name %q", d.Detail, want)
		}
	}
}

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

// keepsBytes says in which formats of a lake a row is what was sent, byte for
// byte. In the others rows are known by their identity, and every one is mutated
// as long as records are compared by their bytes.
var keepsBytes = map[string]bool{local.JSON: true}

// keysOf are the keys with which a scenario says that its lake has the format.
func keysOf(format string) []string {
	if format == local.CSV {
		return []string{"stages.raw.path=lake", "stages.raw.format=csv"}
	}
	return nil
}

// untold lists the events of the smoke scenario whose rows cannot be told by
// their identity in a lake of CSV: they hold no uuid of their own, and their
// time is a number, which CSV makes text.
func untold(format string) map[string]bool {
	if format == local.CSV {
		return map[string]bool{"3": true, "10": true, "39": true}
	}
	return nil
}

// told leaves out what is said of untold events, in lists of "kind user/event …".
func told(list []string, format string) (kept []string) {
	for _, x := range list {
		words := strings.Fields(x)
		_, event, _ := strings.Cut(words[1], "/")
		if !untold(format)[event] && (words[0] != "stranger" || untold(format) == nil) {
			kept = append(kept, x)
		}
	}
	return kept
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
				if diff := cmp.Diff(told(plantedAs(t, l, keepsBytes[format]), format), told(reported(l), format)); diff != "" {
					t.Errorf("planted (-), reported (+):\n%s", diff)
				}
				raw := l.res.Stages[0]
				if s := raw.Tally; s.Foreign > 0 || s.Damaged > 0 || s.Strangers > 0 && untold(format) == nil || raw.Err != nil {
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

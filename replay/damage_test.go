package replay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/local"
	"kreplay/pkg/report"
	"kreplay/replay"
)

// Damage to identity or structure cannot be named exactly: a row whose user, time
// or uuid is another one is a stranger, foreign, or another record's, and one that
// is no JSON any more is an unreadable span. But who was not damaged is delivered,
// newline-delimited or not, and who was is missing or mutated.
func TestDamageAnywhereHurtsNobodyElse(t *testing.T) {
	for seed := *law6First; seed < *law6First+*law6Scenarios/3; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 67))
			d := drawScenario(rng)
			job, err := replay.Check(d.files, "drawn", []string{"stages.raw.compare=" + pick(rng, "exact", "json", "subset")})
			if err != nil {
				t.Fatal(err)
			}
			dice := rand.New(rand.NewPCG(seed, 68))
			l := playIn(t, "", job, func(c *local.Config) {
				c.Prefix, c.BufferBytes = d.prefix, 2<<10<<rng.IntN(6)
				c.Compression, c.Delimiter = pick(rng, "none", "gzip"), pick(rng, "", "\n")
				c.Faults.Corrupt, c.Faults.Mutate = 1+rng.IntN(c.Faults.Of/10+1), func(data []byte) []byte { return flip(dice, data, c.Delimiter == "\n") }
			})
			judgeDamage(t, l)
		})
	}
}

// flip changes one byte, of whatever it may be; the last one only where a newline follows.
func flip(rng *rand.Rand, data []byte, newline bool) []byte {
	other, n := bytes.Clone(data), len(bytes.TrimSpace(data))
	if !newline && n == len(data) {
		n--
	}
	other[rng.IntN(n)] = `x0"{}[],:\-A`[rng.IntN(12)]
	return other
}

func judgeDamage(t *testing.T, l loop) {
	t.Helper()
	of, named, hurt, gone := map[string]string{}, map[string]string{}, map[string]int{}, map[string]int{}
	for r := range l.res.Plan.Records(generate.Slice{}) {
		says, id := canonical(r.Data), nameOfRecord(r.ID)
		if named[says] == "" {
			named[says] = id
		}
		of[id] = named[says]
	}
	for _, p := range l.pipe.Planted() {
		hurt[named[canonical(p.Data)]]++
	}
	for _, d := range l.res.Samples {
		if d.Kind == account.KindMissing || d.Kind == account.KindMutated {
			gone[of[nameOfRecord(d.ID)]]++
		}
	}
	for class, n := range gone {
		if n > hurt[class] {
			t.Errorf("%d of %s are missing or mutated, and %d were damaged", n, class, hurt[class])
		}
	}
	s := l.res.Stages[0].Tally
	if len(hurt) > 0 && l.rep.Verdict != report.Fail || s.Check() != nil {
		t.Errorf("%s, %+v, %v; want fail, and books that balance", l.rep.Verdict, s, s.Check())
	}
}

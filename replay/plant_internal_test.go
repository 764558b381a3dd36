package replay

import (
	"fmt"
	"testing"

	"kreplay/pkg/account"
	"kreplay/pkg/ledger"
	"kreplay/pkg/record"
)

// Rows go to acked records first, then to unknown ones; what is left over is
// charged to the producer for each unknown attempt, then to the pipeline (laws 3, 4).
func TestOwed(t *testing.T) {
	fates := []ledger.Span{{Fate: record.Refused}, {Fate: record.Unknown, Unknowns: 1}, {Fate: record.Acked}, {Fate: record.Unsent}}
	for _, c := range []struct {
		intact, mutated                                 int
		missing, undecided, changed, producer, pipeline int
	}{
		{0, 0, 1, 1, 0, 0, 0},
		{1, 0, 0, 1, 0, 0, 0},
		{0, 1, 0, 1, 1, 0, 0},
		{1, 1, 0, 0, 1, 0, 0},
		{2, 0, 0, 0, 0, 0, 0},
		{4, 0, 0, 0, 0, 0, 0},
		{4, 1, 0, 0, 0, 1, 0},
		{5, 2, 0, 0, 0, 1, 2},
	} {
		e := standing{fates: fates}.owed(class{}, c.intact, c.mutated)
		got := []int{
			e[finding{kind: account.KindMissing}], e[finding{kind: account.KindUndecided}], e[finding{kind: account.KindMutated}],
			e[finding{kind: account.KindDuplicate, charge: "producer"}], e[finding{kind: account.KindDuplicate, charge: "pipeline"}],
		}
		want := []int{c.missing, c.undecided, c.changed, c.producer, c.pipeline}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d intact, %d mutated rows: missing, undecided, mutated, producer, pipeline %d, want %d", c.intact, c.mutated, got, want)
		}
	}
}

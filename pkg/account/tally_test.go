package account

import (
	"slices"
	"strings"
	"testing"
)

func TestCheckNamesTheBrokenSum(t *testing.T) {
	good := Tally{
		States: States{Planned: 10, Delivered: 5, Mutated: 1, Rejected: 0, Missing: 1, InFlight: 1, Undecided: 1, Absent: 1},
		Fates:  Fates{Acked: 7, Refused: 1, Unknown: 1, Unsent: 1},
		Rows:   12, Producer: 1, Pipeline: 1, Strangers: 1, Foreign: 3,
		Arose: []Arose{{Duplicates: 2}, {Missing: 1, Mutated: 1, Strangers: 1}},
	}
	good.LogTypes = []LogType{{Name: "login", States: good.States, Duplicates: 2}}
	if err := good.Check(); err != nil {
		t.Fatalf("Check of a balanced account: %v", err)
	}
	for want, spoil := range map[string]func(*Tally){
		"planned = acked":     func(t *Tally) { t.Fates.Acked++ },
		"planned = delivered": func(t *Tally) { t.Missing-- },
		"rows = delivered":    func(t *Tally) { t.Rows++ },
		"planned = the log":   func(t *Tally) { t.LogTypes[0].Planned++ },
		"delivered = the log": func(t *Tally) { t.LogTypes[0].Delivered++ },
		"duplicates = the lo": func(t *Tally) { t.LogTypes[0].Duplicates++ },
		"missing = the gaps":  func(t *Tally) { t.Arose[0].Missing++ },
		"rejected = the gaps": func(t *Tally) { t.Arose[0].Rejected++ },
		"mutated = the gaps":  func(t *Tally) { t.Arose[1].Mutated-- },
		"duplicates = the ga": func(t *Tally) { t.Arose[1].Duplicates++ },
		"strangers = the gap": func(t *Tally) { t.Arose[0].Strangers++ },
	} {
		bad := good
		bad.LogTypes, bad.Arose = []LogType{good.LogTypes[0]}, slices.Clone(good.Arose)
		spoil(&bad)
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want the sum %q named", err, want)
		}
	}
}

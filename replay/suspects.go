package replay

import (
	"fmt"

	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// Suspects returns a fault for each name of fields that look like ids, times or
// personal data and that neither a rule nor keep names, with the line to add.
func (j *Job) Suspects() (faults scenario.Faults, err error) {
	index := map[string]int{}
	more := map[string]int{}
	for _, ref := range j.Scenario.Templates {
		t, err := template.Read(j.Scenario.FS, ref.Dir)
		if err != nil {
			return nil, err
		}
		for _, s := range template.Suspects(t, j.Scenario.Rewrite, j.Scenario.Keep) {
			id := s.Kind + "\x00" + s.Key() + "\x00" + s.Role
			if _, ok := index[id]; ok {
				more[id]++
				continue
			}
			index[id] = len(faults)
			msg := fmt.Sprintf("%s.%s looks like %s and no rule names it: %s, such as %s; add %s",
				s.LogType, s.Path, map[string]string{"id": "an id", "uuid": "a uuid", "time": "a time", "person": "personal data"}[s.Kind], s.Why(), s.Example, s.Line())
			faults = append(faults, scenario.Fault{Pos: s.Pos, Msg: msg})
		}
	}
	for id, n := range more {
		faults[index[id]].Msg += fmt.Sprintf(" (and %d more fields of that name)", n)
	}
	return faults, nil
}

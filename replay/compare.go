package replay

import (
	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/scenario"
)

// Rules are how the scenario has the rows of a stage compared. The error stage
// holds what was sent.
func (j *Job) Rules(plan *generate.Plan, stage string) *generate.Comparer {
	if stage == errorStage {
		return plan.Bytes()
	}
	said := j.stage(stage)
	return plan.Comparer(generate.Options{Compare: said.Compare, Ignore: said.Ignore, Cells: said.CSV})
}

func (r *Result) rules(stage string) *generate.Comparer { return r.Job.Rules(r.Plan, stage) }

// formOf says what a row of a stage was before it became JSON. The self-test's copy
// of a stage of CSV is JSON already.
func formOf(said scenario.Stage, r lake.Row) generate.Form {
	switch {
	case said.Payload != "" && !r.Converted: // what was sent is a value of the row
	case r.Text || said.CSV:
		return generate.Cells
	case r.Converted:
		return generate.Typed
	}
	return generate.AsSent
}

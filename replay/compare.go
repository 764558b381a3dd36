package replay

import (
	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
)

// Rules are how the scenario has the rows of a stage compared. The error stage
// holds what was sent.
func (j *Job) Rules(plan *generate.Plan, stage string) *generate.Comparer {
	if stage == errorStage {
		return plan.Bytes()
	}
	said := j.stage(stage)
	return plan.Comparer(generate.Options{Compare: said.Compare, Ignore: said.Ignore})
}

func (r *Result) rules(stage string) *generate.Comparer { return r.Job.Rules(r.Plan, stage) }

// formOf says what a row was before it became JSON.
func formOf(r lake.Row) generate.Form {
	switch {
	case r.Text:
		return generate.Cells
	case r.Converted:
		return generate.Typed
	}
	return generate.AsSent
}

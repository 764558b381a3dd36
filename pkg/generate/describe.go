package generate

import "kreplay/pkg/record"

// A TypeInfo says how the records of one log type are told apart.
type TypeInfo struct {
	Name     string
	Events   int
	Identity string // uuid; user + time; class: counted by multiplicity; user
}

// Cohorts returns the cohorts in the scenario's order.
func (p *Plan) Cohorts() []*Cohort { return p.cohorts }

// LogType names the log type of a planned record.
func (p *Plan) LogType(id record.ID) string {
	return p.logTypes[p.Cohort(id.User).LogType[id.Event]]
}

// Describe lists the log types of the cohort's template. A log type is
// described by its weakest record.
func (c *Cohort) Describe() []TypeInfo {
	types := make([]TypeInfo, len(c.Program.LogTypes))
	rank := make([]int, len(types))
	for i, name := range c.Program.LogTypes {
		types[i].Name = name
	}
	named := c.named()
	for i, e := range c.Program.Events[:c.Events] {
		t := &types[e.LogType]
		t.Events++
		r := 0
		switch {
		case len(c.Members(int(c.Program.Class[i]))) > 1:
			r = 3
		case named[i]:
		case e.HasTime:
			r = 1
		default:
			r = 2
		}
		rank[e.LogType] = max(rank[e.LogType], r)
	}
	for i := range types {
		types[i].Identity = [...]string{"uuid", "user + time", "user", "class: some are alike, counted by multiplicity"}[rank[i]]
	}
	return types
}

// named says which events are named by a uuid that stands in no other event.
func (c *Cohort) named() []bool {
	named := make([]bool, len(c.Program.Events))
	for _, event := range c.Program.SlotEvent {
		if event >= 0 && int(event) < c.Events {
			named[event] = true
		}
	}
	return named
}

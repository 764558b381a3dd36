package scenario

import "fmt"

// check looks at what concerns more than one value, and fills in what follows
// from other values. It is silent about what has a fault of its own.
func (r *reader) check() {
	r.checkTemplates()
	r.checkScales()
	r.checkCohorts()
	r.checkTime()
	r.checkPartitions()
	r.checkQueries()
	r.s.Settle.Set = r.has("settle")
	if s := r.s.Settle; s.Max < s.Quiet && r.clean("settle") {
		key, msg := "settle.max", fmt.Sprintf("max: %v is shorter than quiet, %v: nothing could ever settle", s.Max, s.Quiet)
		if !r.has(key) {
			key, msg = "settle.quiet", fmt.Sprintf("quiet: %v is longer than max, %v by default: give max too", s.Quiet, s.Max)
		}
		r.fault(key, r.seen[key], msg)
	}
}

func (r *reader) checkTemplates() {
	switch one, many := r.has("template"), r.has("templates"); {
	case one && many:
		r.fault("templates", r.seen["templates"], "templates: there is a template too: keep one of the two")
	case !one && !many && !r.torn && r.clean("template") && r.clean("templates"):
		r.fault("templates", r.seen[""], "template: missing: want template: DIR or templates: {name: DIR}")
	}
}

func (r *reader) checkCohorts() {
	s := r.s
	if !r.has("population.cohorts") && len(s.Templates) > 0 && r.clean("template") && r.clean("templates") {
		if len(s.Templates) > 1 && r.clean("population.cohorts") {
			r.fault("population.cohorts", r.seen["templates"], fmt.Sprintf("templates: %d of them: say with population.cohorts who replays which", len(s.Templates)))
		}
		s.Population.Cohorts = []Cohort{{Name: "all", Template: s.Templates[0].Name, Share: Whole, Pos: s.Templates[0].Pos}}
		return
	}
	var sum Share
	known := len(s.Population.Cohorts) > 0 && r.sound("population.cohorts")
	for i := range s.Population.Cohorts {
		c := &s.Population.Cohorts[i]
		sum += c.Share
		known = known && r.clean("population.cohorts."+c.Name+".share")
		r.checkCohort(c)
	}
	if known && sum != Whole {
		r.fault("population.cohorts", r.seen["population.cohorts"], fmt.Sprintf("cohorts: the shares add up to %v, want exactly 100%%", sum))
	}
}

// checkCohort finds the template of c.
func (r *reader) checkCohort(c *Cohort) {
	key := "population.cohorts." + c.Name + ".template"
	var names []string
	for _, t := range r.s.Templates {
		if t.Name == c.Template {
			return
		}
		names = append(names, t.Name)
	}
	switch {
	case !r.sound("template") || !r.sound("templates") || !r.clean(key):
	case r.has(key):
		r.fault(key, r.seen[key], fmt.Sprintf("template: no template is called %s: %s", quote(c.Template), didYouMean(c.Template, names)))
	case len(names) == 1:
		c.Template = names[0]
	default:
		r.fault(key, c.Pos, fmt.Sprintf("%s: template: missing: there are %d", c.Name, len(names)))
	}
}

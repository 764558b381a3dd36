package replay

import (
	"regexp"
	"strings"
	"time"

	"kreplay/pkg/scenario"
)

// A partition says below which folder an object belongs by the time at which it
// was delivered, in UTC: a prefix with !{timestamp:…} as Firehose has it.
type partition struct {
	pattern string
	step    time.Duration // between two folders, at the least
}

var timestamp = regexp.MustCompile(`!\{timestamp:([^}]*)\}`)

func newPartition(pattern string) partition {
	p := partition{pattern, 24 * time.Hour}
	for _, e := range timestamp.FindAllStringSubmatch(pattern, -1) {
		format := quoted.ReplaceAllString(e[1], "")
		switch {
		case strings.Contains(format, "mm"):
			p.step = time.Minute
		case strings.Contains(format, "HH"):
			p.step = min(p.step, time.Hour)
		}
	}
	return p
}

// quoted is literal text in a format of Java's DateTimeFormatter.
var quoted = regexp.MustCompile(`'[^']*'`)

// word is what of such a format stands for a time, or literal text.
var word = regexp.MustCompile(`'[^']*'|yyyy|MM|dd|HH|mm`)

var layouts = map[string]string{"yyyy": "2006", "MM": "01", "dd": "02", "HH": "15", "mm": "04"}

func (p partition) at(t time.Time) string {
	return timestamp.ReplaceAllStringFunc(p.pattern, func(e string) string {
		format := timestamp.FindStringSubmatch(e)[1]
		return word.ReplaceAllStringFunc(format, func(w string) string {
			if layout, ok := layouts[w]; ok {
				return t.UTC().Format(layout)
			}
			return strings.Trim(w, "'")
		})
	})
}

// holds says whether a key lies where one delivered from one time to another
// belongs, both included.
func (p partition) holds(key string, from, to time.Time) bool {
	for t := from.Truncate(p.step); !t.After(to); t = t.Add(p.step) {
		if strings.HasPrefix(key, p.at(t)) {
			return true
		}
	}
	return false
}

// clockSkew is how far the clocks of the pipeline and of this machine may be
// apart before a record counts as misplaced.
const clockSkew = 5 * time.Minute

// partition is what the scenario says of a stage's folders.
func (j *Job) partition(stage string) string { return j.stage(stage).Partition }

// stage is what the scenario says of a stage; the zero Stage: nothing.
func (j *Job) stage(name string) scenario.Stage {
	for _, s := range j.Scenario.Stages {
		if s.Name == name {
			return s
		}
	}
	return scenario.Stage{}
}

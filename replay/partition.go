package replay

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"kreplay/pkg/lake"
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

// Objects of a run lie in the folders of its time. Firehose names a folder by the
// arrival of the oldest record in the object, which may be another producer's: as
// much earlier as it buffers, which is 15 minutes, and half as much again with
// dynamic partitioning. neighbour is more than that, and than clocks differ.
const neighbour = time.Hour

// mostFolders is how many folders are listed one by one; of more, parents are.
const mostFolders = 100

// prefixes are those below which all lies that was delivered from one time to
// another, in order. No two of them hold the same key.
func (p partition) prefixes(from, to time.Time) (list []string) {
	for t := from.Add(-neighbour); t.Before(to.Add(neighbour)); t = t.Add(p.step / 2) {
		list = append(list, p.at(t))
	}
	list = append(list, p.at(to.Add(neighbour)))
	for {
		slices.Sort(list)
		list = slices.Compact(list)
		if len(list) <= mostFolders {
			return list
		}
		for i, prefix := range list {
			list[i] = prefix[:max(len(prefix)-1, 0)]
		}
	}
}

// clockSkew is how far the clocks of the pipeline and of this machine may be
// apart before a record counts as misplaced.
const clockSkew = 5 * time.Minute

// partition is what the scenario says of a stage's folders.
func (j *Job) partition(stage string) string { return j.stage(stage).Partition }

// format is how the rows of a stage are written.
func (j *Job) format(name string) lake.Format {
	if j.stage(name).CSV {
		return lake.CSV
	}
	return lake.Auto
}

// stage is what the scenario says of a stage; the zero Stage: nothing.
func (j *Job) stage(name string) scenario.Stage {
	for _, s := range j.Scenario.Stages {
		if s.Name == name {
			return s
		}
	}
	return scenario.Stage{}
}

package scenario

import (
	"time"

	"kreplay/pkg/pace"
)

// An arrival is a word of time.arrivals.
type arrival uint8

// The zero arrival stands for time without arrivals.
const (
	unsaid arrival = iota
	evenly
	diurnally
	inBurst
	inSteps
	fromFile
)

// ownKeys is the key of time that only one of the arrivals has.
var ownKeys = [...]string{diurnally: "peak", inBurst: "burst", inSteps: "steps", fromFile: "curve"}

// arrivals is what time says of them, before it is a curve.
type arrivals struct {
	kind       arrival
	span       time.Duration
	peak       int // minutes after midnight
	at, length time.Duration
	share      Share
	steps      []uint64
	points     []point
}

// A point is a line of a curve's file: weight from offset on.
type point struct {
	offset time.Duration
	weight uint64
	pos    Pos
}

var schedule = field{key: "time", doc: "when users play; without it: all at once, unpaced, the last event just before now", kind: section, fields: []field{
	{key: "start", doc: "when the first user begins; its offset is the zone, if that is left out", form: `RFC 3339, such as "2026-09-14T00:00:00+09:00"`,
		json: `{"type":"string","pattern":"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([Zz]|[+-][0-9]{2}:[0-9]{2})$"}`,
		take: store(start, func(s *draft) *time.Time { return &s.Time.Start })},
	{key: "zone", doc: "time zone of dates and of peak", form: "Asia/Tokyo or +09:00", take: store(zone, func(s *draft) **time.Location { return &s.Time.Zone })},
	{key: "arrivals", doc: "how the users' beginnings are spread over span; even, if only span is given", form: "even, diurnal, burst, steps or file",
		json: `{"enum":["even","diurnal","burst","steps","file"]}`, take: store(arrivalWord, func(s *draft) *arrival { return &s.arrivals.kind })},
	{key: "span", doc: "from the first user's beginning to the last one's", form: "duration, whole seconds up to 744h", json: jsonDuration,
		take: store(span, func(s *draft) *time.Duration { return &s.arrivals.span })},
	{key: "peak", doc: "of diurnal: the busiest time of a day", form: `"21:00"`, json: `{"type":"string","pattern":"^([01][0-9]|2[0-3]):[0-5][0-9]$"}`, def: `"21:00"`,
		take: store(peak, func(s *draft) *int { return &s.arrivals.peak })},
	{key: "burst", doc: "of burst: when share of the users begin; the others are spread evenly over the rest", kind: section, fields: []field{
		{key: "at", doc: "its begin, from start", form: "duration", json: jsonDuration, required: true,
			take: store(wholeSeconds, func(s *draft) *time.Duration { return &s.arrivals.at })},
		{key: "length", doc: "how long it is", form: "duration", json: jsonDuration, required: true,
			take: store(span, func(s *draft) *time.Duration { return &s.arrivals.length })},
		{key: "share", doc: "how many of the users", form: "a percentage such as 50%", json: jsonShare, required: true,
			take: store(somePercentage, func(s *draft) *Share { return &s.arrivals.share })},
	}},
	{key: "steps", doc: "of steps: weights of equal parts of span", kind: list, filled: true,
		each: &field{form: "whole number", json: jsonWhole, take: takeStep}},
	{key: "curve", doc: "of file: CSV with lines offset,weight such as 0m,10: the weight of all arrivals from there to the next offset", form: "file inside the scenario's folder",
		take: takeCurve},
	{key: "speedup", doc: "how much faster than recorded records are sent; max: as fast as they can be", form: "24, 0.5 or max",
		json: `{"type":["number","string"],"exclusiveMinimum":0,"pattern":"^max$"}`, def: "max",
		take: store(speedup, func(s *draft) *Decimal { return &s.Time.Speedup })},
}}

// curve makes the curve that was asked for; all of a has been checked.
func (a *arrivals) curve(start time.Time) pace.Curve {
	switch a.kind {
	case evenly:
		return pace.Even(a.span)
	case diurnally:
		return pace.Diurnal(start, a.span, a.peak)
	case inBurst:
		return pace.Burst(a.span, a.at, a.length, uint64(a.share), uint64(Whole))
	case inSteps:
		return pace.Steps(a.span, a.steps)
	case fromFile:
		parts := make([]pace.Part, len(a.points))
		for i, p := range a.points {
			end := a.span
			if i+1 < len(a.points) {
				end = a.points[i+1].offset
			}
			parts[i] = pace.Part{Length: end - p.offset, Weight: p.weight}
		}
		return pace.NewCurve(parts)
	default:
		return pace.Curve{}
	}
}

package scenario

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The takes of time, and what has to hold between them.

// maxSpan bounds span; a curve by the minute stays small.
const maxSpan = 31 * 24 * time.Hour

func start(n node) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, n.text)
	switch {
	case n.shape != text || err != nil:
		return t, fmt.Errorf(`want RFC 3339, such as "2026-09-14T00:00:00+09:00", got %s`, n.got())
	case t.Nanosecond() != 0:
		return t, fmt.Errorf("%s: want whole seconds", n.text)
	case t.Year() < 2000 || t.Year() > 2099:
		return t, fmt.Errorf("%s: want a year from 2000 to 2099", n.text)
	}
	_, offset := t.Zone() // Parse takes the machine's own zone where it fits: nothing may depend on that
	return t.In(fixed(offset)), nil
}

func fixed(offset int) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	return time.FixedZone(time.Unix(0, 0).In(time.FixedZone("", offset)).Format("-07:00"), offset)
}

func zone(n node) (*time.Location, error) {
	name, err := plainText(n)
	if err != nil {
		return nil, err
	}
	return location(name)
}

func location(name string) (*time.Location, error) {
	if t, err := time.Parse("-07:00", name); err == nil {
		_, offset := t.Zone()
		return fixed(offset), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("%s: want a time zone such as Asia/Tokyo or an offset such as +09:00", quote(name))
	}
	return loc, nil
}

func arrivalWord(n node) (arrival, error) {
	i, err := oneOf(n, arrivalWords...)
	if err != nil {
		return unsaid, err
	}
	return arrival(i + 1), nil
}

var arrivalWords = []string{"even", "diurnal", "burst", "steps", "file"}

func (a arrival) String() string { return arrivalWords[a-1] }

func span(n node) (time.Duration, error) {
	d, err := wholeSeconds(n)
	switch {
	case err != nil:
		return 0, err
	case d == 0:
		return 0, fmt.Errorf("%s: want a duration above 0", n.text)
	case d > maxSpan:
		return 0, fmt.Errorf("%s: want at most %v", n.text, maxSpan)
	}
	return d, nil
}

func peak(n node) (int, error) {
	t, err := time.Parse("15:04", n.text)
	if n.shape != text || err != nil || len(n.text) != len("15:04") {
		return 0, fmt.Errorf(`want a time of the day such as "21:00", got %s`, n.got())
	}
	return t.Hour()*60 + t.Minute(), nil
}

// speedup reads a factor; three decimals keep its products within 64 bits.
func speedup(n node) (Decimal, error) {
	n = n.number()
	if n.shape == text && n.text == "max" {
		return Decimal{}, nil
	}
	d, err := positiveDecimal(n)
	if n.shape == text || n.shape == nothing {
		err = fmt.Errorf("want a number such as 24 or 0.5, or max, got %s", n.got())
	}
	if err == nil && (d.Scale > 3 || d.Digits > 1_000_000*[...]uint64{1, 10, 100, 1000}[d.Scale]) {
		err = fmt.Errorf("%s: want at most three decimals, from 0.001 to 1000000", n.text)
	}
	return d, err
}

const maxWeight = 1_000_000_000

func takeStep(s *draft, n node) error {
	w, err := wholeNumber(n, 0, maxWeight)
	s.arrivals.steps = append(s.arrivals.steps, w)
	return err
}

// takeCurve reads lines of offset,weight; # begins a comment.
func takeCurve(s *draft, n node) error {
	given, err := plainText(n)
	if err != nil {
		return err
	}
	content, shown, err := s.beside(given)
	if err != nil {
		return err
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(content, "\ufeff")))
	r.Comment, r.FieldsPerRecord, r.TrimLeadingSpace = '#', -1, true
	const most = 20 // faults of one file
	var faults Faults
	for first := true; len(faults) < most; first = false {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			faults = append(faults, Fault{Pos{shown, parse.Line, max(parse.Column, 1)}, "not readable as CSV: " + parse.Err.Error()})
			continue
		}
		if first && len(fields) == 2 && fields[0] == "offset" && fields[1] == "weight" {
			continue
		}
		if fault, ok := s.arrivals.addPoint(r, shown, fields); !ok {
			faults = append(faults, fault)
		}
	}
	if len(faults) == 0 && !slices.ContainsFunc(s.arrivals.points, func(p point) bool { return p.weight > 0 }) {
		faults = append(faults, Fault{Pos{shown, 1, 1}, "no weight is above 0: nobody would ever begin"})
	}
	return faults.Err()
}

// addPoint adds a line of a curve's file, or says what is wrong with it.
func (a *arrivals) addPoint(r *csv.Reader, file string, fields []string) (Fault, bool) {
	fault := func(field int, format string, args ...any) (Fault, bool) {
		line, col := r.FieldPos(field)
		return Fault{Pos{file, line, col}, fmt.Sprintf(format, args...)}, false
	}
	if len(fields) != 2 {
		return fault(0, "want offset,weight such as 0m,10, got %d fields", len(fields))
	}
	offset, err := time.ParseDuration(fields[0])
	weight, err2 := strconv.ParseUint(strings.TrimRight(fields[1], " "), 10, 64)
	switch {
	case err != nil || offset < 0 || offset%time.Second != 0:
		return fault(0, "offset: want a duration in whole seconds such as 90m, got %s", quote(fields[0]))
	case err2 != nil || weight > maxWeight:
		return fault(1, "weight: want a whole number from 0 to %d, got %s", maxWeight, quote(fields[1]))
	case len(a.points) == 0 && offset != 0:
		return fault(0, "offset: %v: the first line has to be at 0m", offset)
	case len(a.points) > 0 && offset <= last(a.points).offset:
		return fault(0, "offset: %v: not behind that of the line before, %v", offset, last(a.points).offset)
	}
	line, col := r.FieldPos(0)
	a.points = append(a.points, point{offset, weight, Pos{file, line, col}})
	return Fault{}, true
}

func (r *reader) checkTime() {
	s := r.s
	if s.Time.Zone == nil && !s.Time.Start.IsZero() {
		s.Time.Zone = s.Time.Start.Location()
	} else if s.Time.Zone != nil && !s.Time.Start.IsZero() {
		s.Time.Start = s.Time.Start.In(s.Time.Zone)
	}
	if s.Inject.Late > 0 && !s.Time.Paced() && r.clean("time") && r.clean("inject.late") {
		r.fault("inject.late", r.seen["inject.late"], "late: needs time.speedup: without it nothing is due at a time, so nothing can be late")
	}
	if !r.has("time") || !r.clean("time.arrivals") {
		return
	}
	a := &s.arrivals
	if a.kind == unsaid && r.has("time.span") {
		a.kind = evenly
	}
	r.checkOwnKeys(a.kind)
	if a.kind != unsaid && !r.has("time.span") && r.clean("time.span") {
		r.fault("time.span", r.seen["time.arrivals"], "arrivals: span is missing: want a duration such as 22h, over which users begin")
	}
	if a.kind == diurnally && !r.has("time.start") && r.clean("time.start") {
		r.fault("time.start", r.seen["time.arrivals"], "arrivals: diurnal needs start: without it nobody knows the time of the day")
	}
	if a.kind != unsaid && r.clean("time") {
		r.checkCurve(a)
	}
	if a.kind != unsaid && r.clean("time") {
		s.Time.Arrivals = a.curve(s.Time.Start)
	}
}

// checkOwnKeys finds keys that belong to other arrivals, and the one that is missing.
func (r *reader) checkOwnKeys(kind arrival) {
	for other := diurnally; other <= fromFile; other++ {
		own := ownKeys[other]
		key := "time." + own
		switch has := r.has(key); {
		case has && other != kind && r.has("time.arrivals"):
			r.fault(key, r.seen[key], fmt.Sprintf("%s: belongs to arrivals: %v, not to %v: remove it", own, other, kind))
		case has && other != kind:
			r.fault(key, r.seen[key], fmt.Sprintf("%s: belongs to arrivals: %v: say that, or remove it", own, other))
		case !has && other == kind && other != diurnally && r.clean(key):
			r.fault(key, r.seen["time.arrivals"], fmt.Sprintf("arrivals: %v needs the key %s", kind, own))
		}
	}
}

// checkCurve holds the parts of the curve against span.
func (r *reader) checkCurve(a *arrivals) {
	seconds := int(a.span / time.Second)
	switch a.kind {
	case inBurst:
		if a.at+a.length > a.span || a.length == a.span {
			r.fault("time.burst", r.seen["time.burst"], fmt.Sprintf("burst: from %v to %v: want it within span, %v, and some of span left for the others", a.at, a.at+a.length, a.span))
		}
	case inSteps:
		if len(a.steps) > seconds {
			r.fault("time.steps", r.seen["time.steps"], fmt.Sprintf("steps: %d of them in %v: want at least a second for each", len(a.steps), a.span))
		}
		if slices.Max(a.steps) == 0 {
			r.fault("time.steps", r.seen["time.steps"], "steps: no weight is above 0: nobody would ever begin")
		}
	case fromFile:
		if p := last(a.points); p.offset >= a.span {
			r.fault("time.curve", p.pos, fmt.Sprintf("offset: %v: not before the end of span, %v", p.offset, a.span))
		}
	default:
	}
}

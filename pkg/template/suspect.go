package template

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"kreplay/pkg/scenario"
)

// A Suspect is a field of one log type that looks like an id, a time or
// personal data, though no rule and no keep names it.
type Suspect struct {
	LogType, Path string
	Kind          string       // id, time, person or uuid
	Looks         string       // what it looks like: "are e-mail addresses", "in a field of that name"
	Hits, Values  int          // so many of so many values do
	Distinct      int          // values
	Pos           scenario.Pos // of the first value
	Example       string       // that value, as it stands in JSON
	Role          string       // the role that fits all its values; empty: none does, or the field may well be kept
}

// Key is the field's own name, which a rule without a dot matches.
func (s Suspect) Key() string { return s.Path[strings.LastIndexByte(s.Path, '.')+1:] }

// Why is the evidence in one phrase.
func (s Suspect) Why() string { return Evidence(s.Hits, s.Values, s.Distinct, s.Looks) }

// Evidence puts counts of values and what they look like into one phrase.
func Evidence(hits, values, distinct int, looks string) string {
	different := fmt.Sprintf("%d distinct", distinct)
	switch {
	case distinct == values && values > 1:
		different = "all different"
	case distinct == 1:
		different = "always the same"
	}
	return fmt.Sprintf("%d of %d values %s, %s", hits, values, looks, different)
}

// Line is what to add to the scenario so that the field is spoken for.
func (s Suspect) Line() string {
	keep := fmt.Sprintf("keep: [%q]", s.Key())
	if s.Role == "" {
		return keep
	}
	return fmt.Sprintf("rewrite: {%q: %s}, or %s", s.Key(), s.Role, keep)
}

// Suspects lists the fields to ask about, in the order in which they stand: one
// for each log type and path. Null and empty values, and ids of nobody, tell nothing.
func Suspects(t *Template, rules []scenario.Rule, keep []scenario.Pattern) []Suspect {
	s := survey{template: t, roles: newRoles(rules), keep: keep, users: map[string]bool{}}
	if t.User != "" {
		s.users[t.User] = true
	}
	s.learn()
	var list []Suspect
	for _, e := range s.read() {
		one := Suspect{LogType: e.logType, Path: e.path, Pos: e.pos, Example: e.example, Values: e.values, Distinct: len(e.distinct)}
		if s.judge(e, &one); one.Kind != "" {
			list = append(list, one)
		}
	}
	return list
}

// survey is what is known of a template before its fields are judged.
type survey struct {
	template    *Template
	roles       *roles
	keep        []scenario.Pattern
	users       map[string]bool // ids of the user as captured
	first, last int64           // ns: the captured event times
	timeField   string          // the first field of role time, for dates
}

// evidence is what the values of one field of one log type tell.
type evidence struct {
	logType, path string
	name          []string // the words of its own name
	pos           scenario.Pos
	example       string
	named         bool // by a rule or keep

	values, numbers, whole   int
	uuids, moments, dates    int
	user, holdsUser          int
	emails, addresses, phone int
	distinct                 map[string]bool
}

// learn finds the user's ids and the time of the capture from the ruled fields.
func (s *survey) learn() {
	s.first, s.last = math.MaxInt64, math.MinInt64
	s.template.eachField(func(logType string, f Field, value []byte, _ scenario.Pos) {
		n := s.roles.of(logType, f.Path())
		if n < 0 || f.Kind == Null {
			return
		}
		switch s.roles.rules[n].Role.Kind {
		case scenario.User:
			if text := string(bytes.Trim(value, `"`)); text != "" {
				s.users[text] = true
			}
		case scenario.Time:
			if _, ns, ok := FormOf(value); ok && !isNever(value) {
				s.first, s.last = min(s.first, ns), max(s.last, ns)
				if s.timeField == "" {
					s.timeField = string(f.Key)
				}
			}
		default: // says nothing of the user or the time
		}
	})
	for _, text := range []string{s.template.Range.From, s.template.Range.To} {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			s.first, s.last = min(s.first, at.UnixNano()), max(s.last, at.UnixNano())
		}
	}
}

// read gathers the evidence for the fields that nothing names.
func (s *survey) read() (list []*evidence) {
	known := map[string]*evidence{}
	s.template.eachField(func(logType string, f Field, value []byte, pos scenario.Pos) {
		if f.Kind == Null || f.Kind == Bool || string(value) == `""` || isNobody(value) {
			return
		}
		p := f.Path()
		e := known[logType+"\x00"+p]
		if e == nil {
			e = &evidence{logType: logType, path: p, name: Words(string(f.Key)), pos: pos, example: string(value), distinct: map[string]bool{}}
			e.named = s.named(logType, p)
			known[logType+"\x00"+p] = e
			if !e.named {
				list = append(list, e)
			}
		}
		if !e.named {
			s.count(e, f, value)
		}
	})
	return list
}

func (s *survey) named(logType, path string) bool {
	if s.roles.of(logType, path) >= 0 {
		return true
	}
	for _, k := range s.keep {
		if k.Match(logType, path) {
			return true
		}
	}
	return false
}

// shortestInside is how long a user's id must be to be looked for inside other text.
const shortestInside = 6

func (s *survey) count(e *evidence, f Field, value []byte) {
	inner := bytes.Trim(value, `"`)
	text := string(inner)
	e.values++
	e.distinct[text] = true
	if f.Kind == Number {
		e.numbers++
	}
	if allDigits(inner) && len(inner) < 20 {
		e.whole++
	}
	if _, _, ok := parseID(f, inner); ok {
		e.uuids++
	}
	if form, ns, ok := FormOf(value); ok && s.during(form, ns) {
		e.moments++
	} else if at, layout, ok := dateOf(text); ok && strings.Contains(layout, "02") && s.during(Form{unit: 1e9}, at.UnixNano()) {
		e.dates++
	}
	if s.users[text] {
		e.user++
	}
	for id := range s.users {
		if len(id) >= shortestInside && text != id && strings.Contains(text, id) {
			e.holdsUser++
			break
		}
	}
	if f.Kind != String {
		return
	}
	if emailForm.MatchString(text) {
		e.emails++
	}
	if ip, err := netip.ParseAddr(text); err == nil && len(text) >= 7 && (ip.Is6() || !hasWord(e.name, "version", "ver", "build")) {
		e.addresses++
	}
	if phoneForm(text) {
		e.phone++
	}
}

// Margins around the capture within which a value counts as a time: registrations
// lie before it, expiries behind. Counts of seconds are as short as other
// numbers and have to be nearer.
const (
	margin     = 366 * 24 * time.Hour
	nearMargin = 31 * 24 * time.Hour
)

func (s *survey) during(form Form, ns int64) bool {
	m := int64(margin)
	if form.unit == 1e9 {
		m = int64(nearMargin)
	}
	if s.first > s.last { // nothing says when the capture was
		return form.unit == 0
	}
	return ns >= s.first-m && ns <= s.last+m
}

// judge says what a field looks like, by its values first and then by its name.
func (s *survey) judge(e *evidence, to *Suspect) {
	is := func(kind, looks string, hits int, role string) {
		to.Kind, to.Looks, to.Hits = kind, looks, hits
		if hits == e.values { // a role has to fit every value
			to.Role = role
		}
	}
	const byName = "in a field of that name"
	userLike := hasWord(e.name, userWords...)
	switch {
	case e.user > 0 && (userLike || len(e.example) >= shortestInside+2 || e.user == e.values && e.isID()):
		is("id", "are the user's own id", e.user, "user")
	case e.uuids > 0:
		is("uuid", "are uuids or ULIDs", e.uuids, "uuid")
	case e.moments > 0:
		is("time", "are times near the capture's", e.moments, "time")
	case e.dates > 0 && (e.whole == 0 || hasWord(e.name, dateWords...)):
		is("time", "are dates near the capture's", e.dates, s.dateRole())
	case e.emails > 0:
		is("person", "are e-mail addresses", e.emails, "")
	case e.addresses > 0:
		is("person", "are IP addresses", e.addresses, "")
	case e.phone > 0:
		is("person", "are phone numbers", e.phone, "")
	case e.holdsUser > 0:
		is("id", "hold the user's own id inside other text", e.holdsUser, "")
	case e.isPerson():
		is("person", byName, e.values, "")
	case e.isID():
		is("id", byName, e.values, e.idRole(userLike))
	}
	if to.Kind == "person" { // fits whatever the values are
		to.Role = "fake"
	}
}

func (s *survey) dateRole() string {
	if s.timeField == "" {
		return ""
	}
	return "date of " + s.timeField
}

package expect

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// Planned are the [Facts] of a plan, all of its workers and its planned copies
// together. Every number is exact and is found without going through the users:
// a cohort's users times what the records of one of them hold. What differs from
// user to user has no such number, and the error says so.
type Planned struct {
	plan    *generate.Plan
	rules   []scenario.Rule
	cohorts []plannedCohort // those that have users
}

type plannedCohort struct {
	*generate.Cohort

	records [][]byte // of one user, by event
	copies  []uint64 // planned copies of all users, by event
}

// An occurrence is a scalar of a record.
type occurrence struct {
	event int
	kind  template.Kind
	text  string // as it stands, quotes included
	role  scenario.RoleKind
}

// NewPlanned returns the facts of a plan that was made with the rewrite rules.
func NewPlanned(plan *generate.Plan, rules []scenario.Rule) *Planned {
	p := &Planned{plan: plan, rules: rules}
	for _, c := range plan.Cohorts() {
		user, ok := plan.Member(c)
		if !ok {
			continue
		}
		member := plannedCohort{Cohort: c, copies: make([]uint64, c.Events)}
		for event := range c.Events {
			member.records = append(member.records, bytes.TrimSuffix(plan.Append(nil, user, uint32(event)), []byte("\n")))
		}
		p.cohorts = append(p.cohorts, member)
	}
	for c, event := range plan.Copies() {
		for _, member := range p.cohorts {
			if member.Cohort == c {
				member.copies[event]++
			}
		}
	}
	return p
}

// Tables infers the table of each log type from what was captured and from what
// one user of each cohort sends.
func (p *Planned) Tables() []Table {
	lines := make([][][]byte, len(p.plan.LogTypes()))
	for _, c := range p.plan.Cohorts() {
		for i, e := range c.Program.Events[:c.Events] {
			lines[c.LogType[i]] = append(lines[c.LogType[i]], e.Line)
		}
	}
	for _, c := range p.cohorts {
		for i, record := range c.records {
			lines[c.LogType[i]] = append(lines[c.LogType[i]], record)
		}
	}
	tables := make([]Table, len(lines))
	for i, name := range names(p.plan.LogTypes()) {
		tables[i] = TableOf(p.plan.LogTypes()[i], lines[i])
		tables[i].Name = name
	}
	return tables
}

// Users implements [Facts].
func (p *Planned) Users(cohort string) (*big.Rat, error) {
	if cohort == "" {
		return count(p.plan.Users, 1), nil
	}
	var known []string
	for _, c := range p.plan.Cohorts() {
		if c.Name == cohort {
			return count(c.Users, 1), nil
		}
		known = append(known, c.Name)
	}
	return nil, fmt.Errorf("no cohort %q; %s", cohort, scenario.Suggest(cohort, known))
}

// Count implements [Facts].
func (p *Planned) Count(logType string) (*big.Rat, error) {
	i := slices.Index(p.plan.LogTypes(), logType)
	if i < 0 {
		return nil, p.noLogType(logType)
	}
	return count(p.plan.Planned()[i], 1), nil
}

// Sum implements [Facts].
func (p *Planned) Sum(field string) (*big.Rat, error) {
	logType, path, err := p.field(field)
	if err != nil {
		return nil, err
	}
	total, numbers := new(big.Rat), 0
	for _, c := range p.cohorts {
		values, err := p.values(c, logType, path)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			switch {
			case !constant(v.role):
				return nil, noClosedForm(field, v.role)
			case v.kind == template.Null:
				continue
			case v.kind != template.Number:
				return nil, fmt.Errorf("%s holds %.40s, which is no number, so it has no sum", field, v.text)
			}
			n, ok := exactNumber(v.text)
			if !ok {
				return nil, fmt.Errorf("%s holds %.40s, which is out of every column's range; use `equals: oracle`", field, v.text)
			}
			numbers++
			total.Add(total, n.Mul(n, count(c.Users+c.copies[v.event], 1)))
		}
	}
	if numbers == 0 {
		return nil, fmt.Errorf("%s holds null only: SQL has no sum of that but NULL; write `equals: null`", field)
	}
	return total, nil
}

// Distinct implements [Facts].
func (p *Planned) Distinct(field string) (*big.Rat, error) {
	logType, path, err := p.field(field)
	if err != nil {
		return nil, err
	}
	total := new(big.Rat)
	constants, kinds := map[string]bool{}, map[template.Kind]bool{}
	for _, c := range p.cohorts {
		values, err := p.values(c, logType, path)
		if err != nil {
			return nil, err
		}
		own := map[string]bool{} // values that no other user has
		for _, v := range values {
			if v.kind == template.Null {
				continue
			}
			kinds[v.kind] = true
			switch {
			case constant(v.role):
				constants[sameAs(v)] = true
			case v.role == scenario.User || v.role == scenario.UUID:
				own[v.text] = true
			default:
				return nil, noClosedForm(field, v.role)
			}
		}
		total.Add(total, count(c.Users, len(own)))
	}
	if len(kinds) > 1 {
		return nil, fmt.Errorf("%s holds values of different kinds, and how those compare is the engine's choice; use `equals: oracle`", field)
	}
	return total.Add(total, count(1, len(constants))), nil
}

// constant says whether a value of the role is the same for all users of a
// cohort.
func constant(role scenario.RoleKind) bool { return role == scenario.Keep || role == scenario.Scale }

// of yields the records of a log type that each user of the cohort has.
func (p *Planned) of(c plannedCohort, logType string) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for event, record := range c.records {
			if p.plan.LogTypes()[c.LogType[event]] == logType && !yield(event, record) {
				return
			}
		}
	}
}

// values lists what each user of the cohort has at a path.
func (p *Planned) values(c plannedCohort, logType, path string) (list []occurrence, err error) {
	for event, record := range p.of(c, logType) {
		walked := template.Walk(record, func(f template.Field) error {
			if f.Path() == path {
				o := p.occurrence(logType, path, record[f.Start:f.End], f.Kind)
				o.event = event
				list = append(list, o)
			}
			return nil
		})
		if hasTwins(gjson.ParseBytes(record)) {
			walked = errors.New("a record holds a key twice, and which of the two counts is the reader's choice; use `equals: oracle`")
		}
		if walked != nil {
			return nil, fmt.Errorf("%s: %w", logType, walked)
		}
	}
	return list, nil
}

// occurrence finds the role: one that is there and leaves null and "" alone.
func (p *Planned) occurrence(logType, path string, text []byte, kind template.Kind) occurrence {
	o := occurrence{kind: kind, text: string(text)}
	if rule, _, ok := scenario.RoleOf(p.rules, logType, path); ok && kind != template.Null && o.text != `""` {
		o.role = rule.Role.Kind
	}
	return o
}

// field splits a name into log type and path. Both may hold dots: the longest
// log type that has such a field wins.
func (p *Planned) field(name string) (logType, path string, err error) {
	var longest string
	for _, t := range p.plan.LogTypes() {
		if rest, ok := strings.CutPrefix(name, t+"."); ok && len(t) >= len(longest) {
			longest = t
			if p.paths(t)[rest] && len(t) >= len(logType) {
				logType, path = t, rest
			}
		}
	}
	switch {
	case logType != "":
		return logType, path, nil
	case longest != "":
		known := slices.Sorted(maps.Keys(p.paths(longest)))
		unknown := name[len(longest)+1:]
		return "", "", fmt.Errorf("%s has no field %q; %s", longest, unknown, scenario.Suggest(unknown, known))
	}
	head, _, dot := strings.Cut(name, ".")
	if !dot {
		return "", "", fmt.Errorf("%q is no field: want a log type, a dot and a field, as in purchase.amount", name)
	}
	return "", "", p.noLogType(head)
}

func (p *Planned) paths(logType string) map[string]bool {
	paths := map[string]bool{}
	for _, c := range p.cohorts {
		for _, record := range p.of(c, logType) {
			_ = template.Walk(record, func(f template.Field) error { // was compiled: is JSON
				paths[f.Path()] = true
				return nil
			})
		}
	}
	return paths
}

func (p *Planned) noLogType(name string) error {
	return fmt.Errorf("no log type %q; %s", name, scenario.Suggest(name, p.plan.LogTypes()))
}

func noClosedForm(field string, role scenario.RoleKind) error {
	return fmt.Errorf("%s has the role %s: its values differ from user to user, and the plan knows no closed form; use `equals: oracle`", field, role)
}

// hasTwins says whether an object in v holds a key twice.
func hasTwins(v gjson.Result) (twins bool) {
	if v.Type != gjson.JSON {
		return false
	}
	seen := map[string]bool{}
	v.ForEach(func(key, value gjson.Result) bool {
		twins = v.IsObject() && seen[key.String()] || hasTwins(value)
		seen[key.String()] = true
		return !twins
	})
	return twins
}

// sameAs writes equal constants alike: 1.0 and 1, "a" and "\u0061".
func sameAs(v occurrence) string {
	if n, ok := exactNumber(v.text); ok && v.kind == template.Number {
		return n.RatString()
	}
	return gjson.Parse(v.text).String()
}

func exactNumber(token string) (*big.Rat, bool) {
	n, ok := parseNumber(token, nil)
	if !ok {
		return nil, false
	}
	return new(big.Rat).SetString(string(n.append(nil)))
}

func count(n uint64, times int) *big.Rat {
	z := new(big.Int).SetUint64(n)
	return new(big.Rat).SetInt(z.Mul(z, big.NewInt(int64(times))))
}

package expect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// Automatic returns what is checked without anyone asking: as many rows of each
// log type as are planned, and as many users.
func (p *Planned) Automatic(tables []Table) []Expectation {
	var list []Expectation
	for _, t := range tables {
		n, err := p.Count(t.LogType)
		if err != nil {
			continue // a table of no planned log type
		}
		list = append(list, Expectation{
			Name: CountName(t.LogType), SQL: "select count(*) from " + Quote(t.Name), Equals: exactly(n),
		})
	}
	if e, ok := p.distinctUsers(tables); ok {
		list = append(list, e)
	}
	return list
}

// CountName is the name of the count of a log type that Automatic returns.
func CountName(logType string) string { return "count of " + logType }

// distinctUsers counts the users over all log types that write the id in the
// cohort's most frequent form: another form would count a user twice.
func (p *Planned) distinctUsers(tables []Table) (Expectation, bool) {
	var users uint64
	selects := map[string]bool{}
	usual := p.userFields(tables)
	for _, c := range p.cohorts {
		fields := usual[c.Cohort]
		if len(fields) > 0 {
			users += c.Users
		}
		for _, f := range fields {
			selects[f] = true
		}
	}
	if len(selects) == 0 {
		return Expectation{}, false
	}
	union := strings.Join(slices.Sorted(maps.Keys(selects)), "\n  union all ")
	return Expectation{
		Name:   "distinct users",
		SQL:    fmt.Sprintf("select count(distinct u) from (\n  %s\n) where u <> ''", union),
		Equals: exactly(count(users, 1)),
	}, true
}

// userFields returns, for each cohort, the selects of its user fields that hold
// nothing but the usual form of the id in every cohort.
func (p *Planned) userFields(tables []Table) map[*generate.Cohort][]string {
	forms := make([]map[string]map[string]bool, len(p.cohorts)) // select → texts
	usual := make([]string, len(p.cohorts))
	for i, c := range p.cohorts {
		forms[i] = map[string]map[string]bool{}
		times := map[string]int{}
		for _, t := range tables {
			for _, record := range p.of(c, t.LogType) {
				p.userTexts(t, record, func(from, text string) {
					if forms[i][from] == nil {
						forms[i][from] = map[string]bool{}
					}
					forms[i][from][text] = true
					if times[text]++; times[text] > times[usual[i]] || times[text] == times[usual[i]] && text < usual[i] {
						usual[i] = text
					}
				})
			}
		}
	}
	fields := map[*generate.Cohort][]string{}
	for i, c := range p.cohorts {
		for from := range forms[i] {
			pure := true
			for k := range p.cohorts {
				texts := forms[k][from]
				pure = pure && (len(texts) == 0 || len(texts) == 1 && texts[usual[k]])
			}
			if pure {
				fields[c.Cohort] = append(fields[c.Cohort], from)
			}
		}
	}
	return fields
}

// userTexts visits the fields of role user that SQL reaches without unnesting.
func (p *Planned) userTexts(t Table, record []byte, visit func(from, text string)) {
	_ = template.Walk(record, func(f template.Field) error { // was compiled: is JSON
		o := p.occurrence(t.LogType, f.Path(), record[f.Start:f.End], f.Kind)
		if o.role != scenario.User {
			return nil
		}
		if column, ok := columnAt(t.Columns, f.Path()); ok {
			visit(fmt.Sprintf("select cast(%[1]s.%[2]s as varchar) as u from %[1]s", Quote(t.Name), column), gjson.Parse(o.text).String())
		}
		return nil
	})
}

// columnAt writes the SQL of the scalar at a path; ok is false in lists and JSON.
func columnAt(columns []Column, path string) (sql string, ok bool) {
	for _, c := range columns {
		rest, found := strings.CutPrefix(path, c.Key)
		switch {
		case !found:
		case rest == "" && c.Type.Kind != Struct && c.Type.Kind != List && c.Type.Kind != JSON:
			return Quote(c.Name), true
		case strings.HasPrefix(rest, ".") && c.Type.Kind == Struct:
			if inner, ok := columnAt(c.Type.Fields, rest[1:]); ok {
				return Quote(c.Name) + "." + inner, true
			}
		}
	}
	return "", false
}

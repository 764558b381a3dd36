package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// roles are the words of the RoleKinds, by kind.
var roles = []string{
	Keep: "keep", User: "user", UUID: "uuid", Time: "time", Counter: "counter",
	Date: "date", Peer: "peer", Scale: "scale", Hash: "hash", Fake: "fake",
}

// role reads what a rewrite rule does.
func role(n node) (Role, error) {
	s, err := plainText(n)
	if err != nil {
		return Role{}, err
	}
	word, rest, _ := strings.Cut(s, " ")
	rest = strings.Trim(rest, " ")
	index := slices.Index(roles, word)
	if index < 0 {
		return Role{}, fmt.Errorf("unknown role %s: %s", quote(word), didYouMean(word, roles))
	}
	kind := RoleKind(index)
	switch kind {
	case User, Counter, Peer:
		if rest == "" {
			return Role{Kind: kind}, nil
		}
		return Role{Kind: kind, Pattern: rest}, idPattern(rest)
	case UUID:
		if rest != "" && rest != "per session" {
			return Role{}, fmt.Errorf("want uuid or uuid per session, got %s behind uuid", quote(rest))
		}
		return Role{Kind: UUID, Shared: rest != ""}, nil
	case Date:
		of, err := dateOf(rest)
		return Role{Kind: Date, Of: of}, err
	case Scale:
		return Role{Kind: Scale, Of: rest}, scaleName(rest)
	default:
		if rest != "" {
			return Role{}, fmt.Errorf("%s takes nothing behind it, got %s", word, quote(rest))
		}
		return Role{Kind: kind}, nil
	}
}

// dateOf reads what stands behind date.
func dateOf(rest string) (string, error) {
	word, of, _ := strings.Cut(rest, " ")
	of = strings.Trim(of, " ")
	if word != "of" || of == "" {
		return "", errors.New("want date of FIELD, a time of the same record, as in date of ts")
	}
	if strings.ContainsAny(of, "*{} ") {
		return "", fmt.Errorf("date of %s: want one field, without *, {} and spaces", quote(of))
	}
	return of, fieldPattern(of)
}

// scaleName checks what stands behind scale: it becomes a key of every cohort.
func scaleName(s string) error {
	if s == "" {
		return errors.New("want scale NAME, a number that cohorts give, as in scale spend")
	}
	if err := name(s, "_-"); err != nil {
		return err
	}
	if slices.Contains(cohortKeys, s) {
		return fmt.Errorf("scale %s: a cohort has that key already (%s): want another name", s, strings.Join(cohortKeys, ", "))
	}
	return nil
}

// cohortKeys are the keys that every cohort may have.
var cohortKeys = population.fields[1].each.keys()

// findScales notes, before anything is read, which keys cohorts may have.
func (r *reader) findScales(root *node) {
	for _, e := range root.below("rewrite") {
		switch role, err := role(e.value); {
		case err == nil && role.Kind == Scale:
			r.scales = append(r.scales, role.Of)
		case err != nil:
			words := strings.Fields(e.value.text)
			r.maybe = append(r.maybe, words[min(1, len(words)):]...)
		}
	}
}

// checkScales finds the rules that need a number which no cohort has, and gives
// it as 1 to the cohorts that do not say it: their values stay as captured.
func (r *reader) checkScales() {
	for _, rule := range r.s.Rewrite {
		of, key := rule.Role.Of, "rewrite."+rule.Field
		if rule.Role.Kind != Scale || !r.clean(key) {
			continue
		}
		if !r.has("population.cohorts") {
			if r.clean("population") {
				r.fault(key, r.seen[key], fmt.Sprintf("scale %s: there are no population.cohorts to give it a number", of))
			}
			continue
		}
		said := false
		for i := range r.s.Population.Cohorts {
			c := &r.s.Population.Cohorts[i]
			number := "population.cohorts." + c.Name + "." + of
			switch {
			case r.has(number) || !r.clean(number):
				said = true
			case !slices.ContainsFunc(c.Numbers, func(n Number) bool { return n.Name == of }):
				c.Numbers = append(c.Numbers, Number{Name: of, Value: Decimal{Digits: 1}})
			}
		}
		if !said && r.clean("population.cohorts") {
			r.fault(key, r.seen[key], fmt.Sprintf("scale %s: no cohort says %s: want it of one at least, as in %s: 2.5; the others have 1", of, of, of))
		}
	}
}

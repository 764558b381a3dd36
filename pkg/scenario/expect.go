package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The takes and opens of expect.

func openQuery(s *draft, key string, pos Pos) error {
	var err error
	for _, q := range s.Expect.Queries {
		if strings.EqualFold(q.Name, key) {
			err = fmt.Errorf("%s: SQL takes it for %s on line %d: want another name", key, q.Name, q.Pos.Line)
		}
	}
	s.Expect.Queries = append(s.Expect.Queries, Query{Name: key, Pos: pos})
	if !identifier.MatchString(key) {
		err = fmt.Errorf("%s: want 1 to 63 of a-z, A-Z, 0-9 and _, not beginning with a digit: later queries use it as a table", quote(key))
	}
	return err
}

func takeSQL(s *draft, n node) error {
	sql, err := plainText(n)
	if err != nil {
		return err
	}
	q := last(s.Expect.Queries)
	q.SQL, q.SQLPos = sql, n.first
	if given, ok := strings.CutPrefix(sql, "file:"); ok {
		content, shown, err := s.beside(given)
		if err != nil {
			return err
		}
		q.SQLPos = Pos{shown, 1, 1}
		if q.SQL, err = s.expandFile(shown, strings.TrimPrefix(content, "\ufeff")); err != nil {
			return err
		}
		if strings.TrimSpace(content) == "" {
			return fmt.Errorf("%s: the file is empty: want SQL", quote(given))
		}
	}
	if strings.TrimSpace(q.SQL) == "" {
		return errors.New("want SQL, got nothing")
	}
	return nil
}

// takeEquals reads a formula; a number needs no quotes.
func takeEquals(s *draft, n node) (err error) {
	q := last(s.Expect.Queries)
	q.EqualsPos = n.pos
	if n.shape == whole || n.shape == float {
		q.Equals = n.text
		return nil
	}
	q.EqualsPos = n.first
	q.Equals, err = plainText(n)
	return err
}

// takeQueryStage stores the name; whether there is such a stage is known at the end.
func takeQueryStage(s *draft, n node) error {
	i, err := oneOf(n, asked...)
	q := last(s.Expect.Queries)
	q.Stage, q.StagePos = asked[i], n.pos
	return err
}

// asked are the stages that queries may be asked of, the one nearest to those who
// ask last.
var asked = []string{"raw", "table"}

// Asked is the stage that a query is asked of: the one that it names, else the last
// one on the way of the records that holds rows.
func (s *Scenario) Asked(q Query) string {
	switch {
	case q.Stage != "":
		return q.Stage
	case s.hasStage("table"):
		return "table"
	}
	return "raw"
}

func (s *Scenario) hasStage(name string) bool {
	return slices.ContainsFunc(s.Stages, func(st Stage) bool { return st.Name == name })
}

// checkQueries finds queries of stages that there are none of. Where no stage holds
// rows, raw is given when the run is verified.
func (r *reader) checkQueries() {
	if !r.sound("stages") {
		return
	}
	for _, q := range r.s.Expect.Queries {
		if q.Stage == "" || r.s.hasStage(q.Stage) || q.Stage == "raw" && !r.s.hasStage("table") {
			continue
		}
		key := "expect.queries." + q.Name + ".stage"
		if r.clean(key) {
			r.fault(key, q.StagePos, fmt.Sprintf("stage: stages has no %s: name its path there, or ask another stage", q.Stage))
		}
	}
}

func openTolerance(s *draft, key string, _ Pos) error {
	q := last(s.Expect.Queries)
	q.Tolerance = append(q.Tolerance, Tolerance{Column: key})
	if key == "" {
		return errors.New(`"": want a column's name`)
	}
	return nil
}

func takeToleranceOfAll(s *draft, n node) error {
	q := last(s.Expect.Queries)
	q.Tolerance = append(q.Tolerance, Tolerance{})
	return takeTolerance(s, n)
}

func takeTolerance(s *draft, n node) error {
	n = n.number()
	t := last(last(s.Expect.Queries).Tolerance)
	number, relative := strings.CutSuffix(n.text, "%")
	digits, scale, ok := decimal(strings.TrimRight(number, " "))
	if n.shape == text && relative && ok && digits < 1e15 && scale <= 13 {
		t.Amount, t.Relative = Decimal{digits, scale + 2}.trim(), true
		return nil
	}
	if n.shape == text || n.shape == nothing {
		return fmt.Errorf("want a number such as 0.005 or a percentage such as 1%%, got %s", n.got())
	}
	var err error
	t.Amount, err = plainNumber(n)
	return err
}

// trim returns d without zeros at the end of its fraction.
func (d Decimal) trim() Decimal {
	for d.Scale > 0 && d.Digits%10 == 0 {
		d.Digits, d.Scale = d.Digits/10, d.Scale-1
	}
	return d
}

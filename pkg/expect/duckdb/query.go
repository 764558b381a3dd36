//go:build cgo

package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"kreplay/pkg/expect"
)

// unnamed is the table of a query that nobody refers to.
const unnamed = "the result of an unnamed query"

// Check implements [expect.Engine].
func (e *engine) Check(ctx context.Context, set expect.Set, name, query string) (columns []expect.ResultColumn, err error) {
	s, give, err := e.start(ctx, set)
	if err != nil {
		return nil, err
	}
	defer give()
	err = s.whole(ctx, true, func() error {
		if _, err := s.create(ctx, name, query, "\nwith no data"); err != nil {
			return err
		}
		columns, err = s.columns(ctx, name)
		return err
	})
	return columns, err
}

// Query implements [expect.Engine].
func (e *engine) Query(ctx context.Context, set expect.Set, name, query string) (result expect.Result, err error) {
	s, give, err := e.start(ctx, set)
	if err != nil {
		return result, err
	}
	defer give()
	table := name
	if name == "" {
		table = unnamed
	}
	err = s.whole(ctx, name != "", func() error {
		ordered, err := s.create(ctx, table, query, "")
		if err == nil {
			result, err = s.read(ctx, table)
			result.Ordered = ordered
		}
		return err
	})
	if err != nil {
		return expect.Result{}, err
	}
	return result, nil
}

// whole does f as one transaction, of which nothing stays unless it is kept and
// f succeeds. Whether ctx has ended in between makes no difference.
func (s *session) whole(ctx context.Context, keep bool, f func() error) error {
	always := context.WithoutCancel(ctx)
	if _, err := s.conn.ExecContext(always, "begin"); err != nil {
		return engineFault(always, err)
	}
	err := f()
	end := "rollback"
	if err == nil && keep {
		end = "commit"
	}
	if _, endErr := s.conn.ExecContext(always, end); err == nil && endErr != nil {
		err = engineFault(always, endErr)
	}
	return err
}

// start seals the engine and takes the set's connection.
func (e *engine) start(ctx context.Context, set expect.Set) (*session, func(), error) {
	if err := e.seal(ctx); err != nil {
		return nil, nil, err
	}
	return e.take(ctx, set)
}

// create makes a table of the query's result: its types can then be asked for,
// every value be read as text, and later queries use it.
func (s *session) create(ctx context.Context, table, query, suffix string) (ordered bool, err error) {
	if ordered, err = s.parse(ctx, table, query); err != nil {
		return false, err
	}
	prefix := "create table " + qualified(s.set, table) + " as "
	_, err = s.conn.ExecContext(ctx, prefix+trimEnd(query)+suffix)
	return ordered, queryFault(ctx, err, table, query, len(prefix))
}

// trimEnd takes off semicolons: the query goes into a statement.
func trimEnd(query string) string { return strings.TrimRight(query, "; \t\r\n") }

// tree is what json_serialize_sql makes of a query.
type tree struct {
	Error      bool            `json:"error"`
	Type       string          `json:"error_type"`
	Message    string          `json:"error_message"`
	Position   json.RawMessage `json:"position"`
	Statements []struct {
		Parameters []any `json:"named_param_map"`
		Node       struct {
			Modifiers []struct {
				Type string `json:"type"`
			} `json:"modifiers"`
		} `json:"node"`
	} `json:"statements"`
}

// parse makes sure that the query is one SELECT, and nothing that changes
// anything, before any of it runs.
func (s *session) parse(ctx context.Context, name, query string) (ordered bool, err error) {
	var text string
	err = s.conn.QueryRowContext(ctx, "select cast(json_serialize_sql(cast(? as varchar)) as varchar)", query).Scan(&text)
	var t tree
	if err == nil {
		err = json.Unmarshal([]byte(text), &t)
	}
	switch {
	case err != nil:
		return false, engineFault(ctx, err)
	case t.Error && t.Type == "not implemented":
		return false, &expect.QueryError{Query: name, Msg: "want a SELECT: a query changes nothing (PIVOT goes into a subquery)"}
	case t.Error:
		f := &expect.QueryError{Query: name, Msg: t.Message}
		f.Line, f.Col = placeOf(query, t.Position, 0)
		return false, f
	case len(t.Statements) != 1:
		return false, &expect.QueryError{Query: name, Msg: fmt.Sprintf("want one SELECT, got %d statements", len(t.Statements))}
	case len(t.Statements[0].Parameters) > 0:
		return false, &expect.QueryError{Query: name, Msg: "want no parameters: there is nobody to give them a value"}
	}
	for _, m := range t.Statements[0].Node.Modifiers {
		ordered = ordered || m.Type == "ORDER_MODIFIER"
	}
	return ordered, nil
}

func (s *session) columns(ctx context.Context, table string) ([]expect.ResultColumn, error) {
	rows, err := s.conn.QueryContext(ctx, "select * from "+qualified(s.set, table)+" limit 0")
	if err != nil {
		return nil, engineFault(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, engineFault(ctx, err)
	}
	var list []expect.ResultColumn
	for _, t := range types {
		kind := kindOf(t.DatabaseTypeName())
		list = append(list, expect.ResultColumn{
			Name: t.Name(), Type: t.DatabaseTypeName(), Numeric: kind == expect.Exact || kind == expect.Float,
		})
	}
	return list, rows.Err()
}

// kindOf says how values of a DuckDB type compare.
func kindOf(name string) expect.ValueKind {
	base, _, _ := strings.Cut(name, "(")
	switch base {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM":
		return expect.Exact
	case "DECIMAL":
		if strings.HasSuffix(name, ")") {
			return expect.Exact
		}
	case "FLOAT", "DOUBLE":
		return expect.Float
	case "BOOLEAN":
		return expect.Bool
	}
	return expect.Text
}

// read reads a table, every value as DuckDB writes it: all digits of a decimal,
// and of a float the fewest that read back the same.
func (s *session) read(ctx context.Context, table string) (r expect.Result, err error) {
	if r.Columns, err = s.columns(ctx, table); err != nil {
		return r, err
	}
	casts := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		casts[i] = "cast(" + expect.Quote(c.Name) + " as varchar)"
	}
	rows, err := s.conn.QueryContext(ctx, fmt.Sprintf("select %s from %s limit %d", strings.Join(casts, ", "), qualified(s.set, table), expect.MaxRows+1))
	if err != nil {
		return r, engineFault(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	values, targets := make([]sql.NullString, len(casts)), make([]any, len(casts))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if len(r.Rows) == expect.MaxRows {
			return expect.Result{}, &expect.QueryError{Query: table, Msg: fmt.Sprintf("returns more than %d rows; aggregate, or add a limit", expect.MaxRows)}
		}
		if err := rows.Scan(targets...); err != nil {
			return r, engineFault(ctx, err)
		}
		row := make([]expect.Value, len(values))
		for i, v := range values {
			if v.Valid {
				row[i] = expect.Value{Kind: kindOf(r.Columns[i].Type), Text: v.String}
			}
		}
		r.Rows = append(r.Rows, row)
	}
	if err := rows.Err(); err != nil {
		return r, engineFault(ctx, err)
	}
	return r, nil
}

// words is an error as errors_as_json has it.
type words struct {
	Type     string          `json:"exception_type"`
	Message  string          `json:"exception_message"`
	Position json.RawMessage `json:"position"`
}

func wordsOf(err error) words {
	text := err.Error()
	w := words{Message: text}
	if i := strings.IndexByte(text, '{'); i >= 0 {
		_ = json.NewDecoder(strings.NewReader(text[i:])).Decode(&w) // else it stays as it is
	}
	return w
}

// queryFault turns an error of DuckDB into the query's or the engine's. The
// query stood behind prefix bytes.
func queryFault(ctx context.Context, err error, name, query string, prefix int) error {
	if err == nil {
		return nil
	}
	w := wordsOf(err)
	switch strings.ToLower(w.Type) {
	case "", "io", "internal", "fatal", "out of memory", "interrupt", "connection", "network":
		return engineFault(ctx, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f := &expect.QueryError{Query: name, Msg: strings.ReplaceAll(w.Message, "\n", "; ")}
	f.Line, f.Col = placeOf(query, w.Position, prefix)
	return f
}

// engineFault is what is not the query's fault.
func engineFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %s", expect.ErrEngine, strings.ReplaceAll(wordsOf(err).Message, "\n", "; "))
}

// placeOf turns DuckDB's byte position into a line and a column.
func placeOf(query string, position json.RawMessage, prefix int) (line, col int) {
	var at int
	if _, err := fmt.Sscan(strings.Trim(string(position), `"`), &at); err != nil || at < prefix || at-prefix > len(query) {
		return 0, 0
	}
	before := query[:at-prefix]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, len([]rune(before[start:])) + 1
}

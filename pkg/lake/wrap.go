package lake

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"kreplay/pkg/object"
)

// A Wrap says where in a row the record stands that a transform put there. The
// zero Wrap: the row is the record.
type Wrap struct {
	Path   string // names of fields, separated by dots; "" for the row itself
	Base64 bool   // the field holds base64; else text, or the record itself as an object
}

// Faults of a wrapped row.
var (
	ErrNoPayload = errors.New("no such field")
	ErrPayload   = errors.New("neither text nor an object")
)

// Unwrap returns the record in row. It may share row's memory.
func (w Wrap) Unwrap(row []byte) ([]byte, error) {
	data, _, err := w.unwrap(row, w.Path)
	return data, err
}

// unwrap is Unwrap of what stands at a path; nested: it is an object.
func (w Wrap) unwrap(row []byte, at string) (data []byte, nested bool, err error) {
	if at == "" {
		return row, true, nil
	}
	field := gjson.GetBytes(row, escaped(at))
	switch {
	case !field.Exists():
		err = ErrNoPayload
	case field.Type == gjson.String && w.Base64:
		data, err = base64.StdEncoding.DecodeString(field.Str)
	case field.Type == gjson.String:
		data = []byte(field.Str)
	case field.IsObject() && !w.Base64:
		data, nested = []byte(field.Raw), true
	default:
		err = ErrPayload
	}
	if err != nil {
		return nil, false, fmt.Errorf("lake: payload %s: %w", w.Path, err)
	}
	return data, nested, nil
}

// escaped is a path of names as gjson has it.
func escaped(path string) string {
	names := strings.Split(path, ".")
	for i, name := range names {
		names[i] = gjson.Escape(name)
	}
	return strings.Join(names, ".")
}

// Rows returns a callback for Scan, which gives to row the records that wrapped
// rows hold, under the wrapped row's place. A payload may hold several, and be
// compressed, as an object may. A row without a payload, and what in a
// payload is no row, is damage of the wrapped row's length. Columns may be named
// as the path is in lower case; an object in columns is in columns.
func (w Wrap) Rows(ctx context.Context, row func(Row) error, damage func(Damage) error) func(Row) error {
	return func(outer Row) error {
		wrong := func(reason string, blind bool) error {
			return damage(Damage{Object: outer.Object, Offset: outer.Offset, Length: int64(len(outer.Data)), Blind: blind, Reason: reason})
		}
		data, nested, err := w.unwrap(outer.Data, w.Path)
		if errors.Is(err, ErrNoPayload) && (outer.Converted || outer.Text) {
			data, nested, err = w.unwrap(outer.Data, strings.ToLower(w.Path))
		}
		if err != nil {
			return wrong(strings.TrimPrefix(err.Error(), "lake: "), false)
		}
		inner := func(r Row) error {
			r.Object, r.Offset, r.Converted = outer.Object, outer.Offset, outer.Converted && nested
			return row(r)
		}
		return rows(ctx, data, inner, func(d Damage) error { return wrong("payload "+w.Path+": "+d.Reason, d.Blind) })
	}
}

// rows reads data in memory as Scan reads an object.
func rows(ctx context.Context, data []byte, row func(Row) error, damage func(Damage) error) error {
	src := newSource(bytes.NewReader(data))
	defer src.release()
	if err := src.unwrap(); err != nil {
		return err
	}
	if src.parquet {
		src.alien = parquetWithin
	}
	_, err := split(ctx, "payload", src, Sweep{MaxValue: MaxValue, Row: row, Damage: damage})
	return err
}

// A Rejection is what an error record says of one record that was not delivered.
type Rejection struct {
	Row           // the record; its Object and Offset are those of the error record
	Code, Message string
	Wrapped       bool // it came out of an error record; else the row stands for itself
}

// Rejections reads one object of the error stage. Error records are those that
// Firehose writes, of any of its error types: a JSON object with rawData, the
// record as it was sent, in base64; errorCode and errorMessage, or
// lastErrorCode and lastErrorMessage of a failed format conversion. A record
// that is no JSON object is given as it is; a row that is no error record stands for
// itself. Damage, errors and concurrency are as Scan has them.
func Rejections(ctx context.Context, store object.Store, key string, reject func(Rejection) error, damage func(Damage) error) (Stats, error) {
	return Scan(ctx, store, key, func(outer Row) error { return rejections(ctx, outer, reject, damage) }, damage)
}

func rejections(ctx context.Context, outer Row, reject func(Rejection) error, damage func(Damage) error) error {
	data, err := Wrap{Path: "rawData", Base64: true}.Unwrap(outer.Data)
	switch {
	case errors.Is(err, ErrNoPayload):
		return reject(Rejection{Row: outer})
	case err != nil:
		return damage(Damage{
			Object: outer.Object, Offset: outer.Offset, Length: int64(len(outer.Data)), Reason: strings.TrimPrefix(err.Error(), "lake: "),
		})
	}
	r := Rejection{Row: outer, Wrapped: true}
	said := gjson.GetManyBytes(outer.Data, "errorCode", "lastErrorCode", "errorMessage", "lastErrorMessage")
	r.Code, r.Message = said[0].String()+said[1].String(), said[2].String()+said[3].String()
	found := false
	give := func(data []byte) error {
		found, r.Data = true, data
		return reject(r)
	}
	err = rows(ctx, data, func(inner Row) error { return give(inner.Data) }, func(Damage) error { return nil })
	if err != nil || found {
		return err
	}
	return give(data)
}

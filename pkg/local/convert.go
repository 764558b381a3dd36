package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Formats of a lake's objects.
const (
	JSON    = ""        // records one after another, as they were sent
	CSV     = "csv"     // the fields of all records of an object are its columns
	Parquet = "parquet" // as Firehose converts records, but with types that the records of the object decide
)

// What becomes of the names of fields in columns.
const (
	LowerNames = "lower" // they lose their case, at every depth, as by Firehose's conversion (CaseInsensitive of API_OpenXJsonSerDe)
	KeepNames  = "keep"
)

// member is a field of an object.
type member struct {
	name string
	raw  []byte
}

// object reads the members of a JSON object, of which there is one in data and
// nothing else. Of members of one name the last counts, as Firehose has it.
func object(data []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.Join(err, errors.New("no JSON object"))
	}
	var all []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		text, ok := name.(string)
		if !ok {
			return nil, errors.New("a name that is no text")
		}
		if i := slices.IndexFunc(all, func(m member) bool { return m.name == text }); i >= 0 {
			all[i].raw = raw
			continue
		}
		all = append(all, member{text, raw})
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if rest := bytes.TrimSpace(data[d.InputOffset():]); len(rest) > 0 {
		return nil, errors.New("more than one JSON object")
	}
	return all, nil
}

// lowerNames writes names in lower case, at every depth. Those that are one then are
// one too many for a table: the SerDe takes such a record for malformed.
func lowerNames(members []member, depth int) error {
	seen := map[string]bool{}
	for i, m := range members {
		name := strings.ToLower(m.name)
		if seen[name] {
			return fmt.Errorf("duplicate key %q", name)
		}
		seen[name] = true
		raw, err := lowered(m.raw, depth+1)
		if err != nil {
			return err
		}
		members[i] = member{name, raw}
	}
	return nil
}

// lowered is a value with the names in it in lower case.
func lowered(raw json.RawMessage, depth int) (json.RawMessage, error) {
	switch {
	case depth > maxNesting: // it stays JSON
		return raw, nil
	case raw[0] == '[':
		list := elements(raw)
		for i, e := range list {
			var err error
			if list[i], err = lowered(e, depth+1); err != nil {
				return nil, err
			}
		}
		return json.Marshal(list)
	case raw[0] == '{':
		members, err := object(raw)
		if err == nil {
			err = lowerNames(members, depth)
		}
		if err != nil {
			return nil, err
		}
		return objectOf(members)
	}
	return raw, nil
}

func objectOf(members []member) ([]byte, error) {
	dst := []byte{'{'}
	for i, m := range members {
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, name...), ':'), m.raw...)
	}
	return append(dst, '}'), nil
}

// convertible returns the columns of a record, if it can be converted.
func (c Config) convertible(data []byte) ([]member, error) {
	all, err := object(data)
	if err == nil && c.Names == LowerNames {
		err = lowerNames(all, 0)
	}
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0 || slices.ContainsFunc(all, func(m member) bool { return m.name == "" }):
		return nil, errors.New("no field, or one without a name")
	}
	return all, nil
}

// convert makes the object of the rows laid out. Rows that cannot be converted go
// to error records. When a truncation is owed, one of them is made: the text of a
// record breaks off before it is converted.
func (o *press) convert(p *Pipeline, recs []rec, kinds []string, d *draft) (unfit map[int]bool, err error) {
	unfit, o.unconverted = map[int]bool{}, o.unconverted[:0]
	cut := -1
	if p.plan.owed.truncate > 0 { // of a record without another fault, so of none that was set aside
		cut = o.breakOff(p.cfg, kinds)
	}
	var rows [][]member
	kept := o.rows[:0]
	for i, r := range o.rows {
		text := o.plain[r.start:r.end]
		if i == cut {
			text = text[:len(text)-1]
		}
		members, err := p.cfg.convertible(text)
		if err == nil {
			rows, kept = append(rows, members), append(kept, r)
			continue
		}
		if unfit[r.rec] {
			continue // a second copy
		}
		unfit[r.rec] = true
		o.unconverted = appendUnconverted(o.unconverted, recs[r.rec], text, err)
		if i == cut {
			p.plan.owed.truncate--
			d.planted = append(d.planted, Planted{
				Kind: Truncated, Data: bytes.Clone(recs[r.rec].data()), Object: d.unconverted.key, Seq: string(appendSeq(nil, recs[r.rec].seq)),
			})
		}
	}
	o.rows = kept
	if len(rows) == 0 {
		return unfit, nil
	}
	if p.cfg.Format == Parquet {
		d.stored, err = o.parquet(rows, p.cfg.Compression)
		return unfit, err
	}
	d.stored, err = o.store(csvOf(rows), p.cfg.Compression, false)
	return unfit, err
}

// breakOff picks the row of a record to break off, from 60 % on: one that no
// other fault is in, and that can be converted. -1: there is none.
func (o *press) breakOff(c Config, kinds []string) int {
	for step := range o.rows {
		i := (len(o.rows)*6/10 + step) % len(o.rows)
		r := o.rows[i]
		if _, err := c.convertible(o.plain[r.start:r.end]); err == nil && kinds[r.rec] == "" {
			return i
		}
	}
	return -1
}

// csvOf writes rows under the names of their fields, in the order in which
// these come up. Null is a cell without a byte, like a field that is not there.
func csvOf(rows [][]member) (dst []byte) {
	column := map[string]int{}
	var names []string
	for _, row := range rows {
		for _, m := range row {
			if _, ok := column[m.name]; !ok {
				column[m.name] = len(names)
				names = append(names, m.name)
			}
		}
	}
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCell(dst, name, false)
	}
	header := string(dst)
	dst = append(dst, '\n')
	cells := make([]*string, len(names))
	for _, row := range rows {
		clear(cells)
		for _, m := range row {
			cells[column[m.name]] = cellOf(m.raw)
		}
		start := len(dst)
		for i, c := range cells {
			if i > 0 {
				dst = append(dst, ',')
			}
			if c != nil {
				dst = appendCell(dst, *c, *c == "")
			}
		}
		if line := string(dst[start:]); line == "" || line == header { // would be no row
			dst = dst[:start]
			for i, c := range cells {
				if i > 0 {
					dst = append(dst, ',')
				}
				if c != nil {
					dst = appendCell(dst, *c, true)
				} else if line == "" {
					dst = append(dst, `""`...)
				}
			}
		}
		dst = append(dst, '\n')
	}
	return dst
}

// cellOf is a value as text; nil: null. Objects and arrays stay JSON.
func cellOf(raw []byte) *string {
	text := string(raw)
	switch {
	case text == "null":
		return nil
	case raw[0] == '"':
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw) // it was parsed before
		}
	case raw[0] == '{' || raw[0] == '[':
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			text = b.String()
		}
	}
	return &text
}

func appendCell(dst []byte, text string, quote bool) []byte {
	if !quote && !strings.ContainsAny(text, "\",\r\n") && !strings.HasPrefix(text, "\ufeff") {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(text, `"`, `""`)...)
	return append(dst, '"')
}

// appendUnconverted appends the error record of a record that was not converted,
// as Firehose writes it (record-format-conversion, "Error handling").
func appendUnconverted(dst []byte, r rec, text []byte, why error) []byte {
	message, err := json.Marshal("Encountered malformed JSON: " + why.Error())
	if err != nil {
		message = []byte(`""`) // a text always marshals
	}
	dst = fmt.Appendf(dst, `{"attemptsMade":1,"arrivalTimestamp":%d,"lastErrorCode":"%s","lastErrorMessage":%s,"attemptEndingTimestamp":%d,"rawData":"`,
		r.at, UnconvertedCode, message, r.at)
	dst = appendBase64(dst, text)
	return append(dst, "\",\"sequenceNumber\":\""+string(appendSeq(nil, r.seq))+"\",\"subSequenceNumber\":null,"+
		"\"dataCatalogTable\":{\"catalogId\":null,\"databaseName\":\"local\",\"tableName\":\"local\",\"region\":\"us-east-1\",\"versionId\":\"LATEST\"}}\n"...)
}

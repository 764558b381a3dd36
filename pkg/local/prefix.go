package local

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
)

// expression is one of a prefix. What stands between such braces and is none is refused.
var expression = regexp.MustCompile(`!\{(timestamp|partitionKeyFromQuery|partitionKeyFromLambda|firehose):([^{}]*)\}`)

// randomLength is the length of !{firehose:random-string} (s3-prefixes).
const randomLength = 11

// expandPrefix evaluates the expressions of prefix at t, in t's own zone; values are
// those of its keys, in the order in which they stand there.
func expandPrefix(prefix string, t time.Time, values ...string) string {
	return expression.ReplaceAllStringFunc(prefix, func(e string) string {
		parts := expression.FindStringSubmatch(e)
		switch {
		case parts[1] == "timestamp":
			return javaTime(parts[2], t)
		case parts[1] == "firehose" && parts[2] == "random-string":
			return strings.ReplaceAll(uuid.NewString(), "-", "")[:randomLength]
		case parts[1] == "firehose" || len(values) == 0:
			return e
		}
		value := values[0]
		values = values[1:]
		return value
	})
}

// timed is what of a format of Java's DateTimeFormatter is no literal text.
var timed = regexp.MustCompile(`''|'(?:[^']|'')*'|yyyy|uuuu|yy|uu|MM|dd|DDD|HH|mm|ss`)

// javaTime writes t by a format of Java's DateTimeFormatter.
func javaTime(format string, t time.Time) string {
	return timed.ReplaceAllStringFunc(format, func(w string) string {
		switch w {
		case "''":
			return "'"
		case "yyyy", "uuuu":
			return fmt.Sprintf("%04d", t.Year())
		case "yy", "uu":
			return fmt.Sprintf("%02d", t.Year()%100)
		case "DDD":
			return fmt.Sprintf("%03d", t.YearDay())
		case "MM":
			return fmt.Sprintf("%02d", int(t.Month()))
		case "dd":
			return fmt.Sprintf("%02d", t.Day())
		case "HH":
			return fmt.Sprintf("%02d", t.Hour())
		case "mm":
			return fmt.Sprintf("%02d", t.Minute())
		case "ss":
			return fmt.Sprintf("%02d", t.Second())
		}
		return strings.ReplaceAll(strings.Trim(w, "'"), "''", "'")
	})
}

// keysOf are the names of the keys in a prefix, in order.
func keysOf(prefix string) (names []string) {
	for _, e := range expression.FindAllStringSubmatch(prefix, -1) {
		if strings.HasPrefix(e[1], "partitionKey") {
			names = append(names, e[2])
		}
	}
	return names
}

// checkPrefix says what is wrong with the prefix and its keys.
func (c Config) checkPrefix() error {
	keys := keysOf(c.Prefix)
	p := expandPrefix(c.Prefix, time.Time{}, slices.Repeat([]string{"x"}, len(keys))...)
	if strings.Contains(p, "!{") || !filepath.IsLocal(p+"x") {
		return fmt.Errorf("prefix %q: only !{timestamp:}, !{partitionKeyFromQuery:} and !{firehose:random-string} expressions and paths inside the lake", c.Prefix)
	}
	for _, name := range keys {
		if c.Keys[name] == "" {
			return fmt.Errorf("prefix %q: nothing says which field of a record gives the key %s", c.Prefix, name)
		}
	}
	for name := range c.Keys {
		if !slices.Contains(keys, name) {
			return fmt.Errorf("prefix %q: it has no key %s", c.Prefix, name)
		}
	}
	return nil
}

// share is the records of a buffer that belong into one object.
type share struct {
	recs   []rec
	values []string // of the prefix's keys
	err    error    // why the records have none
	aside  string   // the fault for which they were set aside: Delayed, Misplaced or none
}

// split deals records out by the values of the prefix's keys, as dynamic
// partitioning does: in the order in which the first of each came.
func (c Config) split(recs []rec) []share {
	keys := keysOf(c.Prefix)
	if len(keys) == 0 {
		return []share{{recs: recs}}
	}
	var list []share
	at := map[string]int{}
	for _, r := range recs {
		values, err := c.values(keys, r.data())
		id := strings.Join(values, "\x00")
		if err != nil {
			id = "\x00" + err.Error()
		}
		i, ok := at[id]
		if !ok {
			i = len(list)
			at[id] = i
			list = append(list, share{values: values, err: err})
		}
		list[i].recs = append(list[i].recs, r)
	}
	return list
}

// unkeyed are the error records of a share without values.
func unkeyed(s share) (dst []byte) {
	for _, r := range s.recs {
		dst = appendFailure(dst, r, UnkeyedCode, s.err.Error())
	}
	return dst
}

// values are those of a record for the keys: of a string its text, of a number,
// true and false what stands in the record.
func (c Config) values(keys []string, data []byte) ([]string, error) {
	if !gjson.ValidBytes(data) {
		return nil, errors.New("the record is no JSON")
	}
	list := make([]string, len(keys))
	for i, name := range keys {
		v := gjson.GetBytes(data, gjsonPath(c.Keys[name]))
		switch v.Type {
		case gjson.String:
			list[i] = v.Str
		case gjson.Number, gjson.True, gjson.False:
			list[i] = v.Raw
		case gjson.Null, gjson.JSON:
		}
		if list[i] == "" || !filepath.IsLocal(list[i]) {
			return nil, fmt.Errorf("key %s: the field %s is not there, empty or no part of a path", name, c.Keys[name])
		}
	}
	return list, nil
}

// gjsonPath writes a dotted path so that nothing but the dots has a meaning.
func gjsonPath(path string) string {
	var b strings.Builder
	for _, r := range path {
		if r != '.' && r != '_' && (r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' && r < 0x80) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

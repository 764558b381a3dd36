package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Part is a piece of a partition: what a folder's name is made of.
type Part struct {
	Kind PartKind
	Text string // the text; the layout of a time, as the time package has it; the name of a key
}

// A PartKind says what a Part stands for.
type PartKind uint8

// What parts there are.
const (
	PartText   PartKind = iota // itself
	PartTime                   // a piece of the time of delivery, in the stage's zone
	PartKey                    // a value of the record, as dynamic partitioning finds it
	PartRandom                 // !{firehose:random-string}: RandomLength characters, others in each object
)

// RandomLength is the length of what !{firehose:random-string} becomes (Firehose, custom prefixes).
const RandomLength = 11

// A PartitionKey says which field of a record gives a key of a partition its value.
type PartitionKey struct {
	Name  string
	Field string // dotted path
	Pos   Pos    // of the path
}

// Parts are the pieces of a stage's partition, which has been checked. A key at
// the end is the name of a folder: a slash follows it.
func (s Stage) Parts() []Part {
	parts, _ := partsOf(s.Partition)
	return parts
}

// Zone is the time zone of a stage's partition.
func (s Stage) Zone() *time.Location {
	if s.TimeZone == "" {
		return time.UTC
	}
	loc, err := location(s.TimeZone)
	if err != nil {
		return time.UTC // it has been checked
	}
	return loc
}

// Unnamed are the keys of a partition without a field: a record may lie below any value of theirs.
func (s Stage) Unnamed() (names []string) {
	for _, p := range s.Parts() {
		named := slices.ContainsFunc(s.Keys, func(k PartitionKey) bool { return k.Name == p.Text })
		if p.Kind == PartKey && !named && !slices.Contains(names, p.Text) {
			names = append(names, p.Text)
		}
	}
	return names
}

// partition reads a prefix as Firehose has it.
func partition(n node) (string, error) {
	p, err := plainText(n)
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' }) {
		return "", fmt.Errorf("%s: want a path without control characters", quote(p))
	}
	_, err = partsOf(p)
	return p, err
}

const expressions = "!{timestamp:FORMAT}, !{partitionKeyFromQuery:NAME}, !{partitionKeyFromLambda:NAME} or !{firehose:random-string}"

// partsOf takes a prefix apart.
func partsOf(p string) (parts []Part, err error) {
	for at := 0; at < len(p); {
		text, rest, found := strings.Cut(p[at:], "!{")
		parts = appendText(parts, text)
		if !found {
			break
		}
		expression, _, closed := strings.Cut(rest, "}")
		from := at + len(text)
		if !closed {
			return nil, fmt.Errorf(`%s: "!{" at character %d is not closed by "}"`, quote(p), from+1)
		}
		if parts, err = appendExpression(parts, expression); err != nil {
			return nil, fmt.Errorf("%s: !{%s} at character %d: %w", quote(p), expression, from+1, err)
		}
		at = from + len("!{") + len(expression) + len("}")
	}
	if len(parts) > 0 && last(parts).Kind == PartKey {
		parts = append(parts, Part{PartText, "/"})
	}
	return parts, nil
}

func appendText(parts []Part, text string) []Part {
	switch n := len(parts); {
	case text == "":
	case n > 0 && parts[n-1].Kind == PartText:
		parts[n-1].Text += text
	default:
		parts = append(parts, Part{PartText, text})
	}
	return parts
}

var keyName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func appendExpression(parts []Part, expression string) ([]Part, error) {
	space, value, _ := strings.Cut(expression, ":")
	switch {
	case space == "timestamp":
		return appendTime(parts, value)
	case expression == "firehose:random-string":
		return append(parts, Part{PartRandom, ""}), nil
	case expression == "firehose:error-output-type":
		return nil, errors.New("it stands in the prefix of errors only; give dlq the path below which those are")
	case space != "partitionKeyFromQuery" && space != "partitionKeyFromLambda":
		return nil, errors.New("want " + expressions)
	case !keyName.MatchString(value):
		return nil, fmt.Errorf("%s: want a name of letters, digits, _ and -", quote(value))
	case len(parts) > 0 && last(parts).Kind == PartKey:
		return nil, errors.New("where one key ends and the next begins cannot be told: put text between them")
	}
	return append(parts, Part{PartKey, value}), nil
}

// Letters of Java's DateTimeFormatter that are read, all of a fixed width, with
// Go's layouts, and what others are that a folder cannot be told by.
var (
	letters = map[string]string{"yyyy": "2006", "uuuu": "2006", "yy": "06", "uu": "06", "MM": "01", "dd": "02", "DDD": "002", "HH": "15", "mm": "04"}
	others  = map[byte]string{
		'Y': "is the year of the week: want yyyy", 'h': "is the hour of half a day: want HH", 'K': "is the hour of half a day: want HH", 'k': "counts hours from 1: want HH",
		'M': "has not a fixed width, or depends on the language: want MM", 'd': "has not a fixed width: want dd", 'H': "has not a fixed width: want HH", 'm': "has not a fixed width: want mm",
		'D': "has not a fixed width: want DDD for the day of the year, dd for that of the month", 'y': "has not two or four digits: want yyyy or yy", 'u': "has not two or four digits: want uuuu or uu",
		's': "makes a folder a second, which nothing looks for: leave it out", 'S': "makes folders of less than a second, which nothing looks for: leave it out",
	}
)

const formats = "want yyyy, yy, MM, dd, DDD, HH, mm, 'text' and characters that are no letters"

// appendTime reads a format of Java's DateTimeFormatter.
func appendTime(parts []Part, format string) ([]Part, error) {
	if format == "" {
		return nil, errors.New("no format: " + formats)
	}
	for i := 0; i < len(format); {
		c, n := format[i], 1
		switch {
		case c == '\'':
			var text string
			if text, n = quotedText(format[i:]); n == 0 {
				return nil, fmt.Errorf("the ' at character %d of the format is not closed by another", i+1)
			}
			parts = appendText(parts, text)
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			for i+n < len(format) && format[i+n] == c {
				n++
			}
			layout, ok := letters[format[i:i+n]]
			if !ok {
				why := others[c]
				if why == "" {
					why = "is not read here: " + formats
				}
				return nil, fmt.Errorf("%s at character %d of the format %s", format[i:i+n], i+1, why)
			}
			parts = append(parts, Part{PartTime, layout})
		case strings.IndexByte("[]{}#", c) >= 0:
			return nil, fmt.Errorf("%c at character %d of the format has a meaning in Java that is not read here: %s", c, i+1, formats)
		default:
			parts = appendText(parts, format[i:i+1])
		}
		i += n
	}
	return parts, nil
}

// quotedText reads the text in quotes that a format begins with; two quotes stand for
// one, in it and alone. n is its length, 0 where it does not end.
func quotedText(format string) (text string, n int) {
	if strings.HasPrefix(format, "''") {
		return "'", 2
	}
	for rest := format[1:]; ; {
		piece, behind, closed := strings.Cut(rest, "'")
		if !closed {
			return "", 0
		}
		text += piece
		if rest, closed = strings.CutPrefix(behind, "'"); !closed {
			return text, len(format) - len(behind)
		}
		text += "'"
	}
}

func takeTimeZone(s *draft, n node) error {
	_, err := zone(n)
	if err == nil {
		last(s.Stages).TimeZone = n.text
	}
	return err
}

// openKey begins a key of a partition; whether the partition has it is known at the end.
func openKey(s *draft, key string, pos Pos) error {
	st := last(s.Stages)
	st.Keys = append(st.Keys, PartitionKey{Name: key, Pos: pos})
	return nil
}

func takeKeyField(s *draft, n node) (err error) {
	k := last(last(s.Stages).Keys)
	k.Pos = n.pos
	k.Field, err = plainText(n)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(k.Field, "date of "):
		return fmt.Errorf("%s: want a field; one that the template has with the role %s will do", quote(k.Field), quote(k.Field))
	case strings.ContainsAny(k.Field, "*{}"):
		return fmt.Errorf("%s: want one field, without * and {}", quote(k.Field))
	}
	return fieldPattern(k.Field)
}

// checkPartitions holds what is said beside the partitions of stages against them.
func (r *reader) checkPartitions() {
	for _, s := range r.s.Stages {
		at := "stages." + s.Name
		if !r.clean(at + ".partition") {
			continue
		}
		var keys []string
		timed := false
		for _, p := range s.Parts() {
			timed = timed || p.Kind == PartTime
			if p.Kind == PartKey {
				keys = append(keys, p.Text)
			}
		}
		if s.TimeZone != "" && !timed {
			r.fault(at+".time_zone", r.seen[at+".time_zone"], "time_zone: the partition has no !{timestamp:FORMAT} that would be in it")
		}
		if s.Name == "dlq" && len(keys) > 0 {
			r.fault(at+".partition", r.seen[at+".partition"], fmt.Sprintf("partition: !{partitionKeyFromQuery:%s}: Firehose has no such keys in the prefix of errors", keys[0]))
		}
		for _, k := range s.Keys {
			key := at + ".keys." + k.Name
			if slices.Contains(keys, k.Name) || !r.clean(key) {
				continue
			}
			hint := "it has none"
			if len(keys) > 0 {
				hint = didYouMean(k.Name, keys)
			}
			r.fault(key, k.Pos, fmt.Sprintf("keys: the partition has no !{partitionKeyFromQuery:%s}: %s", k.Name, hint))
		}
	}
}

package scenario

import (
	"fmt"
	"regexp"
	"strings"
)

// logTypeMark stands in a stream's name for the log type.
const logTypeMark = "{log_type}"

var braces = regexp.MustCompile(`\{[^{}]*\}?|\}`)

// PerLogType says that a stream's name stands for a stream for each log type.
func PerLogType(name string) bool { return strings.Contains(name, logTypeMark) }

// CheckStreamName says what is wrong with the name of a stream, or with what the
// names of several are made of, whatever the log types.
func CheckStreamName(name string) error {
	plain := strings.ReplaceAll(name, logTypeMark, "")
	if b := braces.FindString(plain); b != "" {
		return fmt.Errorf("%s: %s means nothing in a stream's name: %s", quote(name), quote(b), didYouMean(b, []string{logTypeMark}))
	}
	if plain = strings.ReplaceAll(name, logTypeMark, "x"); !streamName.MatchString(plain) {
		return fmt.Errorf("%s: want 1 to 128 of a-z, A-Z, 0-9, _, . and -", quote(name))
	}
	return nil
}

// StreamOf is the stream of a log type: name with the log type in it. Two log
// types never share one, because their names differ where it is put in.
func StreamOf(name, logType string) (string, error) {
	of := strings.ReplaceAll(name, logTypeMark, logType)
	if !streamName.MatchString(of) {
		return "", fmt.Errorf("%s: the stream of log type %s would be %s, which is not 1 to 128 of a-z, A-Z, 0-9, _, . and -: rename the log type in its template, or name one stream without %s",
			quote(name), quote(logType), quote(of), logTypeMark)
	}
	return of, nil
}

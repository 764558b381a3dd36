package scenario

import (
	"errors"
	"regexp"
	"strings"
	"sync"
)

// globs holds each pattern that was matched, compiled: pattern → *regexp.Regexp (nil: malformed).
var globs sync.Map

// Match reports whether the field at the dotted path in logType is meant. A
// pattern without a dot is matched with the last name of the path, in any log
// type; one with a dot with the log type, a dot and the path. It means a name
// that is written as itself, whatever marks are in it, or else is a glob. A
// malformed pattern, which Load refuses, is no glob.
func (p Pattern) Match(logType, path string) bool {
	dotted, last := strings.Contains(p.Field, "."), path[strings.LastIndexByte(path, '.')+1:]
	switch {
	case p.Field == last || dotted && p.names(logType, path):
		return true
	case !strings.ContainsAny(p.Field, "*{}"):
		return false
	case dotted:
		return p.match(logType + "." + path)
	}
	return p.match(last)
}

// names says that the pattern is the log type, a dot and the path.
func (p Pattern) names(logType, path string) bool {
	rest, ok := strings.CutPrefix(p.Field, logType)
	return ok && len(rest) == len(path)+1 && rest[0] == '.' && rest[1:] == path
}

func (p Pattern) match(subject string) bool {
	glob, ok := globs.Load(p.Field)
	if !ok {
		compiled, _ := compileGlob(p.Field)
		glob, _ = globs.LoadOrStore(p.Field, compiled)
	}
	re := glob.(*regexp.Regexp)
	return re != nil && re.MatchString(subject)
}

// compileGlob turns a pattern into a regular expression: matching takes
// linear time whatever the pattern.
func compileGlob(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	depth := 0
	b.WriteString(`^(?s:`)
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '*':
			b.WriteString(`[^.]*`)
		case c == '{':
			depth++
			b.WriteString(`(?:`)
		case c == '}':
			depth--
			b.WriteByte(')')
		case c == ',' && depth > 0:
			b.WriteByte('|')
		case c < 0x80:
			b.WriteString(regexp.QuoteMeta(string(rune(c))))
		default:
			b.WriteByte(c)
		}
		if depth < 0 {
			return nil, errors.New(`"}" without "{" before it`)
		}
	}
	if depth > 0 {
		return nil, errors.New(`"{" is not closed by "}"`)
	}
	b.WriteString(`)$`)
	return regexp.Compile(b.String())
}

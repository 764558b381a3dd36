package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Each reader of a value returns it, or why it cannot be one and what to write instead.

// wholeNumber reads a whole number from least to most.
func wholeNumber(n node, least, most uint64) (uint64, error) {
	n = n.number()
	if n.shape == text && n.text != "" && strings.Trim(n.text, "0123456789") == "" {
		return 0, fmt.Errorf("want a whole number, got the text %s: remove the quotes", n.got())
	}
	if n.shape != whole && n.shape != float {
		return 0, fmt.Errorf("want a whole number, got %s", n.got())
	}
	digits := strings.TrimPrefix(n.text, "-")
	plain := digits != "" && strings.Trim(digits, "0123456789") == "" && (digits == "0" || digits[0] != '0')
	if !plain {
		return 0, fmt.Errorf("want a whole number in plain digits, got %s", n.got())
	}
	v, err := strconv.ParseUint(n.text, 10, 64)
	if err != nil || v < least || v > most {
		return 0, fmt.Errorf("want a whole number from %d to %d, got %s", least, most, n.text)
	}
	return v, nil
}

// plainText reads text that is not empty; what YAML takes for a number or a
// truth has to be quoted, so that nobody is surprised by how it is read.
func plainText(n node) (string, error) {
	switch {
	case n.shape == whole || n.shape == float || n.shape == truth:
		return "", fmt.Errorf("want text, got %s: put it in quotes", n.text)
	case n.shape != text:
		return "", fmt.Errorf("want text, got %s", n.got())
	case n.text == "":
		return "", errors.New("want text, got nothing")
	}
	return n.text, nil
}

// decimal reads a number without sign as digits × 10^-scale, so that nothing is rounded.
func decimal(s string) (digits uint64, scale int, ok bool) {
	before, after, point := strings.Cut(s, ".")
	if before == "" || point && after == "" || strings.Trim(before+after, "0123456789") != "" {
		return 0, 0, false
	}
	after = strings.TrimRight(after, "0")
	digits, err := strconv.ParseUint(before+after, 10, 64)
	return digits, len(after), err == nil
}

// scaled returns digits × 10^-scale × unit if it is a whole number that fits an int64.
func scaled(digits uint64, scale int, unit uint64) (uint64, bool) {
	for ; scale > 0; scale-- {
		switch {
		case unit%10 == 0:
			unit /= 10
		case digits%10 == 0:
			digits /= 10
		default:
			return 0, digits == 0
		}
	}
	if unit != 0 && digits > math.MaxInt64/unit {
		return 0, false
	}
	return digits * unit, true
}

var (
	rateUnits = map[string]uint64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
	byteUnits = map[string]uint64{"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
)

// perSecond reads "<number><unit>/s"; "max" is 0, no limit.
func perSecond(n node, units map[string]uint64, example string) (uint64, error) {
	want := fmt.Errorf("want %s or max, got %s", example, n.got())
	if n.shape != text {
		return 0, want
	}
	if n.text == "max" {
		return 0, nil
	}
	number := strings.TrimLeft(n.text, "0123456789.")
	unit, ok := strings.CutSuffix(number, "/s")
	factor, known := units[strings.TrimLeft(unit, " ")]
	digits, scale, numeric := decimal(strings.TrimSuffix(n.text, number))
	if !ok || !known || !numeric {
		return 0, want
	}
	v, fits := scaled(digits, scale, factor)
	if !fits {
		return 0, fmt.Errorf("%s: want a whole number a second below 2^63", n.text)
	}
	if v == 0 {
		return 0, fmt.Errorf("%s: nothing would ever be sent: want %s or max", n.text, example)
	}
	return v, nil
}

// percentage reads "12.5%", exactly.
func percentage(n node) (Share, error) {
	number, ok := strings.CutSuffix(n.text, "%")
	digits, scale, numeric := decimal(strings.TrimRight(number, " "))
	if n.shape != text || !ok || !numeric {
		return 0, fmt.Errorf("want a percentage such as 2%%, got %s", n.got())
	}
	v, exact := scaled(digits, scale, uint64(Whole/100))
	if !exact {
		return 0, fmt.Errorf("%s: want at most seven decimals", n.text)
	}
	if v > uint64(Whole) {
		return 0, fmt.Errorf("%s: want at most 100%%", n.text)
	}
	return Share(v), nil
}

// plainNumber reads a number that is not negative, exactly; it has up to 15 digits.
func plainNumber(n node) (Decimal, error) {
	n = n.number()
	digits, scale, ok := decimal(n.text)
	switch {
	case n.shape == text && ok:
		return Decimal{}, fmt.Errorf("want a number, got the text %s: remove the quotes", n.got())
	case n.shape != whole && n.shape != float:
		return Decimal{}, fmt.Errorf("want a number, got %s", n.got())
	case !ok || len(n.text) > 1 && n.text[0] == '0' && n.text[1] != '.':
		return Decimal{}, fmt.Errorf("want a number in plain digits, without a sign, got %s", n.text)
	case digits >= 1e15 || scale > 15:
		return Decimal{}, fmt.Errorf("want a number of at most 15 digits, got %s", n.text)
	}
	return Decimal{digits, scale}, nil
}

// positiveDecimal reads a number above 0.
func positiveDecimal(n node) (Decimal, error) {
	d, err := plainNumber(n)
	if err == nil && d.Digits == 0 {
		err = fmt.Errorf("want a number above 0, got %s", n.text)
	}
	return d, err
}

// duration reads a duration as Go writes it, not negative.
func duration(n node) (time.Duration, error) {
	d, err := time.ParseDuration(n.text)
	if n.shape != text || err != nil {
		return 0, fmt.Errorf("want a duration such as 10m or 1h30m, got %s", n.got())
	}
	if d < 0 {
		return 0, fmt.Errorf("%s: want a duration that is not negative", n.text)
	}
	return d, nil
}

func positiveDuration(n node) (time.Duration, error) {
	d, err := duration(n)
	if err == nil && d == 0 {
		err = fmt.Errorf("%s: want a duration above 0", n.text)
	}
	return d, err
}

// wholeSeconds reads a duration: event time has no finer grain.
func wholeSeconds(n node) (time.Duration, error) {
	d, err := duration(n)
	if err == nil && d%time.Second != 0 {
		err = fmt.Errorf("%s: want whole seconds", n.text)
	}
	return d, err
}

// oneOf reads one of words and returns its index; true and false may stand unquoted.
func oneOf(n node, words ...string) (int, error) {
	for i, w := range words {
		if (n.shape == text || n.shape == truth) && n.text == w {
			return i, nil
		}
	}
	last := len(words) - 1
	err := fmt.Errorf("want %s or %s, got %s", strings.Join(words[:last], ", "), words[last], n.got())
	if near := nearest(n.text, words); near != "" && n.shape == text {
		err = fmt.Errorf("%w: did you mean %s?", err, quote(near))
	}
	return 0, err
}

// folder reads a directory inside the scenario's folder.
func folder(n node) (string, error) {
	dir, err := plainText(n)
	if err != nil {
		return "", err
	}
	return inside(strings.TrimRight(dir, "/"), dir, "directory")
}

// inside cleans a path inside the scenario's folder.
func inside(p, given, what string) (string, error) {
	if clean := strings.TrimPrefix(p, "./"); fs.ValidPath(clean) {
		return clean, nil
	}
	return "", fmt.Errorf("%s: want a %s inside the scenario's folder, with / and no .. in it", quote(given), what)
}

// name checks a name that a report can show and a path can hold: letters, digits and marks.
func name(s, marks string) error {
	bad := strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(marks, r)
	})
	if s == "" || len(s) > 128 || bad >= 0 || s[0] == '.' {
		return fmt.Errorf("%s: want 1 to 128 letters, digits and any of %s, not beginning with a dot", quote(s), marks)
	}
	return nil
}

var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

var verb = regexp.MustCompile(`%(?:d|0([1-9][0-9]?)d)`)

// idPattern checks the pattern behind user or counter: it ends up in a JSON
// string as it is, so nothing in it may need an escape.
func idPattern(p string) error {
	for i := range len(p) {
		if c := p[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return fmt.Errorf(`pattern %s: want printable ASCII without " and \`, quote(p))
		}
	}
	if len(p) > 128 {
		return fmt.Errorf("pattern %s: want at most 128 characters", quote(p))
	}
	if strings.Count(p, "%") != 1 || !verb.MatchString(p) {
		return fmt.Errorf("pattern %s: want exactly one %%d or %%010d (width 1 to 99)", quote(p))
	}
	return nil
}

// fieldPattern checks the left side of a rewrite rule.
func fieldPattern(s string) error {
	if s == "" || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return fmt.Errorf("%s: want a field's name, or type.path.to.field", quote(s))
	}
	if _, err := compileGlob(s); err != nil {
		return fmt.Errorf("%s: %w", quote(s), err)
	}
	return nil
}

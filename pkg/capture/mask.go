package capture

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// Masked says how many values of a field were masked.
type Masked struct {
	Field  string // log type and path
	Values int
}

// masker takes secrets out of records before they are kept. A record stays as
// long as it was, and JSON: letters become x, digits 0, of a number the first 1,
// so that equal secrets have equal masks.
type masker struct {
	keep  []string // patterns of fields that are no secrets
	used  []bool   // it kept a value
	count map[string]int
}

func newMasker(keep []string) *masker {
	return &masker{keep, make([]bool, len(keep)), map[string]int{}}
}

// mask masks the secrets of a row in place, but for those that spared says.
func (m *masker) mask(logType string, row []byte, spared func(template.Field) bool) error {
	return template.Walk(row, func(f template.Field) error {
		value := row[f.Start:f.End]
		if f.Kind != template.String && f.Kind != template.Number || spared(f) {
			return nil
		}
		path := f.Path()
		if !secretField(path, f.Kind, value) && (f.Kind != template.String || !secretForm.MatchString(text(value))) {
			return nil
		}
		masked := maskString(value)
		if f.Kind == template.Number {
			masked = maskNumber(value)
		}
		if bytes.Equal(masked, value) || m.keeps(logType, path) {
			return nil
		}
		copy(value, masked)
		m.count[logType+"."+path]++
		return nil
	})
}

// keeps says that a pattern names the field or what it lies in.
func (m *masker) keeps(logType, path string) (kept bool) {
	for end := range len(path) + 1 {
		if end < len(path) && path[end] != '.' {
			continue
		}
		for i, p := range m.keep {
			if (scenario.Pattern{Field: p}).Match(logType, path[:end]) {
				m.used[i], kept = true, true
			}
		}
	}
	return kept
}

// masked lists what was masked, by field.
func (m *masker) masked() (list []Masked) {
	for _, field := range slices.Sorted(maps.Keys(m.count)) {
		list = append(list, Masked{field, m.count[field]})
	}
	return list
}

// unused names the first pattern that kept nothing: a slip of the pen, most likely.
func (m *masker) unused() error {
	for i, p := range m.keep {
		if !m.used[i] {
			return fmt.Errorf("capture: --no-mask %q names no field that would be masked; take it off, or name one as in token or login.headers.cookie", p)
		}
	}
	return nil
}

// secretNames end the names of fields that hold secrets: those with a blank as
// words, the others at the end of a longer one too (accesstoken).
var secretNames = []string{
	"password", "passwd", " pwd", "passphrase", " passcode", " password hash", "secret", "token", "authorization", " cookie", " credential", " cvv", " cvc",
	" api key", " apikey", " access key", " accesskey", " secret key", " secretkey", " private key", " privatekey", " signing key", " encryption key",
	cardNumber, " cardnumber",
}

// A card number is a payment card's with so many digits: players have cards too.
const (
	cardNumber = " card number"
	cardDigits = 12
)

// secretField says that a field, or what it lies in, has a secret's name, and
// that its value may be one.
func secretField(path string, kind template.Kind, value []byte) bool {
	return slices.ContainsFunc(strings.Split(path, "."), func(name string) bool {
		name = strings.TrimRight(" "+strings.Join(template.Words(text([]byte(`"`+name+`"`))), " "), "0123456789 ")
		single := strings.TrimSuffix(name, "s")
		i := slices.IndexFunc(secretNames, func(n string) bool { return strings.HasSuffix(single, n) })
		switch {
		case i < 0:
			return false
		case strings.HasPrefix(secretNames[i], " card"):
			return digitsIn(value) >= cardDigits
		}
		// Tokens and cookies are counted, and in games bought.
		counted := single != name && (strings.HasSuffix(single, "token") || strings.HasSuffix(single, " cookie"))
		return !counted || kind != template.Number
	})
}

func digitsIn(value []byte) (n int) {
	for _, c := range value {
		if c >= '0' && c <= '9' {
			n++
		}
	}
	return n
}

// secretForm are texts that are secrets wherever they stand: credentials of HTTP,
// keys of AWS, JSON Web Tokens, keys of Stripe, private keys.
var secretForm = regexp.MustCompile(`^\s*(?:` + strings.Join([]string{
	`(?i:bearer)\s+[\w.~+/=-]{6}`, `(?i:basic)\s+(?:\S*[0-9+/=]\S*|\S*[a-z][A-Z]\S*)\s*$`, `A[KS]IA[A-Z0-9]{16}`, `eyJ[\w-]*\.eyJ[\w-]*\.`,
	`sk_live_`, `-----BEGIN [A-Z0-9 ]*PRIVATE KEY`,
}, "|") + `)`)

// maskString keeps the quotes, the marks and the escapes. Of other scripts every
// byte becomes an x: there are no letters of theirs that tell nothing.
func maskString(value []byte) []byte {
	out := bytes.Clone(value)
	for i := 0; i < len(out); i++ {
		if out[i] != '\\' {
			out[i] = maskOf(rune(out[i]), out[i])
			continue
		}
		i++
		if i+4 >= len(out) || out[i] != 'u' {
			continue
		}
		var code [2]byte
		if _, err := hex.Decode(code[:], out[i+1:i+5]); err == nil {
			if c := rune(code[0])<<8 | rune(code[1]); maskOf(c, '-') != '-' {
				hex.Encode(out[i+1:i+5], []byte{0, maskOf(c, '-')})
			}
		}
		i += 4
	}
	return out
}

// maskOf is the mask of a letter or digit, else what it is otherwise.
func maskOf(c rune, otherwise byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return '0'
	case c >= 0x80 || unicode.IsLetter(c):
		return 'x'
	}
	return otherwise
}

// maskNumber keeps sign, point and exponent.
func maskNumber(value []byte) []byte {
	out, digit := bytes.Clone(value), byte('1')
	for i, c := range out {
		if c >= '0' && c <= '9' {
			out[i] = digit
			digit = '0'
		}
	}
	return out
}

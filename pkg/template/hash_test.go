package template

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
)

// sameShape says whether two texts agree in length and classes.
func sameShape(a, b string) bool {
	kind := func(c byte) byte {
		switch {
		case c >= '0' && c <= '9':
			return '0'
		case c >= 'a' && c <= 'z':
			return 'a'
		case c >= 'A' && c <= 'Z':
			return 'A'
		}
		return c
	}
	for i := 0; i < len(a) && len(a) == len(b); i++ {
		if kind(a[i]) != kind(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// A hash keeps length and classes; distinct texts of one shape stay distinct
// for a user, and users differ.
func TestHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form := rapid.SampledFrom([]string{`[g-z]{6}[0-9]{3}`, `[A-Z][g-z]{5}-[0-9]{4}`, `x[0-9]{7}€`, `[1-9][0-9]{6}`, `0[0-9]{7}`}).Draw(t, "form")
		a, b := rapid.StringMatching(form).Draw(t, "a"), rapid.StringMatching(form).Draw(t, "b")
		p := compile(t, []scenario.Rule{rule("h*", scenario.Hash)}, fmt.Sprintf(`{"h1":%q,"h2":%q,"h3":%q}`, a, b, a))
		v := &Values{Seed: rapid.Uint64().Draw(t, "seed"), User: rapid.Uint32Range(0, 999_999).Draw(t, "user")}
		got := values(t, p, v)
		h1, h2 := got["h1"].(string), got["h2"].(string)
		if !sameShape(a, h1) || !sameShape(b, h2) {
			t.Fatalf("%s, %s became %v", a, b, got)
		}
		if h1 != got["h3"] || (a == b) != (h1 == h2) {
			t.Fatalf("%s, %s became %v", a, b, got)
		}
		other := *v
		other.User = rapid.Uint32Range(0, 999_999).Filter(func(u uint32) bool { return u != v.User }).Draw(t, "other")
		if again := values(t, p, &other)["h1"]; again == h1 {
			t.Fatalf("users %d and %d both have %v for %s", v.User, other.User, again, a)
		}
	})
}

// The format is fixed: what a user's text became once it becomes for ever.
func TestHashGolden(t *testing.T) {
	p := compile(t, []scenario.Rule{rule("*", scenario.Hash)}, `{"hex":"deadbeef01","words":"Guild-Hall x","number":1541207073,"digits":"00412","HEX":"DEAD-BEEF-01"}`)
	for user, want := range map[uint32]string{
		0:         `{"hex":"3d4a15726e","words":"Sdfxg-Xbzw a","number":1682073361,"digits":"09074","HEX":"3D4A-1572-6E"}`,
		1:         `{"hex":"d80000ca9f","words":"Dqfki-Riit b","number":1723865642,"digits":"08285","HEX":"D800-00CA-9F"}`,
		41:        `{"hex":"5b357337ea","words":"Uwkew-Qwsg q","number":1978682882,"digits":"01161","HEX":"5B35-7337-EA"}`,
		999_999:   `{"hex":"690905c56a","words":"Yhpoq-Prvm a","number":1418704095,"digits":"00133","HEX":"6909-05C5-6A"}`,
		1<<32 - 1: `{"hex":"ccf799ea61","words":"Urqxh-Ixfn o","number":1921614264,"digits":"02854","HEX":"CCF7-99EA-61"}`,
	} {
		if got := string(p.Append(nil, 0, &Values{User: user, Seed: 7})); got != want {
			t.Errorf("user %d:\n%s, want\n%s", user, got, want)
		}
	}
}

// Hex stays hex in its case; numbers stay in the range of their type and begin with no zero.
func TestHashForms(t *testing.T) {
	p := compile(t, []scenario.Rule{rule("*", scenario.Hash)},
		`{"hex":"deadbeef01","HEX":"DEAD-BEEF-01","int":1541207073,"max":2047483647,"long":9203372036854775806,"neg":-12,"one":7,"float":655.77751,"exp":12e5,"esc":"a\u20ac\nb","zero":"007"}`)
	for user := range uint32(3000) {
		got := values(t, p, &Values{User: user, Seed: 1})
		if strings.Trim(got["hex"].(string), "0123456789abcdef") != "" || strings.Trim(got["HEX"].(string), "0123456789ABCDEF-") != "" {
			t.Fatalf("user %d: no hex in %v", user, got)
		}
		for key, most := range map[string]int64{"int": math.MaxInt32, "max": math.MaxInt32, "long": math.MaxInt64, "one": 9} {
			if n, err := got[key].(json.Number).Int64(); err != nil || n < 0 || n > most {
				t.Fatalf("user %d: %s is %v", user, key, got[key])
			}
		}
		text := fmt.Sprint(got["neg"], " ", got["float"], " ", got["exp"], " ", got["esc"], " ", got["zero"])
		if !sameShape(text, "-12 655.77751 12e5 a€\nb 007") || !strings.HasPrefix(got["zero"].(string), "0") || !strings.HasSuffix(got["exp"].(json.Number).String(), "e5") {
			t.Fatalf("user %d: %q", user, text)
		}
	}
}

// A letter or digit that would stay is a fault: it may be a person's name. Signs may stay.
func TestHashOfOtherLetters(t *testing.T) {
	for text, letter := range map[string]string{
		`山田花子_7`: "山", `Müller-3`: "ü", `a\u00e9b`: `é`, `\ud842\udfb7 7`: "𠮷", `x\\u00e9`: "", `€7`: "", `７x`: "７", `a\n\u20ac9`: "", `\ud842 7`: "",
	} {
		var want []string
		if letter != "" {
			want = []string{`t/login.ndjson:1:6: h: role hash does not fit: "` + text + `" holds ` + letter + `, which is not ASCII and would stay: give it the role fake, or keep`}
		}
		if diff := cmp.Diff(want, faultsOf(t, []scenario.Rule{rule("h", scenario.Hash)}, `{"h":"`+text+`"}`)); diff != "" {
			t.Errorf("%s: want (-), got (+)\n%s", text, diff)
		}
	}
}

// A number that only an unsigned type holds stays within that type.
func TestHashOfUnsignedNumbers(t *testing.T) {
	p := compile(t, []scenario.Rule{rule("*", scenario.Hash)},
		`{"fp":12297829382473034410,"crc":3735928559,"text":"18446744073709551000","int":2047483647,"over":4294967296}`)
	most := map[string]uint64{"fp": math.MaxUint64, "crc": math.MaxUint32, "text": math.MaxUint64, "int": math.MaxInt32, "over": 9_999_999_999}
	for user := range uint32(3000) {
		for key, value := range values(t, p, &Values{User: user, Seed: 1}) {
			if n, err := strconv.ParseUint(fmt.Sprint(value), 10, 64); err != nil || n > most[key] {
				t.Fatalf("user %d: %s is %v, more than %d", user, key, value, most[key])
			}
		}
	}
}

// A number is one after a hash, too: its exponent is not taken for hex.
func TestHashOfNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,9})?`).Draw(t, "number")
		p := compile(t, []scenario.Rule{rule("h", scenario.Hash)}, `{"h":`+number+`}`)
		got := values(t, p, &Values{Seed: rapid.Uint64().Draw(t, "seed"), User: rapid.Uint32().Draw(t, "user")})["h"].(json.Number).String()
		_, was, _ := strings.Cut(strings.ToLower(number), "e")
		if _, is, _ := strings.Cut(strings.ToLower(got), "e"); is != was || !sameShape(number, got) {
			t.Fatalf("%s became %s", number, got)
		}
	})
}

// Nothing of a text stays that could change: each letter and digit is another
// one for some of the users, but for those of an exponent.
func TestHashLeavesNothing(t *testing.T) {
	exponent := regexp.MustCompile(`^[0-9.]+[eE][0-9]+$`)
	rapid.Check(t, func(t *rapid.T) {
		form := rapid.SampledFrom([]string{`[1-9]e[0-9a-f]{6,14}`, `[1-9]{2}[eE][a-zA-Z0-9]{1,5}`, `[a-zA-Z0-9]{2,20}`}).Draw(t, "form")
		text := rapid.StringMatching(form).Filter(func(s string) bool {
			return hexOf([]byte(s)) != kept || !exponent.MatchString(s) && strings.Trim(s, "0123456789") != ""
		}).Draw(t, "text")
		p := compile(t, []scenario.Rule{rule("h", scenario.Hash)}, `{"h":"`+text+`"}`)
		moved := make([]bool, len(text))
		for user := range uint32(300) {
			for i, c := range []byte(values(t, p, &Values{User: user})["h"].(string)) {
				moved[i] = moved[i] || c != text[i]
			}
		}
		if i := slices.Index(moved, false); i >= 0 {
			t.Fatalf("%q: character %d is as captured for 300 users", text, i)
		}
	})
}

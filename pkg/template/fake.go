package template

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type fakeKind uint8

const (
	fakeNick fakeKind = iota
	fakeEmail
	fakeIPv4
	fakeIPv6
	fakeFirst
	fakeLast
	fakeFull
	fakeStreet
	fakeDate
	fakeKinds
)

// Fakes is how many values a user has invented, by kind: as many as any template
// of the scenario has, so that no two users meet.
type Fakes [fakeKinds]uint32

// Max returns the larger of each kind.
func (f Fakes) Max(other Fakes) Fakes {
	for kind, n := range other {
		f[kind] = max(f[kind], n)
	}
	return f
}

// An invention is a made-up value: its index tells the values of a user apart.
type invention struct {
	kind  fakeKind
	index uint32 // of the captured value among those of the kind
	form  Form   // of a date
	ns    int64  // that date, as captured
}

// original is a text of which something is made up.
type original struct {
	kind fakeKind
	text string
}

var emailForm = regexp.MustCompile(`^[^@\s"\\]+@[^@\s"\\]+\.[A-Za-z]{2,}$`)

// fake makes a slot for an invented value: of the form of the captured one,
// else of what the field is called. Digits, and phone numbers, keep their shape.
func (c *compiler) fake(f Field, value, inner []byte) (s part, err error) {
	s.kind = slotFake
	if f.Kind == Bool {
		return s, fmt.Errorf("%s is no text and no number", value)
	}
	kind, shaped := fakeForm(Words(string(f.Key)), inner)
	if form, ns, ok := fakedDate(Words(string(f.Key)), value); ok && !shaped {
		s.fake = &invention{kind: fakeDate, form: form, ns: ns}
		return s, nil
	}
	if f.Kind == Number || shaped {
		fixed := 0
		if shaped { // a phone's prefix
			fixed = min(3, len(inner)/2)
		}
		s.kind, s.shape = slotHash, shapeOf(f.Kind, inner, fixed)
		return s, s.shape.changes()
	}
	text := original{kind, string(inner)}
	n, ok := c.fakes[text]
	if !ok {
		n = c.p.Fakes[kind]
		c.fakes[text] = n
		c.p.Fakes[kind]++
	}
	s.fake = &invention{kind: kind, index: n}
	return s, nil
}

// fakeForm says what is invented; shaped: digits in the captured shape.
func fakeForm(name []string, inner []byte) (kind fakeKind, shaped bool) {
	text := string(inner)
	if emailForm.MatchString(text) {
		return fakeEmail, false
	}
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		if ip.Is4() {
			return fakeIPv4, false
		}
		return fakeIPv6, false
	}
	has := func(list ...string) bool { return hasWord(name, list...) }
	switch {
	case phoneForm(text) || has("phone", "tel", "mobile") && bytes.ContainsAny(inner, "0123456789"):
		return 0, true
	case has("email", "mail"):
		return fakeEmail, false
	case has("ip", "ipv4", "ipaddress"):
		return fakeIPv4, false
	case has("first", "given", "firstname", "givenname"):
		return fakeFirst, false
	case has("last", "family", "surname", "lastname"):
		return fakeLast, false
	case has("full", "real", "fullname", "realname"):
		return fakeFull, false
	case has("address", "street"):
		return fakeStreet, false
	}
	return fakeNick, false
}

// fakedDate reads a date or a time to invent another one. Bare digits, quoted or
// not, are a date only where the field is called so.
func fakedDate(name []string, value []byte) (form Form, ns int64, ok bool) {
	text := strings.Trim(string(value), `"`)
	if allDigits([]byte(text)) && !hasWord(name, "birthday", "birthdate", "birth", "dob", "date") {
		return form, 0, false
	}
	if form, ns, ok = FormOf(value); !ok || form.unit != 0 {
		at, layout, isDate := dateOf(text)
		form, ns = Form{layout: layout, zone: time.UTC}, at.UnixNano()
		ok = isDate && strings.Contains(layout, "02") && at.Year() >= 1900 && at.Year() <= 2100
	}
	return form, ns, ok
}

// appendDate writes a date that lies up to ten years from the captured one. Those of
// a user move together: what was before is still before.
func (n *invention) appendDate(dst []byte, seed uint64, user uint32) []byte {
	const most = 3652
	days := int64(mix64(seed^uint64(user)<<8)%(2*most)) - most
	if days >= 0 {
		days++ // not the captured one
	}
	return unixNano(n.ns, days*86400).In(n.form.zone).AppendFormat(dst, n.form.layout)
}

// phoneForm: + or 0 first, 8 to 15 digits, and nothing but what is put between them.
func phoneForm(text string) bool {
	if text == "" || text[0] != '+' && text[0] != '0' || strings.Trim(text, "+0123456789-() ") != "" {
		return false
	}
	digits := len(text) - len(strings.NewReplacer("0", "", "1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8", "", "9", "").Replace(text))
	return digits >= 8 && digits <= 15 && (text[0] == '+' || strings.ContainsAny(text, "-( "))
}

// append writes the value. Values of a kind do not meet before all that it can
// write is used up; of the names alone, which are few, only those of one user.
func (n *invention) append(dst []byte, v *Values) []byte {
	number := uint64(v.User)*uint64(v.Fakes[n.kind]) + uint64(n.index)
	seed := mix64(mix64(v.Seed) ^ uint64(n.kind))
	switch n.kind {
	case fakeEmail:
		word, digits := scatter(number, seed, uint64(len(adjectives)*len(nouns)), 3*manyDigits)
		dst, word = appendWord(dst, adjectives, word, false)
		dst, _ = appendWord(append(dst, '.'), nouns, word, false)
		dst = strconv.AppendUint(dst, digits/3, 10)
		return append(append(dst, "@example."...), [...]string{"com", "net", "org"}[digits%3]...)
	case fakeIPv4: // 198.18.0.0/15, for benchmarks (RFC 2544)
		high, low := scatter(number, seed, 2<<8, 1<<8)
		dst = strconv.AppendUint(append(dst, "198."...), 18+high>>8, 10)
		dst = strconv.AppendUint(append(dst, '.'), high&255, 10)
		return strconv.AppendUint(append(dst, '.'), low, 10)
	case fakeIPv6: // 2001:db8::/32, for documentation (RFC 3849)
		number = number*0x9fb21c651e98df25 + mix64(v.Seed)
		dst = append(dst, "2001:db8:0:0"...)
		for shift := 48; shift >= 0; shift -= 16 {
			dst = strconv.AppendUint(append(dst, ':'), number>>shift&0xffff, 16)
		}
		return dst
	case fakeDate:
		return n.appendDate(dst, seed, v.User)
	case fakeFirst:
		return n.appendName(dst, firstNames, seed, v.User)
	case fakeLast:
		return n.appendName(dst, lastNames, seed, v.User)
	default:
		return n.appendWords(dst, number, seed)
	}
}

// appendWords writes what is made of words.
func (n *invention) appendWords(dst []byte, number, seed uint64) []byte {
	switch n.kind {
	case fakeFull:
		first, last := scatter(number, seed, uint64(len(firstNames)), uint64(len(lastNames)))
		dst, _ = appendWord(dst, firstNames, first, true)
		dst, _ = appendWord(append(dst, ' '), lastNames, last, true)
	case fakeStreet:
		word, digits := scatter(number, seed, uint64(len(nouns)), manyDigits)
		dst = strconv.AppendUint(dst, 1+digits, 10)
		dst, _ = appendWord(append(dst, ' '), nouns, word, true)
		dst = append(dst, " Street"...)
	default:
		word, digits := scatter(number, seed, uint64(len(adjectives)*len(nouns)), manyDigits)
		dst, word = appendWord(dst, adjectives, word, true)
		dst, _ = appendWord(dst, nouns, word, true)
		dst = strconv.AppendUint(dst, digits, 10)
	}
	return dst
}

// appendName writes one of a few names. Where the user begins in the list is
// drawn; from there on each of the user's names is another one.
func (n *invention) appendName(dst []byte, list []string, seed uint64, user uint32) []byte {
	const step = 37 // a prime that divides the size of no list
	size := uint64(len(list))
	dst, _ = appendWord(dst, list, mix64(seed^uint64(user)<<8)%size+uint64(n.index)*step, true)
	return dst
}

const manyDigits = 1_000_000

// scatter is a bijection of the numbers below a times b to pairs of a number below
// a and one below b: a Feistel network, so that numbers that are any step apart
// use all of both. Numbers from a times b on begin again.
func scatter(number, seed, a, b uint64) (x, y uint64) {
	x, y = number/b%a, number%b
	x = (x + mix64(seed+y)%a) % a
	y = (y + mix64(^seed+x)%b) % b
	return (x + mix64(seed-y-1)%a) % a, y
}

// appendWord takes a word off the number and returns what is left of it.
func appendWord(dst []byte, list []string, number uint64, capital bool) ([]byte, uint64) {
	start, size := len(dst), uint64(len(list))
	dst = append(dst, list[number%size]...)
	if capital {
		dst[start] -= 'a' - 'A'
	}
	return dst, number / size
}

// Words for inventions: harmless, ASCII, lower case.
var (
	adjectives = strings.Fields(`amber ancient bold brave breezy bright calm clever cosmic crimson curious daring
		dusty eager early electric fancy fluffy frosty gentle giant golden happy hidden jolly kind lively lucky
		mellow mighty misty nimble noble orange patient polite proud purple quick quiet rapid royal rusty
		scarlet secret shiny silent silver sleepy smooth snowy solar spicy steady stormy sunny swift tiny
		tranquil velvet vivid warm wild witty`)
	nouns = strings.Fields(`acorn badger beacon bear breeze bridge canyon castle cedar cloud comet coral crane
		creek dolphin dragon eagle ember falcon fern finch forest fox garden glacier harbor hawk heron island
		ivy jaguar koala lantern leaf lion lotus maple meadow meteor moon otter owl panda panther pebble
		phoenix pine planet raven river robin rocket salmon shadow sparrow spruce star tiger turtle valley
		walrus willow wolf zephyr`)
	firstNames = strings.Fields(`aiko akira alex alma anna asher ben carla chloe clara daichi dana david elena
		eli emma eric eva felix finn grace haruto hana hugo ines iris ivan jack jana jonas julia kai kenji
		lara leo lena lucas lucy maria mark maya mei mika milo nina noah nora oscar paul ren rosa ryo sara
		sofia sora tess theo tom ulla vera yui yuki zoe zack`)
	lastNames = strings.Fields(`abe adams bauer becker berg brown carter chen clark costa davis dubois endo
		evans fischer foster garcia green hall harris hayashi hill ito jensen jones kato kelly kim king
		kobayashi lee lopez martin mason meyer mori murphy nakamura novak ono park perez reed rossi sato
		schmidt scott silva smith stone suzuki tanaka taylor torres turner ueda wagner walker watanabe weber
		white wilson yamada young`)
)

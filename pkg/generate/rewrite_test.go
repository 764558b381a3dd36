package generate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"pgregory.net/rapid"
)

// A doc is a JSON value that keeps the order of members: *object, []any,
// json.Number, string, bool or nil.
type object struct{ members []property }

type property struct {
	name  string
	value any
}

func read(text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return readValue(d)
}

func readValue(d *json.Decoder) any {
	token, err := d.Token()
	if err != nil {
		panic(fmt.Sprintf("%v", err))
	}
	switch token {
	case json.Delim('{'):
		o := &object{}
		for d.More() {
			name, _ := d.Token()
			o.members = append(o.members, property{name.(string), readValue(d)})
		}
		_, _ = d.Token()
		return o
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, readValue(d))
		}
		_, _ = d.Token()
		return list
	}
	return token
}

// serial writes documents in any of the ways that mean the same.
type serial struct {
	t     *rapid.T
	plain bool // in the one way that rows are captured in
}

func (s serial) pick(n int) int {
	if s.plain {
		return 0
	}
	return rapid.IntRange(0, n-1).Draw(s.t, "way")
}

func (s serial) space() string { return []string{"", " ", "\n\t"}[s.pick(3)] }

func (s serial) write(v any) string {
	switch v := v.(type) {
	case *object:
		members := v.members
		if s.pick(3) == 1 {
			members = rapid.Permutation(members).Draw(s.t, "order")
		}
		var parts []string
		for _, p := range members {
			parts = append(parts, s.space()+s.text(p.name)+s.space()+":"+s.space()+s.write(p.value)+s.space())
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, s.space()+s.write(e))
		}
		return "[" + strings.Join(parts, ",") + s.space() + "]"
	case json.Number:
		return s.number(string(v))
	case string:
		return s.text(v)
	case bool:
		return strconv.FormatBool(v)
	}
	return "null"
}

func (s serial) text(v string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range v {
		switch way := s.pick(4); {
		case way == 1 && r > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		case way == 1:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r == '"' || r == '\\' || r == '/' && way == 2:
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// number writes a number with zeros or an exponent that change nothing.
func (s serial) number(v string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(v), "e")
	e, _ := strconv.Atoi(exponent)
	switch s.pick(4) {
	case 1:
		if !strings.Contains(mantissa, ".") {
			mantissa += "."
		}
		mantissa += "00"
	case 2: // the point one place to the left
		sign := ""
		if rest, ok := strings.CutPrefix(mantissa, "-"); ok {
			sign, mantissa = "-", rest
		}
		whole, fraction, _ := strings.Cut(mantissa, ".")
		whole = "0" + whole
		head := strings.TrimLeft(whole[:len(whole)-1], "0")
		if head == "" {
			head = "0"
		}
		mantissa, e = sign+head+"."+whole[len(whole)-1:]+fraction, e+1
	case 3:
		return fmt.Sprintf("%sE%+d", mantissa, e)
	default:
		return v
	}
	if e == 0 {
		return mantissa
	}
	return fmt.Sprintf("%se%d", mantissa, e)
}

// sameValue is what the modes are about, said once more in the plainest way.
func sameValue(a, b any) bool {
	switch x := a.(type) {
	case *object:
		y, ok := b.(*object)
		if !ok || len(x.members) != len(y.members) {
			return false
		}
		left := append([]property(nil), y.members...)
		for _, p := range x.members {
			found := -1
			for i, q := range left {
				if p.name == q.name { // the first of them: the nth with the nth
					found = i
					break
				}
			}
			if found < 0 || !sameValue(p.value, left[found].value) {
				return false
			}
			left = append(left[:found], left[found+1:]...)
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !sameValue(x[i], y[i]) {
				return false
			}
		}
		return true
	case json.Number:
		y, ok := b.(json.Number)
		if !ok {
			return false
		}
		m, _ := new(big.Rat).SetString(string(x))
		n, _ := new(big.Rat).SetString(string(y))
		return m.Cmp(n) == 0
	}
	return a == b
}

// drawValue draws a small value: two of them are alike often enough.
func drawValue(t *rapid.T, depth int) any {
	most := 6
	if depth == 0 {
		most = 4
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.SampledFrom([]string{"", "a", "é/", "1.0", "true", "{}"}).Draw(t, "text")
	case 3, 4:
		return json.Number(rapid.SampledFrom([]string{"0", "-0.0", "1", "1.0", "10e-1", "11", "1.1e1", "1e400", "100000000000000000000", "100000000000000000001", "-1"}).Draw(t, "number"))
	case 5:
		list := []any{}
		for range rapid.IntRange(0, 2).Draw(t, "elements") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	}
	o := &object{}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		o.members = append(o.members, property{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), drawValue(t, depth-1)})
	}
	return o
}

package template

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/scenario"
)

// A fake has the form of what was captured, stays equal where that is equal,
// and is another one for every user and value.
func TestFakes(t *testing.T) {
	p := compile(t, []scenario.Rule{rule("*", scenario.Fake)},
		`{"a":"lily@corp.co.jp","b":"10.1.2.3","c":"fe80::1","tel":"+81-90-1234-5678","firstName":"Lily","last_name":"Koch","nickname":"ようこ\"","nick2":"ようこ\"","nick3":"Bob","address":"1-2-3 Chiyoda","name":"x","phone":9012345678}`)
	seen := map[string]map[any]bool{}
	benchmark, doc := netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32")
	for user := range uint32(5000) {
		got := values(t, p, &Values{User: user, Seed: 3, Fakes: p.Fakes})
		domain := got["a"].(string)[strings.Index(got["a"].(string), "@"):]
		if domain != "@example.com" && domain != "@example.net" && domain != "@example.org" {
			t.Fatalf("user %d: %v", user, got["a"])
		}
		if !benchmark.Contains(netip.MustParseAddr(got["b"].(string))) || !doc.Contains(netip.MustParseAddr(got["c"].(string))) {
			t.Fatalf("user %d: %v and %v", user, got["b"], got["c"])
		}
		if !sameShape(got["tel"].(string), "+81-90-1234-5678") || got["nickname"] != got["nick2"] || got["nickname"] == got["nick3"] {
			t.Fatalf("user %d: %v", user, got)
		}
		for _, key := range []string{"a", "b", "c", "tel", "nickname", "nick3", "name", "address", "phone"} {
			if seen[key] == nil {
				seen[key] = map[any]bool{}
			}
			if seen[key][got[key]] {
				t.Fatalf("user %d: %s is %v, as another user's", user, key, got[key])
			}
			seen[key][got[key]] = true
		}
	}
}

// A fake of a date is another date, valid and in the same form, within ten years;
// all dates of a user move together, and users' dates apart.
func TestFakesOfDates(t *testing.T) {
	for captured, layout := range map[string]string{
		`"1990-02-28"`: `"2006-01-02"`, `19900228`: `20060102`, `"19900228"`: `"20060102"`, `"1990\/02\/28"`: `"2006\/01\/02"`, `"1990年02月28日"`: `"2006年01月02日"`,
		`"28\/Feb\/1990"`: `"02\/Jan\/2006"`, `"1990-02-28T00:00:00Z"`: `"2006-01-02T15:04:05Z"`, `"Wed, 28 Feb 1990"`: `"Mon, 02 Jan 2006"`,
	} {
		p := compile(t, []scenario.Rule{rule("*", scenario.Fake)}, `{"birthday":`+captured+`,"birth_date":"1991-02-28"}`)
		c, was, seen := NewChecker(p), time.Date(1990, 2, 28, 0, 0, 0, 0, time.UTC), map[string]bool{}
		for user := range uint32(9000) {
			v := &Values{User: user, Seed: 1, Fakes: p.Fakes}
			line := p.Append(nil, 0, v)
			text, rest, _ := strings.Cut(strings.TrimPrefix(string(line), `{"birthday":`), `,"birth_date":"`)
			at, err := time.Parse(layout, text)
			other, err2 := time.Parse(time.DateOnly, strings.TrimSuffix(rest, `"}`))
			if err != nil || err2 != nil || at.Equal(was) || at.Sub(was).Abs() > 3653*24*time.Hour || other.Sub(at) != 365*24*time.Hour {
				t.Fatalf("user %d: %s became %s: %v, %v", user, captured, line, at, other)
			}
			if n := c.Begins(line, 0, v, Untold, new(Texts)); n != len(line) || n > p.MaxSize(0) {
				t.Fatalf("a checker finds %d bytes of %s", n, line)
			}
			seen[text] = true
		}
		if len(seen) < 4000 {
			t.Errorf("%s became but %d dates for 9,000 users", captured, len(seen))
		}
	}
	p := compile(t, []scenario.Rule{rule("*", scenario.Fake)}, `{"phone":"19900228","code":19900228,"nick":"19900228","year":"1990","mobile":"1990-02-28","month":"1990/02","birthday":"1790000000000","old":"1800-05-05","far":"2999-12-31"}`)
	for _, s := range p.Events[0].parts {
		if s.kind == slotFake && s.fake.kind == fakeDate {
			t.Errorf("a date was seen before %s", s.literal)
		}
	}
}

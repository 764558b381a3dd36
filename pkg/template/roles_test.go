package template

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

func of(field string, kind scenario.RoleKind, name string) scenario.Rule {
	return scenario.Rule{Field: field, Role: scenario.Role{Kind: kind, Of: name}}
}

// values renders the first event for a user and returns its fields.
func values(t fataler, p *Program, v *Values) (fields map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(p.Append(nil, 0, v))))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// A date follows its time field through midnight of the zone, in the form that was captured.
func TestDates(t *testing.T) {
	tokyo := time.FixedZone("JST", 9*3600)
	for captured, want := range map[string]string{
		`"2026-09-14"`: `"2026-09-15"`, `"20260914"`: `"20260915"`, `20260914`: `20260915`, `"2026/09/14"`: `"2026/09/15"`, `"2026\/09\/14"`: `"2026\/09\/15"`,
		`"2026-09-14T23"`: `"2026-09-15T00"`, `"2026/09/14/23"`: `"2026/09/15/00"`, `2026091423`: `2026091500`, `202609142359`: `202609150000`, `"2026-09"`: `"2026-09"`, `"2026年09月14日"`: `"2026年09月15日"`,
	} {
		l := LogType{Name: "login", Lines: [][]byte{[]byte(`{"day":` + captured + `,"x":{"ts":"2026-09-14T14:59:59Z"}}`)}}
		for _, field := range []string{"ts", "x.ts", "login.x.ts"} {
			p, err := Compile(&Template{LogTypes: []LogType{l}}, []scenario.Rule{rule("ts", scenario.Time), of("day", scenario.Date, field)}, tokyo)
			if err != nil {
				t.Fatal(err)
			}
			for shift, text := range map[int64]string{0: captured, 1: want} {
				got := string(p.Append(nil, 0, &Values{Shift: shift}))
				if !strings.HasPrefix(got, `{"day":`+text+`,`) {
					t.Errorf("%s of %s moved by %d s is in %s, want %s", captured, field, shift, got, text)
				}
			}
		}
	}
}

// A date is of the field of just that path, else of those of that name the least
// deep, wherever they stand in the record; what is no time does not count.
func TestDateOfTheNearestField(t *testing.T) {
	rules := []scenario.Rule{rule("{ts,at}", scenario.Time), of("day", scenario.Date, "ts"), of("of_at", scenario.Date, "at"), of("login_day", scenario.Date, "login.ts")}
	for _, line := range []string{
		`{"a":{"ts":1541289600},"day":"2018-11-03","ts":1541207073}`,
		`{"a":{"ts":1541289600,"login":{"ts":1541376000}},"ts":1541207073,"day":"2018-11-03","login_day":"2018-11-03"}`,
		`{"ts":1541207073,"login":{"ts":1541376000},"login_day":"2018-11-05"}`,
		`{"a":{"b":{"at":1541289600}},"x":{"at":1541207073},"y":{"at":1541376000},"of_at":"2018-11-03"}`,
		`{"a":{"ts":1541207073},"ts":null,"day":"2018-11-03"}`,
		`{"a":{"ts":1541207073},"ts":0,"day":"2018-11-03"}`,
	} {
		if faults := faultsOf(t, rules, line); faults != nil {
			t.Errorf("%s: %v", line, faults)
		}
	}
}

// For any moment and zone, the rendered date is that of the rendered time.
func TestDateIsThatOfItsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("Z", rapid.IntRange(-14*4, 14*4).Draw(t, "quarters")*900)
		at := time.Unix(rapid.Int64Range(11e8, 29e8).Draw(t, "at"), 0)
		layout := rapid.SampledFrom(dateLayouts).Draw(t, "layout")
		shift := rapid.Int64Range(-1e7, 1e7).Draw(t, "shift")
		l := LogType{Name: "login", Lines: [][]byte{fmt.Appendf(nil, `{"ts":%d,"day":"%s"}`, at.Unix(), at.In(zone).Format(layout))}}
		p, err := Compile(&Template{LogTypes: []LogType{l}}, []scenario.Rule{rule("ts", scenario.Time), of("day", scenario.Date, "ts")}, zone)
		if err != nil {
			t.Fatal(err)
		}
		want := at.Add(time.Duration(shift) * time.Second).In(zone).Format(layout)
		if got := values(t, p, &Values{Shift: shift})["day"]; got != want {
			t.Fatalf("the date is %v, want %s", got, want)
		}
	})
}

// Faults of the new roles say what stands there and what to do.
func TestFaultsOfDerivedRoles(t *testing.T) {
	date := []scenario.Rule{rule("ts", scenario.Time), of("day", scenario.Date, "ts")}
	for _, c := range []struct {
		rules []scenario.Rule
		line  string
		want  string
	}{
		{date, `{"day":"2026-09-14"}`, `1:8: day: role date of ts does not fit: this record has no field ts`},
		{date, `{"ts":null,"day":"2026-09-14"}`, `1:18: day: role date of ts does not fit: this record has no field ts`},
		{date[1:], `{"day":"2026-09-14","ts":1789311600}`, `1:8: day: role date of ts does not fit: ts is no time here: give it the role time`},
		{date, `{"day":"2026-09-14","ts":1789311600}`, `1:8: day: role date of ts does not fit: "2026-09-14" is not the date of ts, which is 2026-09-13 in UTC: give time.zone the zone that dates are in`},
		{date, `{"day":"soon","ts":1789311600}`, `1:8: day: role date of ts does not fit: "soon" is not the date of ts, which is 2026-09-13T15 in UTC: give time.zone the zone that dates are in`},
		{[]scenario.Rule{of("n", scenario.Scale, "spend")}, `{"n":1e3}`, `1:6: n: role scale spend does not fit: 1e3 has an exponent; scale keeps the captured decimals and needs them written out`},
		{[]scenario.Rule{of("n", scenario.Scale, "spend")}, `{"n":"007"}`, `1:6: n: role scale spend does not fit: "007" is no decimal number, such as 160 or 4.99`},
		{[]scenario.Rule{of("n", scenario.Scale, "spend")}, `{"n":true}`, `1:6: n: role scale spend does not fit: true is no decimal number, such as 160 or 4.99`},
		{[]scenario.Rule{of("n", scenario.Scale, "spend")}, `{"n":18446744073709551616}`, `1:6: n: role scale spend does not fit: 18446744073709551616 has more digits than 64 bits hold; scale would not be exact`},
		{[]scenario.Rule{rule("o", scenario.Peer)}, `{"o":"bob"}`, "1:6: o: role peer does not fit: \"bob\" is neither a whole number nor a uuid; give it a form, as in `peer X%010d`"},
		{[]scenario.Rule{rule("h", scenario.Hash)}, `{"h":"日本"}`, `1:6: h: role hash does not fit: holds no ASCII letter or digit that could change`},
		{[]scenario.Rule{rule("h", scenario.Hash)}, `{"h":false}`, `1:6: h: role hash does not fit: false is no text and no number`},
		{[]scenario.Rule{rule("f", scenario.Fake)}, `{"f":true}`, `1:6: f: role fake does not fit: true is no text and no number`},
	} {
		if diff := cmp.Diff([]string{"t/login.ndjson:" + c.want}, faultsOf(t, c.rules, c.line)); diff != "" {
			t.Errorf("%s: want (-), got (+)\n%s", c.line, diff)
		}
	}
}

// A rule counts as used when it is about one of the templates; one that an earlier rule hides is told apart.
func TestUnmatched(t *testing.T) {
	in := func(dir, line string) *Template {
		return &Template{Dir: dir, LogTypes: []LogType{{Name: "login", Lines: [][]byte{[]byte(line)}}}}
	}
	rules := []scenario.Rule{rule("a", scenario.Time), rule("b", scenario.Time), rule("nowhere", scenario.Time), rule("login.b", scenario.Keep)}
	for i := range rules {
		rules[i].Pos = scenario.Pos{File: "s.yaml", Line: i + 1, Col: 3}
	}
	want := scenario.Faults{
		{Pos: rules[2].Pos, Msg: `rewrite: "nowhere" matches no field of template whale, newbie`},
		{Pos: rules[3].Pos, Msg: `rewrite: "login.b" matches only fields that an earlier rule takes`},
	}
	if diff := cmp.Diff(want, Unmatched(rules, in("whale", `{"a":1}`), in("newbie", `{"b":1}`))); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
}

// A peer is a user of the run and never the user; equal peers stay equal and
// distinct ones distinct, in whatever form; the user's own id stays the user's.
func TestPeers(t *testing.T) {
	p := compile(t, []scenario.Rule{rule("u", scenario.User), rule("{p,q}*", scenario.Peer)},
		`{"p1":"20","p2":"21","p3":"22","q1":20,"q3":"00000000000000022","p4":"15","u":"15"}`)
	if diff := cmp.Diff(map[string]bool{"p1": true, "p2": true, "p3": true, "p4": true, "q1": true, "q3": true}, p.PeerKeys); diff != "" {
		t.Errorf("PeerKeys: want (-), got (+)\n%s", diff)
	}
	rapid.Check(t, func(t *rapid.T) {
		users := rapid.Uint64Range(5, math.MaxUint32).Draw(t, "users")
		user := rapid.Uint32Range(0, uint32(users-1)).Draw(t, "user")
		const base = 1_000_000_000_000_000
		v := &Values{User: user, UserID: base + uint64(user), Users: users, Seed: rapid.Uint64().Draw(t, "seed")}
		got := values(t, p, v)
		text := func(key string) string { return strings.TrimLeft(fmt.Sprint(got[key]), "0") }
		seen := map[string]bool{text("u"): true}
		for _, key := range []string{"p1", "p2", "p3"} {
			var id uint64
			if _, err := fmt.Sscan(text(key), &id); err != nil || id < base || id >= base+users || seen[text(key)] {
				t.Fatalf("user %d of %d: %s is %d, or seen before, in %v", user, users, key, id, got)
			}
			seen[text(key)] = true
		}
		if text("p1") != text("q1") || text("p3") != text("q3") || text("p4") != text("u") || len(fmt.Sprint(got["q3"])) != 17 {
			t.Fatalf("equal ids are unlike in %v", got)
		}
	})
	if got := values(t, p, &Values{UserID: 7, Users: 1}); got["p1"] != "7" {
		t.Errorf("a user who is alone has the peer %v", got["p1"])
	}
}

// A peer that is written as a uuid is the uuid that the peer has as a user,
// though its template numbers uuids in another order; by pattern likewise.
func TestPeersAreUsersElsewhere(t *testing.T) {
	const a, b, x = "8c47be83-c79b-4545-a901-e9c730fa276e", "04b48064-7ee4-4a23-a74e-6cf210177212", "7F89832FE25041FBA07AA8A95482D883"
	rules := []scenario.Rule{rule("u", scenario.User), rule("o", scenario.Peer), rule("e", scenario.UUID)}
	one := compile(t, rules, `{"o":"`+x+`","u":"`+a+`","e":"`+b+`"}`)
	two := compile(t, rules, `{"e":"`+x+`","own":{"e":"`+a+`"},"u":"`+a+`"}`)
	v := &Values{Tag: 9, User: 3, Users: 10, Seed: 4}
	u, form, _ := record.ParseUUID([]byte(values(t, one, v)["o"].(string)))
	tag, peer, slot, ok := record.DecodeUUID(u)
	if !ok || tag != 9 || peer == 3 || peer >= 10 || form.Version() != 4 || form.Len() != 32 {
		t.Fatalf("peer %d of tag %v, slot %d, %v", peer, tag, slot, ok)
	}
	other := values(t, two, &Values{Tag: 9, User: peer, Users: 10, Seed: 4})
	w, _, _ := record.ParseUUID([]byte(other["u"].(string)))
	w.Hi = w.Hi&^0xf000 | u.Hi&0xf000
	if w != u || other["own"].(map[string]any)["e"] != other["u"] {
		t.Errorf("the peer is %x, and as a user %v", u, other)
	}
	if one.SlotEvent[userSlot] != 0 || two.SlotEvent[userSlot] != 0 {
		t.Errorf("SlotEvent %v and %v: want the user's slot in event 0", one.SlotEvent, two.SlotEvent)
	}
	p := compile(t, []scenario.Rule{pattern("u", scenario.User, "U%04d"), rule("o", scenario.Peer)}, `{"u":"me","o":"you"}`)
	if got := string(p.Append(nil, 0, &Values{User: 0, UserID: 5, Users: 2})); got != `{"u":"U0005","o":"U0006"}` {
		t.Errorf("by the user's pattern: %s", got)
	}
}

// What a session shares never names a record alone.
func TestSharedUUID(t *testing.T) {
	shared := scenario.Rule{Field: "s", Role: scenario.Role{Kind: scenario.UUID, Shared: true}}
	p := compile(t, []scenario.Rule{shared, rule("e", scenario.UUID)}, `{"s":"01ARZ3NDEKTSV4RRFFQ69G5FAV","e":"01arz3ndektsv4rrffq69g5faw"}`)
	if diff := cmp.Diff([]int32{-1, 0}, p.SlotEvent); diff != "" {
		t.Errorf("SlotEvent: want (-), got (+)\n%s", diff)
	}
	got := values(t, p, &Values{Tag: 1, User: 2})
	for slot, key := range []string{"s", "e"} {
		u, form, ok := record.ParseUUID([]byte(got[key].(string)))
		if _, user, n, ours := record.DecodeUUID(u); !ok || !form.ULID() || !ours || user != 2 || n != uint32(slot) {
			t.Errorf("%s: %v is slot %d of user %d (%v)", key, got[key], n, user, ours)
		}
	}
}

// Scale is exact arithmetic, rounded half to even at the captured places.
func TestScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.IntRange(0, 25).Draw(t, "places")
		digits := fmt.Sprintf("%0*d", places+1, rapid.OneOf(rapid.Uint64Range(0, 2000), rapid.Uint64()).Draw(t, "digits"))
		text := digits
		if places > 0 {
			text = digits[:len(digits)-places] + "." + digits[len(digits)-places:]
		}
		if rapid.Bool().Draw(t, "negative") {
			text = "-" + text
		}
		by := scenario.Decimal{Digits: rapid.OneOf(rapid.Uint64Range(0, 50), rapid.Uint64()).Draw(t, "by"), Scale: rapid.IntRange(0, 40).Draw(t, "scale")}
		quote := rapid.SampledFrom([]string{"", `"`}).Draw(t, "quote")
		p := compile(t, []scenario.Rule{of("n", scenario.Scale, "spend")}, `{"n":`+quote+text+quote+`}`)
		line := string(p.Append(nil, 0, &Values{Numbers: []scenario.Decimal{by}}))
		got := strings.Trim(strings.TrimSuffix(strings.TrimPrefix(line, `{"n":`), "}"), `"`)

		exact, _ := new(big.Rat).SetString(text)
		ten := func(n int) *big.Rat {
			return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil))
		}
		exact.Mul(exact, new(big.Rat).Quo(new(big.Rat).SetInt(new(big.Int).SetUint64(by.Digits)), ten(by.Scale)))
		units := new(big.Rat).Mul(exact, ten(places))
		back, ok := new(big.Rat).SetString(got)
		if !ok || len(line) > p.MaxSize(0) {
			t.Fatalf("%s times %v is %s", text, by, line)
		}
		gotUnits := new(big.Rat).Mul(back, ten(places))
		off := new(big.Rat).Abs(new(big.Rat).Sub(gotUnits, units))
		half := big.NewRat(1, 2)
		even := gotUnits.IsInt() && gotUnits.Num().Bit(0) == 0
		if !gotUnits.IsInt() || off.Cmp(half) > 0 || off.Cmp(half) == 0 && !even {
			t.Fatalf("%s times %v is %s, exactly %s", text, by, got, exact.FloatString(places+5))
		}
		if _, fraction, _ := strings.Cut(got, "."); len(fraction) != places {
			t.Fatalf("%s has not the %d decimals of %s", got, places, text)
		}
		if !json.Valid([]byte(line)) {
			t.Fatalf("%s is no JSON", line)
		}
	})
}

// Numbers of several names are told apart; times 1 changes nothing.
func TestScaleByName(t *testing.T) {
	p := compile(t, []scenario.Rule{of("a", scenario.Scale, "x"), of("b", scenario.Scale, "y"), of("c", scenario.Scale, "x")}, `{"a":1.50,"b":-0.0,"c":"4"}`)
	if diff := cmp.Diff([]string{"x", "y"}, p.Numbers); diff != "" {
		t.Errorf("Numbers: want (-), got (+)\n%s", diff)
	}
	got := string(p.Append(nil, 0, &Values{Numbers: []scenario.Decimal{{Digits: 3}, {Digits: 1}}}))
	if want := `{"a":4.50,"b":-0.0,"c":"12"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A partition key may be a field of any role, and is what the record holds.
func TestKeyOfAnyRole(t *testing.T) {
	rules := []scenario.Rule{rule("ts", scenario.Time), of("date", scenario.Date, "ts"), rule("peer", scenario.Peer), rule("hash", scenario.Hash),
		of("scale", scenario.Scale, "x"), rule("fake", scenario.Fake), rule("ulid", scenario.UUID), rule("u", scenario.User)}
	p := compile(t, rules, `{"ts":1789311600,"date":"2026-09-13","peer":"9","hash":"abc","scale":"1.50","fake":"Lily","ulid":"01ARZ3NDEKTSV4RRFFQ69G5FAV","u":"15"}`)
	v := &Values{Tag: 1, User: 2, UserID: 77, Users: 9, Seed: 3, Fakes: p.Fakes, Shift: 86400, Numbers: []scenario.Decimal{{Digits: 25, Scale: 1}}}
	got := values(t, p, v)
	for _, r := range rules {
		if key := string(p.Key(nil, 0, r.Field, v)); key != fmt.Sprint(got[r.Field]) {
			t.Errorf("key %s is %s, the record holds %v", r.Field, key, got[r.Field])
		}
	}
	if n := testing.AllocsPerRun(100, func() { p.Append(make([]byte, 0, 400), 0, v) }); n != 0 {
		t.Errorf("%v allocations a record, want none", n)
	}
	for path, want := range map[string]scenario.RoleKind{"date": scenario.Date, "peer": scenario.Peer, "u": scenario.User} {
		value, role, ok := p.Field(0, path)
		if !ok || role != want || len(value) == 0 {
			t.Errorf("Field(%s) = %s, %v, %v; want %v", path, value, role, ok, want)
		}
	}
	if _, _, ok := p.Field(0, "x"); ok {
		t.Error("Field(x) is there")
	}
}

// The text of a field is what a JSON reader finds in the record, whatever its role.
func TestTextIsWhatTheRecordHolds(t *testing.T) {
	rules := []scenario.Rule{rule("ts", scenario.Time), of("date", scenario.Date, "ts"), rule("ulid", scenario.UUID), rule("u", scenario.User), rule("bare", scenario.User)}
	p := compile(t, rules, `{"ts":1789311600,"date":"2026-09-13","ulid":"01ARZ3NDEKTSV4RRFFQ69G5FAV","u":"15","bare":15,"in":{"land":"Cura\u00e7ao \"W\""},"n":7.50,"yes":true,"none":null,"list":[{"a":"x"},{"a":"y"}]}`)
	v := &Values{Tag: 1, User: 2, UserID: 77, Users: 9, Seed: 3, Shift: 86400}
	got := values(t, p, v)
	for path, want := range map[string]string{
		"ts": "1789398000", "date": "2026-09-14", "ulid": fmt.Sprint(got["ulid"]), "u": fmt.Sprint(got["u"]), "bare": fmt.Sprint(got["bare"]),
		"in.land": `Curaçao "W"`, "n": "7.50", "yes": "true", "list.a": "x",
	} {
		made := slices.ContainsFunc(rules, func(r scenario.Rule) bool { return r.Field == path })
		text, varies, ok := p.Text([]byte("-"), 0, path, v)
		if !ok || string(text) != "-"+want || varies != made {
			t.Errorf("Text(%s) = %s, %v, %v; want -%s, %v", path, text, varies, ok, want, made)
		}
		if text, varies, ok := p.Text(nil, 0, path, nil); !ok || varies != made || made != (len(text) == 0) {
			t.Errorf("Text(%s) of nobody = %s, %v, %v", path, text, varies, ok)
		}
	}
	for _, path := range []string{"none", "x", "in", "land"} {
		if text, _, ok := p.Text(nil, 0, path, v); ok {
			t.Errorf("Text(%s) is %s", path, text)
		}
	}
}

// Half goes to the even neighbour, and more than half, by however little, goes up.
func TestScaleRounds(t *testing.T) {
	for _, c := range []struct {
		text string
		by   scenario.Decimal
		want string
	}{
		{"1", scenario.Decimal{Digits: 5, Scale: 1}, "0"}, {"3", scenario.Decimal{Digits: 5, Scale: 1}, "2"}, {"5", scenario.Decimal{Digits: 5, Scale: 1}, "2"},
		{"1", scenario.Decimal{Digits: 51, Scale: 2}, "1"}, {"1", scenario.Decimal{Digits: 5000000000000000001, Scale: 19}, "1"}, {"1", scenario.Decimal{Digits: 49, Scale: 2}, "0"},
		{"-0.05", scenario.Decimal{Digits: 1, Scale: 1}, "0.00"}, {"-0.15", scenario.Decimal{Digits: 1, Scale: 1}, "-0.02"}, {"0.25", scenario.Decimal{Digits: 1, Scale: 1}, "0.02"},
		{"160", scenario.Decimal{Digits: 25, Scale: 1}, "400"}, {"18446744073709551615", scenario.Decimal{Digits: 1<<64 - 1}, "340282366920938463426481119284349108225"},
		{"10000000000000000000", scenario.Decimal{Digits: 10000000000000000000}, "100000000000000000000000000000000000000"},
	} {
		p := compile(t, []scenario.Rule{of("n", scenario.Scale, "x")}, `{"n":`+c.text+`}`)
		if got := string(p.Append(nil, 0, &Values{Numbers: []scenario.Decimal{c.by}})); got != `{"n":`+c.want+`}` {
			t.Errorf("%s times %v is %s, want %s", c.text, c.by, got, c.want)
		}
	}
}

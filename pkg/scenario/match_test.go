package scenario

import "testing"

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		field, logType, path string
		want                 bool
	}{
		{"user_id", "login", "user_id", true},
		{"user_id", "login", "a.b.user_id", true}, // any depth
		{"user_id", "login", "user_id.x", false},
		{"user_id", "login", "xuser_id", false},
		{"*_at", "login", "a.created_at", true},
		{"*_at", "login", "_at", true},
		{"*_at", "login", "created_at.x", false},
		{"{ts,*_at}", "login", "ts", true},
		{"{ts,*_at}", "login", "sent_at", true},
		{"{ts,*_at}", "login", "tss", false},
		{"{a,b{c,d}}x", "login", "bdx", true},
		{"{a,b{c,d}}x", "login", "bx", false},
		{"{a,}x", "login", "x", true},
		{"a,b", "login", "a,b", true}, // a comma is one outside braces
		{"a+(b)[c]?", "login", "a+(b)[c]?", true},
		{"日*", "login", "x.日本", true},
		{"purchase.order_id", "purchase", "order_id", true},
		{"purchase.order_id", "login", "order_id", false},
		{"purchase.order_id", "purchase", "cart.order_id", false}, // as a whole
		{"purchase.order_id", "x", "purchase.order_id", false},
		{"purchase.cart.order_id", "purchase", "cart.order_id", true},
		{"purchase.*", "purchase", "a", true},
		{"purchase.*", "purchase", "a.b", false}, // * stops at a dot
		{"purchase.*.b", "purchase", "a.b", true},
		{"*.id", "any", "id", true},
		{"p*.{id,no}", "purchase", "no", true},
		{"{login.at,purchase.ts}", "purchase", "ts", true},
		{"{login.at,purchase.ts}", "login", "ts", false},
		{"{", "login", "{", true}, // malformed, which Load refuses: no glob
		{"a{b_id", "login", "x.a{b_id", true},
		{"a}b_{id}", "login", "a}b_id", false},
		{"a{b*", "login", "a{bc", false},
		{"GET /users/{id}.order_id", "GET /users/{id}", "order_id", true}, // as it is written
		{"GET /users/{id}.order_id", "GET /users/id", "order_id", true},   // and as a glob
		{"GET /users/{id}.order_id", "GET /users/{id}", "x.order_id", false},
		{"v1.{x}.a.b", "v1.{x}", "a.b", true},
		{"x{y}", "login", "n.x{y}", true},
		{"x{y}", "login", "xy", true},
		{"login.x{y}", "login", "x{y}", true},
		{"login.x{y}", "other", "x{y}", false},
	} {
		for range 2 { // compiled, then from the cache
			if got := (Rule{Field: c.field}).Match(c.logType, c.path); got != c.want {
				t.Errorf("%q in %s, %s: got %v, want %v", c.field, c.logType, c.path, got, c.want)
			}
		}
	}
}

func TestTheFirstRuleThatMatchesWins(t *testing.T) {
	rules := []Rule{
		{Field: "login.id", Role: Role{Kind: Keep}},
		{Field: "*id", Role: Role{Kind: User, Pattern: "U%d"}},
		{Field: "id", Role: Role{Kind: UUID}},
	}
	for _, c := range []struct {
		logType, path string
		want          int
		found         bool
	}{{"login", "id", 0, true}, {"login", "a.id", 1, true}, {"x", "id", 1, true}, {"x", "y", -1, false}} {
		r, i, found := RoleOf(rules, c.logType, c.path)
		if i != c.want || found != c.found || found && r != rules[i] {
			t.Errorf("%s, %s: got %v, %d, %v, want %d, %v", c.logType, c.path, r, i, found, c.want, c.found)
		}
	}
}

func BenchmarkRoleOf(b *testing.B) {
	rules := []Rule{{Field: "user_id"}, {Field: "{event_id,*_uuid}"}, {Field: "{ts,*_at}"}, {Field: "purchase.order_id"}}
	b.ReportAllocs()
	for b.Loop() {
		RoleOf(rules, "login", "device.os.version")
	}
}

package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/pace"
)

// Quotas sum to the users, and each differs from the exact share by less than one user.
func TestQuotas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := rapid.Uint64().Draw(t, "users")
		shares := rapid.SliceOfN(rapid.Uint64Range(0, uint64(Whole)), 1, 20).Draw(t, "shares")
		var in []Share
		var total uint64
		for _, s := range shares {
			in, total = append(in, Share(s)), total+s
		}
		quotas := Quotas(users, in)
		var sum uint64
		for i, q := range quotas {
			sum += q
			if total == 0 {
				continue
			}
			exact := new(big.Rat).SetFrac(new(big.Int).Mul(new(big.Int).SetUint64(users), new(big.Int).SetUint64(shares[i])), new(big.Int).SetUint64(total))
			apart := exact.Sub(exact, new(big.Rat).SetInt(new(big.Int).SetUint64(q)))
			if apart.Abs(apart).Cmp(big.NewRat(1, 1)) >= 0 {
				t.Fatalf("quota %d: got %d, a user or more from the exact share", i, q)
			}
		}
		if total > 0 && sum != users || total == 0 && sum != 0 {
			t.Fatalf("got %d users in %v, want %d", sum, quotas, users)
		}
	})
}

// The schema explains each of its keys, and names a role by its word.
func TestSchemaIsExplained(t *testing.T) {
	var walk func(f *field)
	walk = func(f *field) {
		for i := range f.fields {
			if c := &f.fields[i]; c.doc == "" || c.key == "" || c.kind == scalar && (c.form == "" || c.take == nil) {
				t.Errorf("%s: %+v", f.key, c)
			}
			walk(&f.fields[i])
		}
		if f.each != nil {
			walk(f.each)
		}
		for _, own := range f.own {
			walk(own)
		}
	}
	walk(&schema)
	if got := fmt.Sprint(Keep, User, UUID, Time, Counter, RoleKind(99)); got != "keep user uuid time counter unknown" {
		t.Errorf("got %s", got)
	}
}

func TestShareString(t *testing.T) {
	for share, want := range map[Share]string{0: "0%", 1: "0.0000001%", 20_000_000: "2%", 125_000_000: "12.5%", Whole: "100%"} {
		if got := share.String(); got != want {
			t.Errorf("%d: got %s, want %s", share, got, want)
		}
	}
}

// A valid scenario written out and loaded is the same scenario.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawScenario(t)
		var curve strings.Builder
		var at time.Duration
		for _, p := range want.Time.Arrivals.Parts() {
			fmt.Fprintf(&curve, "%v,%d\n", at, p.Weight)
			at += p.Length
		}
		got, err := loadWith(map[string]string{"curve.csv": curve.String()}, write(want))
		if err != nil {
			t.Fatalf("%s\n%v", write(want), err)
		}
		strip(got)
		if err := validate([]byte(write(want))); err != nil {
			t.Fatalf("%s\nthe JSON Schema refuses it: %v", write(want), err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })); diff != "" {
			t.Fatalf("%s\n-want +got\n%s", write(want), diff)
		}
	})
}

func drawScenario(t *rapid.T) *Scenario {
	word := rapid.StringMatching(`[a-z][a-z0-9_-]{0,8}`)
	number, rate := rapid.Uint64Range(0, 1<<40), rapid.Uint64Range(0, maxRecords)
	s := &Scenario{
		Name: word.Draw(t, "name"), Seed: rapid.Uint64().Draw(t, "seed"), File: "scenario.yaml",
		Stream: Stream{
			Name: word.Draw(t, "stream") + rapid.SampledFrom([]string{"", "-{log_type}"}).Draw(t, "each"), PartitionKey: word.Draw(t, "key"),
			Newline: Newline(rapid.IntRange(0, 2).Draw(t, "newline")), OnUnknown: Policy(rapid.IntRange(0, 1).Draw(t, "policy")), Wire: Wire(rapid.IntRange(0, 1).Draw(t, "wire")),
			Limits: Limits{Rate: rate.Draw(t, "rate"), Bytes: rate.Draw(t, "bytes"), Requests: rapid.IntRange(1, 1000).Draw(t, "requests")}, Order: Order(rapid.IntRange(0, 1).Draw(t, "order")), MaxSlip: time.Duration(rapid.IntRange(0, 1e6).Draw(t, "slip")) * time.Millisecond,
		},
		Stages: []Stage{{Name: "raw", Path: word.Draw(t, "path"), Partition: rapid.SampledFrom([]string{"", "!{timestamp:yyyy/MM/dd/HH}", "x/!{timestamp:yyyy'T'MM}/"}).Draw(t, "partition")}},
		Settle: Settle{1, 1, true},
		Expect: Expect{Delivery: Delivery{number.Draw(t, "a"), number.Draw(t, "b"), number.Draw(t, "c"), number.Draw(t, "d"), number.Draw(t, "e"), number.Draw(t, "f"), time.Duration(rapid.IntRange(1, 1e6).Draw(t, "lag")) * time.Millisecond}},
	}
	if raw := &s.Stages[0]; strings.Contains(raw.Partition, "timestamp") {
		raw.TimeZone = rapid.SampledFrom([]string{"", "Asia/Tokyo", "-03:30"}).Draw(t, "zone")
		if rapid.Bool().Draw(t, "keyed") {
			raw.Partition += "c=!{partitionKeyFromQuery:country}/"
			raw.Keys = []PartitionKey{{Name: "country", Field: word.Draw(t, "field")}}
		}
	}
	pattern := rapid.OneOf(word, rapid.StringMatching(`[*][a-z]{1,3}`), rapid.StringMatching(`\{[a-z]{1,3},[a-z*.]*[a-z]\}x`).Filter(func(p string) bool { return !strings.Contains(p, "..") }))
	for _, p := range rapid.SliceOfNDistinct(pattern, 0, 5, rapid.ID).Draw(t, "rewrite") {
		s.Rewrite = append(s.Rewrite, Rule{Field: p, Role: drawRole(t)})
	}
	for _, p := range rapid.SliceOfN(pattern, 0, 3).Draw(t, "keep") {
		s.Keep = append(s.Keep, Pattern{Field: p})
	}
	for _, name := range rapid.SliceOfNDistinct(word, 1, 3, rapid.ID).Draw(t, "templates") {
		s.Templates = append(s.Templates, TemplateRef{Name: name, Dir: "d/" + name})
	}
	s.Population.Users = rapid.Uint64Range(1, 1<<32-1).Draw(t, "users")
	left := Whole
	names := rapid.SliceOfNDistinct(word, 1, 4, rapid.ID).Draw(t, "cohorts")
	for i, name := range names {
		share := left
		if i < len(names)-1 {
			share = Share(rapid.Uint64Range(0, uint64(left)).Draw(t, "share"))
		}
		left -= share
		template := rapid.SampledFrom(s.Templates).Draw(t, "template").Name
		c := Cohort{Name: name, Template: template, Share: share, Until: rapid.SampledFrom([]string{"", "tutorial"}).Draw(t, "until")}
		for _, r := range s.Rewrite {
			if r.Role.Kind == Scale && !slices.ContainsFunc(c.Numbers, func(n Number) bool { return n.Name == r.Role.Of }) {
				c.Numbers = append(c.Numbers, Number{r.Role.Of, drawDecimal(t)})
			}
		}
		s.Population.Cohorts = append(s.Population.Cohorts, c)
	}
	drawRun(t, s)
	return s
}

func drawRole(t *rapid.T) Role {
	role := Role{Kind: RoleKind(rapid.IntRange(0, len(roles)-1).Draw(t, "role"))}
	switch role.Kind {
	case User, Counter, Peer:
		role.Pattern = rapid.SampledFrom([]string{"", "%d", "U%010d", "a b%01d'c", "#%d: x"}).Draw(t, "pattern")
	case UUID:
		role.Shared = rapid.Bool().Draw(t, "shared")
	case Date:
		role.Of = rapid.SampledFrom([]string{"ts", "a.b.sent_at"}).Draw(t, "of")
	case Scale:
		role.Of = rapid.SampledFrom([]string{"spend", "luck", "x-1"}).Draw(t, "of")
	default:
	}
	return role
}

func drawDecimal(t *rapid.T) Decimal {
	return Decimal{rapid.Uint64Range(1, 1e6).Draw(t, "digits"), rapid.IntRange(0, 8).Draw(t, "scale")}.trim()
}

// drawRun draws what is about a run: time, injection, guard, the dlq, queries and variables.
func drawRun(t *rapid.T, s *Scenario) {
	seconds := func(most int, label string) time.Duration {
		return time.Duration(rapid.IntRange(1, most).Draw(t, label)) * time.Second
	}
	if rapid.Bool().Draw(t, "paced") {
		s.Time.Speedup = Decimal{rapid.Uint64Range(1, 1e6).Draw(t, "speedup"), rapid.IntRange(0, 3).Draw(t, "scale")}.trim()
		s.Inject.Late, s.Inject.LateBy = Share(rapid.Uint64Range(1, uint64(Whole)).Draw(t, "late")), seconds(1e5, "by")
	}
	if rapid.Bool().Draw(t, "placed") {
		s.Time.Zone = rapid.SampledFrom([]*time.Location{time.UTC, fixed(9 * 3600), fixed(-3*3600 - 1800)}).Draw(t, "zone")
		s.Time.Start = time.Unix(rapid.Int64Range(1e9, 4e9).Draw(t, "start"), 0).In(s.Time.Zone)
	}
	if rapid.Bool().Draw(t, "spread") {
		var parts []pace.Part
		for range rapid.IntRange(1, 10).Draw(t, "parts") {
			parts = append(parts, pace.Part{Length: seconds(1e5, "length"), Weight: rapid.Uint64Range(1, maxWeight).Draw(t, "weight")})
		}
		s.Time.Arrivals = pace.NewCurve(parts)
		s.Files = append(s.Files, "curve.csv")
	}
	s.Inject.Duplicate = Share(rapid.Uint64Range(0, uint64(Whole)).Draw(t, "duplicate"))
	if rapid.Bool().Draw(t, "guarded") {
		s.Guard = Guard{drawDecimal(t), rapid.Uint64Range(1, 1e9).Draw(t, "missing"), seconds(1e5, "throttled")}
	}
	if rapid.Bool().Draw(t, "dlq") {
		s.Stages = append(s.Stages, Stage{Name: "dlq", Path: "s3://lake-qa/errors/", Empty: rapid.Bool().Draw(t, "empty")})
	}
	if rapid.Bool().Draw(t, "every stage") {
		share := Share(rapid.Uint64Range(0, uint64(Whole)).Draw(t, "stream share"))
		s.Stages = append(s.Stages, Stage{Name: "stream", Share: share}, Stage{Name: "table", Path: "/lake/table"})
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z_][a-z0-9_]{0,5}`), 0, 3, rapid.ID).Draw(t, "queries") {
		q := Query{Name: name, SQL: rapid.SampledFrom([]string{"select 1", "select \"a\"\n  from b -- ${x}", "a: 'b' #"}).Draw(t, "sql"),
			Equals: rapid.SampledFrom([]string{"0", "oracle", "3 * users('a') + 1.5"}).Draw(t, "equals"), Owner: rapid.SampledFrom([]string{"", "Ann"}).Draw(t, "owner")}
		for _, column := range rapid.SampledFrom([][]string{nil, {""}, {"a", "b c"}}).Draw(t, "columns") {
			q.Tolerance = append(q.Tolerance, Tolerance{column, drawDecimal(t), false})
		}
		if rapid.Bool().Draw(t, "timed") {
			q.MaxSeconds = drawDecimal(t)
		}
		s.Expect.Queries = append(s.Expect.Queries, q)
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z_][a-z0-9_]{0,5}`), 0, 3, rapid.ID).Draw(t, "vars") {
		if s.Vars == nil {
			s.Vars = map[string]string{}
		}
		s.Vars[name] = rapid.SampledFrom([]string{"", "x", "${y}", "$", "a: b"}).Draw(t, "value")
	}
}

// write writes s as a file: every text quoted.
func write(s *Scenario) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	text := func(s string) string { return strconv.Quote(strings.ReplaceAll(s, "${", "$${")) }
	p("kreplay: 1\nname: %q\nseed: %d\ntemplates:\n", s.Name, s.Seed)
	for _, t := range s.Templates {
		p("  %q: %q\n", t.Name, t.Dir)
	}
	p("rewrite: {")
	for _, r := range s.Rewrite {
		p("%q: %q, ", r.Field, r.Role)
	}
	p("}\nkeep: [")
	for _, k := range s.Keep {
		p("%q, ", k.Field)
	}
	p("]\npopulation:\n  users: %d\n  cohorts:\n", s.Population.Users)
	for _, c := range s.Population.Cohorts {
		p("    %q: { template: %q, share: %v", c.Name, c.Template, c.Share)
		if c.Until != "" {
			p(", until: %q", c.Until)
		}
		for _, n := range c.Numbers {
			p(", %q: %v", n.Name, n.Value)
		}
		p(" }\n")
	}
	writeRun(p, text, s)
	rate := func(v uint64, unit string) string {
		if v == 0 {
			return "max"
		}
		return fmt.Sprint(v, strings.Repeat(" ", int(v%3)), unit) // blanks say nothing
	}
	p("stream:\n  name: %q\n  partition_key: %q\n  newline: %s\n  on_unknown: %s\n", s.Stream.Name, s.Stream.PartitionKey,
		[]string{"auto", "true", "false"}[s.Stream.Newline], []string{"resend", "hold"}[s.Stream.OnUnknown])
	p("  limits: { rate: %s, bytes: %s, requests: %d }\n", rate(s.Stream.Limits.Rate, "/s"), rate(s.Stream.Limits.Bytes, "B/s"), s.Stream.Limits.Requests)
	p("  order: %s\n  wire: %s\n  max_slip: %v\n", []string{"none", "user"}[s.Stream.Order], []string{"json", "cbor"}[s.Stream.Wire], s.Stream.MaxSlip)
	p("settle: { quiet: %v, max: %v }\nstages:\n", s.Settle.Quiet, s.Settle.Max)
	for _, st := range s.Stages {
		if st.Name == "stream" {
			if st.Share == 0 {
				p("  stream: {}\n")
			} else {
				p("  stream: { share: %v }\n", st.Share)
			}
			continue
		}
		p("  %s: { path: %q", st.Name, st.Path)
		if st.Partition != "" {
			p(", partition: %q", st.Partition)
		}
		if st.TimeZone != "" {
			p(", time_zone: %q", st.TimeZone)
		}
		for _, k := range st.Keys {
			p(", keys: { %q: %q }", k.Name, k.Field)
		}
		if st.Empty {
			p(", expect: empty")
		}
		p(" }\n")
	}
	d := s.Expect.Delivery
	p("expect:\n  delivery: { missing: %d, pipeline_duplicates: %d, mutated: %d, strangers: %d, damaged: %d, misplaced: %d, lag_p99: %v }\n  queries:\n    {",
		d.Missing, d.PipelineDuplicates, d.Mutated, d.Strangers, d.Damaged, d.Misplaced, d.LagP99)
	for _, q := range s.Expect.Queries {
		p(" %q: { sql: %s, equals: %q", q.Name, text(q.SQL), q.Equals)
		for i, tol := range q.Tolerance {
			switch {
			case tol.Column == "":
				p(", tolerance: %v", tol.Amount)
			case i == 0:
				p(", tolerance: { %q: %v", tol.Column, tol.Amount)
			default:
				p(", %q: %v }", tol.Column, tol.Amount)
			}
		}
		if q.MaxSeconds.Digits > 0 {
			p(", max_seconds: %v", q.MaxSeconds)
		}
		if q.Owner != "" {
			p(", owner: %q", q.Owner)
		}
		p(" },")
	}
	p(" }\n")
	return b.String()
}

func writeRun(p func(string, ...any), text func(string) string, s *Scenario) {
	if len(s.Vars) > 0 {
		p("vars:\n")
		for _, name := range slices.Sorted(maps.Keys(s.Vars)) {
			p("  %q: %s\n", name, text(s.Vars[name]))
		}
	}
	p("time:\n  speedup: %s\n", map[bool]string{true: s.Time.Speedup.String(), false: "max"}[s.Time.Paced()])
	if !s.Time.Start.IsZero() {
		p("  start: %q\n", s.Time.Start.Format(time.RFC3339))
	}
	if span := s.Time.Arrivals.Span(); span > 0 {
		p("  arrivals: file\n  span: %v\n  curve: curve.csv\n", span)
	}
	p("inject:\n  duplicate: %v\n", s.Inject.Duplicate)
	if s.Inject.Late > 0 {
		p("  late: { share: %v, by: %v }\n", s.Inject.Late, s.Inject.LateBy)
	}
	if g := s.Guard; g.Missing > 0 {
		p("guard: { spend_usd: %v, missing: %d, throttled_for: %v }\n", g.SpendUSD, g.Missing, g.ThrottledFor)
	}
}

// strip takes away what a written scenario does not have: places and the folder.
func strip(s *Scenario) {
	s.FS = nil
	s.Stream.NamePos, s.Stream.KeyPos = Pos{}, Pos{}
	for i := range s.Templates {
		s.Templates[i].Pos = Pos{}
	}
	for i := range s.Rewrite {
		s.Rewrite[i].Pos = Pos{}
	}
	for i := range s.Keep {
		s.Keep[i].Pos = Pos{}
	}
	for i := range s.Population.Cohorts {
		s.Population.Cohorts[i].Pos = Pos{}
	}
	for i := range s.Population.Cohorts {
		s.Population.Cohorts[i].UntilPos = Pos{}
	}
	for i := range s.Stages {
		s.Stages[i].Pos = Pos{}
		for j := range s.Stages[i].Keys {
			s.Stages[i].Keys[j].Pos = Pos{}
		}
	}
	for i := range s.Expect.Queries {
		q := &s.Expect.Queries[i]
		q.Pos, q.SQLPos, q.EqualsPos = Pos{}, Pos{}, Pos{}
	}
}

// Content changes with what decides the records and with nothing else.
func TestContent(t *testing.T) {
	content := func(set ...string) string {
		var lines []string
		for _, s := range set {
			lines = append(lines, strings.Split(s, "\n")...)
		}
		s, err := load("vars: {u: '50000'}\n"+full, lines...)
		if err != nil {
			t.Fatal(err)
		}
		return string(s.Content())
	}
	for _, set := range []string{"vars={a: b}", "time={speedup: 2}", "time={speedup: 2}\ninject={late: {share: 1%, by: 1h}}", "stream.order=user", "stream.wire=cbor", "stream.max_slip=0s",
		"stream.limits.per_shard=5%", "expect.queries={a: {sql: b, equals: 0}}", "guard={missing: 1}", "stages={dlq: {path: x}}", "population.users=${u}", "name=x", "seed=2", "stream.name=x", "stream.limits={}", "stream.on_unknown=resend", "stages={}", "settle={}", "expect={}",
		"templates.whale=elsewhere", "keep=[price]"} {
		if content(set) != content() {
			t.Errorf("%s changes the content", set)
		}
	}
	for _, set := range []string{"rewrite.x=uuid\nrewrite.x=uuid per session", "rewrite.x=date of a\nrewrite.x=date of b", "population.cohorts.whales.until=login",
		"rewrite.x=scale a\npopulation.cohorts={a: {share: 100%, template: whale, a: 1}}\npopulation.cohorts.a.a=2", "time.start=2026-01-01T00:00:00Z", "time.start=2026-01-01T00:00:00Z\ntime.start=2026-01-01T00:00:01Z", "time.zone=+09:00", "time.span=1h",
		"inject.duplicate=1%", "rewrite.user_id=uuid", "rewrite.x=keep", "population.users=3", "population.cohorts.whales.template=newbie",
		"population.cohorts={all: {share: 100%, template: whale}}", "stream.newline=auto", "stream.partition_key=x"} {
		lines := strings.Split(set, "\n") // the last one counts
		if content(set) == content(lines[:len(lines)-1]...) {
			t.Errorf("%s does not change the content", set)
		}
	}
}

// What a scenario does not use leaves no trace in its content: digests outlive new versions.
func TestContentOfWhatIsUsed(t *testing.T) {
	s, err := load(minimal + "rewrite: {a: user U%d, b: uuid}\nkeep: [c]\nstream: {partition_key: a}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := `kreplay 1
rewrite "a" user "U%d"
rewrite "b" uuid ""
users 100
cohort "all" "t" 1000000000
newline 0
partition_key "a"
`
	if diff := cmp.Diff(want, string(s.Content())); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Whatever a file or an override holds, Load returns a scenario or Faults with places in them.
func FuzzLoad(f *testing.F) {
	f.Add(full, "seed=1", "")
	for _, c := range faulty {
		f.Add(c.text, "stream.name=x", "")
	}
	for _, c := range faultyOverrides {
		f.Add(minimal, c.set, "")
	}
	for _, c := range faultyLanguage {
		f.Add(minimal+strings.NewReplacer("c.csv", "beside", "q.sql", "beside").Replace(c.text), "name=x", besides["c.csv"])
	}
	f.Add(minimal+"time: {arrivals: file, span: 1h, curve: beside}\n", "seed=1", "0m,1\n5m,2\n")
	f.Fuzz(func(t *testing.T, text, set, beside string) {
		defer time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("hangs on %q, %q", text, set)) }).Stop()
		fsys := fstest.MapFS{"scenario.yaml": {Data: []byte(text)}, "beside": {Data: []byte(beside)}}
		s, err := Load(fsys, ".", []string{set})
		var faults Faults
		switch {
		case err == nil:
			var sum Share
			for _, c := range s.Population.Cohorts {
				sum += c.Share
			}
			if sum != Whole || !fs.ValidPath(s.Templates[0].Dir) || s.Population.Users == 0 ||
				s.Inject.Late > 0 && !s.Time.Paced() || s.Time.Arrivals.Span() > maxSpan || s.Time.Arrivals.Offset(9, 10) > s.Time.Arrivals.Span() {
				t.Fatalf("accepted %+v", s)
			}
		case !errors.As(err, &faults) || s != nil:
			t.Fatalf("got %v, %T, want Faults", s, err)
		}
		for _, f := range faults {
			if f.Pos.Line < 1 || f.Pos.Col < 1 || !slices.Contains([]string{"scenario.yaml", "--set", "beside"}, f.Pos.File) || f.Msg == "" {
				t.Fatalf("got %+v", f)
			}
		}
	})
}

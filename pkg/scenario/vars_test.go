package scenario

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests, wherever they run

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/pace"
)

// design is the example of the design page, without what is not built.
const design = `kreplay: 1
name: launch-day
seed: 20260914
vars: { day: "2026-09-14" }
templates:                          # directories
  whale:  templates/whale
  newbie: templates/newbie
rewrite:
  user_id: user
  "{event_id,*_uuid}": uuid
  session_id: uuid per session
  "{ts,*_at}": time
  day: date of ts
  opponent_id: peer
  purchase.order_id: counter KR%016d
  purchase.amount: scale spend
  "{nickname,email,ip}": fake
  device: hash
keep: [price, version]
population:
  users: 50000
  cohorts:
    whales:   { template: whale,  share: 2%, spend: 3.0 }
    newbies:  { template: newbie, share: 88%, spend: 1 }
    quitters: { template: newbie, share: 10%, spend: 0.25, until: tutorial }
time: { start: "${day}T00:00:00+09:00", arrivals: diurnal, peak: "21:00", span: 22h, speedup: 24 }
stream:
  name: actions-staging
  partition_key: user_id
  newline: auto
  limits: { rate: 40k/s, bytes: 40MB/s, per_shard: 95%, requests: 32 }
  order: none
  on_unknown: resend
  max_slip: 1s
stages:
  raw: { path: "s3://lake-qa/raw/", partition: "!{timestamp:yyyy/MM/dd/HH}" }
  dlq: { path: "s3://lake-qa/errors/", expect: empty }
inject: { duplicate: 0.01%, late: { share: 1%, by: 2h } }
settle: { quiet: 10m, max: 60m }
expect:
  delivery: { missing: 0, pipeline_duplicates: 0, mutated: 0, strangers: 0 }
  queries:
    DAU:     { sql: "select count(distinct user_id) from login where day = '${day}'", equals: users(), owner: analytics }
    revenue: { sql: "select country, sum(amount) as revenue from purchase group by 1", equals: oracle, tolerance: { revenue: 0.005, country: 1% } }
    swords:  { sql: file:sql/swords.sql, equals: "3 * users('newbies') + 41 * users('whales')", tolerance: 50.00% }
    split:
      sql: |
        select sum(x)
        from t
      equals: 0
      max_seconds: 2.5
guard: { spend_usd: 25, missing: 1000, throttled_for: 2m }
`

func TestTheDesignsExampleIsRead(t *testing.T) {
	got, err := loadWith(map[string]string{"sql/swords.sql": "select '${day}'\n"}, design)
	if err != nil {
		t.Fatal(err)
	}
	tokyo := fixed(9 * 3600)
	start := time.Date(2026, 9, 14, 0, 0, 0, 0, tokyo)
	want := &Scenario{
		Name: "launch-day", Seed: 20260914, Vars: map[string]string{"day": "2026-09-14"}, File: "scenario.yaml", Files: []string{"sql/swords.sql"},
		Templates: []TemplateRef{{"whale", "templates/whale", at(6, 11)}, {"newbie", "templates/newbie", at(7, 11)}},
		Rewrite: []Rule{
			{"user_id", Role{Kind: User}, at(9, 3)},
			{"{event_id,*_uuid}", Role{Kind: UUID}, at(10, 3)},
			{"session_id", Role{Kind: UUID, Shared: true}, at(11, 3)},
			{"{ts,*_at}", Role{Kind: Time}, at(12, 3)},
			{"day", Role{Kind: Date, Of: "ts"}, at(13, 3)},
			{"opponent_id", Role{Kind: Peer}, at(14, 3)},
			{"purchase.order_id", Role{Kind: Counter, Pattern: "KR%016d"}, at(15, 3)},
			{"purchase.amount", Role{Kind: Scale, Of: "spend"}, at(16, 3)},
			{"{nickname,email,ip}", Role{Kind: Fake}, at(17, 3)},
			{"device", Role{Kind: Hash}, at(18, 3)},
		},
		Keep: []Pattern{{"price", at(19, 8)}, {"version", at(19, 15)}},
		Population: Population{50000, []Cohort{
			{Name: "whales", Template: "whale", Share: 20_000_000, Numbers: []Number{{"spend", Decimal{3, 0}}}, Pos: at(23, 5)},
			{Name: "newbies", Template: "newbie", Share: 880_000_000, Numbers: []Number{{"spend", Decimal{1, 0}}}, Pos: at(24, 5)},
			{Name: "quitters", Template: "newbie", Share: 100_000_000, Numbers: []Number{{"spend", Decimal{25, 2}}}, Until: "tutorial", UntilPos: at(25, 67), Pos: at(25, 5)},
		}},
		Time: Schedule{start, tokyo, pace.Diurnal(start, 22*time.Hour, 21*60), Decimal{24, 0}},
		Stream: Stream{Name: "actions-staging", PartitionKey: "user_id", KeyPos: at(29, 18), Limits: Limits{Rate: 40_000, Bytes: 40_000_000, Requests: 32, PerShard: 950_000_000},
			MaxSlip: time.Second},
		Stages: []Stage{
			{Name: "raw", Path: "s3://lake-qa/raw/", Partition: "!{timestamp:yyyy/MM/dd/HH}", Pos: at(36, 3)},
			{Name: "dlq", Path: "s3://lake-qa/errors/", Empty: true, Pos: at(37, 3)},
		},
		Inject: Inject{Duplicate: 100_000, Late: 10_000_000, LateBy: 2 * time.Hour},
		Settle: Settle{10 * time.Minute, time.Hour, true},
		Expect: Expect{Queries: []Query{
			{Name: "DAU", SQL: "select count(distinct user_id) from login where day = '2026-09-14'", Equals: "users()", Owner: "analytics",
				Pos: at(43, 5), SQLPos: at(43, 22), EqualsPos: at(43, 95)},
			{Name: "revenue", SQL: "select country, sum(amount) as revenue from purchase group by 1", Equals: "oracle",
				Tolerance: []Tolerance{{"revenue", Decimal{5, 3}, false}, {"country", Decimal{1, 2}, true}}, Pos: at(44, 5), SQLPos: at(44, 22), EqualsPos: at(44, 96)},
			{Name: "swords", SQL: "select '2026-09-14'\n", Equals: "3 * users('newbies') + 41 * users('whales')",
				Tolerance: []Tolerance{{"", Decimal{5, 1}, true}}, Pos: at(45, 5), SQLPos: Pos{"launch/sql/swords.sql", 1, 1}, EqualsPos: at(45, 51)},
			{Name: "split", SQL: "select sum(x)\nfrom t\n", Equals: "0", MaxSeconds: Decimal{25, 1}, Pos: at(46, 5), SQLPos: at(48, 9), EqualsPos: at(50, 15)},
		}},
		Guard: Guard{Decimal{25, 0}, 1000, 2 * time.Minute},
	}
	got.FS = nil
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A variable stands for its text in every value, however it is given.
func TestVariables(t *testing.T) {
	text := `kreplay: 1
template: t
vars: { a: x, b: "${a}-${a}", n: "7", none: "" }
stream: { name: "${b}${none}", partition_key: "$a$" }
population: { users: "${n}" }
time: { speedup: "${n}.5" }
expect: { queries: { q: { sql: "$${a} $$${a} ${a}", equals: "${n}" } } }
`
	set, err := SetVar(`a=y "z': #`)
	if err != nil {
		t.Fatal(err)
	}
	s, err := load(text)
	if err != nil {
		t.Fatal(err)
	}
	if s.Stream.Name != "x-x" || s.Stream.PartitionKey != "$a$" || s.Population.Users != 7 || s.Time.Speedup != (Decimal{75, 1}) ||
		s.Expect.Queries[0].SQL != "${a} $${a} x" || s.Expect.Queries[0].Equals != "7" || s.Vars["b"] != "x-x" {
		t.Errorf("got %+v", s)
	}
	s, err = load(text, set, "stream.name=${n}")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Expect.Queries[0].SQL, `${a} $${a} y "z': #`; got != want || s.Stream.Name != "7" {
		t.Errorf("got %q, stream %q, want %q", got, s.Stream.Name, want)
	}
	for _, arg := range []string{"a", "", "=x", "a.b=c", "a b=c", "1=2"} {
		if got, err := SetVar(arg); err == nil {
			t.Errorf("%q: got %s, want an error", arg, got)
		}
	}
}

// Variables that use each other cannot make a scenario of any size.
func TestVariablesAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(minimal + "vars:\n  v0: " + strings.Repeat("x", 100) + "\n")
	for i := range 9 {
		b.WriteString("  v" + string(rune('1'+i)) + ": \"" + strings.Repeat("${v"+string(rune('0'+i))+"}", 10) + "\"\n")
	}
	_, err := load(b.String())
	if err == nil || !strings.Contains(err.Error(), "variables add more than 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}

// Arrivals are the curve that they say, on the clock of the scenario's zone.
func TestArrivals(t *testing.T) {
	files := map[string]string{"c.csv": "\ufeffoffset,weight\n# a comment\n0m, 10\n\n30m,20\n1h30m,5\n"}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	utc := time.Date(2026, 9, 14, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		time string
		want pace.Curve
	}{
		{"{}", pace.Curve{}},
		{"{start: \"2026-09-14T03:00:00Z\", zone: Asia/Tokyo}", pace.Curve{}},
		{"{span: 2h}", pace.Even(2 * time.Hour)},
		{"{span: 2h, arrivals: even}", pace.Even(2 * time.Hour)},
		{"{span: 2h, arrivals: steps, steps: [1, 0, 3]}", pace.Steps(2*time.Hour, []uint64{1, 0, 3})},
		{"{span: 2h, arrivals: burst, burst: {at: 1h, length: 5m, share: 50%}}", pace.Burst(2*time.Hour, time.Hour, 5*time.Minute, 1, 2)},
		{"{span: 2h, arrivals: diurnal, start: \"2026-09-14T03:00:00Z\"}", pace.Diurnal(utc, 2*time.Hour, 21*60)},
		{"{span: 2h, arrivals: diurnal, start: \"2026-09-14T03:00:00Z\", zone: Asia/Tokyo, peak: \"07:30\"}", pace.Diurnal(utc.In(tokyo), 2*time.Hour, 7*60+30)},
		{"{span: 2h, arrivals: diurnal, start: \"2026-09-14T12:00:00+09:00\"}", pace.Diurnal(utc.In(tokyo), 2*time.Hour, 21*60)},
		{"{span: 2h, arrivals: file, curve: c.csv}", pace.NewCurve([]pace.Part{{Length: 30 * time.Minute, Weight: 10}, {Length: time.Hour, Weight: 20}, {Length: 30 * time.Minute, Weight: 5}})},
	} {
		s, err := loadWith(files, minimal+"time: "+c.time+"\n")
		if err != nil {
			t.Errorf("%s: %v", c.time, err)
			continue
		}
		const n = 10_000
		for rank := range uint64(n) {
			if got, want := s.Time.Arrivals.Offset(rank, n), c.want.Offset(rank, n); got != want {
				t.Errorf("%s: arrival %d comes after %v, want %v", c.time, rank, got, want)
				break
			}
		}
	}
}

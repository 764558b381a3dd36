package replay

import (
	"maps"
	"testing"
	"testing/fstest"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/scenario"
)

// What a transform wrapped is as it was sent, unless it is an object in columns itself.
func TestFormOf(t *testing.T) {
	for _, tc := range []struct {
		said scenario.Stage
		row  lake.Row
		want generate.Form
	}{
		{scenario.Stage{}, lake.Row{}, generate.AsSent},
		{scenario.Stage{}, lake.Row{Converted: true}, generate.Typed},
		{scenario.Stage{}, lake.Row{Text: true}, generate.Cells},
		{scenario.Stage{CSV: true}, lake.Row{}, generate.Cells},
		{scenario.Stage{Payload: "a"}, lake.Row{}, generate.AsSent},
		{scenario.Stage{Payload: "a", CSV: true}, lake.Row{}, generate.AsSent},
		{scenario.Stage{Payload: "a"}, lake.Row{Converted: true}, generate.Typed},
	} {
		if got := formOf(tc.said, tc.row); got != tc.want {
			t.Errorf("%+v, %+v: form %d, want %d", tc.said, tc.row, got, tc.want)
		}
	}
}

// Columns are spoiled by the roles of the keys that they stand for.
func TestKeptFieldsOfColumns(t *testing.T) {
	job, err := Check(fstest.MapFS{
		"s/scenario.yaml": {Data: []byte("kreplay: 1\ntemplate: t\nrewrite: { userId: user, ts: time }\n")},
		"s/t/x.ndjson":    {Data: []byte(`{"userId":"7","ts":1600000000000,"TS":"a","Info":{"osName":"b"}}` + "\n")},
	}, "s", nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := job.Plan(generate.Run{})
	if err != nil {
		t.Fatal(err)
	}
	exact := map[string]bool{"userId": false, "ts": false, "TS": true, "Info.osName": true}
	for form, more := range map[generate.Form]map[string]bool{generate.AsSent: nil, generate.Typed: {"userid": false, "info.osname": true}} {
		want := maps.Clone(exact)
		maps.Copy(want, more)
		if got := keptFields(plan, plan.Bytes(), candidate{form: form}); !maps.Equal(got, want) {
			t.Errorf("form %d: %v, want %v", form, got, want)
		}
	}
	if n := likeness([]byte(`{"aB":1,"C":{"d":2}}`), []byte(`{"ab":1,"c":{"d":3}}`)); n != 1 {
		t.Errorf("%d fields are alike, want 1", n)
	}
}

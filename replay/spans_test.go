package replay_test

import (
	"slices"
	"testing"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/local"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// half is what a truncation left of a record; broken says that compressed bytes
// broke off with it.
type half struct {
	text   string
	broken bool
}

// halves are those of a lake, by object.
func halves(t *testing.T, folder string, planted []local.Planted) map[string]half {
	t.Helper()
	store, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	left := map[string]half{}
	for _, p := range planted {
		if p.Kind != local.Truncated || p.Data != nil {
			continue
		}
		var x half
		_, err := lake.Sweep{
			Row:    func(lake.Row) error { x.text = ""; return nil },
			Damage: func(d lake.Damage) error { x.broken = x.broken || d.Blind; return nil },
			Unread: func(part []byte) { x.text += string(part) },
		}.Scan(t.Context(), store, p.Object)
		if err != nil {
			t.Fatal(err)
		}
		left[p.Object] = x
	}
	return left
}

// isOurs says whether half a record tells that it is one of the first plan, and none
// of the others: whether an id is whole. Where ids stand is that of the record that it is most like.
func isOurs(half string, plans ...*generate.Plan) bool {
	like, ours := -1, false
	for _, p := range plans {
		for r := range p.Records(generate.Slice{}) {
			same := 0
			for i := range min(len(half), len(r.Data)) {
				if half[i] == r.Data[i] {
					same++
				}
			}
			if same <= like {
				continue
			}
			like, ours = same, false
			program := p.Cohort(r.ID.User).Program
			_ = template.Walk(r.Data, func(f template.Field) error {
				_, role, _ := program.Field(int(r.ID.Event), f.Path())
				end := f.End
				if f.Kind == template.String { // without its last quote
					end--
				}
				ours = ours || p == plans[0] && end <= len(half) && slices.Contains([]scenario.RoleKind{scenario.User, scenario.UUID, scenario.Peer}, role)
				return nil
			})
		}
	}
	return ours
}

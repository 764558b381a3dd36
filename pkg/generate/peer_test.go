package generate

import (
	"testing"
	"testing/fstest"
)

// A record that names another user beside its own is still its user's, in
// whatever form ids are written, and no peer is outside the run's range.
func TestPeersDoNotMislead(t *testing.T) {
	for name, lines := range map[string]string{
		"uuid": `{"opponent_id":"04b48064-7ee4-4a23-a74e-6cf210177212","user_id":"8c47be83-c79b-4545-a901-e9c730fa276e","ts":1541207073}
{"user_id":"8c47be83-c79b-4545-a901-e9c730fa276e","opponent_id":"04b48064-7ee4-4a23-a74e-6cf210177213","ts":1541207074}
`,
		"ulid":    `{"opponent_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","event_id":"01ARZ3NDEKTSV4RRFFQ69G5FAW","user_id":"15","ts":1541207073}` + "\n",
		"decimal": `{"opponent_id":"16","user_id":15,"rival":{"opponent_id":17},"ts":1541207073,"nick":"Lily","code":"ab12cd34"}` + "\n",
		"padded":  `{"opponent_id":"0000016","user_id":"15","ts":1541207073}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			rules := "  user_id: user\n  opponent_id: peer\n  ts: time\n"
			for field, rule := range map[string]string{"ulid": "  event_id: uuid\n", "decimal": "  nick: fake\n  code: hash\n"} {
				if field == name {
					rules += rule
				}
			}
			p := newPlan(t, Run{ID: "r"}, fstest.MapFS{
				"s/scenario.yaml":    {Data: []byte("kreplay: 1\nname: peers\ntemplate: u\nrewrite:\n" + rules + "population: {users: 50}\n")},
				"s/u/match.ndjson":   {Data: []byte(lines)},
				"s/u/another.ndjson": {Data: nil},
			}, "s")
			var scratch Scratch
			for r := range p.Records(Slice{}) {
				if m := p.Identify(r.Data, &scratch); m.Kind != Planned || !m.Intact || m.User != r.ID.User || m.Event != r.ID.Event {
					t.Fatalf("%s of %v is %+v", r.Data, r.ID, m)
				}
			}
		})
	}
}

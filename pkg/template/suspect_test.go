package template

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/scenario"
)

var captured = []scenario.Rule{rule("user_id", scenario.User), rule("ts", scenario.Time)}

// suspects lists what Suspects finds in lines of a log type, as path, kind and role.
func suspects(lines []string, keep ...scenario.Pattern) (list []string) {
	l := LogType{Name: "login", File: "login.ndjson"}
	for _, line := range lines {
		l.Lines = append(l.Lines, []byte(line))
	}
	for _, s := range Suspects(&Template{Dir: "t", LogTypes: []LogType{l}}, captured, keep) {
		list = append(list, fmt.Sprintf("%s %s %s", s.Path, s.Kind, s.Role))
	}
	return list
}

// Each kind of suspect is told by value or by name; what is none is left alone.
func TestSuspects(t *testing.T) {
	const head = `{"user_id":"10004217","ts":1789344025305,`
	for _, c := range []struct{ field, want string }{
		{`"x":"8c47be83-c79b-4545-a901-e9c730fa276e"`, "x uuid uuid"},
		{`"x":"01ARZ3NDEKTSV4RRFFQ69G5FAV"`, "x uuid uuid"},
		{`"x":["8c47be83c79b4545a901e9c730fa276e","none"]`, "x uuid "},
		{`"x":1789344000`, "x time time"},
		{`"x":"2026-09-14T09:02:20.094+09:00"`, "x time time"},
		{`"x":1789344025305.0`, "x time time"},
		{`"x":"2026-09-14"`, "x time date of ts"},
		{`"day":20260914`, "day time date of ts"},
		{`"x":"10004217"`, "x id user"},
		{`"viewer_id":10004217`, "viewer_id id user"},
		{`"x":"/img/10004217.png"`, "x id "},
		{`"opponent_id":5`, "opponent_id id peer"},
		{`"friend":[1000,2000]`, "friend id peer"},
		{`"sessionId":172`, "sessionId id counter"},
		{`"orderID":"KR-17"`, "orderID id hash"},
		{`"item_id":1001`, "item_id id "},
		{`"quest":{"id":"q1"}`, "quest.id id "},
		{`"x":"lily@corp.co.jp"`, "x person fake"},
		{`"x":"10.1.2.3"`, "x person fake"},
		{`"x":"fe80::1:2:3"`, "x person fake"},
		{`"x":"+81-90-1234-5678"`, "x person fake"},
		{`"nickname":"ようこ"`, "nickname person fake"},
		{`"firstName":"Lily"`, "firstName person fake"},
		{`"player":{"name":"Lily"}`, "player.name person fake"},
	} {
		if diff := cmp.Diff([]string{c.want}, suspects([]string{head + c.field + "}"})); diff != "" {
			t.Errorf("%s: want (-), got (+)\n%s", c.field, diff)
		}
	}
	for _, field := range []string{
		`"level":7`, `"balance":300`, `"played_seconds":1820`, `"name":"はじまり"`, `"stage":"1-1"`, `"version":"15.3.0.1"`, `"agent":"KRGame\/3.2.1"`,
		`"receipt":9007199254740993`, `"paid":true`, `"valid":1`, `"grid":"a"`, `"time":90`, `"id":null`, `"email":""`, `"price":"160"`, `"score":20260914`,
		`"old":"1990-01-01"`, `"gender":"F"`, `"registered":631152000`, `"model":"iPhone15,3"`, `"word":"deadbeef"`, `"user_agent":"x"`, `"user_level":3`,
	} {
		if got := suspects([]string{head + field + "}"}); got != nil {
			t.Errorf("%s: %v, want none", field, got)
		}
	}
}

// A short id of the user is looked for only where the name speaks of a user.
func TestShortUserID(t *testing.T) {
	got := suspects([]string{`{"user_id":"15","items":15,"viewer":15,"path":"/15/"}`})
	if diff := cmp.Diff([]string{"viewer id user"}, got); diff != "" {
		t.Errorf("want (-), got (+)\n%s", diff)
	}
}

// A rule or a keep answers for a field; evidence and place are those of the log type's first value.
func TestSuspectsNamed(t *testing.T) {
	lines := []string{`{"user_id":"15","a_id":1,"b":{"id":null},"c_id":7}`, `{"user_id":"15","b":{"id":"x"}}`, `{"b":{"id":"y"}}`}
	if got := suspects(lines, scenario.Pattern{Field: "{a,c}_id"}, scenario.Pattern{Field: "login.b.id"}); got != nil {
		t.Errorf("%v, want none", got)
	}
	l := LogType{Name: "login", File: "login.ndjson", Lines: [][]byte{[]byte(lines[0]), []byte(lines[1]), []byte(lines[2])}}
	got := Suspects(&Template{Dir: "t", LogTypes: []LogType{l}}, captured, []scenario.Pattern{{Field: "*_id"}})
	if len(got) != 1 || got[0].Pos != (scenario.Pos{File: "t/login.ndjson", Line: 2, Col: 27}) || got[0].Example != `"x"` ||
		got[0].Why() != "2 of 2 values in a field of that name, all different" || got[0].Key() != "id" || got[0].Line() != `keep: ["id"]` {
		t.Errorf("%+v: %s, %s", got, got[0].Why(), got[0].Line())
	}
}

func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"user_id": "[user id]", "userId": "[user id]", "userID": "[user id]", "UserIDNumber": "[user id number]", "user-id": "[user id]", "userid": "[userid]",
		"itemInSession": "[item in session]", "": "[]", "_": "[]", "ipv4": "[ipv4]", "HTTPServer": "[http server]",
	} {
		if got := fmt.Sprint(Words(name)); got != want {
			t.Errorf("Words(%q) = %s, want %s", name, got, want)
		}
	}
}
